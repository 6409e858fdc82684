"""Where rendered pictures go: a video, or numbered pictures with a file that says which camera saw each."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
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
LOSSY_QUALITY = 95
"""Of jpg and webp."""

AddPicture = Callable[[Shaped[np.ndarray, "h w *c"]], None]


@dataclass(frozen=True)
class Numbered:
    """Pictures of one folder whose names differ by a number."""

    folder: Path
    before: str
    digits: int
    after: str
    """What follows the number; ends with a suffix."""

    @staticmethod
    def parse(to: Path) -> "Numbered":
        """From a folder, or from a name with #### where the number goes.

        Raises:
            BridgeError: a name that is neither, nor that of a picture.
        """
        if "#" not in to.name:
            if to.suffix and not to.is_dir():
                raise BridgeError(
                    f"expected a video ({', '.join(SUFFIXES)}), a folder, or numbered pictures such as "
                    f"{to.stem}_####.png, got {to.name}"
                )
            return Numbered(to, "", 5, ".png")
        found = re.fullmatch(r"([^#]*)(#+)([^#]*)", to.name)
        if found is None or Path(to.name).suffix.lower() not in PICTURE_SUFFIXES:
            raise BridgeError(
                f"expected one run of # and an ending of {', '.join(PICTURE_SUFFIXES)} as in frames/####.png, "
                f"got {to.name}"
            )
        return Numbered(to.parent, found[1], len(found[2]), found[3])

    def name(self, number: int) -> str:
        return f"{self.before}{number:0{self.digits}d}{self.after}"

    @property
    def suffix(self) -> str:
        """Ending of the pictures, dot and all."""
        return Path(f"x{self.after}").suffix

    @property
    def lossless(self) -> bool:
        return self.suffix.lower() == ".png"

    def side_file(self, shows: str) -> str:
        """Name of the file that tells about the pictures."""
        named = (self.before + self.after.removesuffix(self.suffix)).strip("_-. ")
        return f"{named or ('transforms' if shows == 'colour' else shows)}.json"

    def there(self) -> list[Path]:
        """Pictures of such names that lie in the folder."""
        # a number may need more digits than were asked for, and then does not begin with 0
        number = rf"(?:\d{{{self.digits}}}|[1-9]\d{{{self.digits},}})"
        pattern = re.compile(re.escape(self.before) + number + re.escape(self.after) + r"\Z")
        return [p for p in self.folder.iterdir() if pattern.match(p.name)] if self.folder.is_dir() else []


def is_video(to: Path) -> bool:
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
def written_picture(to: Path) -> Iterator[AddPicture]:
    """Gives a function that takes the one picture; it appears when the block ends well."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(to) as beside:

        def add(pixels: Shaped[np.ndarray, "h w *c"]) -> None:
            with beside.open("wb") as stream:
                _save(pixels, stream, to.suffix)

        yield add


@contextlib.contextmanager
def written_pictures(
    to: Path, cameras: Cameras, *, shows: str, about: dict[str, Any]
) -> Iterator[AddPicture]:
    """Gives a function that appends a picture; the pictures appear when the block ends well.

    Beside them comes a file in the manner of ``transforms.json``: cameras, and what `about` says.

    Args:
        to: a folder, or a name with ####.
        cameras: one a picture.
        shows: 'colour', 'depth' or 'alpha'.

    Raises:
        BridgeError: a name that is not understood, or other pictures of such names lie there.
    """
    names = Numbered.parse(to)
    side = names.side_file(shows)
    _refuse_others(names, side)
    folder = names.folder
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{side}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        count = 0

        def add(pixels: Shaped[np.ndarray, "h w *c"]) -> None:
            nonlocal count
            with (beside / names.name(count)).open("wb") as stream:
                _save(pixels, stream, names.suffix)
            count += 1

        yield add
        data = build_transforms(cameras, [names.name(i) for i in range(count)])
        text = json.dumps({"made_by": MADE_BY, "shows": shows, **about, **data}, indent=1)
        (beside / side).write_text(text, encoding="utf-8")
        _move_in(beside, folder, names)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        with contextlib.suppress(OSError):  # of a folder with something in it
            folder.rmdir()


def _refuse_others(names: Numbered, side: str) -> None:
    """An earlier rendering may be replaced; anybody's photos may not."""
    there = names.there()
    about = names.folder / side
    if (there or about.exists()) and not is_ours(about):
        first = min(there).name if there else side
        raise BridgeError(
            f"{names.folder} holds files that no rendering made ({first}); choose another folder or name"
        )


def is_ours(side: Path) -> bool:
    """Whether the file that tells about pictures is one of a rendering."""
    try:
        return read_json(side).get("made_by") == MADE_BY
    except (OSError, ValueError, AttributeError):
        return False


def _move_in(beside: Path, folder: Path, names: Numbered) -> None:
    """All of a folder into another; pictures of an earlier, longer rendering go."""
    for stale in names.there():
        stale.unlink()
    for file in sorted(beside.iterdir()):
        os.replace(file, folder / file.name)


def _save(pixels: Shaped[np.ndarray, "h w *c"], stream: IO[bytes], suffix: str) -> None:
    from PIL import Image

    picture = Image.fromarray(pixels)
    if suffix.lower() == ".png":  # 3: half the time of Pillow's 6, 5% larger
        picture.save(stream, "png", compress_level=3)
    else:
        picture.save(stream, "webp" if suffix.lower() == ".webp" else "jpeg", quality=LOSSY_QUALITY)


@contextlib.contextmanager
def written_any(
    to: Path, cameras: Cameras, *, shows: str, about: dict[str, Any], fps: float, crf: int
) -> Iterator[AddPicture]:
    """`write_video`, `written_picture` or `written_pictures`, by the name."""
    if is_video(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        with write_video(to, width=cameras.width, height=cameras.height, fps=fps, crf=crf) as add:
            yield add
    elif is_picture(to):
        with written_picture(to) as add:
            yield add
    else:
        with written_pictures(to, cameras, shows=shows, about=about) as add:
            yield add
