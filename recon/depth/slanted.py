"""Refinement with slanted windows: PatchMatch stereo (Bleyer et al. 2011) around a known depth, in numba.

A hypothesis of a pixel is a plane. Its inverse depth is affine across the picture, q + gx·dx + gy·dy, which
makes slanted and tilted surfaces as easy as frontal ones. Pixels take over better planes from their
neighbours and try small changes; a window counts pixels by their likeness to its middle, which keeps the
depth of a thing from leaking over its edge (Yoon & Kweon 2006).
"""

import math

import numpy as np

from recon.splats.kernels.jit import kernel

RADIUS, STRIDE = 4, 2
"""Windows reach this far and take every second pixel."""
SIDE = 2 * (RADIUS // STRIDE) + 1
"""Pixels along a side of a window that are compared."""
NOISE_VARIANCE = 5e-5
"""Grey-level variance of noise and compression (about two levels of 255): less than that decides nothing."""
AGREED = 0.02
"""Relative difference of depths from which on two pictures do not agree at all."""
SAME = 0.002
"""Planes whose depth differs by less are not tried again: the changes tried anyway are as large."""


@kernel
def _window_weights(gray, x, y, softness, values, weights):
    """Fills grey values of a window and their weights, by likeness to the middle and by distance to it.

    Returns the weighted mean and variance; the weights sum to 1.
    """
    h, w = gray.shape
    middle = gray[y, x]
    total, mean, square = 0.0, 0.0, 0.0
    for j in range(SIDE):
        for i in range(SIDE):
            dy, dx = (j - SIDE // 2) * STRIDE, (i - SIDE // 2) * STRIDE
            v = gray[min(max(y + dy, 0), h - 1), min(max(x + dx, 0), w - 1)]
            values[j, i] = v
            k = math.exp(-abs(v - middle) / softness - (dx * dx + dy * dy) / (1.5 * RADIUS * RADIUS))
            weights[j, i] = k
            total += k
            mean += k * v
            square += k * v * v
    for j in range(SIDE):
        for i in range(SIDE):
            weights[j, i] /= total
    mean /= total
    return mean, max(square / total - mean * mean, 0.0)


@kernel
def _view_cost(values, weights, own_mean, own_variance, x, y, plane, other, M, s):
    """One minus the weighted correlation of a window with another picture, at most 1; 1 outside of it.

    ``M`` [3, 3] and ``s`` [3] take (column, row, 1) and inverse depth to the other picture's homogeneous
    pixels, both with integer pixel centres. The window's weights sum to 1.
    """
    h, w = other.shape
    q, gx, gy = plane
    mean, square, cross = 0.0, 0.0, 0.0
    for j in range(SIDE):
        dy = (j - SIDE // 2) * STRIDE
        for i in range(SIDE):
            dx = (i - SIDE // 2) * STRIDE
            d = q + gx * dx + gy * dy  # the plane's inverse depth at this pixel of the window
            px, py = x + dx, y + dy
            z = M[2, 0] * px + M[2, 1] * py + M[2, 2] + s[2] * d
            if z <= 1e-9:
                return 1.0
            inverse_z = 1 / z
            u = (M[0, 0] * px + M[0, 1] * py + M[0, 2] + s[0] * d) * inverse_z
            v = (M[1, 0] * px + M[1, 1] * py + M[1, 2] + s[1] * d) * inverse_z
            if dx == 0 and dy == 0 and not (-0.5 <= u <= w - 0.5 and -0.5 <= v <= h - 0.5):
                return 1.0
            # bilinear sample; a window may reach over the border, which is then repeated
            u, v = min(max(u, 0.0), w - 1.001), min(max(v, 0.0), h - 1.001)
            u0, v0 = int(u), int(v)
            fu, fv = u - u0, v - v0
            top = other[v0, u0] + fu * (other[v0, u0 + 1] - other[v0, u0])
            low = other[v0 + 1, u0] + fu * (other[v0 + 1, u0 + 1] - other[v0 + 1, u0])
            b = top + fv * (low - top)
            k = weights[j, i]
            mean += k * b
            square += k * b * b
            cross += k * b * values[j, i]
    variance = max(square - mean * mean, 0.0)
    # with the noise in it, windows without texture correlate with nothing and cost about 1
    scale = math.sqrt(own_variance * variance + NOISE_VARIANCE * (own_variance + NOISE_VARIANCE))
    return min(1 - (cross - own_mean * mean) / scale, 1.0)


@kernel
def _random(state):
    """The next state of a 32-bit xorshift generator (Marsaglia 2003), and a number in [-1, 1)."""
    state ^= (state << np.uint32(13)) & np.uint32(0xFFFFFFFF)
    state ^= state >> np.uint32(17)
    state ^= (state << np.uint32(5)) & np.uint32(0xFFFFFFFF)
    return state, state / 2147483648.0 - 1.0


@kernel
def _disagreement(x, y, plane, M, s, other_planes):
    """How far another picture's depth is from a plane's at the middle of a window: 1 is `AGREED` or more."""
    h, w, _ = other_planes.shape
    z = M[2, 0] * x + M[2, 1] * y + M[2, 2] + s[2] * plane[0]
    if z <= 1e-9:
        return 1.0
    u = (M[0, 0] * x + M[0, 1] * y + M[0, 2] + s[0] * plane[0]) / z
    v = (M[1, 0] * x + M[1, 1] * y + M[1, 2] + s[1] * plane[0]) / z
    u0, v0 = math.floor(u + 0.5), math.floor(v + 0.5)
    if not (0 <= u0 < w and 0 <= v0 < h):
        return 1.0
    q = other_planes[v0, u0, 0] + other_planes[v0, u0, 1] * (u - u0) + other_planes[v0, u0, 2] * (v - v0)
    return min(1.0, abs(q * z / max(plane[0], 1e-12) - 1) / AGREED)


@kernel
def _plane_cost(
    values, weights, mean, variance, x, y, plane, others, maps, shifts, other_planes, geometric, n
):
    """Cost of a plane in one neighbour: of its picture and, weighted by ``geometric``, of its depth."""
    cost = _view_cost(values, weights, mean, variance, x, y, plane, others[n], maps[n], shifts[n])
    if geometric > 0:
        cost += geometric * _disagreement(x, y, plane, maps[n], shifts[n], other_planes[n])
    return cost


@kernel
def _better_half(per_view, chosen):
    """Mean of the lowest costs; fills ``chosen`` with their neighbours and overwrites ``per_view``."""
    total = 0.0
    for r in range(len(chosen)):
        chosen[r] = np.argmin(per_view)
        total += per_view[chosen[r]]
        per_view[chosen[r]] = 9.0  # above any cost, so that it is not taken twice
    return total / len(chosen)


@kernel
def _better_half_cost(
    values,
    weights,
    mean,
    variance,
    x,
    y,
    plane,
    others,
    maps,
    shifts,
    other_planes,
    geometric,
    per_view,
    chosen,
):
    """Cost of a plane in the neighbours that see it best; fills ``chosen`` and overwrites ``per_view``."""
    for n in range(len(others)):
        per_view[n] = _plane_cost(
            values, weights, mean, variance, x, y, plane, others, maps, shifts, other_planes, geometric, n
        )
    return _better_half(per_view, chosen)


@kernel
def _pull_cost(q, start, pull, spacing):
    """Cost of leaving the inverse depth that the search began with, at most ``pull``."""
    return pull * min(1.0, abs(q - start) / (4 * spacing))


@kernel
def _propagate_plane(hypothesis, planes, x, y, step, trial):
    """Extends the plane of the previous pixel in the row (0) or column (1) to here; False where there is none."""
    h, w, _ = planes.shape
    if hypothesis == 0:
        if not 0 <= x - step < w:
            return False
        trial[:] = planes[y, x - step]
        trial[0] += step * trial[1]
    else:
        if not 0 <= y - step < h:
            return False
        trial[:] = planes[y - step, x]
        trial[0] += step * trial[2]
    return True


@kernel
def _perturb_plane(plane, part, state, trial):
    """Changes a plane at random by up to ``part`` over a window; returns the generator's next state."""
    state, a = _random(state)
    state, b = _random(state)
    state, c = _random(state)
    trial[0] = plane[0] + a * part
    trial[1] = plane[1] + b * part / RADIUS
    trial[2] = plane[2] + c * part / RADIUS
    return state


@kernel
def refine_planes(
    gray, others, maps, shifts, planes, start, spacing, low, high, rounds, softness, pull,
    other_planes, geometric, candidates, cost,
):  # fmt: skip
    """Improves planes [h, w, 3] of (inverse depth, its slope along x and y per pixel) in place.

    Args:
        gray, others: the picture [h, w] and its neighbours [m, h, w].
        start: inverse depth [h, w] that ``pull`` binds a little to, where the pictures do not decide.
        spacing: uncertainty of the start, in inverse depth; changes tried begin with it and shrink.
        low, high: allowed inverse depths.
        rounds: sweeps over the picture, alternately forwards and backwards.
        softness: grey-level difference that cuts a pixel's weight in a window to 1/e.
        other_planes: what the neighbours hold for their own planes [m, h, w, 3].
        geometric: cost of disagreeing with them; 0 ignores them.
        candidates: planes [k, h, w, 3] to try as well; none where the inverse depth is 0.
        cost: [h, w], filled with the cost of the planes left.
    """
    h, w = gray.shape
    values, weights = np.empty((SIDE, SIDE)), np.empty((SIDE, SIDE))
    m = len(others)
    per_view = np.empty(m)
    chosen = np.empty(max(1, (m + 1) // 2), np.int64)
    rivals = np.empty(len(chosen), np.int64)
    trial = np.empty(3)
    for turn in range(rounds):
        step = 1 if turn % 2 == 0 else -1  # planes travel down and right, then up and left
        reach = spacing * 0.6**turn
        state = np.uint32(12345 + 7919 * turn)
        for row in range(h):
            y = row if step > 0 else h - 1 - row
            for column in range(w):
                x = column if step > 0 else w - 1 - column
                # the present plane's cost fixes the neighbours that judge its rivals
                mean, variance = _window_weights(gray, x, y, softness, values, weights)
                plane = planes[y, x]
                best = _pull_cost(plane[0], start[y, x], pull, spacing) + _better_half_cost(
                    values, weights, mean, variance, x, y, plane, others, maps, shifts,
                    other_planes, geometric, per_view, chosen,
                )  # fmt: skip
                # planes drawn in from the neighbours, each judged by its own best half
                for k in range(len(candidates) if turn == 0 else 0):
                    trial[:] = candidates[k, y, x]
                    if not low <= trial[0] <= high or abs(trial[0] - plane[0]) < SAME * plane[0]:
                        continue
                    new = _pull_cost(trial[0], start[y, x], pull, spacing) + _better_half_cost(
                        values, weights, mean, variance, x, y, trial, others, maps, shifts,
                        other_planes, geometric, per_view, rivals,
                    )  # fmt: skip
                    if new < best:
                        best = new
                        chosen[:] = rivals
                        planes[y, x] = trial
                # two planes of pixels before this one, then a large and a small random change
                for hypothesis in range(4):
                    if hypothesis >= 2:
                        state = _perturb_plane(plane, reach if hypothesis == 2 else 0.3 * reach, state, trial)
                    elif not _propagate_plane(hypothesis, planes, x, y, step, trial):
                        continue
                    if not low <= trial[0] <= high:
                        continue
                    new = _pull_cost(trial[0], start[y, x], pull, spacing)
                    for r in range(len(chosen)):
                        if new >= best:
                            break  # costs only add up
                        new += _plane_cost(
                            values, weights, mean, variance, x, y, trial, others, maps, shifts,
                            other_planes, geometric, chosen[r],
                        ) / len(chosen)  # fmt: skip
                    if new < best:
                        best = new
                        planes[y, x] = trial
                cost[y, x] = best
