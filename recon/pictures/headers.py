"""Headers of picture files: size, orientation, pixel aspect and focal length, without decoding."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recon.compute.files import open_regular
from recon.pictures.shape import PictureShape, clean_aspect

log = logging.getLogger(__name__)

DIAGONAL_35MM_MM = 43.2666
"""Diagonal of the 36x24 mm frame of '35 mm equivalent' (CIPA DCG-001 compares diagonals)."""
EXIF_IFD = 0x8769
"""TIFF's pointer to the directory of EXIF tags."""
WIDTH, HEIGHT, PHOTOMETRIC, ORIENTATION, X_RESOLUTION, Y_RESOLUTION = 256, 257, 262, 274, 282, 283
"""Numbers of tags, the same in TIFF and EXIF."""
WHITE_IS_ZERO = 0
"""Value of TIFF's PhotometricInterpretation."""
MAKE, MODEL, LENS_MODEL = 0x10F, 0x110, 0xA434
"""EXIF's names of a camera and of the lens on it."""
FOCAL_LENGTH_MM, FOCAL_LENGTH_35MM_MM, DIGITAL_ZOOM = 0x920A, 0xA405, 0xA404
"""EXIF's focal lengths, and the factor by which a phone has enlarged the middle of the picture."""
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Millimetres for each value of EXIF's FocalPlaneResolutionUnit."""
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF, in either byte order."""


@dataclass(frozen=True)
class Header:
    """An open picture file."""

    image: Any
    """Pillow's image, not decoded; None for a TIFF whose pixels Pillow cannot decode."""
    exif: Mapping[int, Any]
    """EXIF, with XMP's orientation; or the tags of a TIFF that Pillow cannot decode."""
    tiff: Mapping[int, Any] | None
    """Tags of a TIFF; None for other formats."""
    shape: PictureShape

    @property
    def white_is_zero(self) -> bool:
        """Whether a TIFF stores white as 0."""
        return self.tiff is not None and self.tiff.get(PHOTOMETRIC) == WHITE_IS_ZERO

    @property
    def tiff_orientation(self) -> int:
        """Orientation by the tags of a TIFF alone; 1 for other formats."""
        return 1 if self.tiff is None else _orientation(self.tiff)

    @property
    def is_deep(self) -> bool:
        """Whether a colour has more bits than Pillow keeps; it keeps those of 16-bit grey."""
        if self.image is None:
            return True
        deep = self.image.format in ("PNG", "TIFF") and any(";16" in str(t[3]) for t in self.image.tile)
        return deep and "I" not in self.image.mode

    @property
    def focal_in_diagonals(self) -> float | None:
        """Focal length over image diagonal: the 35 mm equivalent, else FocalPlaneResolution; else None."""
        if self.image is None:
            return None
        return _focal_in_diagonals(self.exif.get_ifd(EXIF_IFD), self.shape)  # type: ignore[attr-defined]

    @property
    def camera(self) -> str:
        """Make, model, lens, focal lengths and digital zoom by EXIF, by which lenses are told apart; '' where it has none."""
        if self.image is None:
            return ""
        try:
            tags = self.exif.get_ifd(EXIF_IFD)  # type: ignore[attr-defined]
            words = [
                str(part).strip("\0 ")
                for part in (self.exif.get(MAKE, ""), self.exif.get(MODEL, ""), tags.get(LENS_MODEL, ""))
            ]
            lengths = [
                _number(tags.get(tag)) for tag in (FOCAL_LENGTH_MM, FOCAL_LENGTH_35MM_MM, DIGITAL_ZOOM)
            ]
        except Exception:  # Pillow raises nearly anything on broken EXIF
            return ""
        units = ("mm", "mm (35 mm film)", "x zoom")
        said = [
            f"{n:.4g} {unit}"
            for n, unit in zip(lengths, units, strict=True)
            if n > 0 and (unit != units[2] or n != 1)
        ]
        return " ".join(part for part in (*words, *said) if part)


@contextmanager
def open_picture(file: Path) -> Iterator[Header]:
    """Open a picture file without decoding its pixels.

    Raises:
        OSError: no file, or not a picture; Pillow's decoders raise nearly anything on broken files.
    """
    from PIL import Image

    if file.suffix.lower() in (".heic", ".heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with open_regular(file) as stream:
        try:
            image = Image.open(
                stream
            )  # by its path Pillow maps grey TIFFs into memory, and mixes the rows of turned ones
        except Image.UnidentifiedImageError:
            tags = _tiff_tags(stream)
            if tags is None:
                raise
            yield Header(None, tags, tags, _shape((tags[WIDTH], tags[HEIGHT]), tags, {}))
            return
        with image:
            exif = _exif(image, file)
            tiff = image.tag_v2 if image.format == "TIFF" else None  # type: ignore[attr-defined]
            # from Pillow 11 on, TIFFs state the size that they have once Pillow has turned them
            size = image.size if tiff is None else (tiff[WIDTH], tiff[HEIGHT])
            yield Header(image, exif, tiff, _shape(size, exif, image.info, image.format))


def explain_unreadable(file: Path, e: Exception) -> str:
    """Reason for which a picture cannot be used, from the exception of its reading."""
    log.debug("%s: %s", file, e)
    if os.path.isfile(file) and file.stat().st_size == 0:
        reason = "the file is empty"
    elif "identify" in str(e):
        reason = "not an image, or a broken one"
    else:
        reason = (str(e).splitlines() or [type(e).__name__])[0][:120]
    return f"cannot be decoded ({reason})"


def photo_shape(file: Path) -> PictureShape:
    """Stored size, orientation and pixel aspect of a photo, without decoding.

    Raises:
        OSError: no file, or not a picture; Pillow's decoders raise nearly anything on broken files.
    """
    with open_picture(file) as header:
        return header.shape


def describe_photo(file: Path) -> tuple[PictureShape, str]:
    """Shape of a photo, and its camera and focal length as `Header.camera`, without decoding.

    Raises:
        OSError: as `photo_shape`.
    """
    with open_picture(file) as header:
        return header.shape, header.camera


def _number(value: Any) -> float:
    """A number of EXIF; 0 where it is none, or a fraction such as 1/0."""
    try:
        found = float(value or 0)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return found if np.isfinite(found) else 0.0


def _tiff_tags(stream: BinaryIO) -> Mapping[int, Any] | None:
    """Tags of the first picture in a TIFF; None for other files, or one without a size."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream.seek(0)
    head = stream.read(8)
    if head[:4] not in TIFF_HEADS:
        return None
    if b"+" in head[2:4]:
        head += stream.read(8)
    tags = ImageFileDirectory_v2(head)
    stream.seek(tags.next)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken tags, which are then missing
        tags.load(stream)
    return tags if WIDTH in tags and HEIGHT in tags else None


def _exif(image, file: Path):
    """EXIF of a Pillow image; for a PNG without any, Pillow would decode all pixels to look behind them."""
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


def _shape(
    size: tuple[int, int], exif: Mapping[int, Any], info: Mapping[Any, Any], format: str | None = None
) -> PictureShape:
    # of JPEGs without JFIF Pillow invents a dpi, of TIFFs and WebPs it has none but what EXIF says
    density = info.get("jfif_density") or info.get("aspect")
    if density is None and format in ("PNG", "BMP"):
        density = info.get("dpi")
    try:
        across, down = (float(v) for v in density or (exif.get(X_RESOLUTION, 0), exif.get(Y_RESOLUTION, 0)))
    except (TypeError, ValueError, ZeroDivisionError):
        across, down = 0.0, 0.0
    return PictureShape(*size, orientation=_orientation(exif), pixel_aspect=clean_aspect(down, across))


def _orientation(tags: Mapping[int, Any]) -> int:
    stated = tags.get(ORIENTATION, 1)
    return stated if stated in range(1, 9) else 1


def _focal_in_diagonals(tags: Mapping[int, Any], shape: PictureShape) -> float | None:
    """Focal length in diagonals; None also for fractions such as 1/0 and 0/0."""
    found = _stated_focal(tags, shape)
    return found if found is not None and 0 < found < np.inf else None


def _stated_focal(tags: Mapping[int, Any], shape: PictureShape) -> float | None:
    width, height = shape.square
    try:
        if float(tags.get(0xA405) or 0) > 0:
            return float(tags[0xA405]) / DIAGONAL_35MM_MM
        focal_mm, per_unit = float(tags.get(0x920A) or 0), float(tags.get(0xA20E) or 0)
        unit_mm = MM_PER_UNIT.get(int(tags.get(0xA210) or 2), 0.0)
        if focal_mm > 0 and per_unit > 0 and unit_mm > 0:
            # resolution counts pixels of the original, whose width outlives resizing in PixelXDimension
            original_width = float(tags.get(0xA002) or shape.width)
            diagonal = original_width * np.hypot(width, height) / width
            return float(focal_mm * per_unit / unit_mm / diagonal)
    except (TypeError, ValueError, ZeroDivisionError):
        pass
    return None
