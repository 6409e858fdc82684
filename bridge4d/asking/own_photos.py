"""Photos for each path apart: a picture or a clip of its name, taken by the cameras of the path."""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from bridge4d.asking.find_paths import AskedPath
from bridge4d.runs.fingerprints import fingerprint_list
from recon.bounded import check_pixels
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.errors import BridgeError
from recon.pictures.frame_files import find_frames
from recon.pictures.headers import photo_shape
from recon.pictures.images import SUFFIXES as PICTURES
from recon.pictures.images import as_unit, decode, fit_size
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from recon.videos.read import SUFFIXES as VIDEOS
from recon.videos.read import video_shape

MAX_NAMED = 3
"""Paths that an error names."""


def find_own_photos(photos: Path, paths: list[AskedPath]) -> dict[str, Path] | None:
    """Picture or clip of each path, by the path's name; None where `photos` is one capture.

    Raises:
        BridgeError: some paths have one, and others have none.
    """
    if not photos.is_dir() or any(path.file is None for path in paths):
        return None
    found = {path.name: own for path in paths if (own := _own_of(photos, path.name)) is not None}
    if not found:
        return None
    if missing := [path.name for path in paths if path.name not in found]:
        raise BridgeError(
            f"expected a picture or clip in {photos} for each path, there is none for {', '.join(missing[:MAX_NAMED])}"
            f"{' …' * (len(missing) > MAX_NAMED)}; name it as the path, or give --photos one capture"
        )
    return found


def read_own_photos(
    path: AskedPath, photos: Path, cameras: Cameras, *, context: int, side: int, allow_outside: bool
) -> Clip:
    """The photos of a path, with the cameras that took them.

    Args:
        cameras: of the path, at the size of the photos.
        context: frames of a clip that are taken, spread from the first on; a clip of another length than its path gives the first.
        side: pixels of their long side at most.

    Raises:
        BridgeError: an unreadable picture or clip.
    """
    clip = _read_photos(path, photos, side, allow_outside)
    if (clip.width, clip.height) != (cameras.width, cameras.height):
        raise BridgeError(
            f"expected photos of {cameras.width}x{cameras.height} in {photos}, as its first one says, got {clip.width}x{clip.height}"
        )
    rows = spread_indices(len(clip), context) if len(clip) == len(cameras) and context > 1 else [0]
    return replace(clip[rows], cameras=cameras[rows], confidence=None)


def triangulate_photos(posed: Clip) -> PointCloud | None:
    """The points that several posed photos share, without which their depth has no range to be searched in; None of one photo."""
    if len(posed) < 2:
        return None
    with tempfile.TemporaryDirectory(prefix="bridge4d-") as scratch:
        points = build_anchor(posed, Path(scratch) / "points", threads=1).points
    return points if len(points) else None


def own_size(photos: Path, side: int) -> tuple[int, int]:
    """(width, height) at which the photos are read; of a clip nothing but its first frame is looked at.

    Raises:
        BridgeError: an unreadable picture or clip.
    """
    if photos.is_dir():
        shape = photo_shape(find_frames(photos)[0])
    elif photos.suffix.lower() in PICTURES:
        shape = photo_shape(photos)
    else:
        shape = video_shape(photos).frame
    return fit_size(*shape.size("shown"), side)


def fingerprint_own_photos(photos: Path) -> str:
    """Equal for pictures and clips that are equal to the byte."""
    files = find_frames(photos) if photos.is_dir() else [photos]
    return fingerprint_list(files, photos if photos.is_dir() else photos.parent)


def _own_of(photos: Path, name: str) -> Path | None:
    for suffix in ("", *PICTURES, *VIDEOS):
        place = photos / f"{name}{suffix}"
        if place.is_file() if suffix else (place.is_dir() and find_frames(place)):
            return place
    return None


def _read_photos(path: AskedPath, photos: Path, side: int, allow_outside: bool) -> Clip:
    if photos.suffix.lower() not in PICTURES or photos.is_dir():
        source = ClipSource(path.name, photos.absolute(), None, "", within=photos.absolute())
        return read_clip(source, max_side=side, allow_outside=allow_outside).clip
    shape = photo_shape(photos)
    width, height = shape.size("shown")
    check_pixels(width, height, photos)
    clip = Clip(as_unit(decode(photos)[0])[None], names=(photos.name,))
    width, height = fit_size(width, height, side)
    assert isinstance(clip.images, torch.Tensor)
    return clip.resize(width=width, height=height)
