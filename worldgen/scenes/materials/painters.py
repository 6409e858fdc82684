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


def _with_base_colour(paint: Callable[..., Picture], *, calm: bool = False) -> Painter:
    """A painter whose base colour is drawn too."""

    def paint_based(rng: Generator, height: int, width: int) -> Picture:
        """Paint with a base colour that is drawn first."""
        return paint(
            rng, height, width, np.clip(0.1 + 0.9 * pick(rng, palette(rng, 4, calm=calm)), 0, 1).tolist()
        )

    return paint_based


WALLS: Sequence[Painter] = (
    painted_wall, painted_wall, painted_wall, painted_wall, ashlar, ashlar, textures.bricks, textures.bricks,
    _with_base_colour(textures.plaster, calm=True), _with_base_colour(textures.plaster, calm=True), coloured_noise,
    _with_base_colour(textures.wallpaper, calm=True), tiles, cells, glyphs,
)  # fmt: skip
"""Textures of walls; a painter that is listed twice is chosen twice as often."""


GROUNDS: Sequence[Painter] = (
    textures.planks, textures.planks, tiles, cells, cells, strokes, coloured_noise, coloured_noise,
    textures.marble, _with_base_colour(textures.fabric), dead_leaves,
)  # fmt: skip
"""Textures of floors and of the ground outdoors."""


THINGS: Sequence[Painter] = (
    dead_leaves, dead_leaves, dead_leaves, coloured_noise, coloured_noise, flat, flat, flat, textures.wood,
    _with_base_colour(textures.marble), _with_base_colour(textures.fabric), textures.patchwork, textures.poster, glyphs, stripes,
    cells, strokes, tiles, textures.spines,
)  # fmt: skip
"""Textures of whatever stands about."""
