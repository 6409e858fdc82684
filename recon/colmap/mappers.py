"""From verified pairs to models, on one thread and the same every time. Runs in COLMAP's process."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from recon.colmap.elsewhere import elsewhere
from recon.colmap.model import Camera, SparseModel, sparse_model

log = logging.getLogger(__name__)

PRIOR_TOLERANCE = 1.2
"""EXIF is within 5 % of the truth where it could be checked; a factor beyond this is the scene misleading the solver."""
TRACKS_PER_FRAME = 200


@dataclass(frozen=True)
class Mapped:
    """What a mapper made of a database."""

    failed: str = ""
    """Why it broke off, in COLMAP's words; '' if it did not."""
    found: int = 0
    """Models before any were left out."""
    sizes: tuple[int, ...] = ()
    """Registered images of each model that is credible, the largest first."""
    largest: SparseModel | None = None
    """Of the credible ones."""


@elsewhere
def map_photos(
    database: Path,
    pictures: Path,
    out: Path,
    *,
    mapper: str,
    fixed_lens: bool,
    min_tracks: int,
    min_points: int,
    refine_from_px: float | None,
    seed: int,
) -> Mapped:
    """Models of few photos that lie far apart; credible are those of two photos and `min_points` points.

    With `refine_from_px` the focal length and distortion of the largest are let free at the end, and kept as they were
    where the focal length then strays from that.
    """
    from recon.colmap.library import pycolmap

    if mapper == "global":
        pipeline = pycolmap.GlobalPipelineOptions(num_threads=1, random_seed=seed)
        pipeline.mapper.bundle_adjustment.refine_focal_length = not fixed_lens
        pipeline.mapper.bundle_adjustment.refine_extra_params = not fixed_lens
        pipeline.mapper.track_min_num_views_per_track = min_tracks
        pipeline.min_model_size = 2
    else:
        pipeline = photo_options(seed, fixed_lens=fixed_lens)
    try:
        models = _run(mapper, database, pictures, out, pipeline)
    except (RuntimeError, ValueError) as e:
        return Mapped(failed=str(e))
    credible = [m for m in models if m.num_reg_images() >= 2 and m.num_points3D() >= min_points]
    if not credible:
        return Mapped(found=len(models))
    largest = max(credible, key=lambda m: (m.num_reg_images(), m.num_points3D()))
    if refine_from_px is not None:
        largest = _refine_lens(largest, refine_from_px)
    sizes = sorted((m.num_reg_images() for m in credible), reverse=True)
    return Mapped("", len(models), tuple(sizes), sparse_model(largest))


@elsewhere
def map_frames(
    database: Path, pictures: Path, out: Path, *, mapper: str, fixed: bool, min_model: int, seed: int
) -> Mapped:
    """Models of the frames of a clip with COLMAP's own defaults; credible are those of `min_model` frames that have points
    and a lens that could exist."""
    from recon.colmap.library import pycolmap

    if mapper == "global":
        pipeline = pycolmap.GlobalPipelineOptions(num_threads=1, random_seed=seed, min_model_size=min_model)
        pipeline.mapper.bundle_adjustment.refine_focal_length = not fixed
        pipeline.mapper.bundle_adjustment.refine_extra_params = not fixed
        # longest first, so many for each frame: a third of the time where pictures are rich, poses as exact
        pipeline.mapper.track_required_tracks_per_view = TRACKS_PER_FRAME
    else:
        pipeline = pycolmap.IncrementalPipelineOptions(
            num_threads=1,
            random_seed=seed,
            min_model_size=min_model,
            extract_colors=False,
            ba_refine_focal_length=not fixed,
            ba_refine_extra_params=not fixed,
        )
        pipeline.mapper.abs_pose_refine_focal_length = not fixed
        pipeline.mapper.abs_pose_refine_extra_params = not fixed
    try:
        models = _run(mapper, database, pictures, out, pipeline)
    except (RuntimeError, ValueError, IndexError) as e:
        return Mapped(failed=str(e))
    found = [m for m in models if m.num_reg_images() >= min_model and is_credible(m)]
    if not found:
        return Mapped(found=len(models))
    found.sort(key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    return Mapped("", len(models), tuple(m.num_reg_images() for m in found), sparse_model(found[0]))


def _run(mapper: str, database: Path, pictures: Path, out: Path, pipeline):
    from recon.colmap.library import pycolmap

    out.mkdir(parents=True, exist_ok=True)
    run = pycolmap.global_mapping if mapper == "global" else pycolmap.incremental_mapping
    return list(run(database, pictures, out, pipeline).values())


def is_credible(model) -> bool:
    """Whether it has points, and a lens that could exist (COLMAP's limits, which its global mapper does not ask)."""
    bogus = any(camera.has_bogus_params(0.1, 10.0, 1.0) for camera in model.cameras.values())
    return model.num_points3D() > 0 and not bogus


def photo_options(seed: int, *, fixed_lens: bool):
    """COLMAP's pipeline for few photos that lie far apart, on one thread so that it is deterministic.

    Points that two photos see are kept; an image needs 20 points instead of 30 to be registered. The initial pair
    is left as strict as COLMAP has it (it relaxes by itself, strongest pairs first): starting looser
    registers more photos of hard captures, in wrong places.
    """
    from recon.colmap.library import pycolmap

    pipeline = pycolmap.IncrementalPipelineOptions(
        num_threads=1,
        random_seed=seed,
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
    from recon.colmap.library import pycolmap

    refined = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.ceres.solver_options.num_threads = 1
    scope = pycolmap.BundleAdjustmentConfig()
    for image_id in refined.reg_image_ids():
        scope.add_image(image_id)
    scope.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # not pycolmap.bundle_adjustment, which turns COLMAP's log on again
    pycolmap.create_default_bundle_adjuster(options, scope, refined).solve()
    focal_px = next(iter(refined.cameras.values())).mean_focal_length()
    if not 1 / PRIOR_TOLERANCE < focal_px / focal_prior_px < PRIOR_TOLERANCE:
        return model
    refined.update_point_3d_errors()
    return refined


@elsewhere
def triangulate(
    database: Path,
    pictures: Path,
    out: Path,
    images: Sequence[tuple[int, str]],
    cameras: Sequence[Camera],
    cam_from_world: Float[np.ndarray, "n 3 4"],
    *,
    seed: int,
) -> SparseModel:
    """A model of images (id, file) with these cameras and poses, and whatever points they see together."""
    from recon.colmap.library import pycolmap

    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as db:
        camera_ids = [db.read_image(image_id).camera_id for image_id, _ in images]
    for (image_id, file), camera_id, each, pose in zip(
        images, camera_ids, cameras, cam_from_world, strict=True
    ):
        camera = each.colmap()
        camera.camera_id = camera_id
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=file, camera_id=camera_id, image_id=image_id)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(np.ascontiguousarray(pose)))
    out.mkdir(exist_ok=True)
    options = photo_options(seed, fixed_lens=True)
    return sparse_model(pycolmap.triangulate_points(model, database, pictures, out, options=options))


@elsewhere
def calibrate(database: Path, *, seed: int) -> str:
    """Focal lengths that the fundamental matrices agree on, kept as priors; the guess stays where they do not.

    Returns why there are none, in COLMAP's words; '' if there are.
    """
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        before = {camera.camera_id: camera for camera in db.read_all_cameras()}
    try:
        pycolmap.calibrate_view_graph(database, pycolmap.ViewGraphCalibrationOptions(random_seed=seed))
    except (RuntimeError, ValueError) as e:
        return str(e)
    with pycolmap.Database.open(database) as db:
        for camera in db.read_all_cameras():
            if camera.mean_focal_length() != before[camera.camera_id].mean_focal_length():
                camera.has_prior_focal_length = True
                db.update_camera(camera)
    return ""
