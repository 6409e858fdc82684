"""What the photos given show of a view by themselves, the same for every model; kept in the run folder."""

import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.source_hash import sources
from benchmarks.view_tasks import Task
from bridge4d.runs.run import Run
from bridge4d.runs.stored_arrays import load_points, save_points
from recon.cameras import Cameras, backproject, project
from recon.depth import DepthMaps, multiview_depth
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from worldgen.models.warp import WarpOptions, nearest_photos, see_from

UNSEEN_DEG = 180.0
"""Angle to the nearest photo where none sees the pixel."""


@dataclass(frozen=True)
class Seen:
    """What the depth of the context photos shows of n views, the same for every model."""

    depth: Float[Tensor, "n h w"]
    """z-depth fused from the photos; 0 where no photo looks."""
    colour: Float[Tensor, "n h w 3"]
    """The raw warp: blended photos, holes black."""
    confidence: Float[Tensor, "n h w"]
    """Of the raw warp; 0 in holes."""
    angle_deg: Float[Tensor, "n h w"]
    """Between the ray of a pixel and that of the nearest photo which sees its point; 180 where none does."""

    @property
    def mask(self) -> Bool[Tensor, "n h w"]:
        """Pixels that a context photo sees."""
        return self.confidence > 0


def point_code(task: Task) -> str | None:
    """A hash of what makes the points, for stages that depend on them; None where the task goes without."""
    return sources("recon.sfm.anchor", "bridge4d.runs.store") if task.with_points else None


def context_points(run: Run, task: Task) -> PointCloud | None:
    """What COLMAP triangulates from the context photos alone; kept. None where the task goes without."""
    if not task.with_points:
        return None

    def work(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            save_points(build_anchor(task.context, Path(scratch)).points, folder / "points.npz")

    record = run.stage(f"points/{task.name}", work, depends_on=[task.given, point_code(task)])
    return load_points(record.folder / "points.npz")


def context_depth(run: Run, task: Task) -> DepthMaps:
    """Depth of the context photos from these photos alone, and their points where the task has them; kept."""

    def work(folder: Path) -> None:
        maps = multiview_depth(task.context, points=context_points(run, task))
        np.savez(folder / "depth.npz", depth=maps.depth.numpy(), confidence=maps.confidence.numpy())

    depends = [task.given, point_code(task), sources("recon.depth")]
    record = run.stage(f"depth/{task.name}", work, depends_on=depends)
    with np.load(record.folder / "depth.npz") as kept:
        return DepthMaps(torch.from_numpy(kept["depth"]), torch.from_numpy(kept["confidence"]))


def seen_of_targets(run: Run, task: Task) -> Seen:
    """What the context shows of the views that judge; kept, to the bit."""

    def work(folder: Path) -> None:
        seen = seen_from(run, task, task.targets.require_cameras())
        np.savez(folder / "seen.npz", **{f.name: getattr(seen, f.name).numpy() for f in fields(seen)})

    depends = [task.identity, point_code(task), sources("benchmarks.view_context")]
    record = run.stage(f"seen/{task.name}", work, depends_on=depends)
    with np.load(record.folder / "seen.npz") as kept:
        return Seen(**{name: torch.from_numpy(kept[name]) for name in kept.files})


def seen_from(run: Run, task: Task, cameras: Cameras) -> Seen:
    """What the context shows of these views."""
    maps = context_depth(run, task)
    options = WarpOptions()
    parts = []
    for i in range(len(cameras)):
        picks = nearest_photos(task.context.require_cameras(), maps, cameras[i], options.photos)
        sight = see_from(task.context, maps, cameras[i], picks, options)
        known = sight.inverse_depth > 0
        depth = torch.where(known, 1 / sight.inverse_depth.clamp_min(1e-12), 0)
        angle = nearest_angle_deg(
            depth, cameras[i], task.context.require_cameras(), maps, same=2 * options.same
        )
        parts.append((depth, sight.colour * (sight.confidence > 0)[..., None], sight.confidence, angle))
    return Seen(*(torch.stack(column) for column in zip(*parts, strict=True)))


def nearest_angle_deg(
    depth: Float[Tensor, "h w"], camera: Cameras, photos: Cameras, maps: DepthMaps, *, same: float
) -> Float[Tensor, "h w"]:
    """The smallest angle between a pixel's ray and the ray of a photo that sees its point: inside the frame, and at
    the depth found there within the share `same`."""
    points = backproject(depth[None].double(), camera)[0].reshape(-1, 3)
    px, z = project(points, photos)
    h, w = maps.depth.shape[1:]
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < w) & (row < h)
    at = row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
    there = maps.depth.double().flatten(1).gather(1, at)
    sees = inside & ((z / there - 1).abs() <= same) & (depth.flatten() > 0)
    ours = torch.nn.functional.normalize(points - camera.centers.double(), dim=-1)
    theirs = torch.nn.functional.normalize(points[None] - photos.centers.double()[:, None], dim=-1)
    angle = torch.rad2deg(torch.arccos((ours * theirs).sum(-1).clamp(-1, 1)))
    return torch.where(sees, angle, UNSEEN_DEG).min(0).values.reshape(depth.shape).float()
