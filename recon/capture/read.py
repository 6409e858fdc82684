"""Reading of any capture: photos, a video, or photos with cameras."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from recon.camera_files.formats.colmap import find_model
from recon.camera_files.formats.transforms import has_cameras
from recon.capture.capture import Capture
from recon.capture.listing import Listing
from recon.capture.photo_names import photo_names
from recon.capture.photos import read_photos
from recon.capture.posed.colmap import list_colmap
from recon.capture.posed.photo import PosedPhoto, check_poses
from recon.capture.posed.transforms import list_splits, list_transforms
from recon.capture.video import read_video
from recon.errors import BridgeError, CaptureError
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import find_photo_folders, find_photos, list_folder
from recon.pictures.images import SUFFIXES
from recon.videos.read import SUFFIXES as VIDEOS
from recon.words import count_noun

MAX_NAMED = 5
"""Folders or files that a sentence names at most, so that it stays readable."""
Holdout = Callable[[Sequence[str]], Collection[str]]
"""Chooses the names of held-out photos out of those of all."""


def read_capture(
    path: Path | str,
    *,
    max_side: int | None = None,
    max_frames: int = 60,
    with_cameras: bool = True,
    hold_out: Holdout | None = None,
    allow_outside: bool = False,
    scratch: Path | None = None,
) -> Capture:
    """Read a folder of photos, a video, a COLMAP model or a nerfstudio ``transforms.json``.

    A camera file without poses is ignored, and the photos beside it are read.

    Args:
        max_side: pixels of a picture's long side at most.
        max_frames: frames of a video at most.
        with_cameras: False ignores camera files: the photos come as they were taken, distortion included.
        hold_out: chooses the photos that judge, unless the capture holds out some itself; nothing is decided from
            their pixels.
        allow_outside: read pictures that a camera file or a link brings in from outside the folder; notes name them.
        scratch: folder that keeps the pixels of photos while the capture is used, for more of them than memory holds. Frames of a video
            are in memory.

    Raises:
        CaptureError: nothing readable, fewer than two usable pictures, or some from outside.
        CameraError: invalid cameras, or cameras of other pictures.
    """
    path = Path(path)
    found = list_capture(path, with_cameras=with_cameras, allow_outside=allow_outside)
    if isinstance(found, Path):
        read = read_video(found, max_side=max_side, max_frames=max_frames, hold_out=hold_out)
        if found == path:
            return read
        folder = path if path.is_dir() else path.parent
        said = Boundary(folder, allow_outside).check([(found.name, found)], f"{folder} holds")
        return replace(read, notes=(*said, *read.notes))
    check_poses(found.photos, found.source)
    file_of = {photo.name: photo.file for photo in found.photos}
    heldout = found.heldout if found.heldout is not None else hold_out(tuple(file_of)) if hold_out else ()
    read = read_photos(found.photos, found.source, max_side=max_side, heldout=heldout, scratch=scratch)
    bare = read.clip.cameras is None
    return Capture(
        read.clip,
        read.focals_px if bare else (),
        (*read.skipped, *found.skipped),
        kind=found.kind,
        pose_kind=found.pose_kind,
        points=found.points() if found.points is not None else None,
        notes=(*found.notes, *read.notes),
        listed=found.names,
        files=tuple(file_of[name] for name in read.clip.names),
        heldout=read.heldout,
        levels=read.levels,
        lens_groups=read.lens_groups if bare else (),
        lens_names=read.lens_names if bare else (),
    )


def list_capture(path: Path, *, with_cameras: bool = True, allow_outside: bool = False) -> Listing | Path:
    """List the photos of a capture without decoding; a video is returned as its file.

    Raises:
        CaptureError, CameraError: as `read_capture`, as far as no picture need be decoded for it.
    """
    if not path.exists():
        raise CaptureError(f"expected a folder of photos or a video, but {path} does not exist")
    if path.is_file():
        if path.suffix.lower() in VIDEOS:
            return path
        if path.suffix.lower() == ".json":
            if with_cameras:
                return list_transforms(path, allow_outside=allow_outside)
            return list_photos(path.parent, cameras=path, allow_outside=allow_outside)
        hint = "give the folder it lies in" if path.suffix.lower() in SUFFIXES else "convert it first"
        raise CaptureError(
            f"expected a folder of photos, a video or a transforms.json, got {path.name}; {hint}"
        )
    if with_cameras:
        if has_cameras(path / "transforms.json"):
            return list_transforms(path / "transforms.json", allow_outside=allow_outside)
        if find_model(path) is not None:
            return list_colmap(path, allow_outside=allow_outside)
        splits = list_splits(path, allow_outside=allow_outside)
        if splits is not None:
            return splits
    return list_photos(path, allow_outside=allow_outside)


def list_photos(folder: Path, *, cameras: Path | None = None, allow_outside: bool = False) -> Listing | Path:
    """List the photos of a folder, or the one video in it.

    Args:
        cameras: a camera file that is not read, but may tell where photos lie.

    Raises:
        CaptureError: neither photos nor one video, or a link out of the folder that was not allowed.
    """
    boundary, holds = Boundary(folder, allow_outside), f"{folder} holds"
    place, files, skipped = find_photos(folder)
    if not files:
        videos = [p for p in list_folder(folder) if p.suffix.lower() in VIDEOS]
        if len(videos) == 1:
            boundary.check([(videos[0].name, videos[0])], holds)
            return videos[0]
        raise CaptureError(
            f"expected photos ({' '.join(SUFFIXES)}) in {folder}, found none; {_explain_where_photos_lie(cameras or folder)}"
        )
    usual = place in (folder, folder / "images")
    notes = [] if usual else [f"the photos are those of {place.relative_to(folder).as_posix()}"]
    places = Counter(file.parent for file in files)
    if len(places) > 1:
        named = ", ".join(
            f"{p.relative_to(place).as_posix()} ({n})" for p, n in list(places.items())[:MAX_NAMED]
        )
        notes.append(
            f"the photos are those of {len(places)} folders: {named}{' …' if len(places) > MAX_NAMED else ''}"
        )
    if skipped:
        name, reason = skipped[0]
        more = " …" if len(skipped) > 1 else ""
        what = count_noun(len(skipped), "picture is", "pictures are")
        notes.append(f"{what} not taken for photos: {name} is {reason}{more}")
    notes += boundary.check([(str(file.relative_to(folder)), file) for file in files], holds)
    names = photo_names(files, place)
    photos = tuple(
        PosedPhoto(name, file, None, None, ("shown",)) for name, file in zip(names, files, strict=True)
    )
    return Listing("images", place, photos, notes=tuple(notes))


def _explain_where_photos_lie(path: Path) -> str:
    """Clause that tells where photos lie instead, or what the folder holds."""
    folder = path.parent if path.is_file() else path
    try:
        found = list_capture(path, allow_outside=True) if path.is_file() or has_camera_file(path) else None
    except BridgeError:  # of cameras that were not asked for
        found = None
    if isinstance(found, Listing):
        places = dict.fromkeys(photo.file.parent for photo in found.photos if os.path.isfile(photo.file))
        if places:
            named = ", ".join(os.path.relpath(place, folder) for place in [*places][:MAX_NAMED])
            return (
                f"the pictures that {found.source.name} names lie in {named}{' …' if len(places) > MAX_NAMED else ''}; to have them "
                "read without their cameras, give that folder"
            )
    return _describe_contents(folder)


def _describe_contents(folder: Path) -> str:
    inside = list_folder(folder)
    if not inside:
        return "it is empty"
    found = find_photo_folders(folder)
    if found:
        named = ", ".join(str(p.relative_to(folder)) for p in found[:MAX_NAMED]) + (
            " …" if len(found) > MAX_NAMED else ""
        )
        if len(found) == 1:
            return f"its sub-folder {named} holds some; give that"
        return f"its sub-folders {named} hold some; give one of them, or put the photos of one scene into one folder"
    captures = [p.name for p in inside if p.is_dir() and has_camera_file(p)]
    if captures:
        return f"its sub-folders {', '.join(captures[:MAX_NAMED])}{' …' if len(captures) > MAX_NAMED else ''} hold cameras; give one of them"
    names = [f"the folder {p.name}" if p.is_dir() else p.name for p in inside]
    return f"it holds {', '.join(names[:MAX_NAMED])}{' …' if len(names) > MAX_NAMED else ''}"


def has_camera_file(folder: Path) -> bool:
    """Whether a folder has a ``transforms.json`` or a COLMAP model."""
    return (folder / "transforms.json").is_file() or find_model(folder) is not None
