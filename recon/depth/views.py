"""Choice of neighbours for the depth of each photo, and of the range of depth to search."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, backproject, project
from recon.points import PointCloud

SHARED_ENOUGH = 0.5
"""The nearest depth to search is where this share of the largest overlap is reached."""
MIN_POINTS = 12
"""SfM points a photo needs for its depth range to be taken from them; of fewer a percentile is one outlier."""
BEST_ANGLE_DEG = 8.0
"""Triangulation angle of the best neighbours: below, depth is inexact; at double, fewer windows still match."""
WIDEST_ANGLE_DEG = 60.0
"""Under wider angles photos of a surface cannot be matched."""
PLACE_ROUNDING = 1e-9
"""Rounding of camera centres at best, as a share of their distance from the world's origin."""
LEAST_BASELINE = 1e-6
"""Photos that stand closer together than this share of the farthest depth have no parallax to go by."""


def places_apart(cameras: Cameras, i: int) -> Float[Tensor, "n"]:
    """Distances of all cameras from camera i; 0 where they are no more than the rounding of the poses."""
    offset = cameras.cam_from_world[:, :3, 3].double().norm(dim=1).max()
    rounding = max(PLACE_ROUNDING, 16 * torch.finfo(cameras.cam_from_world.dtype).eps) * offset
    distance = (cameras.centers.double() - cameras.centers[i].double()).norm(dim=1)
    return torch.where(distance > rounding, distance, 0.0)


def depth_ranges(cameras: Cameras, points: PointCloud | None) -> Float[Tensor, "n 2"]:
    """Nearest and farthest z-depth to search, per camera.

    From the SfM points that project into the photo (1st to 99th percentile, with a margin); where there are
    none, from where the pictures can overlap (`_shared_depths`), which needs the cameras alone.
    """
    out = torch.empty(len(cameras), 2, dtype=torch.float64)
    for i in range(len(cameras)):
        z = _points_in_frame(cameras[i], points)[1] if points is not None else torch.zeros(0)
        if len(z) >= MIN_POINTS:
            low, high = torch.quantile(z, torch.tensor([0.01, 0.99], dtype=z.dtype)).tolist()
            out[i] = torch.tensor([0.75 * low, 1.5 * high])
        else:
            out[i] = _shared_depths(cameras, i)
    return out


def _shared_depths(cameras: Cameras, i: int) -> Float[Tensor, "2"]:
    """Depths at which other cameras see what camera i sees, under an angle that can still be matched.

    For a ladder of depths, the share of a coarse grid of pixels whose points lie in another picture: near is
    where half of the largest share is first reached, far where next to nothing is shared any more, at most a
    hundred times as far. Cameras that share nothing are given the depths of a stereo pair: from a
    disparity of a third of the picture to a hundredth of that.
    """
    baseline = places_apart(cameras, i)
    others = torch.nonzero(baseline > 0)[:, 0]
    unit = float(baseline[others].min()) if len(others) else 1.0
    stereo = float(cameras.K[i, 0, 0]) * unit / (0.33 * cameras.width)
    for widest_deg in (WIDEST_ANGLE_DEG, 180.0) if len(others) else ():
        ladder = float(baseline[others].median()) * torch.logspace(-1.5, 3, 55, dtype=torch.float64)
        share = torch.stack([_share_seen(cameras, i, others, float(depth), widest_deg) for depth in ladder])
        if share.max() > 0.02:
            there = torch.nonzero(share >= SHARED_ENOUGH * share.max())[:, 0]
            near = 0.8 * float(ladder[there[0]])
            last = float(ladder[torch.nonzero(share >= 0.05 * share.max())[-1, 0]])
            return torch.tensor([near, max(min(1.5 * last, 100 * near), 2 * near)], dtype=torch.float64)
    return torch.tensor([stereo, 100 * stereo], dtype=torch.float64)


def _share_seen(cameras: Cameras, i: int, others: Tensor, depth: float, widest_deg: float) -> Tensor:
    """Share of camera i's pixels whose points at `depth` another camera sees, under no wider an angle."""
    small = cameras[i].resize(width=16, height=12)
    xyz = backproject(
        torch.full((1, 12, 16), depth, dtype=torch.float64), small.to(dtype=torch.float64)
    ).reshape(-1, 3)
    px, z = project(xyz, cameras[others].to(dtype=torch.float64))
    size = torch.tensor([cameras.width, cameras.height], dtype=torch.float64)
    inside = (z > 0) & (px > 0).all(-1) & (px < size).all(-1)
    rays = torch.nn.functional.normalize(xyz[None] - cameras.centers[others].double()[:, None], dim=-1)
    own = torch.nn.functional.normalize(xyz - cameras.centers[i].double(), dim=-1)
    return (inside & ((rays * own).sum(-1) > math.cos(math.radians(widest_deg)))).any(0).double().mean()


def _points_in_frame(camera: Cameras, points: PointCloud) -> tuple[Float[Tensor, "q 3"], Float[Tensor, "q"]]:
    """Points that project into the picture, and their z-depth."""
    xyz = points.xyz.double()
    px, z = project(xyz, camera)
    inside = (
        (z[0] > 1e-6) & (px[0] >= 0).all(1) & (px[0, :, 0] < camera.width) & (px[0, :, 1] < camera.height)
    )
    return xyz[inside], z[0, inside]


def best_neighbours(
    cameras: Cameras, ranges: Float[Tensor, "n 2"], points: PointCloud | None, count: int
) -> list[list[int]]:
    """For every camera the others that see the same things under a useful angle, best first.

    The score follows MVSNet (Yao et al. 2018): points in both pictures, each weighted by its triangulation
    angle, which is best near 8 degrees and falls off faster below than above. A coarse grid of pixels at
    the middle of the depth range stands in for missing points. Photos from the same place are no neighbours:
    they have no parallax, so that every depth matches. Where nothing else is left, the first other photo stands in.
    """
    centers = cameras.centers.double()
    size = torch.tensor([cameras.width, cameras.height], dtype=torch.float64)
    chosen = []
    for i in range(len(cameras)):
        xyz = _seen_points(cameras[i], ranges[i], points)
        px, z = project(xyz, cameras)
        both = (z > 0) & (px > 0).all(-1) & (px < size).all(-1)
        rays = torch.nn.functional.normalize(xyz[None] - centers[:, None], dim=-1)
        angle = torch.rad2deg(torch.arccos((rays * rays[i]).sum(-1).clamp(-1, 1)))
        spread = torch.where(angle < BEST_ANGLE_DEG, 4.0, 12.0)
        score = (both * torch.exp(-0.5 * ((angle - BEST_ANGLE_DEG) / spread) ** 2)).sum(1)
        score[(centers - centers[i]).norm(dim=1) <= LEAST_BASELINE * ranges[i, 1]] = -1
        order = torch.argsort(score, descending=True, stable=True).tolist()
        useful = [j for j in order if score[j] > 1e-3 * len(xyz)]
        chosen.append((useful or [j for j in order if j != i][:1])[:count])
    return chosen


def _seen_points(
    camera: Cameras, depth_range: Float[Tensor, "2"], points: PointCloud | None
) -> Float[Tensor, "q 3"]:
    """Up to 500 SfM points in the camera's frame, or a grid at the harmonic middle of its depth range."""
    if points is not None:
        seen, _ = _points_in_frame(camera, points)
        if len(seen) >= MIN_POINTS:
            return seen[:: max(1, len(seen) // 500)]
    middle = 2 / (1 / depth_range[0] + 1 / depth_range[1])
    small = camera.resize(width=16, height=12)
    return backproject(torch.full((1, 12, 16), float(middle), dtype=torch.float64), small).reshape(-1, 3)
