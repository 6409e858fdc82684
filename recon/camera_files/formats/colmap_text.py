"""COLMAP's text models with all that their files hold: names with blanks, byte order marks, no points."""

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
from recon.errors import CaptureError

LARGEST = 1 << 30
"""Bytes of a text file of a model: images.txt of 10,000 photos with their features has half of it."""
NUMBERS_BEFORE_NAME = 9
"""IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID; the rest of the line is the name, blanks and all."""
PARTS = ("cameras", "images", "points3D", "rigs", "frames")


@dataclass(frozen=True)
class ImageLine:
    image_id: int
    words: tuple[str, ...]
    """The nine numbers as they stand."""
    name: str
    points: str
    """The line of its features, which may be empty."""


def image_lines(file: Path) -> list[ImageLine]:
    """The images of an ``images.txt``, whose lines come in twos: the pose, and the features.

    A file in which no image has a line of features is read too.

    Raises:
        CaptureError: no text, or a line that is no image.
    """
    return _images(_lines(file), file)


def _lines(file: Path) -> list[str]:
    return read_text(file, most=LARGEST, error=CaptureError).splitlines()


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
    """Whether the lines of features are missing altogether: every line then ends in a name."""
    full = [line for line in lines if line.strip()]
    return len(full) > 1 and all(
        len(words := line.split(maxsplit=NUMBERS_BEFORE_NAME)) > NUMBERS_BEFORE_NAME
        and re.search(r"[^-+0-9.eE\s]", words[NUMBERS_BEFORE_NAME]) is not None
        for line in full
    )


def _count_note(file: Path, part: str, lines: list[str], held: int) -> list[str]:
    """What is to be said where the heading of a file states another number of images or cameras than it holds."""
    heading = itertools.takewhile(lambda line: line.startswith("#"), lines)
    found = (re.search(rf"number of {part}:\s*([0-9]{{1,9}})\b", line, re.IGNORECASE) for line in heading)
    stated = next((int(match[1]) for match in found if match is not None), held)
    if stated == held:
        return []
    return [f"{file.name} states {stated} {part} and holds {held}; was it cut off?"]


@contextmanager
def readable(place: Path) -> Iterator[tuple[Path, dict[int, str], list[str]]]:
    """A model that COLMAP reads whole, the names of its images by id where they had to be replaced, and notes.

    COLMAP cuts names at a blank, stumbles over byte order marks, and refuses a model without a file of points.

    Raises:
        CaptureError: text that cannot be read.
        CameraError: a picture, frame or sensor of a text model without a unit quaternion.
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
                notes += _count_note(file, part, lines, len(rows))
                (folder / file.name).write_text("\n".join(lines) + "\n")
        if not points.is_file():
            (folder / points.name).write_bytes(bytes(8) if binary else b"")
        elif not binary and points.open("rb").read(2) in (b"\xef\xbb", b"\xff\xfe", b"\xfe\xff"):
            (folder / points.name).unlink()
            (folder / points.name).write_text(read_text(points, most=LARGEST, error=CaptureError))
        yield folder, names, notes


def _clean_images(file: Path, target: Path) -> tuple[dict[int, str], list[str]]:
    """Writes the images with placeholders as names."""
    lines = _lines(file)
    images = _images(lines, file)
    for image in images:
        check_image(image.words, image.name, file.parent)
    target.write_text(
        "".join(f"{' '.join(i.words)} image{i.image_id}\n{i.points}\n" for i in images), encoding="utf-8"
    )
    return {i.image_id: i.name for i in images}, _count_note(file, "images", lines, len(images))
