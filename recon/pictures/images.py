"""A folder of photos, as cameras, phones and scanners leave them."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.files import open_regular, require_regular
from recon.pictures.pillow_pixels import pixels_of
from recon.pictures.shape import Layout, PictureShape, turned

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif")
LARGE = 100_000_000
"""Values in a deep picture, from which on it is made smaller as whole numbers first: 33 million pixels in colour."""
BLACK = 8 / 255
"""A picture without a brighter pixel shows nothing."""
DIAGONAL_35MM_MM = 43.2666
"""Of the 36x24 mm frame that '35 mm equivalent' speaks of (CIPA DCG-001 compares diagonals)."""
EXIF_IFD, ORIENTATION = 0x8769, 0x0112
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""EXIF FocalPlaneResolutionUnit."""


def decode(
    file: Path, max_side: int | None = None, *, layout: Layout = "shown"
) -> tuple[Shaped[np.ndarray, "h w 3"], tuple[int, int], float | None]:
    """One photo as RGB (uint8, or float32 in units of the file's own white where it has more bits), its full
    (width, height) in that layout, and its focal length in units of its diagonal.

    JPEGs are decoded no larger than needed; the rest is averaged over areas. `recon.pictures.levels` says which part
    of their range deep pictures use.
    """
    from PIL import Image

    try:
        image = _opened(file)
    except Image.UnidentifiedImageError:
        if file.suffix.lower() not in (".tif", ".tiff"):
            raise
        pixels, shape = _deep(file, max_side)
        focal = None
    else:
        with image:
            deep = _is_deep(image)
            exif = _exif(image, file)
            shape = _shape(image, exif)
            focal = focal_in_diagonals(exif, *image.size)
            if max_side is not None:
                image.draft("RGB", (2 * max_side, 2 * max_side))
            pixels = _deep(file, max_side)[0] if deep else pixels_of(image)
            if deep and image.format == "TIFF":  # OpenCV has turned it
                pixels = turned(pixels, {6: 8, 8: 6}.get(shape.orientation, shape.orientation))
    if layout == "shown":
        pixels = turned(pixels, shape.orientation)
    width, height = shape.size(layout)
    pixels = shrink(pixels, *limited_size(width, height, max_side))
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels, (width, height), focal


def photo_shape(file: Path) -> PictureShape:
    """Stored size and turn of a photo; of most formats no pixel is decoded.

    Raises:
        OSError: it is not there or no picture; Pillow's decoders raise nearly anything on broken files.
    """
    from PIL import Image

    try:
        with _opened(file) as image:
            return _shape(image, _exif(image, file))
    except Image.UnidentifiedImageError:
        if file.suffix.lower() not in (".tif", ".tiff"):
            raise
        return _deep(file, 1)[1]


def _opened(file: Path):
    """As a Pillow image, not decoded."""
    from PIL import Image

    if file.suffix.lower() in (".heic", ".heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image.open(require_regular(file))


def _exif(image, file: Path):
    """Of a Pillow image. For a PNG without any, Pillow would decode all pixels to look behind them."""
    from PIL import Image

    if image.format == "PNG" and "exif" not in image.info and not _has_late_exif(file):
        return Image.Exif()
    return image.getexif()


def _has_late_exif(png: Path) -> bool:
    """Whether a PNG has EXIF after its pixels."""
    with open_regular(png) as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            if head[4:] in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):  # texts may hold EXIF as well
                return True
            stream.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def _shape(image, exif) -> PictureShape:
    stated = exif.get(ORIENTATION, 1)
    return PictureShape(*image.size, orientation=stated if stated in range(1, 9) else 1)


def _is_deep(image) -> bool:
    """Whether a PNG or TIFF has 16 bits a colour, of which Pillow keeps 8 (grey ones it keeps whole)."""
    deep = image.format in ("PNG", "TIFF") and any(";16" in str(tile[3]) for tile in image.tile)
    return deep and "I" not in image.mode


def focal_in_diagonals(exif, width: int, height: int) -> float | None:
    """Focal length over image diagonal from EXIF: the 35 mm equivalent, else FocalPlaneResolution; else None."""
    tags = exif.get_ifd(EXIF_IFD)
    try:
        if float(tags.get(0xA405) or 0) > 0:
            return float(tags[0xA405]) / DIAGONAL_35MM_MM
        focal_mm, per_unit = float(tags.get(0x920A) or 0), float(tags.get(0xA20E) or 0)
        unit_mm = MM_PER_UNIT.get(int(tags.get(0xA210) or 2), 0.0)
        if focal_mm > 0 and per_unit > 0 and unit_mm > 0:
            # resolution counts pixels of the original, whose width outlives resizing in PixelXDimension
            original_width = float(tags.get(0xA002) or width)
            diagonal = original_width * np.hypot(width, height) / width
            return float(focal_mm * per_unit / unit_mm / diagonal)
    except (TypeError, ValueError, ZeroDivisionError):
        pass
    return None


def shrink(pixels: Shaped[np.ndarray, "h w c"], width: int, height: int) -> Shaped[np.ndarray, "h2 w2 c"]:
    """To another size; smaller by averaging over areas."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2

    smaller = width < pixels.shape[1]
    resized = cv2.resize(
        pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return resized.reshape(height, width, pixels.shape[2])  # OpenCV drops a single channel


def is_black(pixels: Shaped[np.ndarray, "h w 3"]) -> bool:
    """Whether it shows nothing."""
    return float(as_unit(pixels).max()) < BLACK


def as_unit(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """float32 in [0, 1]."""
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels.astype(np.float32) / 255)
    return torch.from_numpy(pixels.astype(np.float32)).clamp(0, 1)


def _deep(file: Path, max_side: int | None) -> tuple[Float[np.ndarray, "h w c"], PictureShape]:
    """Colours of more than 8 bits, which Pillow does not take or does not keep, and the size of the whole picture.

    In units of the file's white; grey has one channel. A large picture is brought near `max_side` before it becomes
    floats.
    """
    import cv2

    pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError("neither Pillow nor OpenCV can read this picture")
    pixels = np.atleast_3d(pixels)
    shape = PictureShape(pixels.shape[1], pixels.shape[0])
    if max_side is not None and pixels.size > LARGE:
        pixels = shrink(pixels, *limited_size(shape.width, shape.height, 2 * max_side))
    white = {"uint8": 255, "uint16": 65535, "int16": 32767}.get(pixels.dtype.name, 1)
    pixels = pixels.astype(np.float32) / white
    if pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1] * pixels[..., -1:] + (1 - pixels[..., -1:])
    return np.ascontiguousarray(pixels[..., ::-1]), shape


def limited_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """(width, height) with a long side of at most `max_side`."""
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def cover(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scaled until it covers the size, then cropped about the centre."""
    if pixels.shape[:2] == (height, width):
        return pixels
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    w, h = max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale))
    pixels = shrink(pixels, w, h)
    x, y = (w - width) // 2, (h - height) // 2
    return np.ascontiguousarray(pixels[y : y + height, x : x + width])
