"""Transfer of neighbours' depth planes into a photo, by drawing or look-up, in numba.

A plane (q, gx, gy) of a pixel gives the inverse depth q + gx·dx + gy·dy. With a = (gx, gy, q - gx·u - gy·v) it
holds the points X with a·KX = 1. Where ``M`` and ``s`` take a photo's pixel and inverse depth to those of
a neighbour, K'X' = z (M p + q s), so that the neighbour's plane a' is (Mᵀ a') / (1 - a'·s) in the photo: exact.
"""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def _carry_plane(plane, u, v, M, s, out):
    """Writes a neighbour's plane at its pixel (u, v) as (gx, gy, constant) of the photo; False where the photo cannot see it."""
    a0, a1 = plane[1], plane[2]
    a2 = plane[0] - a0 * u - a1 * v
    rest = 1 - (a0 * s[0] + a1 * s[1] + a2 * s[2])
    if rest <= 1e-9:
        return False
    for k in range(3):
        out[k] = (M[0, k] * a0 + M[1, k] * a1 + M[2, k] * a2) / rest
    return True


@kernel
def draw_planes(other_planes, M, s, out):
    """Draws a neighbour's planes [h, w, 3] into a photo, a pixel each, the nearest in front; 0 where none falls."""
    h, w, _ = other_planes.shape
    height, width, _ = out.shape
    back = np.linalg.inv(M)
    carried = np.empty(3)
    out[:] = 0
    for v in range(h):
        for u in range(w):
            q = other_planes[v, u, 0]
            # the inverse of K'X' = z (M p + q s): from the neighbour's pixel and depth to the photo's
            a, b, c = u / q - s[0], v / q - s[1], 1 / q - s[2]
            z = back[2, 0] * a + back[2, 1] * b + back[2, 2] * c
            if z <= 1e-9:
                continue
            px = math.floor((back[0, 0] * a + back[0, 1] * b + back[0, 2] * c) / z + 0.5)
            py = math.floor((back[1, 0] * a + back[1, 1] * b + back[1, 2] * c) / z + 0.5)
            if not (0 <= px < width and 0 <= py < height) or 1 / z <= out[py, px, 0]:
                continue
            if _carry_plane(other_planes[v, u], u, v, M, s, carried):
                inverse = carried[0] * px + carried[1] * py + carried[2]
                if abs(inverse * z - 1) < 0.1:  # a plane seen edge on leaves its own point by more than 10%
                    out[py, px, 0] = inverse
                    out[py, px, 1] = carried[0]
                    out[py, px, 2] = carried[1]


@kernel
def fuse_planes(planes, other_planes, maps, shifts, tolerance, tolerance_fused, fused, agreeing):
    """Fills inverse depth [h, w] with the mean over neighbours that agree, and how many do.

    Args:
        planes, other_planes: [h, w, 3] of the photo and [m, h, w, 3] of its neighbours.
        tolerance, tolerance_fused: relative difference up to which depth agrees, and enters the mean.
        fused, agreeing: [h, w], filled.
    """
    h, w, _ = planes.shape
    m, h2, w2, _ = other_planes.shape
    carried = np.empty(3)
    for y in range(h):
        for x in range(w):
            own = planes[y, x, 0]
            total, weight, count = own, 1.0, 0
            for n in range(m):
                M, s = maps[n], shifts[n]
                z = M[2, 0] * x + M[2, 1] * y + M[2, 2] + s[2] * own
                if z <= 1e-9:
                    continue
                u = math.floor((M[0, 0] * x + M[0, 1] * y + M[0, 2] + s[0] * own) / z + 0.5)
                v = math.floor((M[1, 0] * x + M[1, 1] * y + M[1, 2] + s[1] * own) / z + 0.5)
                if not (0 <= u < w2 and 0 <= v < h2):
                    continue
                if not _carry_plane(other_planes[n, v, u], u, v, M, s, carried):
                    continue
                seen = carried[0] * x + carried[1] * y + carried[2]
                off = abs(seen / own - 1)
                if off < tolerance:
                    count += 1
                if off < tolerance_fused:
                    total += seen
                    weight += 1
            fused[y, x] = total / weight
            agreeing[y, x] = count
