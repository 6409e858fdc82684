"""Numba kernel of the pixel check: the best correlation of patches along epipolar lines."""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def best_correlations(a, b, places, plane, shift, inverse_depths, half, step, least_norm, best):
    """Fill ``best`` with each patch's largest correlation over depths, -1 where `b` sees it at fewer than three of them.

    Args:
        a, b: grey pictures [h, w].
        places: [p, 2] centres of the patches in `a`, whole pixels (x, y).
        plane, shift: [3, 3] and [3] of `integer_pixel_map` from a to b.
        inverse_depths: [d] of the planes on which patches are carried over, parallel to the picture `a`.
        half: patches reach so many pixels to each side, a multiple of `step`.
        step: every so many pixels of a patch are compared.
        least_norm: below it a patch counts as blank, and correlates with nothing.
        best: [p], filled.
    """
    side = 2 * half // step + 1
    own = np.empty(side * side)
    for p in range(len(places)):
        x0, y0 = places[p, 0], places[p, 1]
        total = 0.0
        for i in range(side):
            for j in range(side):
                own[i * side + j] = a[y0 - half + step * i, x0 - half + step * j]
                total += own[i * side + j]
        mean, norm = total / len(own), 0.0
        for k in range(len(own)):
            own[k] -= mean
            norm += own[k] * own[k]
        norm = math.sqrt(norm)
        best[p], seen = -1.0, 0
        for d in range(len(inverse_depths)):
            found = _correlate(own, norm, b, x0, y0, plane, inverse_depths[d] * shift, half, step, least_norm)
            if found > -2:
                seen += 1
                best[p] = max(best[p], found)
        if seen < 3:
            best[p] = -1.0


@kernel
def _correlate(own, norm, b, x0, y0, plane, shift, half, step, least_norm):
    """Correlation of one patch with what `b` shows of it on one plane; -2 where part of it lies outside."""
    h, w = b.shape
    side = 2 * half // step + 1
    total, squares, product = 0.0, 0.0, 0.0
    for i in range(side):
        y = y0 - half + step * i
        for j in range(side):
            x = x0 - half + step * j
            z = plane[2, 0] * x + plane[2, 1] * y + plane[2, 2] + shift[2]
            if z <= 1e-9:
                return -2.0
            u = (plane[0, 0] * x + plane[0, 1] * y + plane[0, 2] + shift[0]) / z
            v = (plane[1, 0] * x + plane[1, 1] * y + plane[1, 2] + shift[1]) / z
            if not (0 <= u < w - 1 and 0 <= v < h - 1):
                return -2.0
            left, top = int(u), int(v)
            s, t = u - left, v - top
            value = (1 - t) * ((1 - s) * b[top, left] + s * b[top, left + 1]) + t * (
                (1 - s) * b[top + 1, left] + s * b[top + 1, left + 1]
            )
            total += value
            squares += value * value
            product += value * own[i * side + j]
    count = side * side
    spread = math.sqrt(max(squares - total * total / count, 0.0))
    if norm < least_norm or spread < least_norm:
        return 0.0
    return product / (norm * spread)
