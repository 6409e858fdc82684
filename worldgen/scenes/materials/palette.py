"""Colours that occur together."""

import numpy as np
from jaxtyping import Float
from numpy.random import Generator


def palette(rng: Generator, count: int, *, calm: bool = False) -> Float[np.ndarray, "k 3"]:
    """Colours that occur together: a few hues, mostly muted, brightness spread wide; `calm` ones suit walls."""
    import cv2

    # browns above all, then blues and greens; purple and pink are rare outside of shops
    centres = rng.choice([0.07, 0.30, 0.58, rng.random()], size=count, p=[0.3, 0.2, 0.3, 0.2])
    hues = np.where(rng.random(count) < (0.7 if calm else 0.45), 0.09, centres)
    hues = hues + 0.035 * rng.standard_normal(count)
    # most of what people build is nearly grey or brown; a few things are dyed
    vivid = not calm and rng.random() < 0.3
    saturation = np.clip(rng.beta(1.6, 2.2 if vivid else 4.5, count) * (0.6 if calm else 1), 0, 0.9)
    value = rng.uniform(0.45, 0.95, count) if calm else rng.uniform(0.1, 0.95, count)
    hsv = np.stack([360 * (hues % 1), saturation, value], 1)
    return cv2.cvtColor(hsv.astype(np.float32)[None], cv2.COLOR_HSV2RGB)[0]


def pick(rng: Generator, colours: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "3"]:
    """One of the colours (sRGB in [0, 1]), up to a fifth darker or brighter."""
    return np.clip(colours[rng.integers(len(colours))] * rng.uniform(0.8, 1.2), 0, 1)
