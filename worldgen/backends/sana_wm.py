"""SANA-WM: a photo and the cameras of a path, in metres, become a video (Zhu et al. 2026)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from worldgen.backends.pipelines import PipelineConfig, PipelineModel, as_images, as_pictures
from worldgen.backends.poses import relative_poses
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.outside.options import parse_size


@dataclass(frozen=True)
class Config(PipelineConfig):
    weights: str = "Efficient-Large-Model/SANA-WM_bidirectional-diffusers"
    """A folder as save_pretrained of diffusers writes it, or a name of the Hugging Face Hub."""
    size: str = "1280x704"
    """Of its pictures. It was trained at this one alone; others are multiples of 32."""
    steps: int = 60
    """Of the denoising: fewer are faster and worse."""
    max_frames: int = 161
    """Frames of one call at most, of the form 8k + 1: memory grows with them. 961 are a minute."""
    turn_deg: float = 1.5
    """By how much the view turns, or what is seen shifts, from one frame to the next at most; its own controls turn by 1.2 degrees and
    step by 5 cm, a degree at 3 m."""
    negative_prompt: str = ""
    """What should not be seen, where guidance is above 1; it was trained without."""

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_size(self.size)


class SanaWM(PipelineModel):
    """SANA-WM (``sana-wm``), the first of its two stages: diffusers has no second one for it."""

    name, kind = "sana-wm", "SanaWMPipeline"
    config: Config
    options = Config

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name=self.name,
            conditions_on=("cameras", "images", "text"),
            frame_rule=FrameRule(8, 1, self.config.max_frames),
            size=SizeRule(fixed=parse_size(self.config.size), multiple_of=32),
            first_frame_is_context=True,
            largest_turn_deg=self.config.turn_deg,
            unit="metre",
            min_context=1,
        )

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target, the first of which is the photo itself.

        Raises:
            BridgeError: see `PipelineModel.ask`.
        """
        targets = request.targets
        answer = self.ask(
            generator=generator,
            prompt=request.prompt,
            image=as_pictures(request.context.images[:1])[0],
            c2w=relative_poses(targets).float().numpy(),
            intrinsics=lenses(targets).float().numpy(),
            width=targets.width,
            height=targets.height,
            num_frames=len(targets),
        )
        return Views(Clip(as_images(answer.frames), targets, request.times_s))


def lenses(cameras: Cameras) -> Float[Tensor, "n 4"]:
    """fx, fy, cx, cy in pixels.

    The model's own grid of rays has whole pixels of 1/32 the size as centres, in training as in use: K goes in as it is.
    """
    return cameras.K[:, [0, 1, 0, 1], [0, 1, 2, 2]]
