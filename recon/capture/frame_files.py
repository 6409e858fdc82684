"""Where the frames of a clip lie in a folder, and in which order."""

import re
from pathlib import Path

from recon.capture.images import SUFFIXES
from recon.errors import CaptureError

INSIDE = ("images", "frames")
"""Sub-folders that may hold the frames of a clip."""


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as people count: frame_2 before frame_10; equal numbers ('2', '02') by their spelling."""
    parts = re.split(r"([0-9]+)", name)
    return (*((0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts if p), (2, 0, name))


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, hidden files apart, in natural order.

    Raises:
        CaptureError: the folder may not be read.
    """
    try:
        return sorted(
            (p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name)
        )
    except OSError as e:
        raise CaptureError(f"the folder {folder} cannot be read ({e.strerror}); mend its permissions") from e


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder, or of ``images`` or ``frames`` inside, in natural order; the first place that
    holds two of them, else the first that holds one."""
    found = [
        [p for p in listed(place) if p.suffix.lower() in SUFFIXES and p.is_file()]
        for place in (folder, *(folder / name for name in INSIDE))
        if place.is_dir()
    ]
    return next((files for files in found if len(files) > 1), next((files for files in found if files), []))


def stem_of(name: str) -> str:
    """The last part of a picture's path, without the suffix of a picture: 'images/a.5.png' gives 'a.5'."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return last[: -len(Path(last).suffix)] if Path(last).suffix.lower() in SUFFIXES else last
