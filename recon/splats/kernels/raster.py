"""Blending of sorted Gaussians into pixels, tile by tile, and its gradient.

One Gaussian at a time, over the rows of a 16 x 16 tile that it reaches: one loop without branches that LLVM turns
into vector instructions. All state of a tile lies in one flat scratch array, in planes of 256 floats: their
distances are constants, so the compiler knows without asking at run time that planes do not overlap. Indices are
unsigned, for numba would else ask whether they count from the end.
"""

import numpy as np

from recon.splats.kernels.jit import kernel

TILE = 16
PLANE = TILE * TILE

# Columns of a projected Gaussian. log2 of its alpha at distance (dx, dy) from its centre, in pixels, is
# LOG2_OPACITY + QXX dx² + QXY dx dy + QYY dy².
X, Y, QXX, QXY, QYY, LOG2_OPACITY, RED, GREEN, BLUE, DEPTH, EXTENT_Y = range(11)
COLUMNS = 11

# Columns of a gradient slot: sums over the pixels of a tile of g = dL / d ln(alpha) and its moments, then
# dL / d of what is blended.
G, GX, GY, GXX, GXY, GYY, G_RED, G_GREEN, G_BLUE, G_DEPTH = range(10)
SLOTS = 10

# Planes of a tile's scratch array: position, transmittance, whether the pixel still takes light, then sums.
COLUMN, ROW, LIGHT, LIVE, SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH = (np.uint64(i * PLANE) for i in range(8))
# The backward pass has the loss's gradients by what was summed, and `REST`, in their place.
V_RED, V_GREEN, V_BLUE, V_DEPTH, REST = (np.uint64(i * PLANE) for i in range(4, 9))

LOG2_ALPHA_MIN = np.float32(-np.log2(255.0))
ALPHA_MAX = np.float32(0.999)
TRANSMITTANCE_MIN = np.float32(1e-4)
ZERO, ONE, TWO, HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
CHECK_EVERY = 16
"""After so many Gaussians a tile looks whether any of its pixels still takes light."""

# exp2 on [-8, 0]: a polynomial for 2^(x/8), cubed by three squarings; relative error 1e-6.
EIGHTH = np.float32(1 / 8)
E1, E2, E3 = np.float32(0.6931471806), np.float32(0.2402265070), np.float32(0.0555041087)
E4, E5, E6 = np.float32(0.0096181291), np.float32(0.0013333558), np.float32(0.000154035304)
FLOOR = np.float32(-8.0)


@kernel
def _exp2(x):
    u = x * EIGHTH
    y = ONE + u * (E1 + u * (E2 + u * (E3 + u * (E4 + u * (E5 + u * E6)))))
    y *= y
    y *= y
    return y * y


@kernel
def _reached(center, extent):
    """Range of a tile's pixels: the whole rows whose centres lie within `extent` of `center`, in rows."""
    first = max(0, int(np.ceil(center - extent)))
    last = min(TILE, int(np.floor(center + extent)) + 1)
    return np.uint64(first * TILE), np.uint64(max(first, last) * TILE)


@kernel
def _any_live(scratch):
    most = ZERO
    for i in range(PLANE):
        most = max(most, scratch[LIVE + np.uint64(i)])
    return most > ZERO


@kernel
def rasterize(
    first_tile,
    last_tile,
    splats,
    entry_splat,
    tile_start,
    width,
    height,
    background,
    images,
    depth_sum,
    alpha_sum,
):
    """Fills images [h, w, 3], depth_sum [h, w] (Σ weight · depth) and alpha_sum [h, w] of some tiles."""
    tiles_x = (width + TILE - 1) // TILE
    s = np.empty(8 * PLANE, np.float32)
    for i in range(PLANE):
        s[COLUMN + np.uint64(i)], s[ROW + np.uint64(i)] = np.float32(i % TILE), np.float32(i // TILE)
    for tile in range(first_tile, last_tile):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for j in range(PLANE):
            i = np.uint64(j)
            s[LIGHT + i] = ONE
            s[LIVE + i] = ONE if x0 + j % TILE < width and y0 + j // TILE < height else ZERO
            s[SUM_RED + i] = s[SUM_GREEN + i] = s[SUM_BLUE + i] = s[SUM_DEPTH + i] = ZERO
        begin, end = tile_start[tile], tile_start[tile + 1]
        for entry in range(begin, end):
            if (entry - begin) % CHECK_EVERY == CHECK_EVERY - 1 and not _any_live(s):
                break
            k = entry_splat[entry]
            px = splats[k, X] - np.float32(x0) - HALF
            py = splats[k, Y] - np.float32(y0) - HALF
            qxx, qxy, qyy, opacity = splats[k, QXX], splats[k, QXY], splats[k, QYY], splats[k, LOG2_OPACITY]
            red, green, blue, depth = splats[k, RED], splats[k, GREEN], splats[k, BLUE], splats[k, DEPTH]
            first, last = _reached(py, splats[k, EXTENT_Y])
            for i in range(first, last):
                dx, dy = px - s[COLUMN + i], py - s[ROW + i]
                power = opacity + dx * (qxx * dx + qxy * dy) + qyy * dy * dy
                seen = ONE if power >= LOG2_ALPHA_MIN else ZERO
                alpha = min(_exp2(max(power, FLOOR)), ALPHA_MAX) * s[LIVE + i] * seen
                light = s[LIGHT + i]
                live = ONE if light * (ONE - alpha) > TRANSMITTANCE_MIN else ZERO
                weight = light * alpha * live
                s[LIVE + i] *= live
                s[LIGHT + i] = light - weight
                s[SUM_RED + i] += weight * red
                s[SUM_GREEN + i] += weight * green
                s[SUM_BLUE + i] += weight * blue
                s[SUM_DEPTH + i] += weight * depth
        for y in range(y0, min(y0 + TILE, height)):
            for x in range(x0, min(x0 + TILE, width)):
                i = np.uint64((y - y0) * TILE + x - x0)
                light = s[LIGHT + i]
                images[y, x, 0] = s[SUM_RED + i] + light * background[0]
                images[y, x, 1] = s[SUM_GREEN + i] + light * background[1]
                images[y, x, 2] = s[SUM_BLUE + i] + light * background[2]
                depth_sum[y, x] = s[SUM_DEPTH + i]
                alpha_sum[y, x] = ONE - light


@kernel
def rasterize_backward(
    first_tile,
    last_tile,
    splats,
    entry_splat,
    entry_slot,
    tile_start,
    width,
    height,
    images,
    depth_sum,
    alpha_sum,
    v_images,
    v_depth_sum,
    v_alpha_sum,
    slots,
):
    """Fills one gradient slot per entry of some tiles.

    Walks front to back once more. What all Gaussians behind the present one add to the loss is what the pixel
    has in all (`REST`) less what was passed so far, so nothing needs to be stored by the forward pass.
    """
    tiles_x = (width + TILE - 1) // TILE
    s = np.empty(9 * PLANE, np.float32)
    for i in range(PLANE):
        s[COLUMN + np.uint64(i)], s[ROW + np.uint64(i)] = np.float32(i % TILE), np.float32(i // TILE)
    for tile in range(first_tile, last_tile):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for j in range(PLANE):
            i, x, y = np.uint64(j), x0 + j % TILE, y0 + j // TILE
            s[LIGHT + i] = ONE
            s[LIVE + i] = s[REST + i] = ZERO
            s[V_RED + i] = s[V_GREEN + i] = s[V_BLUE + i] = s[V_DEPTH + i] = ZERO
            if x < width and y < height:
                s[LIVE + i] = ONE
                s[V_RED + i] = v_images[y, x, 0]
                s[V_GREEN + i] = v_images[y, x, 1]
                s[V_BLUE + i] = v_images[y, x, 2]
                s[V_DEPTH + i] = v_depth_sum[y, x]
                s[REST + i] = (
                    v_images[y, x, 0] * images[y, x, 0]
                    + v_images[y, x, 1] * images[y, x, 1]
                    + v_images[y, x, 2] * images[y, x, 2]
                    + v_depth_sum[y, x] * depth_sum[y, x]
                    + v_alpha_sum[y, x] * (alpha_sum[y, x] - ONE)
                )
        begin, end = tile_start[tile], tile_start[tile + 1]
        saturated = False
        for entry in range(begin, end):
            slot = entry_slot[entry]
            if not saturated and (entry - begin) % CHECK_EVERY == CHECK_EVERY - 1:
                saturated = not _any_live(s)
            if saturated:
                for column in range(SLOTS):
                    slots[slot, column] = ZERO
                continue
            k = entry_splat[entry]
            px = splats[k, X] - np.float32(x0) - HALF
            py = splats[k, Y] - np.float32(y0) - HALF
            qxx, qxy, qyy, opacity = splats[k, QXX], splats[k, QXY], splats[k, QYY], splats[k, LOG2_OPACITY]
            red, green, blue, depth = splats[k, RED], splats[k, GREEN], splats[k, BLUE], splats[k, DEPTH]
            g0, gx, gy, gxx, gxy, gyy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
            v_red, v_green, v_blue, v_depth = ZERO, ZERO, ZERO, ZERO
            first, last = _reached(py, splats[k, EXTENT_Y])
            for i in range(first, last):
                dx, dy = px - s[COLUMN + i], py - s[ROW + i]
                power = opacity + dx * (qxx * dx + qxy * dy) + qyy * dy * dy
                raw = _exp2(max(power, FLOOR))
                seen = ONE if power >= LOG2_ALPHA_MIN else ZERO
                free = ONE if raw <= ALPHA_MAX else ZERO
                alpha = min(raw, ALPHA_MAX) * s[LIVE + i] * seen
                light = s[LIGHT + i]
                live = ONE if light * (ONE - alpha) > TRANSMITTANCE_MIN else ZERO
                alpha *= live
                weight = light * alpha
                s[LIVE + i] *= live
                s[LIGHT + i] = light - weight
                vr, vg, vb, vd = s[V_RED + i], s[V_GREEN + i], s[V_BLUE + i], s[V_DEPTH + i]
                value = vr * red + vg * green + vb * blue + vd * depth
                rest = s[REST + i] - weight * value
                s[REST + i] = rest
                g = (weight * value - rest * alpha / (ONE - alpha)) * free
                g0 += g
                gx += g * dx
                gy += g * dy
                gxx += g * dx * dx
                gxy += g * dx * dy
                gyy += g * dy * dy
                v_red += weight * vr
                v_green += weight * vg
                v_blue += weight * vb
                v_depth += weight * vd
            slots[slot, G], slots[slot, GX], slots[slot, GY] = g0, gx, gy
            slots[slot, GXX], slots[slot, GXY], slots[slot, GYY] = gxx, gxy, gyy
            slots[slot, G_RED], slots[slot, G_GREEN], slots[slot, G_BLUE] = v_red, v_green, v_blue
            slots[slot, G_DEPTH] = v_depth
