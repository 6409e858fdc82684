"""Cosmos 3 Omni: a photo and the steps of a camera become a video; of a video it also tells the steps (NVIDIA 2026)."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.errors import BridgeError, MissingDependencyError
from worldgen.backends.pipelines import PipelineConfig, PipelineModel, as_images, as_pictures
from worldgen.backends.poses import actions_to_poses, camera_actions
from worldgen.door import SizeDoor
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.outside.options import parse_size

TIERS = {
    256: ("256x256", "320x256", "256x320", "320x192", "192x320"),
    480: ("640x640", "736x544", "544x736", "832x480", "480x832"),
    704: ("960x960", "1088x832", "832x1088", "1280x704", "704x1280"),
    720: ("1104x832", "832x1104", "1280x720", "720x1280"),
}
"""Sizes that it was trained at. It pads photos of other sizes, and would draw the padding too."""
SHORTEST = 5
"""Frames of the shortest video with a step of the camera, because its VAE takes 4k + 1."""


@dataclass(frozen=True)
class Config(PipelineConfig):
    weights: str = "nvidia/Cosmos3-Nano"
    """A folder as save_pretrained of diffusers writes it, or a name of the Hugging Face Hub."""
    size: str = "832x480"
    """Of its pictures: 320x192, 832x480, 736x544, 640x640, 1280x704, 1280x720 and some more."""
    steps: int = 30
    """Of the denoising: fewer are faster and worse."""
    guidance: float = 1.0
    """How strictly the words are followed; 1 is without, as in its authors' example, and takes half the time."""
    max_frames: int = 61
    """Frames of one call at most, of the form 4k + 1: memory grows with them."""
    fps: float = 30.0
    """Frames a second that it is told, as in its authors' example."""
    units_per_metre: float = 1.0
    """What steps in metres are multiplied by: its authors do not say in what unit it was trained. Ask it for a known step, and compare."""
    guardrail: bool = False
    """Check words and frames by its authors' guardrail, which needs pip install cosmos_guardrail and access to its weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [size for sizes in TIERS.values() for size in sizes]
        if self.size not in known:
            raise BridgeError(f"expected --model.size to be one of {', '.join(known)}, got {self.size!r}")
        if not (self.fps > 0 and self.units_per_metre > 0):
            raise BridgeError(
                f"expected --model.fps and --model.units-per-metre above 0, got {self.fps} and {self.units_per_metre}"
            )
        if self.max_frames < SHORTEST:
            raise BridgeError(
                f"expected --model.max-frames of at least {SHORTEST}, got {self.max_frames}; cosmos3 takes a photo and four frames more at a time"
            )
        if self.guardrail and find_spec("cosmos_guardrail") is None:
            raise MissingDependencyError(
                "--model.guardrail needs a package; run: pip install cosmos_guardrail"
            )

    @property
    def tier(self) -> int:
        """Under which its pipeline knows the size."""
        return next(tier for tier, sizes in TIERS.items() if self.size in sizes)


class Cosmos3(PipelineModel):
    """Cosmos 3 Omni (``cosmos3``)."""

    name, kind = "cosmos3", "Cosmos3OmniPipeline"
    config: Config
    options = Config

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name=self.name,
            conditions_on=("cameras", "images", "text"),
            frame_rule=FrameRule(4, 1, self.config.max_frames),
            size=SizeRule(fixed=parse_size(self.config.size)),
            first_frame_is_context=True,
            largest_turn_deg=self.config.turn_deg,
            unit="metre",
            min_context=1,
        )

    def load_arguments(self) -> dict[str, Any]:
        """Whether the guardrail is loaded."""
        return {"enable_safety_checker": True} if self.config.guardrail else {
            "enable_safety_checker": False, "safety_checker": None,
        }  # fmt: skip

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target, the first of which is the photo itself; drawn with the photo's lens, because it is told of none.

        Raises:
            BridgeError: see `PipelineModel.ask`.
        """
        targets = request.targets
        photo = as_pictures(request.context.images[:1])[0]
        actions = camera_actions(targets, self.config.units_per_metre)
        answer = self._act(
            generator, request.prompt, mode="forward_dynamics", raw_actions=actions, image=photo
        )
        drawn = replace(targets, K=targets.K[:1].repeat(len(targets), 1, 1))
        return Views(Clip(as_images(answer.video), targets, request.times_s), drawn=drawn)

    def recover_poses(self, clip: Clip, *, generator: torch.Generator) -> Float[Tensor, "n 4 4"]:
        """What the model makes of a video: world_from_cam of its frames in metres, the first the identity, float64.

        A second witness beside structure from motion, which needs no matches; its drift adds up from frame to frame. It is given
        neither the lens nor the scale of the video, and estimates neither.

        Raises:
            BridgeError: fewer than two frames; see `PipelineModel.ask`.
        """
        if len(clip) < 2:
            raise BridgeError(f"expected at least two frames of a video, got {len(clip)}")
        size = parse_size(self.config.size)
        assert size is not None
        frames = as_pictures(
            SizeDoor(clip.width, clip.height, *size).pictures(replace(clip, cameras=None)).images
        )
        most = (self.config.max_frames - 1) // 4 * 4
        found = []
        for start in range(0, len(frames) - 1, most):
            video = frames[start : start + most + 1]
            padded = video + video[-1:] * (-(len(video) - 1) % 4)
            steps = -(-(len(video) - 1) // 4) * 4
            answer = self._act(generator, None, mode="inverse_dynamics", chunk=steps, video=padded)
            found.append(torch.as_tensor(answer.action[0])[: len(video) - 1])
        return actions_to_poses(torch.cat(found), self.config.units_per_metre)

    def _act(
        self, generator: torch.Generator, prompt: str | None, *, chunk: int | None = None, **condition: Any
    ) -> Any:
        from diffusers.pipelines.cosmos.pipeline_cosmos3_omni import CosmosActionCondition

        action = CosmosActionCondition(
            domain_name="camera_pose",
            view_point="ego_view",
            resolution_tier=self.config.tier,
            chunk_size=len(condition["raw_actions"]) if chunk is None else chunk,
            **condition,
        )
        return self.ask(generator=generator, prompt=prompt, action=action, fps=self.config.fps)
