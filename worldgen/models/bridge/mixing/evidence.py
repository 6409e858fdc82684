"""What the model's frame and the scene's rendering say of one view, side by side."""

from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.gaussians import Gaussians
from recon.splats.fitting.dropout import Dropout
from recon.splats.render import draw_views
from worldgen.models.bridge.channels import Channel, Cue
from worldgen.models.bridge.conditioning import SAME, VIEWS, Conditioning
from worldgen.models.warp import WarpOptions, look_up, nearest_photos

DRAWS = 4
"""Renderings with Gaussians left out: their spread shows where the scene rests on a few Gaussians."""
LEFT_OUT = 0.3
"""Share of the Gaussians that each of these leaves out: the dropout with which scenes of few photos are trained."""
LOG_ERROR_LEAST, LOG_ERROR_RANGE = -4.5, 4.0
"""Natural logarithms of colour errors: 0.011 becomes 0, 0.61 becomes 1."""
COLOUR_STEP = 0.2
"""Standard deviation of colour at which its channel reaches 1."""
DEPTH_STEP = 0.2
"""Relative difference of depths at which a channel of depth differences reaches 1."""


class Source(IntEnum):
    """The pictures that are mixed."""

    FRAME = 0
    """What the model generated from the photos and their own depth."""
    RENDERING = 1
    """The scene as it is."""
    DRAWS = 2
    """Mean of the renderings with Gaussians left out."""
    PHOTOS = 3
    """The photos looked up through the depth of the scene."""
    WARP = 4
    """The photos looked up through their own depth, holes filled."""


class Sign(IntEnum):
    """What is known of them, each about 0 to 1."""

    SCALE = 0
    """Logarithm of the error that the model states of its frame, brought to about [0, 1]."""
    SEEN = 1
    """1 where a photo sees what the frame shows."""
    WARP_CONFIDENCE = 2
    TRUST = 3
    """Of the photos' own depth."""
    INVERSE_DEPTH = 4
    """Of the frame."""
    ALPHA = 5
    """How much of the pixel the scene covers."""
    SPREAD = 6
    """Standard deviation of colour over the draws, over `COLOUR_STEP`."""
    DEPTH_SPREAD = 7
    """Relative standard deviation of depth over the draws."""
    PHOTOS_CONFIDENCE = 8
    """Of the photos looked up through the scene's depth; 0 where no photo sees that surface."""
    FARTHER = 9
    """By how much the scene's depth is beyond that of the frame, from -1 to 1."""
    DISAGREEMENT = 10
    """Of the colours of the photos, looked up through their own depth."""
    ANGLE = 11
    """Nearness in angle of the nearest photo that sees what the frame shows: 1 along the ray, a half at 8°."""


COMPARED = (
    (Source.FRAME, Source.RENDERING),
    (Source.PHOTOS, Source.RENDERING),
    (Source.WARP, Source.RENDERING),
    (Source.FRAME, Source.WARP),
)
FEATURES = (
    *(sign.name.lower() for sign in Sign),
    *(f"{a.name.lower()} - {b.name.lower()}" for a, b in COMPARED),
)
"""Names of what mixing goes by."""


@dataclass(frozen=True)
class Frame:
    """One view that the model generated from the photos alone."""

    image: Float[Tensor, "h w 3"]
    """sRGB in [0, 1]."""
    scale: Float[Tensor, "h w"]
    """Expected mean absolute error of the colour."""
    depth: Float[Tensor, "h w"]
    """z-depth, scene units."""
    seen: Float[Tensor, "h w"]
    """1 where a photo or an earlier frame shows the surface, else 0."""
    given: Conditioning
    """What it was generated from; n = 1."""


@dataclass(frozen=True)
class Evidence:
    """What is known of n views before they are mixed."""

    pictures: Float[Tensor, "n 5 3 h w"]
    """See `Source`; sRGB in [0, 1]."""
    signs: Float[Tensor, "n 12 h w"]
    """See `Sign`."""

    def __len__(self) -> int:
        return len(self.pictures)

    def frame_error(self) -> Float[Tensor, "n h w"]:
        """Mean absolute colour error that the model states of its frame."""
        return torch.exp(LOG_ERROR_LEAST + LOG_ERROR_RANGE * self.signs[:, Sign.SCALE])

    def features(self) -> Float[Tensor, "n f h w"]:
        """What mixing goes by: the signs, and by how much pairs of pictures differ."""
        apart = [(self.pictures[:, a] - self.pictures[:, b]).abs().mean(1, keepdim=True) for a, b in COMPARED]
        return torch.cat([self.signs, *apart], dim=1)

    @staticmethod
    def concatenate(parts: "list[Evidence]") -> "Evidence":
        """The views of several, of one size, one after the other."""
        return Evidence(
            torch.cat([part.pictures for part in parts]), torch.cat([part.signs for part in parts])
        )


@dataclass(frozen=True)
class SceneView:
    """A scene, and what it shows where its photos were taken."""

    scene: Gaussians
    draws: tuple[Gaussians, ...]
    photos: Clip
    depth: Float[Tensor, "n h w"]
    """z-depth of the scene at the photos."""
    alpha: Float[Tensor, "n h w"]

    @staticmethod
    def of(scene: Gaussians, photos: Clip, generator: torch.Generator) -> "SceneView":
        """Draw the scene from the photos' cameras, and which Gaussians are left out in which draw."""
        drawn = draw_views(scene, photos.require_cameras())
        draws = tuple(_leave_out(scene, generator) for _ in range(DRAWS))
        return SceneView(scene, draws, photos, drawn.depth, drawn.alpha)


def _leave_out(scene: Gaussians, generator: torch.Generator) -> Gaussians:
    dropout = Dropout(torch.rand(len(scene), generator=generator) >= LEFT_OUT, LEFT_OUT)
    return replace(scene, opacity_logits=dropout.change_logits(scene.opacity_logits))


def collect_evidence(view: SceneView, target: Cameras, frame: Frame) -> Evidence:
    """Lay frame, renderings and photos of one view side by side."""
    given = frame.given
    whole = draw_views(view.scene, target)
    draws = [draw_views(scene, target) for scene in view.draws]
    colours = torch.stack([one.images[0].clamp(0, 1) for one in draws])
    depths = torch.stack([one.depth[0] for one in draws])
    depth, rendering = whole.depth[0], whole.images[0].clamp(0, 1)
    photos, confidence = _look_up(view, depth, target)
    photos = torch.where(confidence[..., None] > 0, photos, rendering)
    pictures = [x.permute(2, 0, 1) for x in (frame.image, rendering, colours.mean(0), photos)] + [
        given.base[0]
    ]
    known = (depth > 0) & (frame.depth > 0)
    farther = torch.where(known, torch.log(depth.clamp_min(1e-9) / frame.depth.clamp_min(1e-9)), 0.0)
    signs = [
        (frame.scale.clamp_min(1e-3).log() - LOG_ERROR_LEAST) / LOG_ERROR_RANGE,
        frame.seen,
        given.frame[0, Channel.CONFIDENCE],
        given.frame[0, Channel.TRUST],
        given.frame[0, Channel.INVERSE_DEPTH],
        whole.alpha[0],
        colours.std(0).mean(-1) / COLOUR_STEP,
        depths.std(0) / depth.clamp_min(1e-9) / DEPTH_STEP,
        confidence,
        farther / DEPTH_STEP,
        given.frame[0, Channel.SPREAD],
        (given.cues[0, :, Cue.VISIBLE] * given.cues[0, :, Cue.ANGLE]).amax(0),
    ]
    return Evidence(torch.stack(pictures)[None], torch.stack(signs)[None].clamp(-1, 1))


def _look_up(
    view: SceneView, depth: Float[Tensor, "h w"], target: Cameras
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Colours of the photos at the surfaces that the scene has in a view, and how far they can be believed."""
    maps = DepthMaps(view.depth.clamp_min(1e-9), view.alpha)
    picks = nearest_photos(view.photos.require_cameras(), maps, target, VIEWS)
    inverse = torch.where(depth > 0, 1 / depth.clamp_min(1e-9), 0.0)
    return look_up(view.photos, maps, inverse, target, picks, WarpOptions(same=SAME / 2))
