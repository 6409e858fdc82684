"""A folder of photos, as cameras, phones and scanners leave them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.errors import CaptureError
from recon.progress import track

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif")
BLACK = 8 / 255
"""A picture without a brighter pixel shows nothing."""
DIAGONAL_35MM_MM = 43.2666
"""Of the 36x24 mm frame that '35 mm equivalent' speaks of (CIPA DCG-001 compares diagonals)."""
EXIF_IFD, ORIENTATION = 0x8769, 0x0112
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""EXIF FocalPlaneResolutionUnit."""


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, or of its ``images`` subfolder if it has none itself; sorted by name."""
    for place in (folder, folder / "images"):
        try:
            inside = sorted(place.iterdir()) if place.is_dir() else []
        except PermissionError as e:
            raise CaptureError(f"the folder {place} may not be read; change its permissions") from e
        files = [
            p for p in inside if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
        ]
        if files:
            return files
    return []


def read_images(
    files: Sequence[Path], *, max_side: int | None = None, resize_mixed: bool = False
) -> tuple[Float[Tensor, "n h w 3"], list[str], list[float | None], list[tuple[str, str]]]:
    """Decodes photos to one size.

    EXIF orientation is applied, transparency is put on white, grey becomes RGB, 16 bits keep their precision.
    Photos that cannot be decoded and pixel-identical copies are left out. With `resize_mixed` photos of
    another size than the most frequent one are scaled to cover it and cropped about their centre.

    Returns:
        Pictures in [0, 1], their file names, for each the focal length in pixels that its EXIF suggests (None
        if it is silent), and what was left out with the reasons.

    Raises:
        CaptureError: mixed sizes that were not asked to be resized; fewer than two usable photos; all black.
    """
    pictures: dict[str, np.ndarray] = {}
    sizes: dict[str, tuple[int, int]] = {}
    focals: dict[
        str, float | None
    ] = {}  # in units of the picture's diagonal, so that resizing does not matter
    skipped: list[tuple[str, str]] = []
    first_of: dict[bytes, str] = {}
    for file in track(files, "reading photos"):
        try:
            pixels, size, focal = decode(file, max_side)
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            log.debug("%s: %s", file, e)
            skipped.append((file.name, f"cannot be decoded ({_reason(file, e)})"))
            continue
        digest = hashlib.blake2b(pixels.tobytes() + str(pixels.shape).encode()).digest()
        if digest in first_of:
            skipped.append((file.name, f"the same picture as {first_of[digest]}"))
            continue
        first_of[digest] = file.name
        pictures[file.name], sizes[file.name] = pixels, size
        focals[file.name] = focal
    if pictures and all(float(as_unit(p).max()) < BLACK for p in pictures.values()):
        raise CaptureError(f"all photos in {files[0].parent} are black; was the lens covered?")
    if len(pictures) < 2:
        raise CaptureError(_too_few(files, skipped))
    pictures = _one_size(pictures, sizes, resize_mixed)
    images = torch.stack([as_unit(p) for p in pictures.values()])
    diagonal = float(np.hypot(images.shape[1], images.shape[2]))
    focals_px = [None if (f := focals[name]) is None else f * diagonal for name in pictures]
    return images, list(pictures), focals_px, skipped


def decode(
    file: Path, max_side: int | None = None
) -> tuple[Shaped[np.ndarray, "h w 3"], tuple[int, int], float | None]:
    """One photo as RGB (uint8, or float32 in [0, 1] where the file has more bits), its full (width, height),
    and its focal length in units of its diagonal.

    JPEGs are decoded no larger than needed; the rest is averaged over areas.
    """
    from PIL import Image, ImageOps

    if file.suffix.lower() in (".heic", ".heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        image = Image.open(file)
    except Image.UnidentifiedImageError:
        if file.suffix.lower() not in (".tif", ".tiff"):
            raise
        return _decode_deep_tiff(file, max_side)
    with image:
        exif = image.getexif()
        width, height = image.size
        focal = focal_in_diagonals(exif, width, height)
        if exif.get(ORIENTATION, 1) >= 5:
            width, height = height, width
        if max_side is not None:
            image.draft("RGB", (2 * max_side, 2 * max_side))
        pixels = _rgb(ImageOps.exif_transpose(image))
    return shrink(pixels, *_limited(width, height, max_side)), (width, height), focal


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


def shrink(pixels: Shaped[np.ndarray, "h w 3"], width: int, height: int) -> Shaped[np.ndarray, "h2 w2 3"]:
    """To another size; smaller by averaging over areas."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2

    smaller = width < pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def as_unit(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """float32 in [0, 1]."""
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels.astype(np.float32) / 255)
    return torch.from_numpy(pixels.astype(np.float32)).clamp(0, 1)


def _rgb(image) -> np.ndarray:
    """Of a Pillow image in whatever mode."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey
        grey = np.asarray(image).astype(np.float32) / 65535
        return np.repeat(grey.clip(0, 1)[..., None], 3, axis=2)
    if image.mode == "F":
        return np.repeat(np.asarray(image, dtype=np.float32).clip(0, 1)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _decode_deep_tiff(file: Path, max_side: int | None):
    """16-bit or float colour TIFF, which Pillow does not take."""
    import cv2

    pixels = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise OSError("neither Pillow nor OpenCV can read this TIFF")
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(np.float32) / 65535
    height, width = pixels.shape[:2]
    return shrink(pixels, *_limited(width, height, max_side)), (width, height), None


def _limited(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _one_size(
    pictures: dict[str, np.ndarray], sizes: dict[str, tuple[int, int]], resize_mixed: bool
) -> dict[str, np.ndarray]:
    if len({p.shape for p in pictures.values()}) == 1:
        return pictures
    count = Counter(sizes.values())
    if not resize_mixed:
        found = ", ".join(f"{w}x{h} ({n})" for (w, h), n in count.most_common(4))
        raise CaptureError(
            f"expected photos of one size, got {found}{' …' if len(count) > 4 else ''}; "
            "sort them, or let them be scaled and cropped to the most frequent size with --resize-mixed"
        )
    common = count.most_common(1)[0][0]
    height, width = next(p.shape[:2] for name, p in pictures.items() if sizes[name] == common)
    return {name: _cover(p, width, height) for name, p in pictures.items()}


def _cover(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scaled until it covers the size, then cropped about the centre."""
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    w, h = max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale))
    pixels = shrink(pixels, w, h)
    x, y = (w - width) // 2, (h - height) // 2
    return np.ascontiguousarray(pixels[y : y + height, x : x + width])


def _reason(file: Path, e: Exception) -> str:
    if file.stat().st_size == 0:
        return "the file is empty"
    return "not an image, or a broken one" if "identify" in str(e) else str(e).split("\n")[0][:120]


def _too_few(files: Sequence[Path], skipped: list[tuple[str, str]]) -> str:
    where = files[0].parent if files else "the folder"
    what = f"expected at least two usable photos in {where}, got {len(files) - len(skipped)}"
    if skipped:
        what += f" ({skipped[0][0]}: {skipped[0][1]}" + ("; …)" if len(skipped) > 1 else ")")
    return what + "; add photos, or convert them to JPEG or PNG"
