"""COLMAP's mappers: models from verified pairs, on one thread, the same every time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from recon.colmap.elsewhere import run_in_child
from recon.colmap.model import Camera, SparseModel, sparse_model

log = logging.getLogger(__name__)

PRIOR_TOLERANCE = 1.2
"""EXIF is within 5 % of the truth where it could be checked; a factor beyond this is the scene misleading the solver."""
TRACKS_PER_FRAME = 200
"""Tracks a frame that the global mapper keeps, for frames of a clip; poses are no more exact with a thousand."""
RICH_PAIR = 300
"""Mean inliers of a pair from which on calibrating leaves the relative poses that verification found: estimating them again, from
so many, takes as long as mapping and changes nothing. Of pairs with 30 inliers it saves frames."""
LONG_CLIP_IMAGES, LONG_CLIP_TRACKS = 41, 400
"""Images from which on the global mapper keeps so many tracks a frame and triangulates no more points in the end: of 57 rich frames
poses are as exact as with that, in 40% of the time, and with half the tracks less exact. Short clips need every point."""
MANY_PHOTOS, MANY_PHOTO_TRACKS = 151, 1000
"""The same of photos: of 437 that look alike, with 3700 inliers a pair, mapping took 7 minutes and told the focal length to 0.03%."""
SLACK_ROUNDS = (8.0, 3.0, 1.0)
"""Factors on COLMAP's limits of pixels and angles in the rounds of `adjust`: cameras that are a degree off put points 20 px away."""
MIN_IMAGES_THREE_VIEW = 10
"""Images from which on the global mapper needs three of them to see a point; of fewer, two must do."""


@dataclass(frozen=True)
class MapperSettings:
    """Thresholds of a credible model. The defaults are COLMAP's, and a path needs three frames."""

    min_images: int = 3
    """Images of a credible model."""
    min_points: int = 1
    """Points of a credible model; one with few is mostly a chance agreement of repeated texture."""
    min_pose_inliers: int = 30
    """Points that an image must see to be registered."""
    init_min_tri_angle_deg: float = 16.0
    """Median angle, in degrees, under which the first pair must see its points; COLMAP's default. Photos that face one way see all
    theirs under less; half of it starts these, and tells focal lengths worse."""
    init_trials: int = 200
    """First pairs that are tried before nothing starts; COLMAP's default."""
    focal_long_sides: tuple[float, float] = (0.1, 10.0)
    """Least and largest focal length of a lens, in long sides of the picture; COLMAP's defaults."""
    two_view_points: bool = False
    """Whether points that only two images see are kept: of photos that lie far apart they are most."""


@dataclass(frozen=True)
class Mapped:
    """Result of a mapper."""

    failed: str = ""
    """Why it broke off, in COLMAP's words; '' if it did not."""
    found: int = 0
    """Models before any were left out."""
    sizes: tuple[int, ...] = ()
    """Registered images of each model that is credible, the largest first."""
    largest: SparseModel | None = None
    """The largest credible model."""


@run_in_child
def map_pairs(
    database: Path,
    out: Path,
    *,
    mapper: Literal["incremental", "global"],
    settings: MapperSettings,
    images: int,
    fixed_lens: bool,
    refine: bool = False,
    seed: int,
) -> Mapped:
    """Maps verified pairs of so many `images` into models.

    Args:
        fixed_lens: cameras whose focal length is exact by the database are kept as they are; the global mapper keeps all
            cameras or none.
        refine: let all cameras of the largest model free at the end; one whose focal length then strays from the
            database's exact one is kept.
    """
    exact_px, free = _read_focals(database)
    if mapper == "global":
        pipeline = _global_options(settings, images, fixed_lens=fixed_lens and not free, seed=seed)
    else:
        pipeline = incremental_options(settings, fixed_lens=fixed_lens and not free, seed=seed)
        if fixed_lens and free:
            pipeline.constant_cameras = set(exact_px)
    try:
        models = _run(mapper, database, out, pipeline)
    except (RuntimeError, ValueError, IndexError) as e:
        return Mapped(failed=str(e))
    credible = [m for m in models if is_credible(m, settings)]
    if not credible:
        return Mapped(found=len(models))
    credible.sort(key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    largest = credible[0]
    if refine:
        largest = _refine_lenses(largest, exact_px)
    return Mapped("", len(models), tuple(m.num_reg_images() for m in credible), sparse_model(largest))


def _global_options(settings: MapperSettings, images: int, *, fixed_lens: bool, seed: int):
    from recon.colmap.library import pycolmap

    pipeline = pycolmap.GlobalPipelineOptions(
        num_threads=1, random_seed=seed, min_model_size=settings.min_images
    )
    pipeline.mapper.bundle_adjustment.refine_focal_length = not fixed_lens
    pipeline.mapper.bundle_adjustment.refine_extra_params = not fixed_lens
    # adjusting positions alone first takes a tenth of the time and changes the last digit
    pipeline.mapper.ba_skip_fixed_rotation_stage = True
    if settings.two_view_points:
        pipeline.mapper.track_min_num_views_per_track = 2 if images < MIN_IMAGES_THREE_VIEW else 3
        if images >= MANY_PHOTOS:
            pipeline.mapper.track_required_tracks_per_view = MANY_PHOTO_TRACKS
            pipeline.mapper.skip_retriangulation = True
    else:
        # longest first, so many for each frame: a third of the time where pictures are rich, poses as exact
        long = images >= LONG_CLIP_IMAGES
        pipeline.mapper.track_required_tracks_per_view = LONG_CLIP_TRACKS if long else TRACKS_PER_FRAME
        pipeline.mapper.skip_retriangulation = long
    return pipeline


def incremental_options(settings: MapperSettings, *, fixed_lens: bool, seed: int):
    """COLMAP's pipeline, on one thread so that it is deterministic.

    The initial pair is left as strict as COLMAP has it (it relaxes by itself, strongest pairs first): starting looser
    registers more photos of hard captures, in wrong places.
    """
    from recon.colmap.library import pycolmap

    pipeline = pycolmap.IncrementalPipelineOptions(
        num_threads=1,
        random_seed=seed,
        min_model_size=settings.min_images,
        extract_colors=False,  # there are no files; `recon.sfm.mapping` colours points
        ba_refine_focal_length=not fixed_lens,
        ba_refine_extra_params=not fixed_lens,
    )
    pipeline.mapper.abs_pose_refine_focal_length = not fixed_lens
    pipeline.mapper.abs_pose_refine_extra_params = not fixed_lens
    pipeline.mapper.abs_pose_min_num_inliers = settings.min_pose_inliers
    pipeline.mapper.init_min_tri_angle = settings.init_min_tri_angle_deg
    pipeline.init_num_trials = settings.init_trials
    pipeline.min_focal_length_ratio, pipeline.max_focal_length_ratio = settings.focal_long_sides
    pipeline.triangulation.ignore_two_view_tracks = not settings.two_view_points
    return pipeline


def _run(mapper: str, database: Path, out: Path, pipeline):
    from recon.colmap.library import pycolmap

    out.mkdir(parents=True, exist_ok=True)
    run = pycolmap.global_mapping if mapper == "global" else pycolmap.incremental_mapping
    return list(run(database, out, out, pipeline).values())


def is_credible(model, settings: MapperSettings) -> bool:
    """Whether it is large enough, and has a lens that could exist (COLMAP's limits, which its global mapper does not ask)."""
    large = model.num_reg_images() >= settings.min_images and model.num_points3D() >= settings.min_points
    return large and not _has_bogus_lens(model, settings)


def _has_bogus_lens(model, settings: MapperSettings) -> bool:
    least, most = settings.focal_long_sides
    return any(camera.has_bogus_params(least, most, 1.0) for camera in model.cameras.values())


def _read_focals(database: Path) -> tuple[dict[int, float], bool]:
    """The exact focal lengths by camera id, in pixels, and whether there are cameras without."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        cameras = db.read_all_cameras()
    exact_px = {c.camera_id: c.mean_focal_length() for c in cameras if c.has_prior_focal_length}
    return exact_px, len(exact_px) < len(cameras)


def _refine_lenses(model, exact_px: dict[int, float]):
    """The model with focal lengths and distortion free, except of cameras whose focal length strays from the exact one.

    The model as it was where all stray.
    """
    exact_px = {camera_id: px for camera_id, px in exact_px.items() if camera_id in model.cameras}
    kept: set[int] = set()
    while len(kept) < len(exact_px):
        refined = _adjust(model, kept)
        share = {c: refined.cameras[c].mean_focal_length() / px for c, px in exact_px.items()}
        strayed = {c for c in share if not 1 / PRIOR_TOLERANCE < share[c] < PRIOR_TOLERANCE}
        if strayed <= kept:
            return refined
        kept |= strayed
    return model


def _adjust(model, kept: set[int]):
    """A copy of the model after bundle adjustment with all intrinsics free but those of `kept` cameras."""
    from recon.colmap.library import pycolmap

    refined = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.ceres.solver_options.num_threads = 1
    scope = pycolmap.BundleAdjustmentConfig()
    for image_id in refined.reg_image_ids():
        scope.add_image(image_id)
    for camera_id in kept:
        scope.set_constant_cam_intrinsics(camera_id)
    scope.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # not pycolmap.bundle_adjustment, which turns COLMAP's log on again
    pycolmap.create_default_bundle_adjuster(options, scope, refined).solve()
    refined.update_point_3d_errors()
    return refined


@run_in_child
def triangulate(
    database: Path,
    out: Path,
    image_ids: Sequence[int],
    cameras: Sequence[Camera],
    cam_from_world: Float[np.ndarray, "n 3 4"],
    settings: MapperSettings,
    *,
    seed: int,
) -> SparseModel:
    """A model of images with these cameras and poses, and whatever points they see together."""
    from recon.colmap.library import pycolmap

    model = _pose_images(database, image_ids, cameras, cam_from_world)
    out.mkdir(exist_ok=True)
    options = incremental_options(settings, fixed_lens=True, seed=seed)
    return sparse_model(pycolmap.triangulate_points(model, database, out, out, options=options))


@run_in_child
def adjust(
    database: Path,
    out: Path,
    image_ids: Sequence[int],
    cameras: Sequence[Camera],
    cam_from_world: Float[np.ndarray, "n 3 4"],
    settings: MapperSettings,
    *,
    seed: int,
) -> SparseModel | None:
    """A model of images whose cameras and poses are roughly known: triangulated and adjusted, in rounds that grow stricter.

    Images that see no points together with others keep the pose that they came with. None where COLMAP fails, or where a lens comes out
    that cannot exist.
    """
    from recon.colmap.library import pycolmap

    model = _pose_images(database, image_ids, cameras, cam_from_world)
    out.mkdir(exist_ok=True)
    for slack in SLACK_ROUNDS:
        options = incremental_options(settings, fixed_lens=False, seed=seed)
        options.mapper.filter_max_reproj_error *= slack
        options.triangulation.create_max_angle_error *= slack
        options.triangulation.continue_max_angle_error *= slack
        options.triangulation.merge_max_reproj_error *= slack
        options.triangulation.complete_max_reproj_error *= slack
        try:
            model = pycolmap.triangulate_points(model, database, out, out, options=options)
            if model.num_points3D() < settings.min_points:
                break
            model = _adjust(model, set())
        except (RuntimeError, ValueError, IndexError) as error:
            log.info("adjusting failed: %s", error)
            return None
    return None if _has_bogus_lens(model, settings) else sparse_model(model)


def _pose_images(
    database: Path,
    image_ids: Sequence[int],
    cameras: Sequence[Camera],
    cam_from_world: Float[np.ndarray, "n 3 4"],
):
    """A model of images of a database with these poses, without points. Images of one camera there share the first of theirs."""
    from recon.colmap.library import pycolmap

    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as db:
        stored = [db.read_image(image_id) for image_id in image_ids]
    for image, each, pose in zip(stored, cameras, cam_from_world, strict=True):
        camera = each.colmap()
        camera.camera_id = image.camera_id
        if camera.camera_id not in model.cameras:
            model.add_camera_with_trivial_rig(camera)
        posed = pycolmap.Image(name=image.name, camera_id=image.camera_id, image_id=image.image_id)
        model.add_image_with_trivial_frame(posed, pycolmap.Rigid3d(np.ascontiguousarray(pose)))
    return model


@run_in_child
def calibrate(database: Path, *, seed: int) -> str:
    """Focal lengths that the fundamental matrices agree on, kept as priors; the guess stays where they do not.

    Returns why there are none, in COLMAP's words; '' if there are.
    """
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        before = {camera.camera_id: camera for camera in db.read_all_cameras()}
        inliers = db.num_inlier_matches() / max(1, db.num_verified_image_pairs())
    try:
        pycolmap.calibrate_view_graph(
            database,
            pycolmap.ViewGraphCalibrationOptions(
                random_seed=seed, reestimate_relative_pose=inliers < RICH_PAIR
            ),
        )
    except (RuntimeError, ValueError) as e:
        return str(e)
    with pycolmap.Database.open(database) as db:
        for camera in db.read_all_cameras():
            if camera.mean_focal_length() != before[camera.camera_id].mean_focal_length():
                camera.has_prior_focal_length = True
                db.update_camera(camera)
    return ""
