"""The protocol that every world model answers, from a splat scene to a video diffusion model."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.scene import Scene
from recon.splats.engines.screen import Rendering


@dataclass(frozen=True)
class FrameRule:
    """How many frames one call takes: offset, offset + stride, offset + 2 · stride … up to a limit."""

    stride: int = 1
    offset: int = 0
    """(4, 1) is 4k + 1, the rule of most video VAEs."""
    max_frames: int | None = None
    """Longer requests are cut into several calls; None: any length in one call."""


@dataclass(frozen=True)
class SizeRule:
    """Which picture sizes a model takes; without any rule it takes all."""

    fixed: tuple[int, int] | None = None
    """(width, height), pixels: the only size."""
    area: int | None = None
    """Pixels of a picture, width times height, to which each is scaled in its own shape: models that were trained at one size
    draw badly at half of it. None: pictures keep their size."""
    multiple_of: int = 1
    """Pixels; both sides are multiples of it. 16 is a VAE's factor of 8 times a patch of 2."""


@dataclass(frozen=True)
class ModelSpec:
    """What a model takes and needs; the library fits requests to it (`worldgen.door`)."""

    name: str
    conditions_on: tuple[str, ...]
    """Of 'cameras', 'images', 'text', 'time', 'rendering' (mends pictures of the scene as it is), 'scene' (weighs what the scene
    shows against what the photos say)."""
    frame_rule: FrameRule = FrameRule()
    size: SizeRule = SizeRule()
    first_frame_is_context: bool = False
    """The first frame of each call must be a posed context photo, as of image-to-video models. The library puts the photo
    nearest to the first target there, and drops that frame from the answer."""
    largest_turn_deg: float | None = None
    """By how many degrees the view may turn, or what is seen may shift, from one frame to the next. The library puts frames between
    targets, sends scattered ones in another order, and drops those frames from the answer. None: targets may jump."""
    unit: Literal["metre", "scene", "free"] = "scene"
    """Of camera translations: 'metre' is converted by the library, 'scene' and 'free' (any scale) stay as they are."""
    min_context: int = 0
    gives_confidence: bool = False
    license: str = "Apache-2.0"
    needs: str = ""
    """What must be there to run it, for people: 'a CUDA GPU with 24 GB', 'weights from …'."""

    @property
    def takes_times(self) -> bool:
        """Whether it shows targets at the times of the request; of others the library says so (`worldgen.at_times`)."""
        return "time" in self.conditions_on


@dataclass(frozen=True)
class Request:
    """What would be seen from there?"""

    context: Clip
    """Posed views to go by; a `Clip` of zero images where the model needs none."""
    targets: Cameras
    times_s: Float[Tensor, "n"] | None = None
    """Of the targets, seconds on the clock of the context and the scene; None: a static scene, or whenever the model likes."""
    prompt: str | None = None
    scene: Scene = field(default_factory=Scene)
    """What else is known of the place; models use what they can."""

    @cached_property
    def rendering(self) -> Rendering | None:
        """The scene as it is now, at the targets and on black, for models that mend it; None where the request has no Gaussians.

        Drawn when first asked for, at the size, lens and unit of these targets: what the library fitted to a model fits here too.
        """
        if self.scene.gaussians is None:
            return None
        from recon.splats.render import draw_views

        return draw_views(self.scene.gaussians, self.targets)


@dataclass(frozen=True)
class Views:
    """A model's answer: n pictures, and what it states about them."""

    clip: Clip
    """Its `cameras` are the requested ones; its `confidence` is there if the spec says so."""
    depth: Float[Tensor, "n h w"] | None = None
    """z-depth, scene units."""
    colour_std: Float[Tensor, "n h w"] | None = None
    """Standard deviation of the colour error that the model expects, sRGB in [0, 1]."""
    seen: Float[Tensor, "n h w"] | None = None
    """1 where a context view shows the surface, 0 where the model invented it."""
    better: Float[Tensor, "n h w"] | None = None
    """Probability that a pixel is nearer to the truth than the rendering of the request's scene; None where the model does not
    compare them."""
    drawn: Cameras | None = None
    """What was drawn, where the model states it: another lens or path than was asked for, of the size of its pictures. Whoever judges
    or trains takes these as the requested ones."""

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, rows: slice | list[int]) -> "Views":
        drawn = None if self.drawn is None else self.drawn[rows]
        return Views(self.clip[rows], *(None if x is None else x[rows] for x in self._maps()), drawn=drawn)

    def _maps(self) -> list[Tensor | None]:
        return [self.depth, self.colour_std, self.seen, self.better]

    @staticmethod
    def concatenate(parts: "list[Views]") -> "Views":
        """One after the other; a map is kept where all parts have it, what was drawn where one has it."""
        clip = Clip.concatenate([part.clip for part in parts])
        maps = zip(*(part._maps() for part in parts), strict=True)
        drawn = None
        if any(part.drawn is not None for part in parts):
            drawn = Cameras.concatenate([part.drawn or part.clip.require_cameras() for part in parts])
        return Views(clip, *(_cat(list(some)) for some in maps), drawn=drawn)


def _cat(maps: list[Tensor | None]) -> Tensor | None:
    there = [x for x in maps if x is not None]
    return torch.cat(there) if len(there) == len(maps) else None


@runtime_checkable
class WorldModel(Protocol):
    """Answers a request with one picture per target camera."""

    @property
    def spec(self) -> ModelSpec: ...

    def generate(self, request: Request, *, generator: torch.Generator) -> Views: ...


@runtime_checkable
class ChoosesCameras(Protocol):
    """A world model that says itself from where it is asked; nothing is planned for it."""

    def choose_targets(self, context: Clip, scene: Scene, *, count: int | None, part: int = 1) -> Cameras:
        """Cameras in the scene's frame, at the size of the context.

        Args:
            count: at most so many; None: as many as there are.
            part: of the rounds that ask, from 1; each asks for other cameras.

        Raises:
            ReconstructionError: none are left.
        """
        ...


@runtime_checkable
class RecoversPoses(Protocol):
    """A world model that also tells the poses of a video: a witness beside structure from motion."""

    def recover_poses(self, clip: Clip, *, generator: torch.Generator) -> Float[Tensor, "n 4 4"]:
        """world_from_cam of the frames, in any world and unit; float64."""
        ...


SAME_SHAPE = 0.01
"""Largest difference in width over height, as a share, of pictures of another size than was asked for: rounding, not a crop."""
OVERSHOOT = 0.1
"""How far colours may lie outside [0, 1], as filters that sharpen make them; beyond, they are in other units."""


def check_answer(views: Views, request: Request, spec: ModelSpec) -> None:
    """Refuse an answer of another length or shape than was asked for, or with values that are no colours.

    Raises:
        BridgeError: which says what came and what was expected.
    """
    targets, clip = request.targets, views.clip
    if len(views) != len(targets):
        raise BridgeError(f"expected {len(targets)} frames from {spec.name}, got {len(views)}")
    fixed = spec.size != SizeRule()
    other_shape = abs(clip.width * targets.height / (clip.height * targets.width) - 1) > SAME_SHAPE
    if other_shape or (fixed and (clip.width, clip.height) != (targets.width, targets.height)):
        raise BridgeError(
            f"expected pictures of {targets.width}x{targets.height} from {spec.name}, got {clip.width}x{clip.height}"
        )
    if views.drawn is not None and len(views.drawn) != len(targets):
        raise BridgeError(f"expected {len(targets)} drawn cameras from {spec.name}, got {len(views.drawn)}")
    low, high = (float(one) for one in clip.images.aminmax())  # NaN where any is
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        raise BridgeError(f"expected colours from 0 to 1 from {spec.name}, got {low:g} to {high:g}")
    for what, values in (
        ("confidence", clip.confidence),
        ("depth", views.depth),
        ("colour_std", views.colour_std),
        ("better", views.better),
    ):
        if values is None:
            continue
        if values.shape != clip.images.shape[:3]:
            raise BridgeError(
                f"expected {what} of the shape {list(clip.images.shape[:3])} of its pictures from {spec.name}, got "
                f"{list(values.shape)}"
            )
        if values.isnan().any() or (
            what in ("confidence", "better") and not ((values >= 0) & (values <= 1)).all()
        ):
            raise BridgeError(
                f"expected {what}{' from 0 to 1' * (what in ('confidence', 'better'))} from {spec.name}, got other values or NaN"
            )
