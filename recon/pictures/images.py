"""Decoding of photos as cameras, phones and scanners write them."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.pictures.headers import ORIENTATION, Header, open_picture
from recon.pictures.pillow_pixels import read_pixels
from recon.pictures.shape import Layout, orient_pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif")
"""Endings of pictures; of two encodings of one shot the first in this order is taken."""
MAX_DEEP_VALUES = 100_000_000
"""Values of a deep picture above which it is shrunk as integers before it becomes floats: 33 million pixels in colour take
400 MB as floats."""
MAX_BLACK = 8 / 255
"""Brightest pixel of a picture that counts as black: the noise of a covered lens."""
TURNED_BACK = {6: 8, 8: 6}
"""EXIF orientations that undo others; the rest undo themselves."""


def decode(
    file: Path, max_side: int | None = None, *, layout: Layout = "shown"
) -> tuple[Shaped[np.ndarray, "h w 3"], tuple[int, int], float | None]:
    """Decode a photo to RGB; returns pixels, full (width, height) and focal length in diagonals.

    Pixels are uint8, or float32 in units of the file's own white where it has more bits (`recon.pictures.levels` finds the
    used part of their range). JPEGs are decoded no larger than needed; the rest is averaged over areas.

    Args:
        max_side: pixels of the long side at most; the returned size is the full one.

    Raises:
        OSError: no file, not a picture, or values that are NaN or infinite. Pillow's decoders raise nearly anything on
            broken files.
    """
    with open_picture(file) as header:
        shape = header.shape
        focal = header.focal_in_diagonals
        pixels, turn = (
            _decode_deep(file, header, max_side) if header.is_deep else _decode_shallow(header, max_side)
        )
    if pixels.dtype != np.uint8 and not np.isfinite(pixels).all():
        raise OSError(
            f"{np.count_nonzero(~np.isfinite(pixels)):,} of its values are NaN or infinite; fill them"
        )
    wanted = shape.orientation if layout == "shown" else 1
    if turn != wanted:
        pixels = orient_pixels(orient_pixels(pixels, TURNED_BACK.get(turn, turn)), wanted)
    width, height = shape.size(layout)
    pixels = shrink(pixels, *fit_size(width, height, max_side))
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels, (width, height), focal


def _decode_shallow(header: Header, max_side: int | None) -> tuple[Shaped[np.ndarray, "h w c"], int]:
    """Decode with Pillow; returns pixels and the orientation that Pillow has already applied.

    It turns TIFFs, and then no longer states their orientation.
    """
    image, stated = header.image, header.shape.orientation
    if max_side is not None:
        image.draft("RGB", (2 * max_side, 2 * max_side))
    image.load()
    turn = stated if stated != 1 and image.getexif().get(ORIENTATION, 1) == 1 else 1
    pixels = read_pixels(image)
    if header.white_is_zero and pixels.dtype != np.uint8:  # of 8 bits Pillow heeds it
        pixels = 1 - pixels
    return pixels, turn


def _decode_deep(file: Path, header: Header, max_side: int | None) -> tuple[Float[np.ndarray, "h w c"], int]:
    """Decode colours of more than 8 bits with OpenCV; returns pixels and the orientation that OpenCV has applied.

    It turns TIFFs by their tags. Values are in units of the file's white; grey has one channel. A large picture is shrunk
    near `max_side` before it becomes floats.
    """
    import cv2

    pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError("neither Pillow nor OpenCV can read this picture")
    pixels = np.atleast_3d(pixels)
    if max_side is not None and pixels.size > MAX_DEEP_VALUES:
        pixels = shrink(pixels, *fit_size(pixels.shape[1], pixels.shape[0], 2 * max_side))
    white = {"uint8": 255, "uint16": 65535, "int16": 32767}.get(pixels.dtype.name, 1)
    inverted = header.white_is_zero and pixels.dtype != np.uint8  # of 8 bits OpenCV heeds it
    pixels = pixels.astype(np.float32) / white
    if pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1] * pixels[..., -1:] + (1 - pixels[..., -1:])
    if inverted:
        pixels = 1 - pixels
    return np.ascontiguousarray(pixels[..., ::-1]), header.tiff_orientation


def shrink(pixels: Shaped[np.ndarray, "h w c"], width: int, height: int) -> Shaped[np.ndarray, "h2 w2 c"]:
    """Resize pixels; smaller sizes by averaging over areas."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2

    smaller = width < pixels.shape[1]
    resized = cv2.resize(
        pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return resized.reshape(height, width, pixels.shape[2])  # OpenCV drops a single channel


def is_black(pixels: Shaped[np.ndarray, "h w 3"]) -> bool:
    """Whether no pixel is brighter than `MAX_BLACK`."""
    return float(as_unit(pixels).max()) < MAX_BLACK


def as_unit(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Convert pixels to float32 in [0, 1]."""
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels.astype(np.float32) / 255)
    return torch.from_numpy(pixels.astype(np.float32)).clamp(0, 1)


def fit_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """(width, height) scaled to a long side of at most `max_side`."""
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
