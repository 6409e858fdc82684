"""Search for the frames of a clip or the photos of a capture in folders."""

import os
import re
from collections.abc import Callable, Collection
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
OTHER_WORDS = frozenset(
    [
        "mask",
        "masks",
        "alpha",
        "matte",
        "mattes",
        "segmentation",
        "depth",
        "depths",
        "normals",
        "thumb",
        "thumbs",
        "thumbnail",
        "thumbnails",
        "preview",
        "previews",
        "eadir",
    ]
)
"""Words in the names of sub-folders whose pictures are no photos."""
MADE = ("transforms.json", "run.json", "stage.json", "sparse", "cameras.bin", "cameras.txt")
"""What captures with cameras and runs hold: a sub-folder with one of these is not read as part of the photos around it."""
MASK_WORDS = ("mask", "masks", "alpha", "matte", "segmentation", "depth", "normal", "normals")
"""Words added to the name of a photo to name a picture about it."""


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sort key of names as people count: frame_2 before frame_10, equal numbers ('2', '02') by spelling, folder by folder."""
    return tuple(
        (*(_part_key(part) for part in re.split(r"([0-9]+)", step) if part), (-1, 0, step))
        for step in name.split("/")
    )


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
    """Find the photos of a capture in its folder, or a sub-folder of `INSIDE_CAPTURE`, and below.

    Of these places the first with two photos counts, else the first with one, else all that lies below the folder.

    Returns:
        The innermost folder with all photos, one file for each shot in natural order, and (name, reason) of pictures that are
        none: masks, second encodings, and what lies in folders of other things.

    Raises:
        CaptureError: an unreadable folder.
    """
    if not folder.is_dir():
        return folder, [], []
    best = _first_place(folder, INSIDE_CAPTURE)
    top = folder if best is None else best[0]
    files: list[Path] = []
    skipped: list[tuple[str, str]] = []
    _collect_photos(top, top, MAX_DEPTH, {}, files, skipped)
    if not files:
        return top, [], skipped
    files.sort(key=lambda file: natural_key(file.relative_to(top).as_posix()))
    return Path(os.path.commonpath([file.parent for file in files])), files, skipped


def _collect_photos(
    folder: Path,
    top: Path,
    depth: int,
    above: dict[str, Path],
    files: list[Path],
    skipped: list[tuple[str, str]],
) -> None:
    """Add the photos of a folder and of those below it to `files`, what is none to `skipped`.

    Args:
        depth: how many folders deeper photos are looked for.
        above: photos of the folders above by their stems.
    """
    kept, left = _split_shots(list_pictures(folder))
    place = folder.relative_to(top).as_posix()
    versions = {stem_of(file.name).casefold() for file in kept}
    if kept and versions <= above.keys():
        first = above[stem_of(kept[0].name).casefold()].relative_to(top).as_posix()
        skipped.append(
            (
                kept[0].relative_to(top).as_posix(),
                f"another version of {first}, by its name, as are all beside it",
            )
        )
        return
    files += kept
    skipped += [(name if folder == top else f"{place}/{name}", reason) for name, reason in left]
    above = above | {stem_of(file.name).casefold(): file for file in kept}
    below = [p for p in list_folder(folder) if p.is_dir() and not p.is_symlink()] if depth else []
    names = {p.name for p in below}
    for p in below[:MAX_FOLDERS]:
        reason = _explain_other_folder(p, names)
        if not reason:
            _collect_photos(p, top, depth - 1, above, files, skipped)
        elif pictures := _list_if_readable(list_pictures, p):
            skipped.append((pictures[0].relative_to(top).as_posix(), reason))


def _explain_other_folder(folder: Path, beside: Collection[str]) -> str:
    """Why the pictures of a sub-folder are no photos of the capture; '' where they may be.

    Args:
        beside: names of the folders beside it.
    """
    if words := [word for word in re.split(r"[_\-. @]+", folder.name.casefold()) if word in OTHER_WORDS]:
        return f"in a folder of {words[0]}, by its name"
    shrunk = re.fullmatch(r"(.+)_(2|4|8)", folder.name)
    if shrunk and shrunk[1] in beside:
        return f"in a smaller version of {shrunk[1]}, by its name"
    made = next((name for name in MADE if (folder / name).exists()), None)
    return "" if made is None else f"in a folder with {made}, which is a capture or a result of its own"


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
