"""COLMAP's text models as COLMAP itself cannot read them: names with blanks, byte order marks, no points."""

import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recon.bounded import read_text
from recon.camera_files.formats.colmap_poses import check_image, check_line
from recon.camera_files.words.counts import find_counts, note_truncation
from recon.errors import CaptureError

MAX_TEXT_BYTES = 1 << 30
"""Largest text file of a model that is read: images.txt of 10,000 photos with their features has half of it."""
NUMBERS_BEFORE_NAME = 9
"""IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID; the rest of the line is the name, blanks and all."""
PARTS = ("cameras", "images", "points3D", "rigs", "frames")
"""Stems of the files of a model; COLMAP before 3.12 writes neither rigs nor frames."""


@dataclass(frozen=True)
class ImageLine:
    """An image of an ``images.txt``."""

    image_id: int
    words: tuple[str, ...]
    """The nine numbers as they stand."""
    name: str
    points: str
    """The line of its features; may be empty."""


def read_image_lines(file: Path) -> list[ImageLine]:
    """Read the images of an ``images.txt``: two lines each, the pose and the features.

    A file without any line of features is read too.

    Raises:
        CaptureError: not text, or a line that is not an image.
    """
    return _images(_lines(file), file)


def _lines(file: Path) -> list[str]:
    return read_text(file, most=MAX_TEXT_BYTES, error=CaptureError).splitlines()


def _images(lines: list[str], file: Path) -> list[ImageLine]:
    kept = [(number, line) for number, line in enumerate(lines, 1) if not line.startswith("#")]
    single = _one_line_each([line for _, line in kept])
    found = []
    rest = iter(kept)
    for number, line in rest:
        if not line.strip():
            continue
        words = line.split(maxsplit=NUMBERS_BEFORE_NAME)
        try:
            image_id = int(words[0])
            name = words[NUMBERS_BEFORE_NAME].strip()
        except (ValueError, IndexError) as e:
            raise CaptureError(
                f"{file}: expected an image (id, quaternion, translation, camera, name) in line {number}, got "
                f"{line[:60]!r}"
            ) from e
        points = "" if single else next(rest, (0, ""))[1]
        found.append(ImageLine(image_id, tuple(words[:NUMBERS_BEFORE_NAME]), name, points))
    return found


def _one_line_each(lines: list[str]) -> bool:
    """Whether all lines of features are missing, so that every line ends in a name."""
    full = [line for line in lines if line.strip()]
    return len(full) > 1 and all(
        len(words := line.split(maxsplit=NUMBERS_BEFORE_NAME)) > NUMBERS_BEFORE_NAME
        and re.search(r"[^-+0-9.eE\s]", words[NUMBERS_BEFORE_NAME]) is not None
        for line in full
    )


def _note_truncation(file: Path, part: str, lines: list[str], held: int) -> tuple[str, ...]:
    """A note where the heading of a file states another number of its parts ('images') than it holds."""
    heading = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    return note_truncation(file.name, find_counts(heading, part), held, part.removesuffix("s"))


@contextmanager
def open_for_colmap(place: Path) -> Iterator[tuple[Path, dict[int, str], list[str]]]:
    """A copy of a model that COLMAP can read: (folder, replaced image names by id, notes).

    COLMAP cuts names at a blank, fails on byte order marks, and refuses a model without a file of points.

    Raises:
        CaptureError: unreadable text.
        CameraError: an image, frame or sensor of a text model without a unit quaternion.
    """
    binary = (place / "images.bin").is_file() and (place / "cameras.bin").is_file()
    suffix = ".bin" if binary else ".txt"
    points = place / f"points3D{suffix}"
    if binary and points.is_file():
        yield place, {}, []
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names: dict[int, str] = {}
        notes: list[str] = []
        for part in PARTS:
            file = place / f"{part}{suffix}"
            if not file.is_file():
                continue
            if binary or part == "points3D":
                os.symlink(file.resolve(), folder / file.name)
            elif part == "images":
                names, said = _clean_images(file, folder / file.name)
                notes += said
            else:
                lines = _lines(file)
                rows = [line for line in lines if line.strip() and not line.startswith("#")]
                for row in rows:
                    check_line(part, row, place)
                notes += _note_truncation(file, part, lines, len(rows))
                (folder / file.name).write_text("\n".join(lines) + "\n")
        if not points.is_file():
            (folder / points.name).write_bytes(bytes(8) if binary else b"")
        elif not binary and points.open("rb").read(2) in (b"\xef\xbb", b"\xff\xfe", b"\xfe\xff"):
            (folder / points.name).unlink()
            (folder / points.name).write_text(read_text(points, most=MAX_TEXT_BYTES, error=CaptureError))
        yield folder, names, notes


def _clean_images(file: Path, target: Path) -> tuple[dict[int, str], tuple[str, ...]]:
    """Write an ``images.txt`` with placeholder names; return the names by image id, and notes."""
    lines = _lines(file)
    images = _images(lines, file)
    for image in images:
        check_image(image.words, image.name, file.parent)
    target.write_text(
        "".join(f"{' '.join(i.words)} image{i.image_id}\n{i.points}\n" for i in images), encoding="utf-8"
    )
    return {i.image_id: i.name for i in images}, _note_truncation(file, "images", lines, len(images))
