"""How long a unit of the scene is: given, by GPS, learnt from metric depth of the photos, or assumed."""

import statistics
from pathlib import Path
from typing import TypedDict

import torch

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import sfm
from recon.cameras import project
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.compute.progress import track
from recon.depth.monocular import load_metric_depth
from worldgen.units import ASSUMED_DEPTH_M, median_depth

VERSION = 1
MOST_PHOTOS = 8
"""Photos that are asked, spread evenly: their medians differ by some per cent, and each takes minutes on a CPU."""
LEAST_POINTS = 20
"""Points that a photo must see: the median of fewer ratios is chance."""
ASSUMED = "assumed"
"""How the words on a scale begin that is a guess."""


class SceneScale(TypedDict):
    """How long a unit of the scene is, for models that work in metres."""

    metres_per_unit: float | None
    scale_from: str
    """In words."""


class LearntScale(TypedDict):
    """``scale.json``."""

    metres_per_unit: float | None
    """None where no photo sees enough points."""
    photos: dict[str, float]
    """Metres per unit by each photo."""


def learn_scale(cameras: Path, out: Path, *, network: str, max_side: int) -> None:
    """Median ratio of a network's depth to that of the points that a photo sees; the median over photos.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent; gets ``scale.json``.
        network: as `recon.depth.monocular.load_metric_depth` takes it.
        max_side: long side in pixels of the photos that are looked at.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos, points, seen = (
        sfm.open_photos(cameras, max_side),
        sfm.load_points(cameras),
        sfm.load_tracks(cameras),
    )
    posed, metric = photos.require_cameras(), load_metric_depth(network)
    found: dict[str, float] = {}
    chosen = spread_indices(len(photos), min(MOST_PHOTOS, len(photos)))
    for i in track(chosen, "learning the scale", len(chosen)):
        rows = seen.of_image(i).point.unique()
        pixels, z = project(points.xyz[rows].double(), posed[[i]].to("cpu", torch.float64))
        column, row = pixels[0].floor().long().unbind(-1)
        inside = (z[0] > 0) & (column >= 0) & (row >= 0) & (column < photos.width) & (row < photos.height)
        if int(inside.sum()) < LEAST_POINTS:
            continue
        depth = metric.estimate(photos.images[i], focal_px=float(posed.K[i, 0, 0]))
        found[photos.names[i]] = float((depth[row[inside], column[inside]].double() / z[0, inside]).median())
    record: LearntScale = {
        "metres_per_unit": statistics.median(found.values()) if found else None,
        "photos": found,
    }
    write_json(out / "scale.json", record)


def load_learnt(folder: Path) -> LearntScale:
    """What `learn_scale` wrote.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "scale.json", LearntScale)


def find_scale(
    photos: Clip,
    cameras: Path,
    given: float | None,
    *,
    learnt: Path | None = None,
    network: str | None = None,
) -> SceneScale:
    """The scale that is given; else 1, in metres by GPS; else a learnt one; else that of a median depth of `ASSUMED_DEPTH_M`.

    One number a run.

    Args:
        photos: with cameras.
        cameras: what `sfm.recover_cameras` wrote.
        learnt: what `learn_scale` wrote.
        network: by which it did.
    """
    if given is not None:
        return {"metres_per_unit": given, "scale_from": "given"}
    if sfm.load_record(cameras)["georeference"] is not None:
        return {"metres_per_unit": 1.0, "scale_from": "GPS of the photos"}
    if learnt is not None and (unit := load_learnt(learnt)["metres_per_unit"]) is not None:
        return {"metres_per_unit": unit, "scale_from": f"depth of the photos by {network}"}
    depth = median_depth(sfm.load_points(cameras), photos.cameras)
    if depth is None:
        return {"metres_per_unit": None, "scale_from": "unknown"}
    return {
        "metres_per_unit": ASSUMED_DEPTH_M / depth,
        "scale_from": f"{ASSUMED}: the median depth of the photos is {ASSUMED_DEPTH_M:g} m",
    }
