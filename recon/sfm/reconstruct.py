"""Photos without cameras to photos with cameras."""

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.colmap.database import verified_pairs
from recon.colmap.mappers import map_photos
from recon.colmap.model import SparseModel
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.progress import progress
from recon.recovery import Recovery
from recon.sfm import features
from recon.sfm.options import SfmOptions

log = logging.getLogger(__name__)

MIN_FEATURES = 30
"""An image with fewer has nothing to say."""
MIN_POINTS = 50
"""A model with fewer is more often a chance agreement of repeated texture than a scene."""
EXHAUSTIVE_UP_TO = 60
"""Images of a video; beyond, only neighbours in time are matched."""


@dataclass(frozen=True)
class Reconstruction:
    recovery: Recovery
    """Cameras are pinholes: those of `lens` without its distortion."""
    clip: Clip | None
    """The registered photos only, undistorted, with cameras; None where nothing was registered."""
    lens: Lens | None
    """What the photos were taken with: `lens.undistort` prepares photos held out in the same way."""


def reconstruct(
    clip: Clip,
    folder: Path,
    *,
    options: SfmOptions = SfmOptions(),
    focal_prior_px: float | None = None,
    K: Float[Tensor, "3 3"] | None = None,
    ordered: bool = False,
) -> Reconstruction:
    """Structure from motion (COLMAP; Schönberger and Frahm 2016) over photos taken with one lens.

    Any cameras of `clip` are ignored. With `focal_prior_px` the mapper keeps that focal length, and a last bundle
    adjustment refines it (flat scenes seen from above would otherwise lead it astray); `K` is known for certain
    and kept. `folder` receives the pictures, ``database.db`` and the model in ``sparse``; what
    it held of an earlier reconstruction is replaced.

    Hard pictures are a `RecoveryStatus`, not an exception. The world is that of the largest model, in COLMAP's
    arbitrary gauge. Same photos, options and seed: same result, bit for bit.
    """
    seconds: dict[str, float] = {}
    if len(clip) < 2:
        return _nothing(clip, RecoveryStatus.TOO_FEW_IMAGES, seconds)
    partial, pictures = features.start_database(folder), folder / "pictures"
    for path in (pictures, folder / "sparse"):
        shutil.rmtree(path, ignore_errors=True)

    with progress("structure from motion", 3) as update:
        started = time.perf_counter()
        files = features.write_pictures(clip, pictures, "photo-")
        lens = _first_guess(clip, focal_prior_px, K)
        ids = features.extract(partial, pictures, files, lens=lens, one_lens=True, options=options)
        seconds["features"] = time.perf_counter() - started
        update(1, "features")
        usable = sum(len(k) >= MIN_FEATURES for k in features.keypoints(partial, ids))
        if usable < 2:
            partial.unlink()
            return _nothing(clip, RecoveryStatus.TOO_FEW_FEATURES, seconds)

        started = time.perf_counter()
        sequential = options.matching == "sequential" or (
            options.matching == "auto" and ordered and len(clip) > EXHAUSTIVE_UP_TO
        )
        features.match(partial, options, sequential=sequential)
        database = features.finish_database(partial)
        seconds["matching"] = time.perf_counter() - started
        update(2, "matching")
        if not verified_pairs(database):
            return _nothing(clip, RecoveryStatus.NO_MATCHES, seconds)

        started = time.perf_counter()
        known = K is not None or focal_prior_px is not None
        mapped = map_photos(
            database,
            pictures,
            folder / "sparse",
            mapper=options.mapper,
            fixed_lens=known,
            min_tracks=2 if len(clip) < 10 else 3,
            min_points=MIN_POINTS,
            refine_from_px=focal_prior_px if K is None else None,
            seed=options.seed,
        )
        seconds["mapping"] = time.perf_counter() - started
        update(3, "mapping")
    if mapped.largest is None:
        if mapped.failed:
            log.warning("the %s mapper failed: %s", options.mapper, mapped.failed)
        status = RecoveryStatus.FAILED if mapped.failed else RecoveryStatus.NO_INITIAL_PAIR
        return _nothing(clip, status, seconds)
    return _result(clip, mapped.largest, files, len(mapped.sizes), seconds)


def _first_guess(clip: Clip, focal_prior_px: float | None, K: Float[Tensor, "3 3"] | None) -> Lens | None:
    if K is not None:
        return Lens.pinhole(K, width=clip.width, height=clip.height)
    if focal_prior_px is None:
        return None
    params = (float(focal_prior_px), clip.width / 2, clip.height / 2, 0.0)
    return Lens("SIMPLE_RADIAL", params, clip.width, clip.height)


def _result(
    clip: Clip, model: SparseModel, files: list[str], num_models: int, seconds: dict[str, float]
) -> Reconstruction:
    row_of = {name: row for row, name in enumerate(model.names)}
    registered = torch.tensor([file in row_of for file in files])
    lens = Lens(*model.cameras[0])
    rows = [row_of[file] for file in files if file in row_of]
    poses = torch.from_numpy(model.cam_from_world[rows])
    error = torch.full((len(clip),), torch.nan, dtype=torch.float64)
    inliers = torch.zeros(len(clip), dtype=torch.long)
    error[registered] = torch.from_numpy(model.reprojection_error_px[rows])
    inliers[registered] = torch.from_numpy(model.inliers[rows])
    cameras = Cameras(poses, lens.K.repeat(len(poses), 1, 1), clip.width, clip.height)
    recovery = Recovery(
        status=RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=PointCloud.from_arrays(model.xyz, model.rgb, model.error_px),
        reprojection_error_px=error,
        inliers=inliers,
        num_models=num_models,
        seconds=seconds,
    )
    undistorted = lens.undistort(clip[registered.nonzero()[:, 0]])
    posed = Clip(undistorted.images, cameras, undistorted.times_s, undistorted.names, undistorted.confidence)
    return Reconstruction(recovery, posed, lens)


def _nothing(clip: Clip, status: RecoveryStatus, seconds: dict[str, float]) -> Reconstruction:
    n = len(clip)
    recovery = Recovery(
        status=status,
        names=clip.names,
        registered=torch.zeros(n, dtype=torch.bool),
        cameras=None,
        points=PointCloud.empty(),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        num_models=0,
        seconds=seconds,
    )
    return Reconstruction(recovery, None, None)
