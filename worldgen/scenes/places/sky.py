"""What lights a place, and what is seen beyond it."""

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.scenes.rendering import Light
from worldgen.scenes.textures import noise


def light(rng: Generator, indoors: bool) -> Light:
    """A lamp indoors, else a sun, each with sky light."""
    warm = 1 + np.array([0.12, 0.02, -0.14]) * rng.uniform(-0.3, 1)
    if indoors:
        place = np.array([rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(2.0, 2.35)])
        sun, sky = rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.1)
        ambient = sky * (1 + np.array([0.03, 0, -0.03]) * rng.standard_normal())
        return Light(place, sun * warm, ambient, bool(rng.random() < 0.5), rng.uniform(1.5, 4))
    turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.2)
    place = 500 * np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    overcast = rng.random() < 0.4
    sun = rng.uniform(0.1, 0.4) if overcast else rng.uniform(0.8, 1.8)
    ambient = rng.uniform(0.6, 0.9) * (1 + np.array([-0.08, 0, 0.10]) * rng.uniform(0, 1))
    return Light(place, sun * warm, ambient, not overcast and bool(rng.random() < 0.8), np.inf)


def panorama(rng: Generator, indoors: bool) -> Float[np.ndarray, "h w 3"]:
    """Sky and clouds over a hazy horizon, or the soft blur of a room."""
    height, width = 256, 512
    if indoors:
        return np.clip(0.5 + 0.15 * noise(rng, height, width, (120, 120), 4)[..., None] * np.ones(3), 0, 1)
    z = np.cos((np.arange(height) + 0.5) / height * np.pi)[:, None, None]
    zenith = np.array([0.28, 0.48, 0.82]) + 0.08 * rng.standard_normal(3)
    haze = np.array([0.80, 0.86, 0.92]) + 0.05 * rng.standard_normal(3)
    sky = haze + (zenith - haze) * np.clip(z, 0, 1) ** rng.uniform(0.4, 0.9)
    # mirrored halves meet at the seam behind
    half = noise(rng, height, width // 2, (50, 90), 6, 0.55)
    clouds = np.concatenate([half, half[:, ::-1]], 1)[..., None]
    cover = rng.uniform(-0.6, 1.6)
    sky = sky + (0.93 - sky) * np.clip((clouds - cover) * rng.uniform(0.5, 1.5), 0, 1) * (z > 0)
    ground = np.array([0.35, 0.34, 0.28]) * rng.uniform(0.7, 1.2)
    return np.clip(np.where(z < 0, ground, sky), 0, 1)
