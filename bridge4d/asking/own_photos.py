"""Photos for each path apart: a picture or a clip of its name, taken by the cameras of the path."""

from dataclasses import replace
from pathlib import Path

import torch

from bridge4d.asking.find_paths import AskedPath, read_asked
from bridge4d.rendering.paths import CameraPath
from recon.bounded import check_pixels
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.errors import BridgeError
from recon.pictures.frame_files import find_frames
from recon.pictures.headers import photo_shape
from recon.pictures.images import SUFFIXES as PICTURES
from recon.pictures.images import as_unit, decode, fit_size
from recon.videos.read import SUFFIXES as VIDEOS

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
    path: AskedPath, photos: Path, *, context: int, side: int, convention: str | None, allow_outside: bool
) -> tuple[Clip, CameraPath]:
    """Photos with cameras, and the path at their size.

    Args:
        context: frames of a clip that are taken, spread from the first on; a clip of another length than its path gives the first.
        side: pixels of their long side at most.

    Raises:
        BridgeError: an unreadable picture, clip or path.
    """
    clip = _read_photos(path, photos, side, allow_outside)
    asked = read_asked(path, width=clip.width, height=clip.height, convention=convention)
    whole = asked.cameras.resize(width=clip.width, height=clip.height)
    rows = [0]
    if len(clip) == len(whole):
        rows = spread_indices(len(clip), context) if context > 1 else [0]
    posed = replace(clip[rows], cameras=whole[rows], confidence=None)
    return posed, replace(asked, cameras=whole)


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
