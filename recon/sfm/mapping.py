"""One clip in a COLMAP database, and out of it a `Recovery`: on one thread, the same every time."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.colmap_model import point_cloud, pose_matrix
from recon.capture.lens import Lens
from recon.clip import Clip
from recon.errors import RecoveryStatus
from recon.matches import Matches
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm import features
from recon.sfm.imported import verify, write_matches
from recon.sfm.options import SfmOptions
from recon.sfm.reconstruct import reprojection
from recon.sfm.worker import interruptible

log = logging.getLogger(__name__)

MIN_MATCHES = 15
"""COLMAP's: fewer between two frames are not looked at."""
MIN_MODEL = 3
"""Frames; two say nothing of a path."""
FIRST_FOCAL = 1.2
"""In long sides: COLMAP's guess where nothing is known of the lens."""
TRACKS_PER_FRAME = 200
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
    import pycolmap

    path.unlink(missing_ok=True)
    with pycolmap.Database.open(path) as db:
        ids = _enter_pictures(db, clip, K, shared)
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
    import pycolmap

    folder.mkdir(parents=True, exist_ok=True)
    described = folder / ("features.db" if shared and K is None else "features-free.db")
    if not described.exists():
        partial = features.start_database(folder)
        files = features.write_pictures(clip, folder / "pictures", "")
        extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=1)
        extraction.sift.max_num_features = AFFINE_FEATURES
        extraction.sift.estimate_affine_shape = True
        extraction.sift.domain_size_pooling = True
        features.extract_with(partial, folder / "pictures", files, extraction, one_lens=shared and K is None)
        partial.replace(described)
    shutil.copy(described, path)
    with pycolmap.Database.open(path) as db:
        ids = _ids(db)
        if sum(db.num_keypoints_for_image(i) >= MIN_MATCHES for i in ids) < 2:
            return RecoveryStatus.TOO_FEW_FEATURES
        _replace_cameras(db, clip, ids, K, shared)
    options = SfmOptions(seed=seed, threads=1)
    features.match(path, options, sequential=sequential, guided=True)
    return _verified(path)


def map_database(
    database: Path, clip: Clip, folder: Path, *, mapper: str, fixed: bool, calibrate: bool, seed: int
) -> Recovery:
    """What the incremental or the global mapper makes of verified pairs: the largest of its models.

    `calibrate` estimates focal lengths from the fundamental matrices first (in a copy) and starts from them.
    """
    import pycolmap

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if calibrate and not fixed:
        copy = folder / "calibrated.db"
        shutil.copy(database, copy)
        database = copy
        _calibrate(database, seed)
    out, pictures = folder / "sparse", folder
    out.mkdir()
    try:
        if mapper == "global":
            pipeline = _global_options(fixed, seed)
            models = interruptible(lambda token: pycolmap.global_mapping(database, pictures, out, pipeline))
        else:
            pipeline = _incremental_options(fixed, seed)
            models = interruptible(
                lambda token: pycolmap.incremental_mapping(
                    database, pictures, out, pipeline, cancellation_token=token
                )
            )
    except (RuntimeError, ValueError, IndexError) as e:
        log.info("the %s mapper failed: %s", mapper, e)
        return nothing(clip, RecoveryStatus.FAILED)
    found = [m for m in models.values() if m.num_reg_images() >= MIN_MODEL and _credible(m)]
    if not found:
        return nothing(clip, RecoveryStatus.NO_MODEL if models else RecoveryStatus.NO_INITIAL_PAIR)
    found.sort(key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    with pycolmap.Database.open(database) as db:
        ids = _ids(db)
    return _recovery(clip, found, ids)


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


def _credible(model) -> bool:
    """Whether it has points, and a lens that could exist (COLMAP's limits, which its global mapper does not ask)."""
    bogus = any(camera.has_bogus_params(0.1, 10.0, 1.0) for camera in model.cameras.values())
    return model.num_points3D() > 0 and not bogus


def _recovery(clip: Clip, models: list, ids: list[int]) -> Recovery:
    model = models[0]
    images = {i: model.image(i) for i in model.reg_image_ids()}
    n = len(clip)
    registered = torch.tensor([i in images for i in ids])
    error, inliers = torch.full((n,), torch.nan, dtype=torch.float64), torch.zeros(n, dtype=torch.long)
    poses: list[Tensor] = []
    lenses: list[Lens] = []
    for row, image_id in enumerate(ids):
        if image_id in images:
            image = images[image_id]
            poses.append(pose_matrix(image.cam_from_world()))
            lenses.append(Lens.from_camera(image.camera))
            error[row], inliers[row] = reprojection(model, image)
    pinholes = {lens: lens.K for lens in set(lenses)}
    K = torch.stack([pinholes[lens] for lens in lenses])
    cameras = Cameras(torch.stack(poses), K, clip.width, clip.height)
    return Recovery(
        status=RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=point_cloud(model)[0],
        reprojection_error_px=error,
        inliers=inliers,
        num_models=len(models),
        model_sizes=tuple(m.num_reg_images() for m in models),
        track_length=float(model.compute_mean_track_length()),
        lenses=tuple(lenses),
    )


def _incremental_options(fixed: bool, seed: int):
    import pycolmap

    pipeline = pycolmap.IncrementalPipelineOptions(
        num_threads=1,
        random_seed=seed,
        min_model_size=MIN_MODEL,
        extract_colors=False,
        ba_refine_focal_length=not fixed,
        ba_refine_extra_params=not fixed,
    )
    pipeline.mapper.abs_pose_refine_focal_length = not fixed
    pipeline.mapper.abs_pose_refine_extra_params = not fixed
    return pipeline


def _global_options(fixed: bool, seed: int):
    import pycolmap

    pipeline = pycolmap.GlobalPipelineOptions(num_threads=1, random_seed=seed, min_model_size=MIN_MODEL)
    pipeline.mapper.bundle_adjustment.refine_focal_length = not fixed
    pipeline.mapper.bundle_adjustment.refine_extra_params = not fixed
    # longest first, so many for each frame: a third of the time where pictures are rich, poses as exact
    pipeline.mapper.track_required_tracks_per_view = TRACKS_PER_FRAME
    return pipeline


def _calibrate(database: Path, seed: int) -> None:
    """Focal lengths that the fundamental matrices agree on, kept as priors; the guess stays where they do not."""
    import pycolmap

    with pycolmap.Database.open(database) as db:
        before = {camera.camera_id: camera for camera in db.read_all_cameras()}
    try:
        options = pycolmap.ViewGraphCalibrationOptions(random_seed=seed)
        interruptible(lambda token: pycolmap.calibrate_view_graph(database, options))
    except (RuntimeError, ValueError) as e:
        log.info("no focal length from the view graph: %s", e)
        return
    with pycolmap.Database.open(database) as db:
        for camera in db.read_all_cameras():
            if camera.mean_focal_length() != before[camera.camera_id].mean_focal_length():
                camera.has_prior_focal_length = True
                db.update_camera(camera)


def _enter_pictures(db, clip: Clip, K: Float[Tensor, "n 3 3"] | None, shared: bool) -> list[int]:
    """Images without files, each a frame of a rig of one camera; their ids, in order."""
    import pycolmap

    ids, rig_id, camera_id = [], None, None
    for i in range(len(clip)):
        if rig_id is None or not (shared and K is None):
            camera = _camera(clip, None if K is None else K[i])
            camera_id = camera.camera_id = db.write_camera(camera)
            rig = pycolmap.Rig()
            rig.add_ref_sensor(camera.sensor_id)
            rig_id = db.write_rig(rig)
        image = pycolmap.Image(name=f"{i:05d}", camera_id=camera_id)
        image.image_id = db.write_image(image)
        frame = pycolmap.Frame()
        frame.rig_id = rig_id
        frame.add_data_id(image.data_id)
        db.write_frame(frame)
        ids.append(image.image_id)
    return ids


def _replace_cameras(db, clip: Clip, ids: list[int], K: Float[Tensor, "n 3 3"] | None, shared: bool) -> None:
    """The cameras of a database that has one for each image, or one for all, in the order of the images."""
    for row, image_id in enumerate(ids):
        camera = _camera(clip, None if K is None else K[row])
        camera.camera_id = db.read_image(image_id).camera_id
        db.update_camera(camera)


def _camera(clip: Clip, K: Float[Tensor, "3 3"] | None):
    """The requested pinhole, or COLMAP's default for an unknown lens. Two free focal lengths would fit squeezed
    videos better, and run away from each other in all that are hard."""
    import pycolmap

    size = {"width": clip.width, "height": clip.height}
    if K is None:
        params = [FIRST_FOCAL * max(clip.width, clip.height), clip.width / 2, clip.height / 2, 0.0]
        return pycolmap.Camera(model="SIMPLE_RADIAL", params=params, **size)
    params = [float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])]
    return pycolmap.Camera(model="PINHOLE", params=params, has_prior_focal_length=True, **size)


def _ids(db) -> list[int]:
    return sorted(image.image_id for image in db.read_all_images())


def _verified(path: Path) -> RecoveryStatus:
    import pycolmap

    with pycolmap.Database.open(path) as db:
        return RecoveryStatus.OK if db.num_verified_image_pairs() else RecoveryStatus.NO_MATCHES
