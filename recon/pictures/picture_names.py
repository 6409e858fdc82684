"""Search for pictures by the names in a camera file, and matching of two lists of names."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from recon.bounded import parse_path
from recon.errors import CaptureError
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import natural_key, stem_of
from recon.pictures.images import SUFFIXES
from recon.words import count_noun

Match = list[tuple[int, int]]
"""Indices (picture, camera)."""
MIN_MATCHED_SHARE = 0.5
"""Share of the shorter list below which equal names are taken for chance, such as '1.png' in two numberings."""


@dataclass(frozen=True)
class Found:
    """A picture that was searched by name."""

    file: Path
    """The expected path where nothing was found."""
    literally: bool
    """Whether the file has the very name that was given, or that name with a suffix."""


class PictureFinder:
    """Finds pictures in a folder by the names of a camera file.

    A name fits with backslashes or slashes, in any case and Unicode form, with another picture's suffix or none, with
    numbers as 7 or as 0007, and without folders above that only another machine has. `boundary` decides whether a found
    picture may be read.
    """

    def __init__(self, base: Path, boundary: Boundary, *, what: str) -> None:
        """
        Args:
            base: the folder.
            what: source of the names, and a verb, for messages: ``"cap/transforms.json names"``.
        """
        self.base, self.boundary, self.what = base, boundary, what
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Found:
        """Find the picture of a name; nothing is opened.

        Raises:
            CaptureError: a name that no file system can hold.
        """
        path = self.base / parse_path(name.replace("\\", "/"), self.what, error=CaptureError)
        found, literally = self._find(path, name)
        return Found(found, literally and os.path.isfile(found))

    def check(self, named: Iterable[tuple[str, Path]]) -> tuple[str, ...]:
        """Note the pictures from outside the capture, before any is opened.

        Raises:
            CaptureError: a picture from outside that was not allowed.
        """
        return self.boundary.check(named, self.what)

    def _find(self, path: Path, name: str) -> tuple[Path, bool]:
        if os.path.isfile(path) or not path.name:
            return path, "\\" not in name
        with_suffix = next((p for s in SUFFIXES if os.path.isfile(p := path.with_name(path.name + s))), None)
        if with_suffix is not None:
            return with_suffix, True
        parts = PurePosixPath(re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/"))).parts
        parts = tuple(p for p in parts if p not in ("/", ".", ".."))
        for skip in range(len(parts)):
            for place in (self.base, self.base / "images"):
                exact = place.joinpath(*parts[skip:])
                if os.path.isfile(exact):
                    return exact, False
                alike = self._alike(exact)
                if len(alike) == 1:
                    return alike[0], False
        return path, False

    def _alike(self, path: Path) -> list[Path]:
        """Pictures of the folder whose stem is the same up to case, Unicode form and zeros."""
        if path.parent not in self._folders:
            there: dict[str, list[Path]] = {}
            try:
                inside_it = sorted(path.parent.iterdir(), key=lambda p: natural_key(p.name))
            except OSError:
                inside_it = []
            for p in inside_it:
                if p.suffix.lower() in SUFFIXES and p.is_file():
                    there.setdefault(_strip_zeros(_fold(stem_of(p.name))), []).append(p)
            self._folders[path.parent] = there
        alike = self._folders[path.parent].get(_strip_zeros(_fold(stem_of(path.name))), [])
        for like in (lambda name: _fold(name), lambda name: _fold(stem_of(name))):
            same = [p for p in alike if like(p.name) == like(path.name)]
            if same:
                return same
        return alike


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _strip_zeros(text: str) -> str:
    """Strip leading zeros of whole numbers: frame_7 for frame_0007; digits after a point stay, for .05 is not .5."""
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", text)


@dataclass(frozen=True)
class Matched:
    """Pairs of pictures and named cameras."""

    pairs: Match | None
    """None where no name fits: only their order can pair them."""
    note: str = ""


def match_names(pictures: Sequence[str], cameras: Sequence[str], what: str) -> Matched:
    """Pair pictures and cameras by stem.

    Two lists of one length that both count up without a gap, from different numbers, were written by programs that count
    from 0 and from 1: they are paired in order.

    Args:
        pictures, cameras: unique names in natural order.
        what: the camera file, for messages.

    Raises:
        CaptureError: only a few names are equal, or shifted lists differ in length.
    """
    ours, theirs = ([_fold(stem_of(name)) for name in names] for names in (pictures, cameras))
    bare = [[_strip_zeros(stem) for stem in stems] for stems in (ours, theirs)]
    if all(len(set(stems)) == len(stems) for stems in bare):
        ours, theirs = bare
    row_of = {stem: row for row, stem in enumerate(theirs)}
    pairs = [(i, row_of[stem]) for i, stem in enumerate(ours) if stem in row_of]
    alone, unused = len(pictures) - len(pairs), len(cameras) - len(pairs)
    if not pairs:
        return Matched(
            None, f"{what} names other pictures ({cameras[0]} …); taken in the order of their names"
        )
    if not alone or not unused:
        return Matched(pairs, _note_left_out(alone, len(pictures), unused, len(cameras), what))
    here, there = [_number(n) for n in pictures], [_number(n) for n in cameras]
    if _is_consecutive(here) and _is_consecutive(there):
        if len(here) == len(there):
            return Matched(
                [(i, i) for i in range(len(here))],
                f"{what} counts its pictures from {there[0]}, the files count from {here[0]}, and both are "
                f"{len(here)}; taken in order",
            )
        raise CaptureError(
            f"{what} names pictures {there[0]} to {there[-1]}, the files are {here[0]} to {here[-1]}: whether the "
            "names or the order pair them cannot be told; rename the pictures, or leave the names out"
        )
    if len(pairs) < MIN_MATCHED_SHARE * min(len(pictures), len(cameras)):
        raise CaptureError(
            f"{what} and the files have only {count_noun(len(pairs), 'name')} in common, of {len(cameras)} and {len(pictures)}: "
            "they seem to belong to different pictures; rename them, or leave the names out"
        )
    return Matched(pairs, _note_left_out(alone, len(pictures), unused, len(cameras), what))


def _note_left_out(alone: int, pictures: int, unused: int, cameras: int, what: str) -> str:
    parts = []
    if alone:
        parts.append(
            count_noun(
                alone,
                f"of {pictures} frames has no camera and is left out",
                f"of {pictures} frames have no camera and are left out",
            )
        )
    if unused:
        parts.append(
            count_noun(
                unused,
                f"of {cameras} cameras of {what} has no frame",
                f"of {cameras} cameras of {what} have no frame",
            )
        )
    return "; ".join(parts)


def _number(name: str) -> int | None:
    """Last number in a stem; None without one, or one of too many digits."""
    found = re.findall(r"[0-9]+", stem_of(name))
    return int(found[-1]) if found and len(found[-1]) < 19 else None


def _is_consecutive(numbers: Sequence[int | None]) -> bool:
    """Whether numbers go up by one."""
    known = [n for n in numbers if n is not None]
    return len(known) == len(numbers) and all(b == a + 1 for a, b in pairwise(known))
