"""Posed photos as a frozen model that other pictures are registered against."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.colmap.mappers import triangulate
from recon.errors import CaptureError, RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.sfm import features
from recon.sfm.options import SfmOptions
from recon.sfm.reconstruct import MIN_FEATURES
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

    model = triangulate(
        database,
        pictures,
        folder / "sparse",
        list(zip(ids, files, strict=True)),
        [lens.plain() for lens in lenses],
        cameras.cam_from_world[:, :3].numpy(),
        seed=options.seed,
    )
    points = PointCloud.from_arrays(model.xyz, model.rgb, model.error_px)
    row_of = dict(zip(model.image_ids, model.features, strict=True))
    rows = [torch.from_numpy(row_of[image_id]) for image_id in ids]
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
