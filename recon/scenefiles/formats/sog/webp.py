"""Lossless WebP images as tables of bytes."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from recon.errors import SceneFileError

LARGEST_SIDE = 16383
"""Pixels; what the format's 14 bits can say."""
EFFORT = {"method": 2, "quality": 20}
"""What libwebp chooses by itself, 4 and 70, saves 0.1% of what lies in such images and takes five times as long."""


def encode_webp(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    """Every byte as it is, also the colours of transparent pixels."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, exact=True, **EFFORT)
    return file.getvalue()


def decode_webp(data: bytes, path: Path, *, fewest: int, most: int) -> UInt8[np.ndarray, "h w 4"]:
    """Red, green, blue and alpha; the size is checked before memory is taken.

    Args:
        data: the file.
        path: what an error names.
        fewest, most: pixels that are expected.

    Raises:
        SceneFileError: no WebP, damaged, or of another size.
    """
    from PIL import Image

    wide, high = _webp_size(data, path)
    if not fewest <= wide * high <= most:
        raise SceneFileError(
            f"{path} has {wide} × {high} pixels, expected {fewest:,} to {most:,} pixels in all"
        )
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as image:
            if image.size != (wide, high):
                raise ValueError("it has another size than its header says")
            return np.asarray(image.convert("RGBA"))
    # Pillow raises whatever its plugins trip over; one is its check of sizes, another SyntaxError
    except Exception as error:
        raise SceneFileError(f"{path} is damaged: it cannot be decoded as WebP ({error})") from error


def _webp_size(data: bytes, path: Path) -> tuple[int, int]:
    """Width and height that the header states.

    Raises:
        SceneFileError: no WebP.
    """
    kind = data[12:16] if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30 else b""
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        wide, high = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return wide, high
    if kind == b"VP8 ":  # lossy
        wide, high = struct.unpack_from("<HH", data, 26)
        return wide & 0x3FFF, high & 0x3FFF
    raise SceneFileError(f"{path} is no WebP image")
