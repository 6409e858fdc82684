"""The pictures of a dataset as files: photos, generated frames, masks and loss weights."""

import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

from bridge4d.dataset.originals import FullPhoto
from bridge4d.dataset.views import DatasetPicture
from bridge4d.scenes import SceneView
from recon.cameras import Cameras
from recon.pictures.images import shrink

JPEG_QUALITY = 95
"""With colour at full resolution: 42 dB to what is compressed, at a third of the bytes of a PNG (rendered photos)."""
LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
"""Originals that are written as PNG; others were compressed with losses already, and become JPEG."""


def write_photo(photo: FullPhoto, folder: Path, stem: str, max_side: int | None) -> DatasetPicture:
    """A photo, byte for byte where nothing had to be done to it."""
    camera = photo.camera.limit_size(max_side)
    if photo.made == "copied" and camera is photo.camera:
        with Image.open(photo.file) as image:
            file = folder / f"{stem}{'.jpg' if image.format == 'JPEG' else '.png'}"
        shutil.copyfile(photo.file, file)
        return DatasetPicture(photo.view, file.name, camera, "copied")
    pixels = shrink(photo.pixels, camera.width, camera.height)
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).round().clip(0, 255).astype(np.uint8)
    if photo.file.suffix.lower() in LOSSLESS:
        file = folder / f"{stem}.png"
        Image.fromarray(pixels).save(file)
    else:
        file = folder / f"{stem}.jpg"
        Image.fromarray(pixels).save(file, quality=JPEG_QUALITY, subsampling=0)
    return DatasetPicture(
        photo.view, file.name, camera, "converted" if photo.made == "copied" else photo.made
    )


def write_stored(view: SceneView, folder: Path, stem: str, max_side: int | None) -> DatasetPicture:
    """A picture as the run keeps it: a generated frame, or a photo whose original is gone."""
    own = view.own_camera
    camera, file = own.limit_size(max_side), folder / f"{stem}.png"
    if camera is own and view.box is None:
        shutil.copyfile(view.picture, file)
    else:
        with Image.open(view.picture) as image:
            pixels = view.crop(np.array(image.convert("RGB")))
        pixels = shrink(np.ascontiguousarray(pixels), camera.width, camera.height)
        Image.fromarray(pixels).save(file)
    return DatasetPicture(view, file.name, camera, "stored")


def confidence_of(view: SceneView, camera: Cameras) -> Float[np.ndarray, "h w"]:
    """How far each pixel of a picture may be trusted, in [0, 1]; 1 where nothing is stated."""
    if view.confidence is None:
        return np.ones((camera.height, camera.width), np.float32)
    with Image.open(view.confidence) as image:
        sure = np.array(image).astype(np.float32) / 65535
    return _resize(sure, camera)


def kept_share(file: Path, camera: Cameras) -> Float[np.ndarray, "h w"]:
    """How much of each pixel photos do not contradict, in [0, 1], by the picture of where they do; 1 where there is none."""
    if not file.exists():
        return np.ones((camera.height, camera.width), np.float32)
    with Image.open(file) as image:
        return 1 - _resize(np.array(image.convert("L")).astype(np.float32) / 255, camera)


def write_grey(values: Float[np.ndarray, "h w"], file: Path) -> None:
    """Values in [0, 1] as 8 bits, one channel."""
    file.parent.mkdir(exist_ok=True)
    grey: UInt8[np.ndarray, "h w"] = (values * 255).round().astype(np.uint8)
    Image.fromarray(grey).save(file)


def _resize(values: Float[np.ndarray, "h w"], camera: Cameras) -> Float[np.ndarray, "h w"]:
    three: Shaped[np.ndarray, "h2 w2 3"] = shrink(
        np.repeat(values[..., None], 3, axis=2), camera.width, camera.height
    )
    return three[..., 0]
