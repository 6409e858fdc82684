"""What a capture consists of before any picture is decoded."""

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
    """The photos of a capture in natural order, with what its camera file says of each."""

    kind: str
    """'images', 'colmap' or 'transforms'."""
    source: Path
    """The camera file or the folder, for messages."""
    photos: tuple[PosedPhoto, ...]
    """Those that the camera file names and that are not there come along."""
    camera_files: tuple[Path, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    """(name, reason): what is known to be left out."""
    notes: tuple[str, ...] = ()
    """What a person should know of the reading."""
    pose_kind: str | None = None
    heldout: tuple[str, ...] | None = None
    """Names of the photos that the capture itself keeps for judging; None where it keeps none."""
    points: Callable[[], PointCloud] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all photos that there are, in the listing's order, and of those that are known to be left out."""
        names = tuple(photo.name for photo in self.photos)
        return (*names, *dict.fromkeys(name for name, _ in self.skipped if name not in names))


@dataclass(frozen=True)
class Named:
    """Pictures for the names of a camera file."""

    files: tuple[Path, ...]
    """One for each name, all different; where there is none, the path at which it was expected."""
    notes: tuple[str, ...]


def find_pictures(names: list[str], finder: PictureFinder, what: str) -> Named:
    """The pictures of all names of a camera file, the names in natural order.

    Raises:
        CaptureError: a picture from outside the capture that nobody allowed; names that are shifted against those of the files; one picture
            under two names.
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
    files = _as_others_lie(names, files)
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
    shifted = _in_order(names, files, what)
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


def _as_others_lie(names: Sequence[str], files: list[Path]) -> list[Path]:
    """Missing pictures where they should be if they moved together with those that were found: a name that begins with
    folders of another machine is no place on this one."""
    here_of: dict[tuple[str, ...], Path] = {}
    for name, file in zip(names, files, strict=True):
        if os.path.isfile(file):
            stated, here = list(_parts(name)[:-1]), list(file.parts[:-1])
            while stated and here and stated[-1] == here[-1]:
                del stated[-1], here[-1]
            if here:  # else it lies where its name says
                here_of.setdefault(tuple(stated), Path(*here))

    def where(name: str) -> Path | None:
        parts = _parts(name)
        for n in range(len(parts) - 1, -1, -1):
            if parts[:n] in here_of:
                return here_of[parts[:n]].joinpath(*parts[n:])
        return None

    return [
        file if os.path.isfile(file) else where(name) or file for name, file in zip(names, files, strict=True)
    ]


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/"))).parts


def _in_order(names: list[str], files: list[Path], what: str) -> tuple[list[Path], str] | None:
    """Where some names have no picture and some pictures no name: the pictures in order, if both count on."""
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
