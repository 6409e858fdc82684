"""Numba kernels of the depth estimation: semi-global aggregation, cross-view checks, edge-aware filtering."""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def _relax(previous, cost, penalty_step, penalty_jump, current):
    """One step of a path: ``current`` = cost + the cheapest way here from the ``previous`` pixel of the path."""
    planes = len(cost)
    floor = previous[0]
    for d in range(1, planes):
        floor = min(floor, previous[d])
    jump = floor + penalty_jump
    for d in range(planes):
        best = min(previous[d], jump)
        if d > 0:
            best = min(best, previous[d - 1] + penalty_step)
        if d < planes - 1:
            best = min(best, previous[d + 1] + penalty_step)
        current[d] = cost[d] + best - floor


@kernel
def aggregate_scan(cost, gray, penalty_step, penalty_jump, total):
    """Adds four of the eight path directions of semi-global matching (Hirschmüller 2008) to ``total``.

    One raster scan over cost [h, w, d] with the paths from the left, the upper left, above and the upper
    right; flipped views of the arrays give the other four. A jump of depth is cheap across an edge of ``gray``.
    """
    h, w, planes = cost.shape
    shifts = (-1, 0, 1)
    above = np.zeros((3, w, planes), np.float32)
    current = np.zeros((3, w, planes), np.float32)
    left = np.zeros(planes, np.float32)
    step = np.zeros(planes, np.float32)
    for y in range(h):
        for x in range(w):
            if x > 0:
                edge = abs(gray[y, x] - gray[y, x - 1])
                _relax(left, cost[y, x], penalty_step, penalty_jump / (1 + 12 * edge), step)
            else:
                step[:] = cost[y, x]
            left[:] = step
            total[y, x] += step
            for k in range(3):
                from_x = x + shifts[k]
                if y > 0 and 0 <= from_x < w:
                    edge = abs(gray[y, x] - gray[y - 1, from_x])
                    _relax(
                        above[k, from_x],
                        cost[y, x],
                        penalty_step,
                        penalty_jump / (1 + 12 * edge),
                        current[k, x],
                    )
                else:
                    current[k, x] = cost[y, x]
                total[y, x] += current[k, x]
        above, current = current, above


@kernel
def best_plane(total, cost, first, spacing, inverse_depth, winner):
    """Inverse depth [h, w] at the minimum of ``total``, refined by a parabola, and the raw cost there."""
    h, w, planes = total.shape
    for y in range(h):
        for x in range(w):
            d = int(np.argmin(total[y, x]))
            shift = 0.0
            if 0 < d < planes - 1:
                a, b, c = total[y, x, d - 1], total[y, x, d], total[y, x, d + 1]
                bend = a - 2 * b + c  # curvature of the parabola through the three costs
                if bend > 1e-9:
                    shift = min(0.5, max(-0.5, 0.5 * (a - c) / bend))
            inverse_depth[y, x] = first + (d + shift) * spacing
            winner[y, x] = cost[y, x, d]


@kernel
def count_agreeing(inverse_depth, K, other_inverse_depth, K_other, other_from_ref, tolerance, count):
    """Adds 1 to ``count`` where another view's depth says the same within a relative ``tolerance``.

    The other map is read at the nearest pixel and its bilinear neighbourhood is not mixed: depth edges stay edges.
    """
    h, w = inverse_depth.shape
    h2, w2 = other_inverse_depth.shape
    R, t = other_from_ref[:3, :3], other_from_ref[:3, 3]
    for y in range(h):
        for x in range(w):
            z = 1 / inverse_depth[y, x]
            # the pixel's point in this camera, then in the other, then its pixel there
            b = (y + 0.5 - K[1, 2]) / K[1, 1]
            a = (x + 0.5 - K[0, 2] - K[0, 1] * b) / K[0, 0]
            px = (R[0, 0] * a + R[0, 1] * b + R[0, 2]) * z + t[0]
            py = (R[1, 0] * a + R[1, 1] * b + R[1, 2]) * z + t[1]
            pz = (R[2, 0] * a + R[2, 1] * b + R[2, 2]) * z + t[2]
            if pz <= 0:
                continue
            u = math.floor(K_other[0, 0] * px / pz + K_other[0, 1] * py / pz + K_other[0, 2])
            v = math.floor(K_other[1, 1] * py / pz + K_other[1, 2])
            if 0 <= u < w2 and 0 <= v < h2 and abs(pz * other_inverse_depth[v, u] - 1) < tolerance:
                count[y, x] += 1


@kernel
def _smooth_rows(values, feedback):
    """A recursive filter along rows, both ways, in place; feedback [h, w] binds a pixel to its left neighbour."""
    h, w, channels = values.shape
    for y in range(h):
        for x in range(1, w):
            for c in range(channels):
                values[y, x, c] += feedback[y, x] * (values[y, x - 1, c] - values[y, x, c])
        for x in range(w - 2, -1, -1):
            for c in range(channels):
                values[y, x, c] += feedback[y, x + 1] * (values[y, x + 1, c] - values[y, x, c])


@kernel
def edge_aware_smooth(values, guide, sigma_px, sigma_colour, rounds):
    """Domain transform, recursive form (Gastal & Oliveira 2011): smooths [h, w, c] within edges of the guide."""
    h, w, _ = values.shape
    across = np.ones((h, w))
    down = np.ones((w, h))
    for y in range(h):
        for x in range(w):
            for c in range(guide.shape[2]):
                if x > 0:
                    across[y, x] += sigma_px / sigma_colour * abs(guide[y, x, c] - guide[y, x - 1, c])
                if y > 0:
                    down[x, y] += sigma_px / sigma_colour * abs(guide[y, x, c] - guide[y - 1, x, c])
    for k in range(rounds):
        # equation 14 of the paper: radii halve from round to round, and their variances add up to sigma_px²
        sigma = sigma_px * math.sqrt(3.0) * 2.0 ** (rounds - k - 1) / math.sqrt(4.0**rounds - 1)
        base = math.exp(-math.sqrt(2.0) / sigma)
        _smooth_rows(values, base**across)
        turned = np.ascontiguousarray(values.transpose(1, 0, 2))
        _smooth_rows(turned, base**down)
        values[:] = turned.transpose(1, 0, 2)
