"""Photos without cameras to photos with cameras."""

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.colmap_model import point_cloud, pose_matrix
from recon.capture.lens import Lens
from recon.clip import Clip
from recon.errors import RecoveryStatus
from recon.points import PointCloud
from recon.progress import progress
from recon.recovery import Recovery
from recon.sfm import features
from recon.sfm.options import SfmOptions
from recon.sfm.worker import interruptible

log = logging.getLogger(__name__)

MIN_FEATURES = 30
"""An image with fewer has nothing to say."""
MIN_POINTS = 50
"""A model with fewer is more often a chance agreement of repeated texture than a scene."""
PRIOR_TOLERANCE = 1.2
"""EXIF is within 5 % of the truth where it could be checked; a factor beyond this is the scene misleading the solver."""
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
        if not _verified_pairs(database):
            return _nothing(clip, RecoveryStatus.NO_MATCHES, seconds)

        started = time.perf_counter()
        known = K is not None or focal_prior_px is not None
        status, models = _map(database, pictures, folder / "sparse", known, len(clip), options)
        seconds["mapping"] = time.perf_counter() - started
        update(3, "mapping")
    if not models:
        return _nothing(clip, status, seconds)
    largest = max(models, key=lambda m: (m.num_reg_images(), m.num_points3D()))
    if K is None and focal_prior_px is not None:
        largest = _refine_lens(largest, focal_prior_px)
    return _result(clip, largest, files, len(models), seconds)


def _first_guess(clip: Clip, focal_prior_px: float | None, K: Float[Tensor, "3 3"] | None) -> Lens | None:
    if K is not None:
        return Lens.pinhole(K, width=clip.width, height=clip.height)
    if focal_prior_px is None:
        return None
    params = (float(focal_prior_px), clip.width / 2, clip.height / 2, 0.0)
    return Lens("SIMPLE_RADIAL", params, clip.width, clip.height)


def _verified_pairs(database: Path) -> int:
    import pycolmap

    with pycolmap.Database.open(database) as db:
        return db.num_verified_image_pairs()


def _map(database: Path, pictures: Path, out: Path, fixed_lens: bool, n: int, options: SfmOptions):
    """The status of a failure, and COLMAP's models (a list, empty on failure)."""
    import pycolmap

    out.mkdir(parents=True, exist_ok=True)
    if options.mapper == "global":
        pipeline = pycolmap.GlobalPipelineOptions(num_threads=1, random_seed=options.seed)
        pipeline.mapper.bundle_adjustment.refine_focal_length = not fixed_lens
        pipeline.mapper.bundle_adjustment.refine_extra_params = not fixed_lens
        pipeline.mapper.track_min_num_views_per_track = 2 if n < 10 else 3
        pipeline.min_model_size = 2

        def work(token):
            return pycolmap.global_mapping(database, pictures, out, pipeline)
    else:
        pipeline = incremental_options(options, fixed_lens=fixed_lens)

        def work(token):
            return pycolmap.incremental_mapping(database, pictures, out, pipeline, cancellation_token=token)

    try:
        models = list(interruptible(work).values())
    except (RuntimeError, ValueError) as e:
        log.warning("the %s mapper failed: %s", options.mapper, e)
        return RecoveryStatus.FAILED, []
    credible = [m for m in models if m.num_reg_images() >= 2 and m.num_points3D() >= MIN_POINTS]
    return RecoveryStatus.NO_INITIAL_PAIR, credible


def incremental_options(options: SfmOptions, *, fixed_lens: bool):
    """COLMAP's pipeline for few photos that lie far apart, on one thread so that it is deterministic.

    Points that two photos see are kept; an image needs 20 points instead of 30 to be registered. The initial pair
    is left as strict as COLMAP has it (it relaxes by itself, strongest pairs first): starting looser
    registers more photos of hard captures, in wrong places.
    """
    import pycolmap

    pipeline = pycolmap.IncrementalPipelineOptions(
        num_threads=1,
        random_seed=options.seed,
        min_model_size=2,
        ba_refine_focal_length=not fixed_lens,
        ba_refine_extra_params=not fixed_lens,
    )
    pipeline.mapper.abs_pose_refine_focal_length = not fixed_lens
    pipeline.mapper.abs_pose_refine_extra_params = not fixed_lens
    pipeline.mapper.abs_pose_min_num_inliers = 20
    pipeline.triangulation.ignore_two_view_tracks = False
    return pipeline


def _refine_lens(model, focal_prior_px: float):
    """The model with focal length and distortion free; the model as it was where the focal length then strays."""
    import pycolmap

    refined = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.ceres.solver_options.num_threads = 1
    scope = pycolmap.BundleAdjustmentConfig()
    for image_id in refined.reg_image_ids():
        scope.add_image(image_id)
    scope.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # not pycolmap.bundle_adjustment, which turns COLMAP's log on again
    adjuster = pycolmap.create_default_bundle_adjuster(options, scope, refined)
    interruptible(lambda token: adjuster.solve())
    focal_px = next(iter(refined.cameras.values())).mean_focal_length()
    if not 1 / PRIOR_TOLERANCE < focal_px / focal_prior_px < PRIOR_TOLERANCE:
        log.info(
            "kept the focal length %.0f px of EXIF; the photos alone suggest %.0f", focal_prior_px, focal_px
        )
        return model
    refined.update_point_3d_errors()
    return refined


def _result(
    clip: Clip, model, files: list[str], num_models: int, seconds: dict[str, float]
) -> Reconstruction:
    by_file = {model.image(i).name: model.image(i) for i in model.reg_image_ids()}
    images = [by_file.get(file) for file in files]
    registered = torch.tensor([image is not None for image in images])
    lens = Lens.from_camera(next(iter(by_file.values())).camera)
    poses = torch.zeros(int(registered.sum()), 4, 4, dtype=torch.float64)
    error, inliers = (
        torch.full((len(clip),), torch.nan, dtype=torch.float64),
        torch.zeros(len(clip), dtype=torch.long),
    )
    for slot, index in enumerate(registered.nonzero()[:, 0].tolist()):
        image = images[index]
        poses[slot] = pose_matrix(image.cam_from_world())
        error[index], inliers[index] = reprojection(model, image)
    cameras = Cameras(poses, lens.K.repeat(len(poses), 1, 1), clip.width, clip.height)
    recovery = Recovery(
        status=RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=point_cloud(model)[0],
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


def reprojection(model, image) -> tuple[float, int]:
    """Mean reprojection error of an image's triangulated features in pixels, and their number."""
    errors = []
    for feature in image.get_observation_points2D():
        projected = image.project_point(model.point3D(feature.point3D_id).xyz)
        if projected is not None:
            errors.append(float(np.linalg.norm(projected - feature.xy)))
    return (float(np.mean(errors)), len(errors)) if errors else (float("nan"), 0)
