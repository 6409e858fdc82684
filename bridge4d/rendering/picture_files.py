"""Write rendered pictures: a video, one picture, or numbered ones beside a file of their cameras."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Shaped

from bridge4d.runs.stored_json import read_json
from recon.camera_files.formats.transforms_write import build_transforms
from recon.cameras import Cameras
from recon.compute.files import atomic_write
from recon.errors import BridgeError
from recon.videos.write import SUFFIXES, write_video

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MADE_BY = "bridge4d render"
"""Mark in the file of cameras by which a later rendering knows that it may replace the pictures."""
DEFAULT_DIGITS = 5
"""Digits of the numbers in a folder, so that the 100,000 pictures of the longest path sort by name."""
LOSSY_QUALITY = 95
"""Quality of jpg and webp, of at most 100: these are pictures to keep; Pillow's default of 75 is for pages."""

AddPicture = Callable[[Shaped[np.ndarray, "h w *c"]], None]
"""Takes the 8- or 16-bit pixels of the next picture."""


@dataclass(frozen=True)
class Numbered:
    """Pictures of one folder whose names differ by a number."""

    folder: Path
    before: str
    """What precedes the number."""
    digits: int
    """Least digits of the number, with zeros in front."""
    after: str
    """What follows the number; ends with a suffix."""

    @staticmethod
    def parse(to: Path) -> "Numbered":
        """Parse a folder, or a name with #### where the number goes.

        Raises:
            BridgeError: a name that is neither, or has no ending of a picture.
        """
        if "#" not in to.name:
            if to.suffix and not to.is_dir():
                raise BridgeError(
                    f"expected a video ({', '.join(SUFFIXES)}), a folder, or numbered pictures such as "
                    f"{to.stem}_####.png, got {to.name}"
                )
            return Numbered(to, "", DEFAULT_DIGITS, ".png")
        found = re.fullmatch(r"([^#]*)(#+)([^#]*)", to.name)
        if found is None or Path(to.name).suffix.lower() not in PICTURE_SUFFIXES:
            raise BridgeError(
                f"expected one run of # and an ending of {', '.join(PICTURE_SUFFIXES)} as in frames/####.png, "
                f"got {to.name}"
            )
        return Numbered(to.parent, found[1], len(found[2]), found[3])

    def name(self, number: int) -> str:
        """File name of a picture."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"

    @property
    def suffix(self) -> str:
        """Ending of the pictures, with the dot."""
        return Path(f"x{self.after}").suffix

    @property
    def lossless(self) -> bool:
        """Whether the format keeps every value, and 16 bits."""
        return self.suffix.lower() == ".png"

    def side_file(self, shows: str) -> str:
        """Name of the JSON beside the pictures; `shows` is 'colour', 'depth' or 'alpha'."""
        named = (self.before + self.after.removesuffix(self.suffix)).strip("_-. ")
        return f"{named or ('transforms' if shows == 'colour' else shows)}.json"

    def list_existing(self) -> list[Path]:
        """Pictures of such names that are in the folder already."""
        # a number may need more digits than were asked for, and then does not begin with 0
        number = rf"(?:\d{{{self.digits}}}|[1-9]\d{{{self.digits},}})"
        pattern = re.compile(re.escape(self.before) + number + re.escape(self.after) + r"\Z")
        return [p for p in self.folder.iterdir() if pattern.match(p.name)] if self.folder.is_dir() else []


def is_video(to: Path) -> bool:
    """Whether a name means a video or an animation."""
    return to.suffix.lower() in SUFFIXES and "#" not in to.name and not to.is_dir()


def is_picture(to: Path) -> bool:
    """Whether a name means one picture; .webp alone is an animation."""
    return (
        to.suffix.lower() in PICTURE_SUFFIXES and not is_video(to) and "#" not in to.name and not to.is_dir()
    )


def is_one_file(to: Path) -> bool:
    """Whether a name means a video or one picture, rather than numbered pictures."""
    return is_video(to) or is_picture(to)


@contextlib.contextmanager
def picture_writer(to: Path) -> Iterator[AddPicture]:
    """Yield a function that takes the one picture; the file appears when the block succeeds."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(to) as beside:

        def add(pixels: Shaped[np.ndarray, "h w *c"]) -> None:
            """Write the next picture."""
            with beside.open("wb") as stream:
                _encode(pixels, stream, to.suffix)

        yield add


@contextlib.contextmanager
def numbered_writer(
    to: Path,
    cameras: Cameras,
    *,
    shows: str,
    about: dict[str, Any],
    times_s: Sequence[float] | None = None,
) -> Iterator[AddPicture]:
    """Yield a function that appends a picture; the files appear when the block succeeds.

    Beside them appears a file like ``transforms.json``, with the cameras and the entries of `about`.

    Args:
        to: a folder, or a name with ####.
        cameras: one a picture.
        shows: 'colour', 'depth' or 'alpha'.
        about: more entries of the JSON file.
        times_s: of the pictures, seconds, for the same file.

    Raises:
        BridgeError: a name of no format, or pictures of such names that no rendering made.
    """
    names = Numbered.parse(to)
    side = names.side_file(shows)
    _refuse_foreign(names, side)
    folder = names.folder
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{side}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        count = 0

        def add(pixels: Shaped[np.ndarray, "h w *c"]) -> None:
            """Write the next picture."""
            nonlocal count
            with (beside / names.name(count)).open("wb") as stream:
                _encode(pixels, stream, names.suffix)
            count += 1

        yield add
        data = build_transforms(cameras, [names.name(i) for i in range(count)], times_s)
        text = json.dumps({"made_by": MADE_BY, "shows": shows, **about, **data}, indent=1)
        (beside / side).write_text(text, encoding="utf-8")
        _move_pictures(beside, folder, names)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        with contextlib.suppress(OSError):  # of a folder with something in it
            folder.rmdir()


def _refuse_foreign(names: Numbered, side: str) -> None:
    """Refuse to replace pictures that no rendering made.

    Raises:
        BridgeError: which names one of them.
    """
    there = names.list_existing()
    about = names.folder / side
    if (there or about.exists()) and not is_rendering(about):
        first = min(there).name if there else side
        raise BridgeError(
            f"{names.folder} holds files that no rendering made ({first}); choose another folder or name"
        )


def is_rendering(side: Path) -> bool:
    """Whether the JSON beside pictures is that of a rendering."""
    try:
        return read_json(side).get("made_by") == MADE_BY
    except (OSError, ValueError, AttributeError):
        return False


def _move_pictures(beside: Path, folder: Path, names: Numbered) -> None:
    """Move pictures into their folder, and delete those of an earlier, longer rendering."""
    for stale in names.list_existing():
        stale.unlink()
    for file in sorted(beside.iterdir()):
        os.replace(file, folder / file.name)


def _encode(pixels: Shaped[np.ndarray, "h w *c"], stream: IO[bytes], suffix: str) -> None:
    """Write pixels in the format of an ending."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    if suffix.lower() == ".png":  # 3: half the time of Pillow's 6, 5% larger
        picture.save(stream, "png", compress_level=3)
    else:
        picture.save(stream, "webp" if suffix.lower() == ".webp" else "jpeg", quality=LOSSY_QUALITY)


@contextlib.contextmanager
def target_writer(
    to: Path,
    cameras: Cameras,
    *,
    shows: str,
    about: dict[str, Any],
    fps: float,
    crf: int,
    times_s: Sequence[float] | None = None,
) -> Iterator[AddPicture]:
    """Yield the writer that a name means: of a video, of one picture, or of numbered pictures."""
    if is_video(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        with write_video(to, width=cameras.width, height=cameras.height, fps=fps, crf=crf) as add:
            yield add
    elif is_picture(to):
        with picture_writer(to) as add:
            yield add
    else:
        with numbered_writer(to, cameras, shows=shows, about=about, times_s=times_s) as add:
            yield add
