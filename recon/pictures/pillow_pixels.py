"""Pixels of Pillow's images in any mode, in bands, so that a large one is in memory once and not four times."""

import numpy as np
from jaxtyping import Shaped

BAND_ROWS = 512
"""Rows that are converted at once: 27 MB in each intermediate form at 13,000 pixels a row."""
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
"""Pillow's modes with transparency."""


def read_pixels(image) -> Shaped[np.ndarray, "h w c"]:
    """Pixels as uint8 RGB [h, w, 3], transparency on white; deep grey as float32 [h, w, 1] in units of white."""
    if image.mode.startswith("I"):  # 16-bit grey
        grey = np.asarray(image).astype(np.float32)
        grey /= 65535
        return grey[..., None]
    if image.mode == "F":
        return np.asarray(image, dtype=np.float32)[..., None]
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, height)
        pixels[top:bottom] = _on_white(image.crop((0, top, width, bottom)))
    return pixels


def _on_white(image) -> Shaped[np.ndarray, "h w 3"]:
    from PIL import Image

    if image.mode in ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))
