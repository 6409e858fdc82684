"""Focal length of a clip that is registered against posed photos, where nobody states it."""

from pathlib import Path

import numpy as np
import torch

from recon.cameras import intrinsics
from recon.clip import PictureSet
from recon.clips.pairing import spread_indices
from recon.compute.progress import Silent, progress, use_reporter
from recon.lens import Lens
from recon.sfm.anchor import Anchor
from recon.sfm.recipes import PHOTOS, Recipe
from recon.sfm.register import Registration, register

TRIED = (0.45, 0.6, 0.8, 1.1, 1.5)
"""Focal lengths tried first, in long sides: fields of view from 96 to 37 degrees, so that the nearest is at most a sixth off.
Registration bears that: the camera moves along its line of sight instead."""
FRAMES = 5
"""Frames that are registered at each focal length: what a single one says of the lens is noisy, and each is matched with every photo."""
LEAST_FRAMES = 3
"""Frames that must tell their focal length, so that a wrong one does not decide."""


def estimate_focal(
    anchor: Anchor, clip: PictureSet, *, folder: Path, recipe: Recipe = PHOTOS, threads: int = -1
) -> float | None:
    """Focal length of all frames of a clip, pixels; None where too few of them can be registered to tell.

    Some frames are registered at each of several focal lengths. From that at which most matches agree, it is refined
    together with the pose of each frame; the answer is the median over frames.

    Args:
        folder: for scratch; replaced.
        recipe: its features must be those of the anchor.
        threads: for features and verification, -1 for all cores; the result is the same.
    """
    some = clip[spread_indices(len(clip), min(FRAMES, len(clip)))]
    found: list[Registration] = []
    with progress("focal length of the clip", len(TRIED)) as done:
        for i, long_sides in enumerate(TRIED):
            focal_px = long_sides * max(clip.width, clip.height)
            K = intrinsics(focal_px=focal_px, width=clip.width, height=clip.height, n=len(some))
            with use_reporter(Silent()):
                found.append(register(anchor, some, K=K, folder=folder, recipe=recipe, threads=threads))
            done(i + 1, "")
    refined = _refine_focals(anchor, max(found, key=lambda one: int(one.recovery.inliers.sum())))
    return float(np.median(refined)) if len(refined) >= LEAST_FRAMES else None


def _refine_focals(anchor: Anchor, found: Registration) -> list[float]:
    """The focal length of each registered frame, refined with its pose on its inliers."""
    from recon.colmap.library import pycolmap

    cameras = found.recovery.cameras
    if cameras is None:
        return []
    options = pycolmap.AbsolutePoseRefinementOptions()
    options.refine_focal_length = True
    refined = []
    for row, frame in enumerate(torch.nonzero(found.recovery.registered)[:, 0].tolist()):
        links = found.tracks.of_image(frame)
        f = float(cameras.K[row, 0, 0])
        lens = Lens(
            "SIMPLE_PINHOLE", (f, cameras.width / 2, cameras.height / 2), cameras.width, cameras.height
        )
        camera = lens.camera()
        answer = pycolmap.refine_absolute_pose(
            pycolmap.Rigid3d(cameras.cam_from_world[row, :3].double().numpy()),
            links.xy.numpy(),
            anchor.points.xyz[links.point].numpy(),
            np.ones(len(links), bool),
            camera,
            options,
        )
        if answer is not None:
            refined.append(float(camera.focal_length))
    return refined
