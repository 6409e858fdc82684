"""Posed photos as a frozen model that other pictures are registered against."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.colmap_model import point_cloud, rigid
from recon.capture.lens import Lens
from recon.clip import Clip
from recon.errors import CaptureError, RecoveryStatus
from recon.points import PointCloud
from recon.sfm import features
from recon.sfm.options import SfmOptions
from recon.sfm.reconstruct import MIN_FEATURES, incremental_options
from recon.sfm.worker import interruptible
from recon.tracks import Tracks


@dataclass(frozen=True)
class Anchor:
    """Photos with known cameras, and the points that these cameras give. Nothing in it ever moves."""

    folder: Path
    """Holds ``database.db`` with the features and verified matches of the photos."""
    names: tuple[str, ...]
    cameras: Cameras
    points: PointCloud
    point_of_feature: tuple[Int[Tensor, "_"], ...]
    """For every feature of every photo the row in `points`, or -1."""
    tracks: Tracks
    """The same with pixels: where the photos see the points."""
    image_ids: tuple[int, ...]
    """Of the photos in the database."""
    status: RecoveryStatus
    """OK, or why no point could be triangulated."""

    @property
    def database(self) -> Path:
        return self.folder / "database.db"


def build_anchor(clip: Clip, folder: Path, *, options: SfmOptions = SfmOptions()) -> Anchor:
    """Features, matches and points of posed photos; their poses and intrinsics are taken as they are.

    Raises:
        CaptureError: the clip is empty, or has no cameras.
        CameraError: its cameras are none.
    """
    if not len(clip):
        raise CaptureError("expected posed photos to build a model from, got none")
    cameras = clip.posed().to("cpu", torch.float64).checked(clip.names)
    partial, pictures = features.start_database(folder), folder / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    files = features.write_pictures(clip, pictures, "photo-")
    lenses = [Lens.pinhole(K, width=clip.width, height=clip.height) for K in cameras.K]
    ids = features.extract(partial, pictures, files, lens=lenses[0], one_lens=False, options=options)
    features.set_intrinsics(partial, ids, lenses)
    keypoints = features.keypoints(partial, ids)
    features.match(partial, options)
    database = features.finish_database(partial)

    model = _triangulate(database, pictures, folder, files, ids, lenses, cameras, options)
    points, row_of = point_cloud(model)
    rows = []
    for image_id, xy in zip(ids, keypoints, strict=True):
        row = torch.full((len(xy),), -1, dtype=torch.long)
        for k, feature in enumerate(model.image(image_id).points2D):
            if feature.has_point3D():
                row[k] = row_of[feature.point3D_id]
        rows.append(row)
    status = RecoveryStatus.OK
    if not len(points):
        enough = sum(len(xy) >= MIN_FEATURES for xy in keypoints) >= 2
        status = RecoveryStatus.NO_MATCHES if enough else RecoveryStatus.TOO_FEW_FEATURES
        if len(clip) < 2:
            status = RecoveryStatus.TOO_FEW_IMAGES
    tracks = _tracks(rows, keypoints)
    return Anchor(folder, clip.names, cameras, points, tuple(rows), tracks, tuple(ids), status)


def _tracks(rows: list[Int[Tensor, "_"]], keypoints: list[Float[Tensor, "_ 2"]]) -> Tracks:
    seen = [(i, row >= 0) for i, row in enumerate(rows)]
    return Tracks.concatenate(
        [
            Tracks(torch.full((int(which.sum()),), i, dtype=torch.long), rows[i][which], keypoints[i][which])
            for i, which in seen
        ]
    )


def _triangulate(
    database: Path,
    pictures: Path,
    folder: Path,
    files: list[str],
    ids: list[int],
    lenses: list[Lens],
    cameras: Cameras,
    options: SfmOptions,
):
    """A `pycolmap.Reconstruction` with the given cameras and whatever points they see together."""
    import pycolmap

    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as db:
        camera_ids = [db.read_image(i).camera_id for i in ids]
    for image_id, camera_id, file, lens, pose in zip(
        ids, camera_ids, files, lenses, cameras.cam_from_world, strict=True
    ):
        camera = lens.camera()
        camera.camera_id = camera_id
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=file, camera_id=camera_id, image_id=image_id)
        model.add_image_with_trivial_frame(image, rigid(pose))
    pipeline = incremental_options(options, fixed_lens=True)
    out = folder / "sparse"
    out.mkdir(exist_ok=True)
    return interruptible(
        lambda token: pycolmap.triangulate_points(
            model, database, pictures, out, options=pipeline, cancellation_token=token
        )
    )
