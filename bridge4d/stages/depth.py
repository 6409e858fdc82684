"""Estimate the depth of the training photos, and the surface points that training starts from."""

from pathlib import Path
from typing import TypedDict

import torch

from bridge4d.runs import stored_arrays
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import sfm
from recon.depth import DepthMaps, multiview_depth, surface_points
from recon.depth.surfaces import LEAST_CONFIDENCE
from recon.errors import ReconstructionError
from recon.points import PointCloud
from recon.splats.fitting.start_cloud import StartCloud

VERSION = 2


class DepthRecord(TypedDict):
    """``depth.json``."""

    sfm_points: int
    surface_points: int
    failed: str | None
    """Why there is no depth."""


def estimate_depth(cameras: Path, out: Path, *, max_side: int, max_points: int, seed: int) -> None:
    """Depth of every photo, and the points to start from: more of them than SfM has, because a few photos give few.

    Photos without depth are a result: the points are then those of SfM alone, and ``depth.json`` says why.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent.
        max_side: long side in pixels of the photos that are looked at.
        max_points: upper bound of the surface points that are added.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos, points = sfm.open_photos(cameras, max_side), sfm.load_points(cameras)
    generator = torch.Generator().manual_seed(seed)
    dense, failed = PointCloud.empty(), None
    try:
        maps = multiview_depth(photos, points=points)
        stored_arrays.save_depth(maps, out / "maps.npz")
        dense = surface_points(photos, maps, count=max_points, generator=generator)
    except ReconstructionError as error:
        failed = str(error)
    stored_arrays.save_points(PointCloud.concatenate([points, dense]), out / "points.npz")
    record: DepthRecord = {"sfm_points": len(points), "surface_points": len(dense), "failed": failed}
    write_json(out / "depth.json", record)


def load_record(folder: Path) -> DepthRecord:
    """What `estimate_depth` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "depth.json", DepthRecord)


def load_start(folder: Path) -> PointCloud:
    """The points of SfM, and points on surfaces on which at least two photos agree."""
    return stored_arrays.load_points(folder / "points.npz")


def load_start_cloud(
    cameras: Path, folder: Path, max_points: int, least_confidence: float = LEAST_CONFIDENCE
) -> StartCloud:
    """What such points are drawn from, `max_points` on surfaces, so that some photos can be left out."""
    return StartCloud(
        sfm.load_points(cameras), sfm.load_tracks(cameras), load_maps(folder), max_points, least_confidence
    )


def load_maps(folder: Path) -> DepthMaps | None:
    """Depth of the photos at the `max_side` that was asked for; None where there is none."""
    file = folder / "maps.npz"
    return stored_arrays.load_depth(file) if file.exists() else None
