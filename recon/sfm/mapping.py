"""One clip in a COLMAP database, and out of it a `Recovery`: on one thread, the same every time."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.colmap import database as colmap
from recon.colmap.mappers import Mapped, map_frames
from recon.colmap.mappers import calibrate as calibrate_lenses
from recon.colmap.model import Camera
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.matches import Matches
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm import features
from recon.sfm.imported import verify, write_matches
from recon.sfm.options import SfmOptions

log = logging.getLogger(__name__)

MIN_MATCHES = 15
"""COLMAP's: fewer between two frames are not looked at."""
MIN_MODEL = 3
"""Frames; two say nothing of a path."""
FIRST_FOCAL = 1.2
"""In long sides: COLMAP's guess where nothing is known of the lens."""
AFFINE_FEATURES = 8192
"""COLMAP's default."""


def matched_database(
    path: Path,
    clip: Clip,
    matches: Matches,
    *,
    K: Float[Tensor, "n 3 3"] | None,
    shared: bool,
    seed: int,
) -> RecoveryStatus:
    """Writes a database with these matches, verified. OK, or why there is nothing to map.

    With `K` the intrinsics are known; else one camera for all frames (`shared`) or one for each starts from a guess.
    """
    ids = colmap.enter_images(path, _cameras(clip, K), shared=shared and K is None, known=K is not None)
    useful = [i for i, rows in enumerate(matches.indices) if len(rows) >= MIN_MATCHES]
    chosen = replace(
        matches,
        pairs=tuple(matches.pairs[i] for i in useful),
        indices=tuple(matches.indices[i] for i in useful),
    )
    write_matches(path, ids, chosen)
    verify(path, SfmOptions(seed=seed, threads=1))
    return _verified(path)


def affine_database(
    path: Path,
    clip: Clip,
    folder: Path,
    *,
    K: Float[Tensor, "n 3 3"] | None,
    shared: bool,
    seed: int,
    sequential: bool,
) -> RecoveryStatus:
    """The same with COLMAP's own SIFT for hard pictures: affine shape, domain-size pooling (Dong and Soatto 2015),
    guided matching. Slow.

    Features depend neither on the lens nor on the seed: they are computed once in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = folder / ("features.db" if shared and K is None else "features-free.db")
    if not described.exists():
        partial = features.start_database(folder)
        files = features.write_pictures(clip, folder / "pictures", "")
        sift = {
            "max_num_features": AFFINE_FEATURES,
            "estimate_affine_shape": True,
            "domain_size_pooling": True,
        }
        colmap.extract(
            partial,
            folder / "pictures",
            files,
            camera=None,
            one_camera=shared and K is None,
            threads=1,
            sift=sift,
        )
        partial.replace(described)
    shutil.copy(described, path)
    ids = _ids(path)
    if sum(len(xy) >= MIN_MATCHES for xy in colmap.keypoints(path, ids)) < 2:
        return RecoveryStatus.TOO_FEW_FEATURES
    colmap.set_cameras(path, ids, _cameras(clip, K), known=K is not None)
    colmap.match(path, seed=seed, sequential=sequential, guided=True)
    return _verified(path)


def map_database(
    database: Path, clip: Clip, folder: Path, *, mapper: str, fixed: bool, calibrate: bool, seed: int
) -> Recovery:
    """What the incremental or the global mapper makes of verified pairs: the largest of its models.

    `calibrate` estimates focal lengths from the fundamental matrices first (in a copy) and starts from them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if calibrate and not fixed:
        copy = folder / "calibrated.db"
        shutil.copy(database, copy)
        database = copy
        if failed := calibrate_lenses(database, seed=seed):
            log.info("no focal length from the view graph: %s", failed)
    out, pictures = folder / "sparse", folder
    out.mkdir()
    mapped = map_frames(database, pictures, out, mapper=mapper, fixed=fixed, min_model=MIN_MODEL, seed=seed)
    if mapped.failed:
        log.info("the %s mapper failed: %s", mapper, mapped.failed)
        return nothing(clip, RecoveryStatus.FAILED)
    if mapped.largest is None:
        return nothing(clip, RecoveryStatus.NO_MODEL if mapped.found else RecoveryStatus.NO_INITIAL_PAIR)
    return _recovery(clip, mapped, _ids(database))


def nothing(clip: Clip, status: RecoveryStatus) -> Recovery:
    """A recovery of no frame at all."""
    n = len(clip)
    return Recovery(
        status=status,
        names=clip.names,
        registered=torch.zeros(n, dtype=torch.bool),
        cameras=None,
        points=PointCloud.empty(),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        num_models=0,
    )


def _recovery(clip: Clip, mapped: Mapped, ids: list[int]) -> Recovery:
    model = mapped.largest
    assert model is not None
    row_of = {image_id: row for row, image_id in enumerate(model.image_ids)}
    registered = torch.tensor([i in row_of for i in ids])
    rows = [row_of[i] for i in ids if i in row_of]
    n = len(clip)
    error, inliers = torch.full((n,), torch.nan, dtype=torch.float64), torch.zeros(n, dtype=torch.long)
    error[registered] = torch.from_numpy(model.reprojection_error_px[rows])
    inliers[registered] = torch.from_numpy(model.inliers[rows])
    lenses = [Lens(*model.cameras[row]) for row in rows]
    pinholes = {lens: lens.K for lens in set(lenses)}
    K = torch.stack([pinholes[lens] for lens in lenses])
    cameras = Cameras(torch.from_numpy(model.cam_from_world[rows]), K, clip.width, clip.height)
    return Recovery(
        status=RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=PointCloud.from_arrays(model.xyz, model.rgb, model.error_px),
        reprojection_error_px=error,
        inliers=inliers,
        num_models=len(mapped.sizes),
        model_sizes=mapped.sizes,
        track_length=model.track_length,
        lenses=tuple(lenses),
    )


def _cameras(clip: Clip, K: Float[Tensor, "n 3 3"] | None) -> list[Camera]:
    """One for each frame."""
    return [_camera(clip, None if K is None else K[i]) for i in range(len(clip))]


def _camera(clip: Clip, K: Float[Tensor, "3 3"] | None) -> Camera:
    """The requested pinhole, or COLMAP's default for an unknown lens. Two free focal lengths would fit squeezed
    videos better, and run away from each other in all that are hard."""
    if K is None:
        params = (FIRST_FOCAL * max(clip.width, clip.height), clip.width / 2, clip.height / 2, 0.0)
        return Camera("SIMPLE_RADIAL", params, clip.width, clip.height)
    params = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))
    return Camera("PINHOLE", params, clip.width, clip.height)


def _ids(database: Path) -> list[int]:
    return [image_id for image_id, _ in colmap.image_files(database)]


def _verified(path: Path) -> RecoveryStatus:
    return RecoveryStatus.OK if colmap.verified_pairs(path) else RecoveryStatus.NO_MATCHES
