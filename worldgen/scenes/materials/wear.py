"""What age and relief do to a texture."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.materials.palette import palette, pick
from worldgen.scenes.textures import Picture, noise


def emboss(picture: Picture, depth: float) -> Picture:
    """Bright and dark flanks along edges, as a slanting light leaves them on a relief."""
    light = picture.mean(2)
    slope = np.roll(light, (1, 1), (0, 1)) - np.roll(light, (-1, -1), (0, 1))
    return np.clip(picture * (1 + depth * slope[..., None]), 0, 1).astype(np.float32)


def add_wear(rng: Generator, picture: Picture) -> Picture:
    """Stained, faded and scratched: what age does to any surface."""
    height, width, _ = picture.shape
    stain = np.clip(
        noise(rng, height, width, (rng.uniform(60, 300), rng.uniform(30, 120)), 6, 0.65) - 0.6, 0, 1
    )
    colour = pick(rng, palette(rng, 2)) * 0.7
    mixed = picture + (rng.uniform(0.2, 0.9) * stain)[..., None] * (colour - picture)
    return np.clip(mixed, 0, 1).astype(np.float32)
