"""Pictures and videos inside a page: as sharp as a budget of bytes allows."""

import base64
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

LADDER = ((1024, 84), (800, 80), (640, 78), (480, 72), (360, 66), (256, 60), (160, 50))
"""Long side in pixels and WebP quality, best first."""


def read_colour(path: Path) -> "Image":
    """A picture as it is."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def read_confidence(path: Path) -> "Image":
    """A 16-bit grey picture in colours: from violet, nothing may be trusted, to yellow, everything may."""
    import cv2
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        grey = np.asarray(image)
    if grey.ndim != 2 or grey.dtype != np.uint16:
        raise OSError(f"expected a 16-bit grey picture, got {grey.dtype} of {grey.ndim} axes")
    coloured = cv2.applyColorMap((grey >> 8).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return Image.fromarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB))


Read = Callable[[Path], "Image"]


def embed_video(file: Path, *, max_bytes: int) -> str | None:
    """The data URI of an mp4; None where there is none, or a larger one than may be."""
    if not file.is_file() or file.stat().st_size > max_bytes * 3 // 4:
        return None
    return "data:video/mp4;base64," + base64.b64encode(file.read_bytes()).decode()


def embed_pictures(
    files: Mapping[str, Path], *, max_bytes: int, max_side: int = 1024, read: Read = read_colour
) -> dict[str, str]:
    """Data URIs by key, of the pictures that exist and can be read.

    All get the same size and quality, the best of `LADDER` (up to `max_side`) at which they fit into
    `max_bytes` together, base64 included; so pictures that are to be compared are compressed alike. What
    does not fit even at the last rung is left out from the end.
    """
    present = {key: path for key, path in files.items() if path.is_file()}
    rungs = [rung for rung in LADDER if rung[0] <= max_side] or [LADDER[-1]]
    room = max_bytes * 3 // 4  # base64
    encoded: dict[str, bytes] = {}
    for rung in rungs[_first_rung(list(present.values()), rungs, room, read) :]:
        encoded = _encode(present, *rung, room=room, keep_what_fits=rung == rungs[-1], read=read)
        if len(encoded) == len(present):
            break
    return {
        key: "data:image/webp;base64," + base64.b64encode(data).decode()
        for key, data in encoded.items()
        if data
    }


def _first_rung(paths: Sequence[Path], rungs: Sequence[tuple[int, int]], room: int, read: Read) -> int:
    """The rung at which all should fit, judged by a few of them: encoding hundreds in vain takes minutes."""
    sample = paths[:: max(1, len(paths) // 5)]
    for index, rung in enumerate(rungs):
        if sum(len(_webp(path, *rung, read)) for path in sample) * len(paths) <= room * len(sample):
            return index
    return len(rungs) - 1


def _encode(
    files: Mapping[str, Path], side: int, quality: int, *, room: int, keep_what_fits: bool, read: Read
) -> dict[str, bytes]:
    """All pictures at one rung (empty for a broken file); nothing where they do not fit, unless what fits is
    to be kept."""
    done: dict[str, bytes] = {}
    for key, path in files.items():
        data = _webp(path, side, quality, read)
        room -= len(data)
        if room < 0:
            return done if keep_what_fits else {}
        done[key] = data
    return done


def _webp(path: Path, side: int, quality: int, read: Read) -> bytes:
    """Empty for a file that is no picture: a page with a hole is better than no page."""
    from PIL import Image

    try:
        picture = read(path)
    except OSError as error:
        log.warning("left %s out of the report: %s", path, error)
        return b""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()
