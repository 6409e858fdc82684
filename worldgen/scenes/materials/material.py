"""What a surface is made of: a texture, and how it shines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.scenes.materials.painters import THINGS, Painter
from worldgen.scenes.materials.photographs import photograph
from worldgen.scenes.materials.wear import add_wear, emboss
from worldgen.scenes.textures import Picture

SIZE = 512
"""Texels along a side of a texture."""


@dataclass(frozen=True)
class Material:
    texture: Float[np.ndarray, "size size 3"]
    """sRGB in [0, 1]."""
    extent: float = 1.5
    """World units that the texture covers before it is mirrored."""
    gloss: float = 0.0
    """Strength of highlights and of the reflected surroundings, in [0, 1]."""
    sharpness: float = 30.0
    """Exponent of the highlight (Blinn 1977)."""
    glow: float = 0.0
    """Light that the surface gives of itself, as a share of its colour."""


def random_material(
    rng: Generator,
    painters: Sequence[Painter] = THINGS,
    *,
    photographs: bool = False,
    extent: float | None = None,
) -> Material:
    """A random material; about a third shine."""
    shiny = rng.random() < 0.35
    return Material(
        random_texture(rng, painters, photographs),
        extent=float(np.exp(rng.uniform(np.log(0.6), np.log(3.0)))) if extent is None else extent,
        gloss=float(rng.uniform(0.05, 0.45)) if shiny else 0.0,
        sharpness=float(np.exp(rng.uniform(np.log(12), np.log(150)))),
    )


def random_texture(rng: Generator, painters: Sequence[Painter], photographs: bool) -> Picture:
    """One random texture out of these painters, tinted and worn at random."""
    if photographs and rng.random() < 0.3:
        out = photograph(rng, SIZE)
    else:
        out = painters[int(rng.integers(len(painters)))](rng, SIZE, SIZE)
    if rng.random() < 0.35:
        out = add_wear(rng, out)
    if rng.random() < 0.4:
        out = emboss(out, rng.uniform(0.5, 2) * rng.choice([-1, 1]))
    tint = np.exp(0.08 * rng.standard_normal(3)) * np.exp(0.12 * rng.standard_normal())
    return np.clip(out * tint, 0, 1).astype(np.float32)
