"""Which textures suit walls, grounds and things."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from worldgen.scenes import textures
from worldgen.scenes.materials.made_textures import ashlar, flat, glyphs, painted_wall, stripes, tiles
from worldgen.scenes.materials.natural_textures import cells, coloured_noise, dead_leaves, strokes
from worldgen.scenes.materials.palette import palette, pick
from worldgen.scenes.textures import Picture

Painter = Callable[[Generator, int, int], Picture]
"""(generator, height, width) to a picture."""


def _based(paint: Callable[..., Picture], *, calm: bool = False) -> Painter:
    """A painter whose base colour is drawn too."""

    def painted(rng: Generator, height: int, width: int) -> Picture:
        return paint(
            rng, height, width, np.clip(0.1 + 0.9 * pick(rng, palette(rng, 4, calm=calm)), 0, 1).tolist()
        )

    return painted


WALLS: Sequence[Painter] = (
    painted_wall, painted_wall, painted_wall, painted_wall, ashlar, ashlar, textures.bricks, textures.bricks,
    _based(textures.plaster, calm=True), _based(textures.plaster, calm=True), coloured_noise,
    _based(textures.wallpaper, calm=True), tiles, cells, glyphs,
)  # fmt: skip


GROUNDS: Sequence[Painter] = (
    textures.planks, textures.planks, tiles, cells, cells, strokes, coloured_noise, coloured_noise,
    textures.marble, _based(textures.fabric), dead_leaves,
)  # fmt: skip


THINGS: Sequence[Painter] = (
    dead_leaves, dead_leaves, dead_leaves, coloured_noise, coloured_noise, flat, flat, flat, textures.wood,
    _based(textures.marble), _based(textures.fabric), textures.patchwork, textures.poster, glyphs, stripes,
    cells, strokes, tiles, textures.spines,
)  # fmt: skip
