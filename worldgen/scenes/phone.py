"""From light to pictures: the film curve, and what a phone's camera does to a photo."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.random import Generator


def develop(light: Float[np.ndarray, "h w s s 3"], exposure: float) -> Float[np.ndarray, "h w 3"]:
    """sRGB in [0, 1] of linear light, averaged over the samples after highlights are compressed.

    The curve is Reinhard's with a white point (Reinhard et al., "Photographic tone reproduction for digital
    images", SIGGRAPH 2002, equation 4) with gamma 2.2.
    """
    x = 1.15 * exposure * light
    shown = np.clip(x * (1 + x / 9) / (1 + x), 0, 1)
    # averaged as light, or dark seams appear along bright edges
    return (shown.mean((2, 3)) ** np.float32(1 / 2.2)).astype(np.float32)


def take_photos(
    rng: Generator, light: Sequence[Float[np.ndarray, "h w s s 3"]], exposure: float
) -> Float[np.ndarray, "n h w 3"]:
    """Photos of one walk with one phone: exposure and white balance wander; noise, vignette, blur and JPEG.

    Gains have deviations of 4% and 2%, noise up to 2.5% of white, half of the phones compress (quality 75–95).
    """
    import cv2

    noise, quality = rng.uniform(0, 0.025), int(rng.integers(75, 96))
    compresses, vignette = rng.random() < 0.5, rng.uniform(0, 0.25) * (rng.random() < 0.4)
    out = []
    for one in light:
        height, width = one.shape[:2]
        y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
        gain = np.exp(0.04 * rng.standard_normal() + 0.02 * rng.standard_normal(3))
        # gains of the finished picture; the film works on light
        falloff = (1 - vignette * (x**2 + y**2) / 2)[..., None, None, None]
        picture = develop((one * (gain**2.2 * falloff)).astype(np.float32), exposure)
        if rng.random() < 0.25:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.9))
        # shot noise grows with light, read noise does not
        grain = noise * np.sqrt(0.3 + 0.7 * picture) * rng.standard_normal(picture.shape)
        picture = np.clip(picture + grain, 0, 1).astype(np.float32)
        if compresses:
            blue_first = np.ascontiguousarray(np.round(picture * 255).astype(np.uint8)[..., ::-1])
            coded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32) / 255
        out.append(picture)
    return np.stack(out)
