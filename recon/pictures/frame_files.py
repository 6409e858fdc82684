"""Search for the frames of a clip or the photos of a capture in folders."""

import re
from collections.abc import Callable
from pathlib import Path

from recon.errors import CaptureError
from recon.pictures.images import SUFFIXES

INSIDE = ("images", "frames")
"""Sub-folders that may hold the frames of a clip."""
INSIDE_CAPTURE = (*INSIDE, "input", "rgb", "color")
"""Sub-folders that may hold the photos of a capture: those of nerfstudio and COLMAP, of 3DGS, of TUM and other scanners."""
MAX_DEPTH, MAX_FOLDERS = 3, 1000
"""Depth of sub-folders, and folders of a depth, that are searched for photos only to name them: someone may give a whole
disk."""
MASK_WORDS = ("mask", "masks", "alpha", "matte", "segmentation", "depth", "normal", "normals")
"""Words added to the name of a photo to name a picture about it."""


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of names as people count: frame_2 before frame_10, equal numbers ('2', '02') by spelling."""
    return (*(_part_key(part) for part in re.split(r"([0-9]+)", name) if part), (2, 0, name))


def _part_key(part: str) -> tuple[int, int, str]:
    """Sort key of a part: numbers by length, then by digits, because `int` refuses more than 4,300 digits."""
    if not part[0].isascii() or not part[0].isdecimal():
        return 1, 0, part.casefold()
    digits = part.lstrip("0")
    return 0, len(digits), digits


def list_folder(folder: Path) -> list[Path]:
    """List a folder in natural order, without hidden files.

    Raises:
        CaptureError: an unreadable folder.
    """
    try:
        return sorted(
            (p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name)
        )
    except OSError as e:
        raise CaptureError(f"the folder {folder} cannot be read ({e.strerror}); mend its permissions") from e


def find_photos(folder: Path) -> tuple[Path, list[Path], list[tuple[str, str]]]:
    """Find the photos of a capture in its folder or a sub-folder of `INSIDE_CAPTURE`.

    The first place with two photos counts, else the first with one, else the only sub-folder with any.

    Returns:
        That place, one file for each shot in natural order, and (name, reason) of masks and other encodings beside.

    Raises:
        CaptureError: an unreadable folder.
    """
    best = _first_place(folder, INSIDE_CAPTURE)
    if best is not None:
        return best
    below = [p for p in list_folder(folder) if p.is_dir() and _holds_photos(p)] if folder.is_dir() else []
    found = _first_place(below[0], INSIDE_CAPTURE) if len(below) == 1 else None
    return found or (folder, [], [])


def _holds_photos(folder: Path) -> bool:
    """Whether pictures lie in a folder itself or in one of `INSIDE_CAPTURE`."""
    try:
        return _first_place(folder, INSIDE_CAPTURE) is not None
    except CaptureError:
        return False


def find_photo_folders(folder: Path) -> list[Path]:
    """Find sub-folders with photos to a depth of `MAX_DEPTH`, in natural order; links are not followed."""
    found: list[Path] = []
    level = [folder]
    for _ in range(MAX_DEPTH):
        below = [
            p
            for place in level
            for p in _list_if_readable(list_folder, place)
            if p.is_dir() and not p.is_symlink()
        ]
        below = below[:MAX_FOLDERS]
        found += [p for p in below if _list_if_readable(list_pictures, p)]
        level = below
    return sorted(found, key=lambda p: natural_key(str(p)))


def _list_if_readable(what: Callable[[Path], list[Path]], folder: Path) -> list[Path]:
    """Files that `what` lists in a folder; none where it is unreadable."""
    try:
        return what(folder)
    except CaptureError:
        return []


def find_frames(folder: Path) -> list[Path]:
    """Find the frames of a clip in a folder, or in ``images`` or ``frames`` inside.

    The first place with two pictures counts, else the first with one; one file for each shot, in natural order.
    """
    best = _first_place(folder, INSIDE)
    return [] if best is None else best[1]


def _first_place(
    folder: Path, inside: tuple[str, ...]
) -> tuple[Path, list[Path], list[tuple[str, str]]] | None:
    places = [place for place in (folder, *(folder / name for name in inside)) if place.is_dir()]
    found = [(place, *_split_shots(list_pictures(place))) for place in places]
    return next((f for f in found if len(f[1]) > 1), next((f for f in found if f[1]), None))


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures in a folder itself, without hidden ones, in natural order."""
    return [p for p in list_folder(folder) if p.suffix.lower() in SUFFIXES and p.is_file()]


def _split_shots(files: list[Path]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Keep one picture for each shot by names alone, and skip masks and second encodings with a reason."""
    skipped: list[tuple[str, str]] = []
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(stem_of(file.name).casefold(), []).append(file)
    kept = []
    for file in files:
        stem = stem_of(file.name)
        shot = _find_masked_photo(stem, by_stem)
        if shot is not None:
            skipped.append((file.name, f"a mask of {shot.name}, by its name"))
            continue
        same = by_stem[stem.casefold()]
        first = min(same, key=lambda p: SUFFIXES.index(p.suffix.lower()))
        if file != first and file.suffix.lower() != first.suffix.lower():
            skipped.append((file.name, f"the same shot as {first.name}, by its name"))
            continue
        kept.append(file)
    return kept, skipped


def _find_masked_photo(stem: str, by_stem: dict[str, list[Path]]) -> Path | None:
    """Find the picture that a name is a mask of: COLMAP's 'a.jpg.png', or 'a_mask.png'."""
    lower = stem.casefold()
    for suffix in SUFFIXES:
        if lower.endswith(suffix) and lower[: -len(suffix)] in by_stem:
            return by_stem[lower[: -len(suffix)]][0]
    for word in MASK_WORDS:
        for sign in "_-.":
            for bare in (lower.removesuffix(sign + word), lower.removeprefix(word + sign)):
                if bare != lower and bare in by_stem:
                    return by_stem[bare][0]
    return None


def stem_of(name: str) -> str:
    """Last part of a picture's path without its suffix: 'a.5' for 'images/a.5.png'."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return last[: -len(Path(last).suffix)] if Path(last).suffix.lower() in SUFFIXES else last
