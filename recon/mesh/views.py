"""Depth of a scene from many cameras, and which of it can be believed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import track
from recon.depth import multiview_depth
from recon.depth.views import best_neighbours
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.render import render

MEDIAN_PX = 5
"""Window of the median that takes single Gaussians out of a rendered depth."""
NEIGHBOURS = 8
"""Best neighbours of a camera whose depth is compared with its own."""
AGREEMENT = 0.02
"""Relative difference up to which two depths are the same; as between photos."""
CONFIRMATIONS = 1
"""Other cameras that must see a rendered depth. With two, half a metre more of a sparse capture stays open, and a dense one
is no more exact."""
LEAST_CONFIDENCE = 0.5
"""Least confidence of depth from photos that is used: below it only one photo supports it."""
SHARPEST_BEND = 0.02
"""Relative second difference of inverse depth from one pixel to the next, which is 0 on a plane however slanted: beyond
lies the edge of something, where depth belongs to neither side."""
UNKNOWN = 1e9
"""Inverse depth in the place of an unknown one: right before the camera, where no other camera can confirm it."""


@dataclass(frozen=True)
class DepthViews:
    """n pictures with depth, from n cameras."""

    cameras: Cameras
    images: Float[Tensor, "n h w 3"]
    """sRGB in [0, 1]."""
    depth: Float[Tensor, "n h w"]
    """z-depth in units of the scene; 0 where it is not known."""

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def has_depth(self) -> Bool[Tensor, "n h w"]:
        """Pixels whose depth is known."""
        return self.depth > 0

    def keep_where(self, keep: Bool[Tensor, "n h w"]) -> "DepthViews":
        """The same views with depth only where `keep` is true."""
        return replace(self, depth=torch.where(keep, self.depth, 0.0))


def render_views(gaussians: Gaussians, cameras: Cameras, *, antialiased: bool = False) -> DepthViews:
    """Pictures and median depth of a scene; depth is known where the scene covers more than half of a pixel.

    Args:
        gaussians: on the CPU; engines on other devices have no median depth.
    """
    import cv2

    images, depth = [], []
    with torch.no_grad():
        for i in track(range(len(cameras)), "depth of the scene"):
            drawn = render(gaussians, cameras[i], antialiased=antialiased, median_depth=True)
            assert drawn.depth_median is not None
            # without the black that shows through
            colors = drawn.images[0] / drawn.alpha[0].clamp_min(0.5)[..., None]
            images.append(colors.clamp(0, 1).float())
            depth.append(torch.from_numpy(cv2.medianBlur(drawn.depth_median[0].float().numpy(), MEDIAN_PX)))
    return DepthViews(cameras, torch.stack(images), torch.stack(depth))


def photo_depth(photos: Clip, points: PointCloud | None) -> Float[Tensor, "n h w"]:
    """Depth that at least two photos agree on, 0 elsewhere.

    Raises:
        ReconstructionError: fewer than two photos, or all from one place.
    """
    maps = multiview_depth(photos, points=points, max_side=max(photos.width, photos.height), passes=2)
    return torch.where(maps.confidence > LEAST_CONFIDENCE, maps.depth, 0.0)


def find_confirmed(views: DepthViews, *, least: int = CONFIRMATIONS) -> Bool[Tensor, "n h w"]:
    """Masks depth that at least so many other cameras, or all there are, see as well."""
    return count_confirmations(views) >= min(least, len(views) - 1)


def count_confirmations(views: DepthViews) -> Int[Tensor, "n h w"]:
    """How many of a camera's best neighbours see the same depth at a pixel."""
    from recon.depth.kernels import count_agreeing

    inverse = torch.where(views.has_depth, 1 / views.depth.clamp_min(1e-12), 0.0).double().numpy()
    asked = np.where(inverse > 0, inverse, UNKNOWN)
    poses, K = views.cameras.cam_from_world.double(), views.cameras.K.double().numpy()
    from_cam = views.cameras.world_from_cam.double()
    neighbours = best_neighbours(views.cameras, _ranges(views), None, NEIGHBOURS)

    def one(i: int) -> np.ndarray:
        """Count the confirmations of one view's pixels by its neighbours."""
        count = np.zeros(asked[i].shape, np.int64)
        for j in neighbours[i]:
            count_agreeing(
                asked[i], K[i], inverse[j], K[j], (poses[j] @ from_cam[i]).numpy(), AGREEMENT, count
            )
        return count

    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        counts = list(track(pool.map(one, range(len(views))), "depth compared", len(views)))
    return torch.from_numpy(np.stack(counts)) * views.has_depth


def _ranges(views: DepthViews) -> Float[Tensor, "n 2"]:
    """Tenth and ninetieth percentile of each camera's depth; those of all where it sees none."""
    every = views.depth[views.has_depth][::97].double()  # a few per cent are enough
    if len(every) == 0:
        return torch.ones(len(views), 2, dtype=torch.float64)
    rows = []
    for depth in views.depth:
        seen = depth[depth > 0].double()
        seen = seen[:: max(1, len(seen) // 10_000)]
        rows.append(torch.quantile(seen if len(seen) else every[:10_000], torch.tensor([0.1, 0.9]).double()))
    return torch.stack(rows)


def find_edges(depth: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Masks pixels at the edge of something nearer or farther; never next to unknown depth or at the border."""
    inverse = torch.where(depth > 0, 1 / depth.clamp_min(1e-12), 0.0)
    padded = torch.nn.functional.pad(inverse, (1, 1, 1, 1))
    known = padded > 0
    out = torch.zeros_like(depth, dtype=torch.bool)
    for before, after in (
        ((slice(1, -1), slice(None, -2)), (slice(1, -1), slice(2, None))),
        ((slice(None, -2), slice(1, -1)), (slice(2, None), slice(1, -1))),
    ):
        a, b = padded[:, *before], padded[:, *after]
        bend = (a + b - 2 * inverse).abs() > SHARPEST_BEND * inverse
        out |= bend & known[:, *before] & known[:, *after]
    return out & (depth > 0)
