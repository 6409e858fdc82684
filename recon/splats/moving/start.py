"""Where moving Gaussians begin: on surfaces that move, at each time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.cameras import backproject
from recon.clip import Clip
from recon.compute.progress import track
from recon.depth import DepthMaps, multiview_depth
from recon.gaussians import Gaussians, concatenate, from_points
from recon.moving.flows import FlowTable
from recon.points import PointCloud
from recon.sequence import Motion

OPACITY = 0.5
"""That moving Gaussians begin with: they stand before a scene that is opaque already."""
AGREED = 0.6
"""Confidence from which two cameras agree on a depth (0.7, see `DepthMaps`); what is filled in stays below 0.3."""
SMOOTHED = 15
"""Points over which a velocity is the median: the error of two depths, divided by a short time, is as large as the velocity."""


@dataclass(frozen=True)
class TimedPoints:
    """Points of surfaces, each at a time."""

    cloud: PointCloud
    time_s: Float[Tensor, "p"]
    velocity: Float[Tensor, "p 3"]
    """Scene units a second."""

    def __len__(self) -> int:
        return len(self.time_s)

    def __getitem__(self, rows: Tensor) -> "TimedPoints":
        return TimedPoints(self.cloud[rows], self.time_s[rows], self.velocity[rows])


def find_points(
    clip: Clip,
    moving: Bool[Tensor, "n h w"],
    *,
    count: int,
    generator: torch.Generator,
) -> tuple[PointCloud, TimedPoints]:
    """Points of what stands still, and of what moves, from the depth that the cameras of each time agree on.

    Args:
        clip: posed pictures with times; those of one time are compared with one another.
        moving: where they show what moves.
        count: most points of either kind, drawn at random.
    """
    still, parts, times, speeds = [PointCloud.empty()], [PointCloud.empty()], [], []
    groups = [(time_s, rows) for time_s, rows in frames_by_time(clip) if len(rows) >= 2]
    share = count // max(len(groups), 1) + 1
    later: tuple[float, list[int], DepthMaps] | None = None
    for time_s, rows in track(groups[::-1], "depth at each time"):
        here, masks = clip[rows], moving[rows]
        maps = multiview_depth(here)
        sure = (maps.confidence >= AGREED) & (maps.depth > 0)
        still.append(_points_at(here, maps, _draw(sure & ~masks, share, generator)))
        picks = _draw(sure & masks, share, generator)
        parts.append(_points_at(here, maps, picks))
        times.append(torch.full((len(picks),), time_s, dtype=torch.float64))
        speed = torch.zeros(len(picks), 3, dtype=torch.float64)
        if later is not None:
            seen = _follow_surfaces(clip, rows, later[1], maps, later[2], moving)
            speed = _smooth(parts[-1].xyz, seen.reshape(-1, 3)[picks] / (later[0] - time_s))
        speeds.append(speed)
        later = time_s, rows, maps
    timed = TimedPoints(
        PointCloud.concatenate(parts),
        torch.cat([*times, torch.zeros(0, dtype=torch.float64)]),
        torch.cat([*speeds, torch.zeros(0, 3, dtype=torch.float64)]),
    )
    return PointCloud.concatenate(still), timed


def _follow_surfaces(
    clip: Clip,
    rows: Sequence[int],
    next_rows: Sequence[int],
    maps: DepthMaps,
    next_maps: DepthMaps,
    moving: Bool[Tensor, "n h w"],
) -> Float[Tensor, "k h w 3"]:
    """How far what each pixel shows has gone by the next time, scene units; NaN where that is not seen."""
    cameras = clip.require_cameras()
    before = backproject(maps.depth.double(), cameras[list(rows)])
    after = backproject(next_maps.depth.double(), cameras[list(next_rows)])
    gone = torch.full_like(before, torch.nan)
    lines, columns = torch.meshgrid(torch.arange(clip.height), torch.arange(clip.width), indexing="ij")
    for k, row in enumerate(rows):
        apart = (cameras.centers[list(next_rows)] - cameras.centers[row]).norm(dim=1)
        turned = 1 - cameras.forward[list(next_rows)] @ cameras.forward[row]
        j = int((apart / (apart.max() + 1e-12) + turned).argmin())
        other = next_rows[j]
        found = FlowTable(clip.images[[row, other]], steps=(1,)).of_frame(0)
        flow, known = torch.from_numpy(found.flow[0]), torch.from_numpy(found.known[0])
        x = (columns + flow[..., 0]).round().long().clamp(0, clip.width - 1)
        y = (lines + flow[..., 1]).round().long().clamp(0, clip.height - 1)
        known &= moving[other, y, x] & (next_maps.confidence[j, y, x] >= AGREED)
        gone[k][known] = (after[j, y, x] - before[k])[known]
    return gone


def _smooth(xyz: Float[Tensor, "p 3"], velocity: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
    """Median of the known velocities near each point; 0 where none is known anywhere."""
    from scipy.spatial import cKDTree

    known = velocity.isfinite().all(1)
    if not known.any():
        return torch.zeros_like(velocity)
    k = min(SMOOTHED, int(known.sum()))
    near = cKDTree(xyz[known].numpy()).query(xyz.numpy(), k=[*range(1, k + 1)])[1]
    return velocity[known][torch.from_numpy(near)].median(1).values


def frames_by_time(clip: Clip) -> list[tuple[float, list[int]]]:
    """Each time of a clip, ascending, and the pictures that were taken then."""
    assert clip.times_s is not None
    found: dict[float, list[int]] = {}
    for row, time_s in enumerate(clip.times_s.double().tolist()):
        found.setdefault(time_s, []).append(row)
    return sorted(found.items())


def begin_moving(
    points: TimedPoints, *, sh_degree: int, degree: int, duration_s: float
) -> tuple[Gaussians, Motion]:
    """A Gaussian at each point, which goes on as fast as the point.

    Args:
        degree: of the polynomials of its position.
        duration_s: after which its opacity has fallen to 1/e.
    """
    order, scenes = [], []
    for time_s in points.time_s.unique():
        rows = (points.time_s == time_s).nonzero()[:, 0]
        cloud = points.cloud[rows]
        scenes.append(from_points(cloud.xyz, cloud.rgb, sh_degree=sh_degree, opacity=OPACITY))
        order.append(rows)
    if not scenes:
        nothing = torch.zeros(0, 3)
        scenes, order = (
            [from_points(nothing, nothing, sh_degree=sh_degree)],
            [torch.zeros(0, dtype=torch.long)],
        )
    m = len(points)
    coefficients = torch.zeros(m, degree, 3)
    coefficients[:, 0] = points.velocity[torch.cat(order)].float()
    motion = Motion(
        time_center_s=points.time_s[torch.cat(order)].float(),
        log_duration_s=torch.full((m,), duration_s).log(),
        coefficients=coefficients,
        spin=torch.zeros(m, 4),
    )
    return concatenate(scenes), motion


def _draw(wanted: Bool[Tensor, "n h w"], count: int, generator: torch.Generator) -> Int[Tensor, "_"]:
    """At most `count` of the pixels that are wanted, as rows of all pixels."""
    rows = wanted.flatten().nonzero()[:, 0]
    return rows[torch.randperm(len(rows), generator=generator)[:count]]


def _points_at(clip: Clip, maps: DepthMaps, pixels: Int[Tensor, "_"]) -> PointCloud:
    xyz = backproject(maps.depth.double(), clip.require_cameras()).reshape(-1, 3)[pixels]
    return PointCloud(xyz, clip.images.reshape(-1, 3)[pixels], torch.zeros(len(pixels), dtype=torch.float64))
