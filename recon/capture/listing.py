"""The parts of a capture, before any picture is decoded."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recon.capture.posed.photo import PosedPhoto
from recon.errors import CaptureError
from recon.pictures.frame_files import list_pictures
from recon.pictures.picture_names import PictureFinder, match_names
from recon.points import PointCloud
from recon.words import count_noun


@dataclass(frozen=True)
class Listing:
    """Photos of a capture in natural order, with the cameras that its camera file states."""

    kind: str
    """'images', 'colmap' or 'transforms'."""
    source: Path
    """The camera file or the folder, for messages."""
    photos: tuple[PosedPhoto, ...]
    """Photos that the camera file names are listed even where their files are missing."""
    camera_files: tuple[Path, ...] = ()
    """Files that the cameras were read from."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(name, reason) of photos that are known to be left out."""
    notes: tuple[str, ...] = ()
    """Remarks on the reading, for a person."""
    pose_kind: str | None = None
    heldout: tuple[str, ...] | None = None
    """Photos that the capture itself holds out; None where it holds out none."""
    points: Callable[[], PointCloud] | None = None
    """Loads the points that came along with the cameras."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all photos in order, then of those that are left out."""
        names = tuple(photo.name for photo in self.photos)
        return (*names, *dict.fromkeys(name for name, _ in self.skipped if name not in names))


@dataclass(frozen=True)
class Named:
    """Pictures found for the names of a camera file."""

    files: tuple[Path, ...]
    """One file for each name, all different; the expected path where none was found."""
    notes: tuple[str, ...]


def find_pictures(names: list[str], finder: PictureFinder, what: str) -> Named:
    """Find the pictures that a camera file names.

    Args:
        names: in natural order.
        what: the camera file, for messages.

    Raises:
        CaptureError: a picture from outside the capture that was not allowed; names that are shifted against those of the
            files; one picture under two names.
    """
    found = [finder.find(name) for name in names]
    claimed = {f.file for f in found if f.literally}
    files: list[Path] = []
    other: list[tuple[str, Path]] = []
    for name, f in zip(names, found, strict=True):
        taken = not f.literally and f.file in claimed
        claimed.add(f.file)
        files.append(finder.base / name.replace("\\", "/") if taken else f.file)
        if not f.literally and not taken and os.path.isfile(f.file):
            other.append((name, f.file))
    files = _follow_moved_folders(names, files)
    notes = []
    if other:
        name, file = other[0]
        notes.append(
            count_noun(
                len(other),
                f"of the pictures that {what} names has another name on the disk",
                f"of the pictures that {what} names have another name on the disk",
            )
            + f": {name} is {file.name}"
            + (" …" if len(other) > 1 else "")
        )
    shifted = _pair_in_order(names, files, what)
    if shifted is not None:
        files, note = shifted
        notes.append(note)
    name_of: dict[str, str] = {}
    for name, file in zip(names, files, strict=True):
        first = name_of.setdefault(os.path.abspath(file), name)
        if first != name:
            raise CaptureError(f"{what} names one picture twice, as {first!r} and as {name!r}; remove one")
    notes += finder.check(zip(names, files, strict=True))
    return Named(tuple(files), tuple(notes))


def _follow_moved_folders(names: Sequence[str], files: list[Path]) -> list[Path]:
    """Expected paths of missing pictures, if they moved together with those that were found.

    Names may begin with folders of another machine.
    """
    here_of: dict[tuple[str, ...], Path] = {}
    for name, file in zip(names, files, strict=True):
        if os.path.isfile(file):
            stated, here = list(_parts(name)[:-1]), list(file.parts[:-1])
            while stated and here and stated[-1] == here[-1]:
                del stated[-1], here[-1]
            if here:  # else it lies where its name says
                here_of.setdefault(tuple(stated), Path(*here))

    return [
        file if os.path.isfile(file) else _replace_folders(name, here_of) or file
        for name, file in zip(names, files, strict=True)
    ]


def _replace_folders(name: str, here_of: dict[tuple[str, ...], Path]) -> Path | None:
    """Path of a name whose leading folders lie elsewhere here; the longest known ones count."""
    parts = _parts(name)
    for n in range(len(parts) - 1, -1, -1):
        if parts[:n] in here_of:
            return here_of[parts[:n]].joinpath(*parts[n:])
    return None


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/"))).parts


def _pair_in_order(names: list[str], files: list[Path], what: str) -> tuple[list[Path], str] | None:
    """Pair names and pictures in order where some of each are left over and both count up by one."""
    there = [f for f in files if os.path.isfile(f)]
    folders = {f.parent for f in there}
    if len(there) == len(files) or len(folders) != 1 or len({Path(n).parent for n in names}) != 1:
        return None
    folder = folders.pop()
    pictures = list_pictures(folder)
    if len(pictures) <= len(there):
        return None
    matched = match_names([p.name for p in pictures], names, what)
    if matched.pairs is None or len(matched.pairs) != len(names) or len(pictures) != len(names):
        return None
    return pictures, matched.note
