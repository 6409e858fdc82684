"""Fit splats to the training photos, and to generated frames that passed the gate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.scenes import load_scene
from bridge4d.stages import depth, sfm
from recon.clip import Clip
from recon.compute.progress import note
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.scenefiles import write_scene
from recon.splats.fit import FitOptions, FitResult, fit_gaussians
from recon.splats.fitting.ensemble import fit_mean
from recon.splats.fitting.estimate import estimate_seconds

VERSION = 1
SCENE_FILE = "scene.ply"
ANNOUNCED_FROM = 2_000
"""Iterations from which the time that a fit will take is estimated and told before it; shorter ones end within a minute or two."""


@dataclass(frozen=True)
class FrameShare:
    """How often a training looks at generated frames, and when."""

    share: float
    """Of the steps that look at generated frames while these take part."""
    parts: int
    """Equal parts of the training, at whose ends frames may come in or leave."""
    taken: range
    """The parts in which they take part."""


def fit_splats(
    cameras: Path,
    surfaces: Path,
    out: Path,
    *,
    options: FitOptions,
    max_side: int,
    generator: torch.Generator,
    start: Path | PointCloud | None = None,
    frames: Sequence[Clip] = (),
    frame_share: FrameShare,
) -> None:
    """Train Gaussians on the photos and `frames`; the same steps whatever enters.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets ``scene.ply`` and ``fit.json``.
        max_side: long side of the photos in pixels.
        start: a scene file, or points, to start from instead of those in `surfaces`.
        frames: accepted frames of the photos' size, with the cameras and weights with which they enter.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.load_photos(cameras, max_side)
    clip = Clip.concatenate([photos, *frames])
    points = _load_start(surfaces, start)
    if options.iterations >= ANNOUNCED_FROM:
        _announce(clip, points, options)
    fitted = fit_gaussians(
        clip,
        points,
        options=options,
        generator=generator,
        frequency=image_frequencies(len(photos), len(clip) - len(photos), frame_share),
    )
    _write(out, fitted, len(photos), len(clip), {})


def merge_splats(
    cameras: Path,
    scenes: Sequence[Path],
    out: Path,
    *,
    options: FitOptions,
    max_side: int,
    generator: torch.Generator,
    frames: Sequence[Clip] = (),
    frame_share: FrameShare,
) -> None:
    """Make one scene of several that were trained from other seeds, as `recon.splats.fitting.ensemble` has it.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        scenes: what `fit_splats` wrote of each of them.
        out: as of `fit_splats`.
        options: by which they were trained.
        max_side: as of `fit_splats`.
        frames: those that they were trained on.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.load_photos(cameras, max_side)
    clip = Clip.concatenate([photos, *frames])
    merged = fit_mean(
        clip,
        [load_scene(folder / SCENE_FILE).gaussians for folder in scenes],
        photos.require_cameras(),
        options=options,
        generator=generator,
        frequency=image_frequencies(len(photos), len(clip) - len(photos), frame_share),
    )
    begun = read_object(scenes[0] / "fit.json")
    about = {
        "backdrop": begun["backdrop"],  # spheres of one place hardly differ
        "scenes": len(scenes),
        "iterations_each": begun["iterations"],
    }
    _write(out, merged, len(photos), len(clip), about)


def _write(out: Path, fitted: FitResult, photos: int, pictures: int, about: dict[str, Any]) -> None:
    write_scene(fitted.gaussians, out / SCENE_FILE)
    write_json(
        out / "fit.json",
        {
            "gaussians": len(fitted.gaussians),
            "iterations": fitted.iterations,
            "photos": photos,
            "generated": pictures - photos,
            "seconds": round(fitted.seconds, 3),
            "loss": [round(float(loss), 6) for loss in fitted.losses],
            "backdrop": None if fitted.backdrop is None else asdict(fitted.backdrop),
        }
        | about,
    )


def _announce(clip: Clip, points: PointCloud | Gaussians, options: FitOptions) -> None:
    """Say how long a fit will take."""
    minutes = estimate_seconds(clip, points, options) / 60
    size = f"{clip.width}x{clip.height} px"
    note(f"training {options.iterations:,} iterations at {size}: about {minutes:.0f} min")


def _load_start(surfaces: Path, start: Path | PointCloud | None) -> PointCloud | Gaussians:
    if isinstance(start, Path):
        return load_scene(start).gaussians
    return depth.load_start(surfaces) if start is None else start


def image_frequencies(photos: int, generated: int, frame_share: FrameShare) -> Float[Tensor, "p n"]:
    """How often each image is trained on in each part of the training, or in one part where nothing changes.

    Photos count alike, and generated frames alike. The more frames pass the gate, the less often each is looked at, so that
    photos never go short of steps.
    """
    alone = torch.cat([torch.ones(photos) / photos, torch.zeros(generated)])
    if not generated:
        return alone[None]
    share = frame_share.share
    both = torch.cat(
        [torch.full((photos,), (1 - share) / photos), torch.full((generated,), share / generated)]
    )
    if len(frame_share.taken) == frame_share.parts:
        return both[None]
    return torch.stack([both if part in frame_share.taken else alone for part in range(frame_share.parts)])
