"""Wan-VACE: photos are moved into the new views by their depth, and the model paints what they leave open.

The model is told of no cameras: they are in the pixels that it keeps (Jiang et al. 2025, VACE; Wan 2.1 and 2.2).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import nearest_camera
from recon.clip import Clip
from recon.errors import BridgeError
from recon.pictures.canvas import HALF
from worldgen.backends.pipelines import PipelineConfig, PipelineModel, as_images, as_pictures
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.models.warp import Warp

GREY = 128 / 255
"""Of holes: the model was trained with grey ones; black is a colour to it."""
INVENTED = 0.25
"""Confidence of what the model paints, which nobody has measured: in a fit, at half the weight of a photo, a photo's pixel then counts
eight times as much, and yet what no photo shows is filled."""
SOLID = 0.9
"""Opacity from which the scene's rendering is kept: below, the background shines through its colours."""
LARGE = 600_000
"""Pixels of a picture above which the schedule is that of 720p, as the authors set it: flow shift 5, else 3."""


@dataclass(frozen=True)
class Config(PipelineConfig):
    weights: str = "Wan-AI/Wan2.1-VACE-1.3B-diffusers"
    """A folder as save_pretrained of diffusers writes it, or a name of the Hugging Face Hub: Wan-AI/Wan2.1-VACE-14B-diffusers is the
    large one."""
    area: int = 832 * 480
    """Width times height of its pictures, which keep their shape: 399360 is 480p, 921600 is 720p."""
    keep_above: float = 0.5
    """Confidence of moved photos from which their pixels are kept; the others are painted."""
    references: int = 2
    """Photos that it is shown besides, those taken nearest to the views."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.area < 256 or self.references < 0 or not 0 < self.keep_above <= 1:
            raise BridgeError(
                "expected --model.area of at least 256, --model.references of at least 0 and --model.keep-above above 0 and up to 1, got "
                f"{self.area}, {self.references} and {self.keep_above}"
            )


@dataclass(frozen=True)
class Control:
    """What the model is shown of each view, and what it may change."""

    images: Float[Tensor, "n h w 3"]
    """Grey where nothing is kept."""
    keep: Bool[Tensor, "n h w"]
    confidence: Float[Tensor, "n h w"]
    """Of the answer."""


class WanVace(PipelineModel):
    """Wan-VACE (``wan-vace``)."""

    name, kind, exact = "wan-vace", "WanVACEPipeline", ("vae",)
    config: Config
    options = Config

    def __init__(self, config: Config | None = None, pipeline: Any | None = None) -> None:
        super().__init__(config, pipeline)
        self.warp = Warp()

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name=self.name,
            conditions_on=("cameras", "images", "text", "rendering"),
            frame_rule=FrameRule(4, 1, self.config.max_frames),
            size=SizeRule(multiple_of=16, area=self.config.area),
            largest_turn_deg=self.config.turn_deg,
            min_context=1,
            gives_confidence=True,
        )

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target; confidence is that of the moved photos where they are kept, `INVENTED` elsewhere.

        Raises:
            BridgeError: see `PipelineModel.ask`; and as `Warp.generate`.
        """
        control, targets = self.control(request), request.targets
        holes = (~control.keep).float()[..., None].expand(-1, -1, -1, 3)
        answer = self.ask(
            generator=generator,
            prompt=request.prompt,
            video=as_pictures(control.images),
            mask=as_pictures(holes),  # white is painted
            reference_images=as_pictures(self._references(request)) or None,
            width=targets.width,
            height=targets.height,
            num_frames=len(targets),
        )
        clip = Clip(as_images(answer.frames[0]), targets, request.times_s, confidence=control.confidence)
        return Views(clip, seen=control.keep.float())

    def control(self, request: Request) -> Control:
        """Photos moved into the targets; where the scene's rendering is solid, that instead."""
        known = request.scene.depth  # photos at the size at which their depth is known
        asked = request if known is None else replace(request, context=known[0])
        moved = self.warp.generate(asked, generator=torch.Generator()).clip
        assert moved.confidence is not None
        keep = moved.confidence >= self.config.keep_above
        images, confidence = moved.images, torch.where(keep, moved.confidence, INVENTED)
        if (drawn := request.rendering) is not None:
            solid = drawn.alpha >= SOLID
            images = torch.where(solid[..., None], drawn.images, images)
            # the scene's own belief is no evidence for it
            keep, confidence = keep | solid, torch.where(solid, INVENTED, confidence)
        return Control(torch.where(keep[..., None], images, GREY).clamp(0, 1), keep, confidence)

    def _references(self, request: Request) -> Float[Tensor, "r h w 3"]:
        """Photos nearest to views spread over the targets; white around those that do not fill their canvas, as the model pads."""
        context, count = request.context, self.config.references
        spread = torch.linspace(0, len(request.targets) - 1, max(1, count)).round().int().tolist()
        cameras = context.require_cameras()
        picks = list(dict.fromkeys(nearest_camera(cameras, request.targets[i]) for i in spread))[:count]
        photos = context[picks]
        if photos.confidence is None:
            return photos.images
        return torch.where((photos.confidence >= HALF)[..., None], photos.images, 1.0)

    def load(self) -> Any:
        """The pipeline, with the schedule of its pictures' size."""
        pipe = super().load()
        if self._given is None:
            shift = 5.0 if self.config.area > LARGE else 3.0
            pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, flow_shift=shift)
        return pipe
