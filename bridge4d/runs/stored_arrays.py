"""Points, tracks, depth maps and anchors on disk, as NumPy archives that are checked when they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from bridge4d.runs.stored_json import DamagedFileError, write_json
from bridge4d.runs.typed_json import read_typed, understood
from recon.bounded import read_arrays
from recon.clip import PictureSet
from recon.depth import DepthMaps
from recon.errors import RecoveryStatus, RunFolderError
from recon.points import PointCloud
from recon.sfm.anchor import Anchor
from recon.sfm.features.describe import FeatureKind
from recon.sfm.features.keypoints import Features
from recon.sfm.matches import Matches
from recon.tracks import Tracks

MOST_BYTES = 2 << 30
"""Of points or tracks in memory: some forty million."""


class StoredAnchor(TypedDict):
    """What ``anchor.json`` says."""

    kind: FeatureKind
    status: str
    width: int
    height: int
    turns: list[int]
    """Quarter turns in which the features of each photo were found."""


def save_points(points: PointCloud, path: Path) -> None:
    """Points with colours and errors as .npz."""
    np.savez_compressed(
        path, xyz=points.xyz.numpy(), rgb=points.rgb.numpy(), error_px=points.error_px.numpy()
    )


def load_points(path: Path) -> PointCloud:
    """Points with colours and errors, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    xyz, rgb, error_px = _read_arrays(path, "xyz", "rgb", "error_px")
    return PointCloud(torch.from_numpy(xyz), torch.from_numpy(rgb), torch.from_numpy(error_px))


def save_tracks(tracks: Tracks, path: Path) -> None:
    """Where pictures see points, as .npz."""
    np.savez_compressed(
        path,
        image=tracks.image.numpy().astype(np.int32),
        point=tracks.point.numpy().astype(np.int32),
        xy=tracks.xy.numpy(),
    )


def load_tracks(path: Path) -> Tracks:
    """Where pictures see points, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    image, point, xy = _read_arrays(path, "image", "point", "xy")
    return Tracks(
        torch.from_numpy(image.astype(np.int64)),
        torch.from_numpy(point.astype(np.int64)),
        torch.from_numpy(xy),
    )


def save_depth(maps: DepthMaps, path: Path) -> None:
    """Depth and confidence of photos as .npz."""
    np.savez_compressed(path, depth=maps.depth.numpy(), confidence=maps.confidence.numpy())


def load_depth(path: Path) -> DepthMaps:
    """Depth of photos, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    depth, confidence = _read_arrays(path, "depth", "confidence")
    return DepthMaps(torch.from_numpy(depth), torch.from_numpy(confidence))


def save_anchor(anchor: Anchor, folder: Path) -> None:
    """What frames are registered against, but for the photos' cameras and the points, which have files of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    first = anchor.features[0]
    photo = [np.full(len(one), i, np.int32) for i, one in enumerate(anchor.features)]
    np.savez(
        folder / "features.npz",
        photo=np.concatenate(photo),
        xy=torch.cat([one.xy for one in anchor.features]).numpy(),
        descriptors=torch.cat([one.stored.half() for one in anchor.features]).numpy(),  # half already
        point=torch.cat(anchor.point_of_feature).numpy().astype(np.int32),
    )
    about = {
        "kind": anchor.kind,
        "status": anchor.status.value,
        "width": first.width,
        "height": first.height,
        "turns": [one.turns for one in anchor.features],
    }
    write_json(folder / "anchor.json", about)


def load_anchor(folder: Path, photos: PictureSet, points: PointCloud) -> Anchor:
    """The model of posed photos, as stored.

    Raises:
        RunFolderError: the files do not hold what was stored.
    """
    said = folder / "anchor.json"
    about: StoredAnchor = read_typed(said, StoredAnchor)
    file = folder / "features.npz"
    photo, xy, descriptors, point = _read_arrays(file, "photo", "xy", "descriptors", "point")
    with understood(file, "its features are of no photos"):
        counts = np.bincount(photo, minlength=len(photos)).tolist()
    known = len(counts) == len(photos) == len(about["turns"])
    if not known or (np.diff(photo) < 0).any() or (point >= len(points)).any():
        raise DamagedFileError(file, "its features are not those of the photos and points beside it")
    with understood(said, "it names no features or status that there are"):
        return Anchor(
            photos.names,
            photos.require_cameras(),
            about["kind"],
            tuple(
                Features(places, looks, about["width"], about["height"], turns)
                for places, looks, turns in zip(
                    torch.from_numpy(xy).split(counts),
                    torch.from_numpy(descriptors).split(counts),
                    about["turns"],
                    strict=True,
                )
            ),
            points,
            torch.from_numpy(point.astype(np.int64)).split(counts),
            RecoveryStatus(about["status"]),
        )


def save_matches(matches: Matches, path: Path) -> None:
    """Matches without their keypoints, as .npz; pairs without a match are not kept."""
    pair = np.repeat(np.array(matches.pairs).reshape(-1, 2), [len(rows) for rows in matches.indices], axis=0)
    rows = torch.cat([*matches.indices, torch.zeros(0, 2, dtype=torch.long)]).numpy()
    np.savez_compressed(path, picture=pair.astype(np.int32), feature=rows.astype(np.int32))


def load_matches(path: Path, features: Sequence[Features]) -> Matches:
    """Matches of these features, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    picture, feature = _read_arrays(path, "picture", "feature")
    counts = np.array([len(one) for one in features])
    damaged = DamagedFileError(path, "its matches are not those of the features beside it")
    if picture.shape != (len(picture), 2) or feature.shape != picture.shape:
        raise damaged
    if (picture < 0).any() or (picture >= len(features)).any() or (feature < 0).any():
        raise damaged
    pairs, first = np.unique(picture, axis=0, return_index=True)
    if (
        (feature >= counts[picture]).any()
        or (pairs[:, 0] >= pairs[:, 1]).any()
        or (np.diff(first) <= 0).any()
    ):
        raise damaged
    return Matches(
        features[0].width,
        features[0].height,
        tuple(one.xy for one in features),
        tuple((int(a), int(b)) for a, b in pairs),
        torch.from_numpy(feature.astype(np.int64)).split(np.diff([*first, len(picture)]).tolist()),
    )


def _read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an .npz that this project wrote, all of one length."""
    found = read_arrays(path, most_bytes=MOST_BYTES, largest_file=MOST_BYTES, error=RunFolderError)
    if not isinstance(found, dict) or not found.keys() >= set(names):
        raise DamagedFileError(path, f"it does not hold {', '.join(names)}")
    arrays = [found[name] for name in names]
    if len({array.shape[:1] for array in arrays}) != 1:
        raise DamagedFileError(path, "its arrays are of several lengths")
    return arrays
