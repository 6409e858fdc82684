"""Plan the clips that a world model is asked for: along which cameras, from which photos."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bridge4d.asking.find_paths import AskedPath, lay_path, read_asked
from bridge4d.asking.options import AskOptions
from bridge4d.asking.own_photos import (
    fingerprint_own_photos,
    own_size,
    read_own_photos,
    triangulate_photos,
)
from bridge4d.augmenting.prepare import PreparedPhotos, prepare_photos
from bridge4d.generating.path import plan_path
from bridge4d.rendering.options import RenderOptions
from bridge4d.runs.run import Run
from bridge4d.stages import sfm
from bridge4d.stages.options import CaptureOptions
from bridge4d.stages.views import ask_model
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import note
from recon.errors import BridgeError
from recon.scene import Scene
from worldgen.model import Request, WorldModel
from worldgen.rollout import rollout
from worldgen.units import median_depth

DEFAULT_FRAMES = 24
"""Cameras of orbit and the like: all pairs of so few frames are matched in seconds."""


@dataclass(frozen=True)
class PlannedClip:
    """One clip to be asked for."""

    name: str
    path: str
    """Clips of one path are compared in pairs."""
    cameras: Cameras
    ask: Callable[[WorldModel, torch.Generator], Clip]
    scale: dict[str, Any]
    """Length of a unit of the cameras, and how it is known."""
    photos: str = ""
    """Fingerprint of the photos of this path; '' where a capture is shown, whose stages are `earlier`."""
    earlier: dict[str, str] | None = None


def plan_from_capture(
    run: Run,
    paths: list[AskedPath],
    asking: AskOptions,
    *,
    seed: int,
    convention: str | None,
    allow_outside: bool,
) -> list[PlannedClip]:
    """Plan paths that begin at photos of one capture, whose cameras and depth are stages of the run.

    Raises:
        BridgeError: unreadable photos or paths, or photos that COLMAP can make nothing of.
    """
    assert asking.photos is not None
    for path in paths:
        if path.file is not None:  # at any size: what is wrong with it is said before the long work
            read_asked(path, width=640, height=480, convention=convention)
    options = CaptureOptions(max_side=asking.picture_side, seed=seed, allow_outside=allow_outside)
    in_frame = next((path.file for path in paths if path.file is not None), None) if asking.in_place else None
    prepared = prepare_photos(run, asking.photos, options, cameras_in_frame=in_frame, choice=asking)
    if prepared.photos is None or prepared.surfaces is None:
        raise BridgeError(
            f"COLMAP could not recover cameras from the photos of {asking.photos}: {prepared.about['sfm']['status']}; take photos "
            "that overlap more, or give a capture with cameras"
        )
    photos, surfaces = prepared.photos, prepared.surfaces
    starts = min(asking.starts, len(photos))
    if starts < asking.starts:
        note(
            f"--starts {asking.starts} is more than there are photos: each path begins at each of the {starts}"
        )

    def ask_along(cameras: Cameras) -> Callable[[WorldModel, torch.Generator], Clip]:
        return lambda model, generator: ask_model(
            photos, prepared.known, model=model, targets=cameras, prompt=asking.prompt, generator=generator
        )

    return [
        PlannedClip(
            name,
            path.name,
            cameras,
            ask_along(cameras),
            dict(prepared.scale),
            earlier={"depth": surfaces.fingerprint, **prepared.scale_fingerprint},
        )
        for number, path in enumerate(paths)
        for name, cameras in _lay_at_photos(path, number, starts, prepared, asking, convention)
    ]


def plan_from_own_photos(
    paths: list[AskedPath],
    own: dict[str, Path],
    asking: AskOptions,
    *,
    convention: str | None,
    allow_outside: bool,
) -> list[PlannedClip]:
    """Plan paths with photos of their own, whose pictures are read when they are asked along.

    Args:
        own: picture or clip of each path, by the path's name.

    Raises:
        BridgeError: an unreadable picture or path, or a scale that cannot be learnt.
    """
    if asking.metric_depth is not None:
        raise BridgeError(
            "--metric-depth learns the length of a unit from the points of one capture, and photos of their own have none; give "
            "--metres-per-unit, the length of a unit of the paths"
        )
    if asking.path_frames is not None:
        raise BridgeError(
            "--path-frames takes other cameras than those that took the photos of a path; leave it out, or give --photos one capture"
        )
    unit = asking.metres_per_unit
    scale = {"metres_per_unit": unit, "scale_from": "unknown" if unit is None else "given"}

    def ask_along(path: AskedPath, cameras: Cameras) -> Callable[[WorldModel, torch.Generator], Clip]:
        def ask(model: WorldModel, generator: torch.Generator) -> Clip:
            context = read_own_photos(
                path, own[path.name], cameras, context=asking.context, side=asking.picture_side,
                allow_outside=allow_outside,
            )  # fmt: skip
            points = triangulate_photos(context)
            if points is None and len(context) > 1:
                note(
                    f"the {len(context)} photos of {path.name} share no points, and their depth is a guess; more of them may"
                )
            known = Scene(points=points, metres_per_unit=unit)
            request = Request(context, cameras, prompt=asking.prompt, scene=known)
            answer = rollout(model, request, generator=generator)
            return answer.clip if answer.drawn is None else replace(answer.clip, cameras=answer.drawn)

        return ask

    clips = []
    for path in paths:
        width, height = own_size(own[path.name], asking.picture_side)
        stated = read_asked(path, width=width, height=height, convention=convention, needs_lens=True).cameras
        cameras = stated.resize(width=width, height=height)
        clips.append(
            PlannedClip(
                path.name,
                path.name,
                cameras,
                ask_along(path, cameras),
                scale,
                photos=f"{fingerprint_own_photos(own[path.name])} context {asking.context}",
            )
        )
    return clips


def _lay_at_photos(
    path: AskedPath,
    number: int,
    starts: int,
    prepared: PreparedPhotos,
    asking: AskOptions,
    convention: str | None,
) -> list[tuple[str, Cameras]]:
    """A path in the frame of the photos: (name of the clip, cameras), one for each photo at which it begins."""
    assert prepared.photos is not None
    photos = prepared.photos.require_cameras()
    if path.file is None or asking.in_place:
        frames = asking.path_frames or (DEFAULT_FRAMES if path.file is None else None)
        asked = RenderOptions(path=str(path.file or path.name), frames=frames, max_side=asking.picture_side)
        return [(path.name, plan_path(prepared, replace(asked, convention=convention)).cameras)]
    stated = read_asked(
        path, width=photos.width, height=photos.height, convention=convention, frames=asking.path_frames
    ).cameras
    depth = median_depth(sfm.load_points(prepared.cameras.folder), photos)
    extent = None if depth is None else asking.extent * depth
    laid = []
    for k in range(starts):
        # one after the other, so that paths and repetitions spread over the photos
        start = (number * starts + k) % len(photos)
        name = path.name if asking.starts == 1 else f"{path.name}@{start}"
        laid.append((name, lay_path(stated, photos[start], extent=extent)))
    return laid
