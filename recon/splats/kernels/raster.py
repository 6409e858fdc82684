"""Blending of sorted Gaussians into pixels, tile by tile, and its gradient.

One Gaussian at a time, row by row of a 16 x 16 tile: the 16 pixels of a row are one loop without branches
that LLVM turns into vector instructions. All state of a tile lies in one flat scratch array, in planes of 256
floats, so that the compiler sees that planes do not overlap.
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

LOG2_ALPHA_MIN = np.float32(-np.log2(255.0))
ALPHA_MAX = np.float32(0.999)
TRANSMITTANCE_MIN = np.float32(1e-4)
ZERO, ONE, TWO, HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
LANES = np.uint64(TILE)
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
def _rows(center, extent):
    """First row and one past the last row of a tile whose centres lie within `extent` of `center`."""
    first = max(0, int(np.ceil(center - extent)))
    last = min(TILE, int(np.floor(center + extent)) + 1)
    return first, max(first, last)


@kernel
def _any_live(scratch, plane):
    most = ZERO
    for i in range(PLANE):
        most = max(most, scratch[plane + i])
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
    transmittance,
):
    """Fills images [h, w, 3], depth_sum [h, w] (Σ weight · depth) and transmittance [h, w] of some tiles."""
    tiles_x = (width + TILE - 1) // TILE
    T, LIVE, R0, G0, B0, D0, LANE = 0, PLANE, 2 * PLANE, 3 * PLANE, 4 * PLANE, 5 * PLANE, 6 * PLANE
    s = np.empty(6 * PLANE + TILE, np.float32)
    for x in range(TILE):
        s[LANE + x] = np.float32(x)
    for tile in range(first_tile, last_tile):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for i in range(PLANE):
            s[T + i] = ONE
            s[LIVE + i] = ONE if x0 + i % TILE < width and y0 + i // TILE < height else ZERO
            s[R0 + i] = ZERO
            s[G0 + i] = ZERO
            s[B0 + i] = ZERO
            s[D0 + i] = ZERO
        begin, end = tile_start[tile], tile_start[tile + 1]
        for entry in range(begin, end):
            if (entry - begin) % CHECK_EVERY == CHECK_EVERY - 1 and not _any_live(s, LIVE):
                break
            k = entry_splat[entry]
            px = splats[k, X] - np.float32(x0) - HALF
            py = splats[k, Y] - np.float32(y0) - HALF
            qxx, qxy, qyy, opacity = splats[k, QXX], splats[k, QXY], splats[k, QYY], splats[k, LOG2_OPACITY]
            red, green, blue, depth = splats[k, RED], splats[k, GREEN], splats[k, BLUE], splats[k, DEPTH]
            top, bottom = _rows(py, splats[k, EXTENT_Y])
            for y in range(top, bottom):
                dy = py - np.float32(y)
                constant, linear = opacity + qyy * dy * dy, qxy * dy
                row = np.uint64(y * TILE)
                for x in range(LANES):
                    i = row + x
                    dx = px - s[np.uint64(LANE) + x]
                    power = constant + dx * (qxx * dx + linear)
                    alpha = min(_exp2(max(power, FLOOR)), ALPHA_MAX) * s[np.uint64(LIVE) + i]
                    alpha = alpha if power >= LOG2_ALPHA_MIN else ZERO
                    light = s[np.uint64(T) + i]
                    left = light * (ONE - alpha)
                    live = left > TRANSMITTANCE_MIN
                    weight = light * alpha if live else ZERO
                    s[np.uint64(LIVE) + i] = s[np.uint64(LIVE) + i] if live else ZERO
                    s[np.uint64(T) + i] = left if live else light
                    s[np.uint64(R0) + i] += weight * red
                    s[np.uint64(G0) + i] += weight * green
                    s[np.uint64(B0) + i] += weight * blue
                    s[np.uint64(D0) + i] += weight * depth
        for y in range(y0, min(y0 + TILE, height)):
            for x in range(x0, min(x0 + TILE, width)):
                i = (y - y0) * TILE + x - x0
                light = s[T + i]
                images[y, x, 0] = s[R0 + i] + light * background[0]
                images[y, x, 1] = s[G0 + i] + light * background[1]
                images[y, x, 2] = s[B0 + i] + light * background[2]
                depth_sum[y, x] = s[D0 + i]
                transmittance[y, x] = light


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
    transmittance,
    v_images,
    v_depth_sum,
    v_transmittance,
    slots,
):
    """Fills one gradient slot per entry of some tiles.

    Walks front to back once more. What all Gaussians behind the present one add to the loss is what the pixel
    has in all (`REST`) less what was passed so far, so nothing needs to be stored by the forward pass.
    """
    tiles_x = (width + TILE - 1) // TILE
    T, LIVE, REST, VR, VG, VB, VD = (
        0,
        PLANE,
        2 * PLANE,
        3 * PLANE,
        4 * PLANE,
        5 * PLANE,
        6 * PLANE,
    )
    LANE = 7 * PLANE
    A0, A1, A2 = LANE + TILE, LANE + 2 * TILE, LANE + 3 * TILE  # Σ over rows of g, g dy, g dy²
    AR, AG, AB, AD = LANE + 4 * TILE, LANE + 5 * TILE, LANE + 6 * TILE, LANE + 7 * TILE
    s = np.empty(7 * PLANE + 8 * TILE, np.float32)
    for x in range(TILE):
        s[LANE + x] = np.float32(x)
    for tile in range(first_tile, last_tile):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for i in range(PLANE):
            x, y = x0 + i % TILE, y0 + i // TILE
            inside = x < width and y < height
            s[T + i] = ONE
            s[LIVE + i] = ONE if inside else ZERO
            for plane in range(REST, LANE, PLANE):
                s[plane + i] = ZERO
            if inside:
                s[VR + i], s[VG + i], s[VB + i] = v_images[y, x, 0], v_images[y, x, 1], v_images[y, x, 2]
                s[VD + i] = v_depth_sum[y, x]
                s[REST + i] = (
                    v_images[y, x, 0] * images[y, x, 0]
                    + v_images[y, x, 1] * images[y, x, 1]
                    + v_images[y, x, 2] * images[y, x, 2]
                    + v_depth_sum[y, x] * depth_sum[y, x]
                    + v_transmittance[y, x] * transmittance[y, x]
                )
        begin, end = tile_start[tile], tile_start[tile + 1]
        saturated = False
        for entry in range(begin, end):
            slot = entry_slot[entry]
            if not saturated and (entry - begin) % CHECK_EVERY == CHECK_EVERY - 1:
                saturated = not _any_live(s, LIVE)
            if saturated:
                for column in range(SLOTS):
                    slots[slot, column] = ZERO
                continue
            k = entry_splat[entry]
            px = splats[k, X] - np.float32(x0) - HALF
            py = splats[k, Y] - np.float32(y0) - HALF
            qxx, qxy, qyy, opacity = splats[k, QXX], splats[k, QXY], splats[k, QYY], splats[k, LOG2_OPACITY]
            red, green, blue, depth = splats[k, RED], splats[k, GREEN], splats[k, BLUE], splats[k, DEPTH]
            for x in range(7 * TILE):
                s[A0 + x] = ZERO
            top, bottom = _rows(py, splats[k, EXTENT_Y])
            for y in range(top, bottom):
                dy = py - np.float32(y)
                constant, linear = opacity + qyy * dy * dy, qxy * dy
                row = np.uint64(y * TILE)
                for x in range(LANES):
                    i = row + x
                    dx = px - s[np.uint64(LANE) + x]
                    power = constant + dx * (qxx * dx + linear)
                    raw = _exp2(max(power, FLOOR))
                    alpha = min(raw, ALPHA_MAX) * s[np.uint64(LIVE) + i]
                    alpha = alpha if power >= LOG2_ALPHA_MIN else ZERO
                    light = s[np.uint64(T) + i]
                    left = light * (ONE - alpha)
                    live = left > TRANSMITTANCE_MIN
                    alpha = alpha if live else ZERO
                    weight = light * alpha
                    s[np.uint64(LIVE) + i] = s[np.uint64(LIVE) + i] if live else ZERO
                    s[np.uint64(T) + i] = light - weight
                    vr, vg, vb = s[np.uint64(VR) + i], s[np.uint64(VG) + i], s[np.uint64(VB) + i]
                    vd = s[np.uint64(VD) + i]
                    value = vr * red + vg * green + vb * blue + vd * depth
                    rest = s[np.uint64(REST) + i] - weight * value
                    s[np.uint64(REST) + i] = rest
                    g = weight * value - rest * alpha / (ONE - alpha)
                    g = g if raw <= ALPHA_MAX else ZERO
                    s[np.uint64(A0) + x] += g
                    s[np.uint64(A1) + x] += g * dy
                    s[np.uint64(A2) + x] += g * dy * dy
                    s[np.uint64(AR) + x] += weight * vr
                    s[np.uint64(AG) + x] += weight * vg
                    s[np.uint64(AB) + x] += weight * vb
                    s[np.uint64(AD) + x] += weight * vd
            g0, gx, gy, gxx, gxy, gyy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
            v_red, v_green, v_blue, v_depth = ZERO, ZERO, ZERO, ZERO
            for x in range(LANES):
                dx = px - s[np.uint64(LANE) + x]
                a0, a1 = s[np.uint64(A0) + x], s[np.uint64(A1) + x]
                g0 += a0
                gx += a0 * dx
                gxx += a0 * dx * dx
                gy += a1
                gxy += a1 * dx
                gyy += s[np.uint64(A2) + x]
                v_red += s[np.uint64(AR) + x]
                v_green += s[np.uint64(AG) + x]
                v_blue += s[np.uint64(AB) + x]
                v_depth += s[np.uint64(AD) + x]
            slots[slot, G], slots[slot, GX], slots[slot, GY] = g0, gx, gy
            slots[slot, GXX], slots[slot, GXY], slots[slot, GYY] = gxx, gxy, gyy
            slots[slot, G_RED], slots[slot, G_GREEN], slots[slot, G_BLUE] = v_red, v_green, v_blue
            slots[slot, G_DEPTH] = v_depth
