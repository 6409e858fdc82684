"""Registration of pictures against a frozen model.

It is blind: it gets pixels and intrinsics, never a pose. Each frame is registered on its own, so that frames can
neither harm nor help one another, and their order does not matter.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.colmap import database as colmap
from recon.colmap.write import pose_matrix
from recon.compute.progress import track
from recon.errors import CameraError, ReconstructionError, RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.anchor import Anchor
from recon.sfm.features.describe import describe_like, match
from recon.sfm.features.keypoints import MIN_FEATURES, Features
from recon.sfm.recipes import PHOTOS, Recipe, refuse_guided
from recon.sfm.retrieval import find_alike_photos
from recon.sfm.verification import write_verified
from recon.tracks import Tracks

MIN_INLIERS = 12
"""2D-3D matches that a registered frame must agree with: twice the six unknowns of its pose."""
MIN_INLIER_RATIO = 0.25
"""Share of a frame's 2D-3D matches that must agree with its pose; COLMAP's default."""
MAX_ERROR_SHARE, MIN_MAX_ERROR_PX = 0.008, 4.0
"""Largest reprojection error of an inlier: COLMAP's 12 px at a long side of 1500 px, as a share of the long side, and never
finer than 4 px, which features of small pictures need."""
MIN_RANSAC_TRIALS = 1000
"""Samples that are drawn even where the first ones agree, so that the result depends little on the seed."""


@dataclass(frozen=True)
class FrameMatch:
    """Matches of one frame with one photo that agree with one relative pose."""

    photo_index: int
    """Row of the photo in the anchor."""
    xy_frame: Float[Tensor, "m 2"]
    """Pixels of the frame; float64, the centre of the top-left pixel is (0.5, 0.5)."""
    xy_photo: Float[Tensor, "m 2"]


@dataclass(frozen=True)
class Registration:
    """What registration found of each frame."""

    recovery: Recovery
    """In the anchor's world. `inliers` and `reprojection_error_px` are those of the 2D-3D matches."""
    matches: tuple[tuple[FrameMatch, ...], ...]
    """For every frame, registered or not, its verified matches with every photo that has any."""
    status_of: tuple[RecoveryStatus, ...]
    """Why a frame is not registered; OK where it is."""
    tracks: Tracks
    """The 2D-3D matches on which the poses stand; points are those of the anchor, pictures all frames."""


def register(
    anchor: Anchor,
    clip: PictureSet,
    *,
    K: Float[Tensor, "n 3 3"],
    folder: Path,
    recipe: Recipe = PHOTOS,
    threads: int = -1,
) -> Registration:
    """Recover the camera of every frame of `clip` from its pixels and known intrinsics.

    Args:
        clip: any cameras of it are ignored.
        folder: for scratch; replaced.
        recipe: its features must be those of the anchor.
        threads: for features and verification, -1 for all cores; the result is the same.

    Raises:
        CameraError: not one K for each frame.
        ReconstructionError: features of another kind than the anchor's, or a guided recipe.
    """
    refuse_guided(recipe)
    if K.shape[0] != len(clip):
        raise CameraError(f"expected one K for each of {len(clip)} frames, got {K.shape[0]}")
    if recipe.features != anchor.kind:
        raise ReconstructionError(
            f"expected {anchor.kind} features, which the photos have, got a recipe with {recipe.features}"
        )
    if not len(clip):
        return _registration(clip, K, [], {})
    started = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    photos = anchor.features
    # of so many photos none was turned
    like = photos if len(photos) <= recipe.all_pairs_up_to else ()
    frames = describe_like(like, clip, recipe.features, max_features=recipe.max_features, threads=threads)
    described = time.perf_counter()
    both = [*photos, *frames]
    pairs = [
        (photo, len(photos) + frame)
        for frame, alike in enumerate(_choose_photos(photos, frames, recipe))
        for photo in alike
    ]
    matches = [((a, b), match(both[a], both[b], recipe.features)) for a, b in track(pairs, "matching frames")]
    lenses = [Lens.pinhole(k, width=clip.width, height=clip.height) for k in K.double()]
    ids = write_verified(
        folder / "database.db",
        [lens.plain() for lens in (*Lens.pinholes(anchor.cameras), *lenses)],
        [one.xy for one in both],
        matches,
        known=True,
        seed=recipe.seed,
        threads=threads,
    )
    posed = time.perf_counter()
    answers = []
    verified = colmap.read_verified_matches(folder / "database.db", ids[: len(photos)], ids[len(photos) :])
    for found, frame, lens in track(list(zip(verified, frames, lenses, strict=True)), "registering frames"):
        pairs_of = {photo: torch.from_numpy(rows) for photo, rows in found.items()}
        seen = tuple(
            FrameMatch(photo, frame.xy[pair[:, 1]], photos[photo].xy[pair[:, 0]])
            for photo, pair in pairs_of.items()
        )
        status, pose, links, error = _pose(anchor, frame.xy, pairs_of, lens, recipe.seed)
        row = torch.full((len(links),), len(answers), dtype=torch.long)
        answers.append((seen, status, pose, Tracks(row, links[:, 1], frame.xy[links[:, 0]]), error))
    seconds = {
        "features": described - started,
        "matching": posed - described,
        "poses": time.perf_counter() - posed,
    }
    return _registration(clip, K, answers, seconds)


def _choose_photos(
    photos: Sequence[Features], frames: Sequence[Features], recipe: Recipe
) -> Sequence[Sequence[int]]:
    """Photos that each frame is matched with: all of up to `Recipe.all_pairs_up_to`, of more those that look most alike."""
    if len(photos) <= recipe.all_pairs_up_to:
        return [range(len(photos))] * len(frames)
    return find_alike_photos(photos, frames, seed=recipe.seed)


def _pose(anchor: Anchor, xy: Tensor, pairs: dict[int, Tensor], lens: Lens, seed: int):
    """(status, cam_from_world or None, [inliers, 2] of (feature, point), mean reprojection error in px) of one frame."""
    from recon.colmap.library import pycolmap

    none = torch.zeros(0, 2, dtype=torch.long)
    if len(xy) < MIN_FEATURES:
        return RecoveryStatus.TOO_FEW_FEATURES, None, none, float("nan")
    lifted = [
        torch.stack([pair[:, 1], anchor.point_of_feature[photo][pair[:, 0]]], 1)
        for photo, pair in pairs.items()
    ]
    # a feature that matches several photos has its point several times
    links = torch.cat(lifted) if lifted else none
    links = torch.unique(links[links[:, 1] >= 0], dim=0)
    if len(links) < MIN_INLIERS:
        return RecoveryStatus.NO_MATCHES, None, none, float("nan")
    estimation = pycolmap.AbsolutePoseEstimationOptions()
    estimation.ransac.max_error = max(MIN_MAX_ERROR_PX, MAX_ERROR_SHARE * max(lens.width, lens.height))
    estimation.ransac.random_seed = seed
    estimation.ransac.min_num_trials = MIN_RANSAC_TRIALS
    points2D, points3D = xy[links[:, 0]].numpy(), anchor.points.xyz[links[:, 1]].numpy()
    camera = lens.camera()
    answer = pycolmap.estimate_and_refine_absolute_pose(points2D, points3D, camera, estimation)
    if answer is None:
        return RecoveryStatus.FAILED, None, none, float("nan")
    inlier = np.asarray(answer["inlier_mask"])
    if inlier.sum() < max(MIN_INLIERS, MIN_INLIER_RATIO * len(links)):
        return RecoveryStatus.FAILED, None, none, float("nan")
    pose = answer["cam_from_world"]
    seen = np.asarray(camera.img_from_cam(pose * points3D[inlier]))
    error = float(np.linalg.norm(seen - points2D[inlier], axis=1).mean())
    return RecoveryStatus.OK, pose_matrix(pose), links[torch.from_numpy(inlier)], error


def _registration(clip: PictureSet, K: Tensor, answers: list, seconds: dict[str, float]) -> Registration:
    registered = torch.tensor([pose is not None for _, _, pose, _, _ in answers], dtype=torch.bool)
    statuses = tuple(status for _, status, _, _, _ in answers)
    cameras = None
    if registered.any():
        poses = torch.stack([pose for _, _, pose, _, _ in answers if pose is not None])
        cameras = Cameras(poses, K.double()[registered], clip.width, clip.height)
    if registered.all():
        status = RecoveryStatus.OK
    else:
        first = next(s for s in statuses if s is not RecoveryStatus.OK)
        status = RecoveryStatus.PARTIAL if registered.any() else first
    recovery = Recovery(
        status=status,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=PointCloud.empty(),
        reprojection_error_px=torch.tensor([e for *_, e in answers], dtype=torch.float64),
        inliers=torch.tensor([len(seen) for *_, seen, _ in answers], dtype=torch.long),
        num_models=int(registered.any()),
        seconds=seconds,
    )
    tracks = Tracks.concatenate([seen for *_, seen, _ in answers])
    return Registration(recovery, tuple(m for m, *_ in answers), statuses, tracks)
