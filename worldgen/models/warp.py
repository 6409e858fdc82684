"""The plain world model: photos lifted by their own multi-view depth and seen from elsewhere.

It invents nothing: where no photo looks, a smooth fill stands in, and the confidence says so.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, backproject, project
from recon.clip import Clip
from recon.compute.progress import track
from recon.depth import DepthMaps
from recon.errors import BridgeError
from recon.pictures.canvas import HALF
from worldgen.geometry.context_depth import ContextDepth, same_clip, single_view_depth
from worldgen.model import ModelSpec, Request, Views

__all__ = [
    "Sight", "Warp", "WarpOptions", "nearest_photos", "same_clip", "see_each", "see_from", "single_view_depth",
]  # fmt: skip

BEYOND = 1e9
"""Depth of what lies around a photo, world units: its mesh is torn off, and whatever else is seen there is nearer."""
FADE = 0.2
"""Below this confidence a pixel fades into the smooth fill: shards of a wrong guess look worse than a blur."""


@dataclass(frozen=True)
class WarpOptions:
    """How photos are moved; lengths as shares of depth, angles in degrees."""

    photos: int = 5
    """Context photos looked at for one target."""
    sources: int = 3
    """Photos blended in one pixel."""
    tear: float = 0.05
    """The depth mesh is torn where neighbouring pixels differ by more."""
    same: float = 0.03
    """Depths that differ by less are the same surface."""
    softness_deg: float = 4.0
    """Angle between the target's ray and a photo's at which the photo counts half."""


class Warp:
    """Depth-based view generation from posed photos (``warp``).

    The depth of the context is estimated once and kept while the context stays the same. With a single
    photo there is no parallax: its depth is then interpolated from the SfM points, or, without points, a
    plane facing the photo; confidence is low in both cases.
    """

    def __init__(self, options: WarpOptions | None = None) -> None:
        self.depth = ContextDepth()
        self.options = options or WarpOptions()

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name="warp", conditions_on=("cameras", "images"), min_context=1, gives_confidence=True,
            needs="nothing: it runs on a CPU and has no weights",
        )  # fmt: skip

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture and confidence per target; deterministic, so the generator is not drawn from.

        Raises:
            BridgeError: no context photos.
            CaptureError: a context without cameras.
            ReconstructionError: several photos, all from one place.
        """
        if len(request.context) == 0:
            raise BridgeError("expected at least one posed photo as context for warp, got none; pass photos")
        targets = request.targets
        context = request.context.limit_size(max(targets.width, targets.height))
        maps = self.depth.of(replace(request, context=context))
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            seen = pool.map(lambda i: self._view(context, maps, targets[i]), range(len(targets)))
            views = list(track(seen, "moving the photos to the new views", len(targets)))
        clip = Clip(
            images=torch.stack([sight.fill_unseen(mean) for sight, mean in views]),
            cameras=targets,
            times_s=request.times_s,
            confidence=torch.stack([sight.confidence for sight, _ in views]),
        )
        seen = torch.stack([(sight.confidence > 0).float() for sight, _ in views])
        return Views(clip, seen=seen)

    def _view(self, context: Clip, maps: DepthMaps, target: Cameras) -> tuple["Sight", Float[Tensor, "3"]]:
        """What the photos show, and their mean colour."""
        picks = nearest_photos(context.require_cameras(), maps, target, self.options.photos)
        sight = see_from(context, maps, target, picks, self.options)
        return sight, context.images[picks].float().mean((0, 1, 2))


@dataclass(frozen=True)
class Sight:
    """What photos with depth show of one target's view."""

    inverse_depth: Float[Tensor, "h w"]
    """Of the nearest surface on which photos agree; 0 where no photo looks."""
    trust: Float[Tensor, "h w"]
    """How much depth confidence stands behind it, summed over photos; 0 where no photo looks."""
    colour: Float[Tensor, "h w 3"]
    """Blend of the photos that see the surface; 0 where none does."""
    confidence: Float[Tensor, "h w"]
    """Of the colour, in [0, 1]; 0 where no photo sees the surface."""

    def fill_unseen(self, otherwise: Float[Tensor, "3"]) -> Float[Tensor, "h w 3"]:
        """The picture with unseen and doubtful pixels completed smoothly, sRGB in [0, 1]."""
        from worldgen.geometry.fill import push_pull

        return push_pull(self.colour, (self.confidence / FADE).clamp(0, 1), otherwise).clamp(0, 1)


def see_from(
    context: Clip, maps: DepthMaps, target: Cameras, picks: list[int], options: WarpOptions
) -> Sight:
    """Depth of the picked photos drawn into the target's view and fused; colours looked up through it."""
    lifted = _lift(context, maps, target, picks)
    inverse, trust = _fuse(lifted, target, options)
    return Sight(inverse, trust, *_look_up(lifted, inverse, target, options))


def see_each(
    context: Clip, maps: DepthMaps, target: Cameras, picks: list[int], options: WarpOptions
) -> list[Sight]:
    """Each picked photo alone as the target sees it, all through the depth that is fused of them."""
    lifted = _lift(context, maps, target, picks)
    inverse, trust = _fuse(lifted, target, options)
    alone = ([part[[i]] for part in lifted] for i in range(len(picks)))
    return [Sight(inverse, trust, *_look_up(one, inverse, target, options)) for one in alone]


def look_up(
    context: Clip,
    maps: DepthMaps,
    inverse: Float[Tensor, "h w"],
    target: Cameras,
    picks: list[int],
    options: WarpOptions,
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Colour of the picked photos at surfaces of known inverse depth in the target's view, and its confidence; 0 where none sees them."""
    return _look_up(_lift(context, maps, target, picks), inverse, target, options)


def _lift(context: Clip, maps: DepthMaps, target: Cameras, picks: list[int]) -> list[np.ndarray]:
    """Of the picked photos depth, its trust, pictures, intrinsics, and the pose of the target in each."""
    cameras = context.require_cameras()
    depth = maps.depth[picks].float().numpy()
    trust = maps.confidence[picks].float().numpy()
    if context.confidence is not None:  # nothing is lifted from around a photo
        outside = (context.confidence[picks] < HALF).numpy()
        depth, trust = np.where(outside, np.float32(BEYOND), depth), np.where(outside, np.float32(0), trust)
    images = np.ascontiguousarray(context.images[picks].float().numpy())
    photos_from_target = (cameras.cam_from_world[picks].double() @ target.world_from_cam.double()).numpy()
    return [depth, trust, images, cameras.K[picks].double().numpy(), photos_from_target]


def _fuse(
    lifted: list[np.ndarray], target: Cameras, options: WarpOptions
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Inverse depth of the target, and the trust behind it."""
    from worldgen.geometry.lift import fuse_depth, raster_depth

    depth, trust, _, K, photos_from_target = lifted
    h, w = target.height, target.width
    layers = np.zeros((len(depth), h, w), np.float32)
    layer_trust = np.zeros_like(layers)
    for i in range(len(depth)):
        target_from_photo = np.linalg.inv(photos_from_target[i])
        raster_depth(
            1 / depth[i], trust[i], K[i], target_from_photo, target.K[0].double().numpy(), options.tear,
            layers[i], layer_trust[i],
        )  # fmt: skip
    inverse, fused_trust = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    fuse_depth(layers, layer_trust, options.same, inverse, fused_trust)
    return torch.from_numpy(inverse), torch.from_numpy(fused_trust)


def _look_up(
    lifted: list[np.ndarray], inverse: Float[Tensor, "h w"], target: Cameras, options: WarpOptions
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Colour of the target's pixels in the photos, and its confidence in [0, 1]."""
    from worldgen.geometry.lift import gather_colours

    depth, trust, images, K, photos_from_target = lifted
    colour, confidence = np.zeros((*inverse.shape, 3), np.float32), np.zeros(inverse.shape, np.float32)
    gather_colours(
        inverse.numpy(), images, depth, trust, K, photos_from_target, target.K[0].double().numpy(),
        2 * options.same, options.softness_deg, options.sources, colour, confidence,
    )  # fmt: skip
    return torch.from_numpy(colour), torch.from_numpy(confidence.clip(0, 1))


def nearest_photos(cameras: Cameras, maps: DepthMaps, target: Cameras, count: int) -> list[int]:
    """The photos that show most of what the target sees, each under a small angle; the best first.

    Chosen one after the other: a photo is worth what it adds to those already chosen, on a coarse grid of
    the target's picture.
    """
    rows, columns = 12, 16
    value = torch.zeros(len(cameras), rows * columns)
    step = max(1, maps.depth.shape[1] // 24)
    for i in range(len(cameras)):
        camera = cameras[i].resize(width=maps.depth.shape[2], height=maps.depth.shape[1])
        xyz = backproject(maps.depth[i : i + 1].double(), camera)[0, ::step, ::step].reshape(-1, 3)
        px, z = project(xyz, target)
        cell = (
            (px[0] / torch.tensor([target.width, target.height]) * torch.tensor([columns, rows]))
            .floor()
            .long()
        )
        inside = (z[0] > 0) & (cell >= 0).all(1) & (cell[:, 0] < columns) & (cell[:, 1] < rows)
        rays = torch.nn.functional.normalize(xyz[inside] - cameras.centers[i].double(), dim=1)
        wanted = torch.nn.functional.normalize(xyz[inside] - target.centers[0].double(), dim=1)
        angle = torch.rad2deg(torch.arccos((rays * wanted).sum(1).clamp(-1, 1)))
        worth = (1 / (1 + (angle / 10) ** 2)).float()
        value[i].scatter_reduce_(0, (cell[:, 1] * columns + cell[:, 0])[inside], worth, "amax")
    picks: list[int] = []
    covered = torch.zeros(rows * columns)
    while len(picks) < min(count, len(cameras)):
        gain = (value - 0.5 * covered).clamp_min(0).sum(1)
        gain[picks] = -1
        best = int(gain.argmax())
        picks.append(best)
        covered = torch.maximum(covered, value[best])
    return picks
