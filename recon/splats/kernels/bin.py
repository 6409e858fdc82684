"""Which Gaussians touch which tiles, front to back."""

import numpy as np

from recon.splats.kernels.jit import kernel
from recon.splats.kernels.raster import LOG2_ALPHA_MIN, LOG2_OPACITY, QXX, QXY, QYY, TILE, X, Y

HALF_TILE = TILE / 2
REACH = HALF_TILE - 0.5
"""From a tile's centre to its outermost pixel centres, along an axis."""


@kernel
def _touches(splats, k, tile_x, tile_y):
    """Whether alpha may reach 1/255 at a pixel of the tile; never no where it does.

    log2(alpha) is a concave quadratic of the position, so its tangent plane at the tile's centre bounds it.
    """
    dx = splats[k, X] - (tile_x * TILE + HALF_TILE)
    dy = splats[k, Y] - (tile_y * TILE + HALF_TILE)
    slope_x = 2 * splats[k, QXX] * dx + splats[k, QXY] * dy
    slope_y = 2 * splats[k, QYY] * dy + splats[k, QXY] * dx
    center = splats[k, LOG2_OPACITY] + 0.5 * (slope_x * dx + slope_y * dy)
    return center + REACH * (abs(slope_x) + abs(slope_y)) >= LOG2_ALPHA_MIN - 1e-3


@kernel
def count(first, last, bounds, order, splats, tiles, tiles_x, per_tile, per_splat):
    """For chunks first … last of the depth order: entries per tile [chunk, tile] and per Gaussian."""
    for chunk in range(first, last):
        for j in range(bounds[chunk], bounds[chunk + 1]):
            k = order[j]
            entries = 0
            for tile_y in range(tiles[k, 2], tiles[k, 3]):
                for tile_x in range(tiles[k, 0], tiles[k, 1]):
                    if _touches(splats, k, tile_x, tile_y):
                        per_tile[chunk, tile_y * tiles_x + tile_x] += 1
                        entries += 1
            per_splat[k] = entries


@kernel
def fill(first, last, bounds, order, splats, tiles, tiles_x, next_entry, slot_start, entry_splat, entry_slot):
    """Writes each entry's Gaussian and gradient slot; `next_entry` [chunk, tile] is used up."""
    for chunk in range(first, last):
        for j in range(bounds[chunk], bounds[chunk + 1]):
            k = order[j]
            slot = slot_start[k]
            for tile_y in range(tiles[k, 2], tiles[k, 3]):
                for tile_x in range(tiles[k, 0], tiles[k, 1]):
                    if _touches(splats, k, tile_x, tile_y):
                        tile = tile_y * tiles_x + tile_x
                        entry = next_entry[chunk, tile]
                        next_entry[chunk, tile] = entry + 1
                        entry_splat[entry] = k
                        entry_slot[entry] = slot
                        slot += 1


@kernel
def starts(per_tile, tile_start, next_entry):
    """Turns counts [chunk, tile] into the first entry of each tile [tile + 1] and of each chunk within it."""
    chunks, tiles = per_tile.shape
    entry = 0
    for tile in range(tiles):
        tile_start[tile] = entry
        for chunk in range(chunks):
            next_entry[chunk, tile] = entry
            entry += per_tile[chunk, tile]
    tile_start[tiles] = entry
    return np.int64(entry)
