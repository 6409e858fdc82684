"""A frozen model of posed photos, for other pictures to be registered against."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.colmap.mappers import triangulate
from recon.colmap.model import SparseModel
from recon.errors import CaptureError, RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.sfm.features.describe import FeatureKind
from recon.sfm.features.keypoints import Features, enough_features
from recon.sfm.mapping import color_points
from recon.sfm.matches import Matches
from recon.sfm.matching import MatchedPhotos, match_photos
from recon.sfm.recipes import PHOTOS, Recipe
from recon.sfm.verification import write_verified
from recon.tracks import Tracks


@dataclass(frozen=True)
class Anchor:
    """Photos with known cameras, and the points that these cameras give. Nothing in it ever moves."""

    names: tuple[str, ...]
    cameras: Cameras
    kind: FeatureKind
    """Features that other pictures must have to be registered."""
    features: tuple[Features, ...]
    """Features of every photo; descriptors are rounded to half precision, so that what is stored and read back is the same."""
    points: PointCloud
    point_of_feature: tuple[Int[Tensor, "_"], ...]
    """For every feature of every photo the row in `points`, or -1."""
    status: RecoveryStatus
    """OK, or why no point could be triangulated."""

    @property
    def tracks(self) -> Tracks:
        """Where the photos see the points."""
        parts = []
        for i, (rows, one) in enumerate(zip(self.point_of_feature, self.features, strict=True)):
            seen = rows >= 0
            image = torch.full((int(seen.sum()),), i, dtype=torch.long)
            parts.append(Tracks(image, rows[seen], one.xy[seen]))
        return Tracks.concatenate(parts)


def build_anchor(
    clip: PictureSet,
    folder: Path,
    *,
    recipe: Recipe = PHOTOS,
    matched: MatchedPhotos | None = None,
    threads: int = -1,
) -> Anchor:
    """Triangulate the points of posed photos; their poses and intrinsics are kept.

    Args:
        folder: for scratch; replaced.
        matched: features and matches of the photos, where they are known already.
        threads: for features and verification, -1 for all cores; the result is the same.

    Raises:
        CaptureError: the clip is empty, or has no cameras.
        CameraError: its cameras are invalid.
        MissingDependencyError: learned features whose package is not installed.
    """
    if not len(clip):
        raise CaptureError("expected posed photos to build a model from, got none")
    cameras = clip.require_cameras().to("cpu", torch.float64).validate(clip.names)
    if matched is None:
        matched = match_photos(clip, recipe, threads=threads)
    keypoints = matched.matches.keypoints
    model, ids = _triangulate(cameras, matched.matches, folder, recipe, threads)
    rows = _rows_of(model, ids)
    points = PointCloud.from_arrays(model.xyz, model.rgb, model.error_px)
    return Anchor(
        clip.names,
        cameras,
        recipe.features,
        tuple(replace(one, stored=one.descriptors.half()) for one in matched.features),
        color_points(points, clip.images, keypoints, rows),
        tuple(rows),
        _status(clip, points, keypoints),
    )


def triangulate_matches(
    clip: PictureSet, matches: Matches, folder: Path, *, recipe: Recipe = PHOTOS, threads: int = 1
) -> PointCloud:
    """Triangulate the matches of posed pictures; their poses and intrinsics are kept.

    Args:
        matches: in the pixels of the clip's cameras, as pinholes.
        folder: for scratch; replaced.
    """
    cameras = clip.require_cameras().to("cpu", torch.float64)
    model, ids = _triangulate(cameras, matches, folder, recipe, threads)
    points = PointCloud.from_arrays(model.xyz, model.rgb, model.error_px)
    return color_points(points, clip.images, matches.keypoints, _rows_of(model, ids))


def _triangulate(
    cameras: Cameras, matches: Matches, folder: Path, recipe: Recipe, threads: int
) -> tuple[SparseModel, list[int]]:
    """The points of COLMAP, and its number of each picture."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lenses = [lens.plain() for lens in Lens.pinholes(cameras)]
    database = folder / "database.db"
    ids = write_verified(
        database,
        lenses,
        matches.keypoints,
        matches.by_pair(),
        known=True,
        seed=recipe.seed,
        threads=threads,
    )
    model = triangulate(
        database,
        folder / "sparse",
        ids,
        lenses,
        cameras.cam_from_world[:, :3].numpy(),
        recipe.mapping,
        seed=recipe.seed,
    )
    return model, ids


def _rows_of(model: SparseModel, ids: Sequence[int]) -> list[Int[Tensor, "_"]]:
    """For every feature of every picture the row of its point, or -1."""
    row_of = dict(zip(model.image_ids, model.features, strict=True))
    return [torch.from_numpy(row_of[image_id]) for image_id in ids]


def keep_photos(anchor: Anchor, clip: PictureSet, kept: Sequence[int]) -> Anchor:
    """The model of some of the photos: points that two of them see, in the colours that they give them.

    Points stay where all photos put them; what others look like is in none of it.

    Args:
        clip: the photos of `anchor`.
        kept: indices of some of them, ascending.
    """
    sees = torch.zeros(len(anchor.points), dtype=torch.long)
    for i in kept:
        rows = anchor.point_of_feature[i]
        sees[rows[rows >= 0].unique()] += 1
    twice = sees >= 2
    new_row = torch.where(twice, twice.cumsum(0) - 1, -1)
    rows_of = tuple(
        torch.where(rows >= 0, new_row[rows.clamp_min(0)], -1) if len(new_row) else rows
        for rows in (anchor.point_of_feature[i] for i in kept)
    )
    photos, features = clip[list(kept)], tuple(anchor.features[i] for i in kept)
    keypoints = [one.xy for one in features]
    points = color_points(anchor.points[twice], photos.images, keypoints, rows_of)
    return replace(
        anchor,
        names=photos.names,
        cameras=anchor.cameras[list(kept)],
        features=features,
        points=points,
        point_of_feature=rows_of,
        status=_status(photos, points, keypoints),
    )


def _status(
    clip: PictureSet, points: PointCloud, keypoints: Sequence[Float[Tensor, "_ 2"]]
) -> RecoveryStatus:
    if len(points):
        return RecoveryStatus.OK
    if len(clip) < 2:
        return RecoveryStatus.TOO_FEW_IMAGES
    return RecoveryStatus.NO_MATCHES if enough_features(keypoints) else RecoveryStatus.TOO_FEW_FEATURES
