"""Numba kernels that move photos with depth to another camera. Pixel centres at (0.5, 0.5); z-depth."""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def _project(x, y, inverse, K, other_from_this, K_other):
    """Pixel and depth in another camera of the pixel centre (x, y) at 1 / inverse depth."""
    b = (y - K[1, 2]) / K[1, 1]
    a = (x - K[0, 2] - K[0, 1] * b) / K[0, 0]
    T, z = other_from_this, 1 / inverse
    px = (T[0, 0] * a + T[0, 1] * b + T[0, 2]) * z + T[0, 3]
    py = (T[1, 0] * a + T[1, 1] * b + T[1, 2]) * z + T[1, 3]
    pz = (T[2, 0] * a + T[2, 1] * b + T[2, 2]) * z + T[2, 3]
    if pz <= 1e-9:
        return 0.0, 0.0, -1.0
    return (
        K_other[0, 0] * px / pz + K_other[0, 1] * py / pz + K_other[0, 2],
        K_other[1, 1] * py / pz + K_other[1, 2],
        pz,
    )


@kernel
def _fill_triangle(p0, p1, p2, trust, inverse_out, trust_out):
    """Draws a triangle of (x, y, inverse depth) corners into a z-buffer of inverse depth (0 is empty)."""
    h, w = inverse_out.shape
    area = (p1[0] - p0[0]) * (p2[1] - p0[1]) - (p2[0] - p0[0]) * (p1[1] - p0[1])
    if area <= 1e-9:  # seen from behind, or from the side
        return
    left = max(math.ceil(min(p0[0], p1[0], p2[0]) - 0.5), 0)
    right = min(math.floor(max(p0[0], p1[0], p2[0]) - 0.5), w - 1)
    top = max(math.ceil(min(p0[1], p1[1], p2[1]) - 0.5), 0)
    bottom = min(math.floor(max(p0[1], p1[1], p2[1]) - 0.5), h - 1)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            u, v = x + 0.5, y + 0.5
            a = ((p1[0] - u) * (p2[1] - v) - (p2[0] - u) * (p1[1] - v)) / area
            b = ((p2[0] - u) * (p0[1] - v) - (p0[0] - u) * (p2[1] - v)) / area
            c = 1 - a - b
            if a >= -1e-9 and b >= -1e-9 and c >= -1e-9:
                inverse = a * p0[2] + b * p1[2] + c * p2[2]  # affine across the picture of a plane
                if inverse > inverse_out[y, x]:
                    inverse_out[y, x] = inverse
                    trust_out[y, x] = trust


@kernel
def raster_depth(inverse, trust, K, target_from_here, K_target, tear, inverse_out, trust_out):
    """Draws a photo's depth, as a mesh over its pixel centres, into the target's z-buffer.

    The mesh is torn where the depths of a triangle differ by more than the share ``tear``, so that edges of
    things do not smear into what is behind them.
    """
    h, w = inverse.shape
    corners = np.empty((2, w, 3))
    for y in range(h):
        for x in range(w):
            u, v, z = _project(x + 0.5, y + 0.5, inverse[y, x], K, target_from_here, K_target)
            corners[y % 2, x, 0], corners[y % 2, x, 1], corners[y % 2, x, 2] = u, v, 1 / z if z > 0 else -1.0
        if y == 0:
            continue
        up, low = corners[(y - 1) % 2], corners[y % 2]
        for x in range(1, w):
            d00, d01, d10, d11 = inverse[y - 1, x - 1], inverse[y - 1, x], inverse[y, x - 1], inverse[y, x]
            t = min(trust[y - 1, x - 1], trust[y - 1, x], trust[y, x - 1], trust[y, x])
            if min(up[x - 1, 2], up[x, 2], low[x - 1, 2], low[x, 2]) <= 0:
                continue
            if max(d00, d01, d10) < (1 + tear) * min(d00, d01, d10):
                _fill_triangle(up[x - 1], up[x], low[x - 1], t, inverse_out, trust_out)
            if max(d01, d10, d11) < (1 + tear) * min(d01, d10, d11):
                _fill_triangle(up[x], low[x], low[x - 1], t, inverse_out, trust_out)


@kernel
def fuse_depth(inverse, trust, same, inverse_out, trust_out):
    """One inverse depth [h, w] from those of k photos [k, h, w] (0 is empty).

    A candidate is supported by all that say the same within the share ``same``. The nearest candidate with
    at least half of the best support wins: what is in front hides what is behind, unless it is a lone guess.
    """
    k, h, w = inverse.shape
    support = np.empty(k)
    for y in range(h):
        for x in range(w):
            best = 0.0
            for i in range(k):
                support[i] = 0.0
                if inverse[i, y, x] > 0:
                    for j in range(k):
                        if inverse[j, y, x] > 0 and abs(inverse[j, y, x] / inverse[i, y, x] - 1) < same:
                            support[i] += trust[j, y, x]
                best = max(best, support[i])
            front = -1
            for i in range(k):
                if (
                    support[i] > 0
                    and support[i] >= 0.5 * best
                    and (front < 0 or inverse[i, y, x] > inverse[front, y, x])
                ):
                    front = i
            if front < 0:
                continue
            total, weight = 0.0, 0.0
            for j in range(k):
                if inverse[j, y, x] > 0 and abs(inverse[j, y, x] / inverse[front, y, x] - 1) < same:
                    total += trust[j, y, x] * inverse[j, y, x]
                    weight += trust[j, y, x]
            inverse_out[y, x] = total / weight
            trust_out[y, x] = weight


@kernel
def _cubic(t):
    """Weights of the Catmull-Rom spline at four neighbours."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


@kernel
def _add_colour(image, x, y, weight, out):
    """Adds a bicubic sample at (x, y), where pixel centres are at (0.5, 0.5); edges are repeated."""
    h, w, _ = image.shape
    x0, y0 = math.floor(x - 0.5), math.floor(y - 0.5)
    wx, wy = _cubic(x - 0.5 - x0), _cubic(y - 0.5 - y0)
    for j in range(4):
        row = min(max(int(y0) - 1 + j, 0), h - 1)
        for i in range(4):
            column = min(max(int(x0) - 1 + i, 0), w - 1)
            for c in range(3):
                out[c] += weight * wx[i] * wy[j] * image[row, column, c]


@kernel
def _weigh_photos(
    x, y, inverse, depths, trusts, K_photos, photos_from_target, centres, K, same, softness_deg,
    weights, beliefs, where,
):  # fmt: skip
    """How much each photo counts at the target pixel (x, y), 0 where it does not see the point.

    Args:
        inverse: of the pixel's depth.
        centres: [k, 3] of the photos, in the target's frame.
        weights, beliefs, where: filled for each photo: weight of its colour, belief that it alone is right, and its
            pixel. For the others see `gather_colours`.
    """
    k, h2, w2 = depths.shape
    # (a, b, 1) is the pixel's ray, z (a, b, 1) the point that it shows
    b = (y + 0.5 - K[1, 2]) / K[1, 1]
    a = (x + 0.5 - K[0, 2] - K[0, 1] * b) / K[0, 0]
    z = 1 / inverse
    for i in range(k):
        weights[i] = 0.0
        u, v, depth = _project(x + 0.5, y + 0.5, inverse, K, photos_from_target[i], K_photos[i])
        if depth <= 0 or u < 0.5 or v < 0.5 or u > w2 - 0.5 or v > h2 - 0.5:
            continue
        column, row = int(u), int(v)
        if abs(depth / depths[i, row, column] - 1) > same:
            continue  # something nearer hides the point from this photo
        # angle at the point between the rays of the target and of the photo
        dx, dy, dz = a * z - centres[i, 0], b * z - centres[i, 1], z - centres[i, 2]
        cosine = (dx * a + dy * b + dz) / math.sqrt((dx * dx + dy * dy + dz * dz) * (a * a + b * b + 1))
        angle = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
        # trust fades over 12 px towards the border, so that photos do not end in a seam
        border = min(u, w2 - u, v, h2 - v)
        trust = trusts[i, row, column] * min(1.0, border / 12)
        coarser = (depth / K_photos[i, 0, 0]) / (z / K[0, 0])  # > 1: the photo sees it less finely
        sharp = 1 / max(1.0, coarser) ** 2
        weights[i] = trust * trust * sharp / (1 + (angle / softness_deg) ** 2)
        # belief that this photo alone is right: at most 0.75, half of that seen from 25° aside
        beliefs[i] = 0.75 * trust / (1 + (angle / 25) ** 2)
        where[i, 0], where[i, 1] = u, v


@kernel
def _blend_photos(images, sources, weights, beliefs, where, samples, mean):
    """Weighted mean colour of the heaviest photos, filled into `mean`; its confidence, negative where none counts.

    Mean and spread are West's weighted update; `weights` are used up.
    """
    total, spread, used, strongest, doubt = 0.0, 0.0, 0, 0.0, 1.0
    mean[:] = 0
    for _ in range(sources):
        best = int(np.argmax(weights))
        # photos below a fiftieth of the heaviest weight hardly move the mean
        if weights[best] <= 0.02 * strongest or weights[best] <= 0:
            break
        samples[used] = 0
        _add_colour(images[best], where[best, 0], where[best, 1], 1.0, samples[used])
        strongest = max(strongest, weights[best])
        total += weights[best]
        for c in range(3):
            step = samples[used, c] - mean[c]
            mean[c] += step * weights[best] / total
            spread += weights[best] * step * (samples[used, c] - mean[c])
        used += 1
        doubt *= 1 - beliefs[best]
        weights[best] = 0.0
    if used == 0:
        return -1.0
    # confidence: not all photos wrong at once, and halved where colours differ by 0.08 (20 grey levels)
    disagreement = math.sqrt(max(spread, 0.0) / (3 * total))
    return (1 - doubt) / (1 + (disagreement / 0.08) ** 2)


@kernel
def gather_colours(
    inverse, images, depths, trusts, K_photos, photos_from_target, K, same, softness_deg, sources,
    colour_out, confidence_out,
):  # fmt: skip
    """Looks each target pixel up in the photos that see it, and blends the best of them.

    Args:
        inverse: [h, w] inverse depth of the target, 0 where unknown.
        images, depths, trusts: [k, h', w', 3], z-depth and confidence [k, h', w'] of the photos.
        same: relative depth difference up to which a photo sees the point, rather than what hides it.
        softness_deg: angle between rays at which a photo counts half.
        sources: how many photos to blend at most.
        colour_out, confidence_out: filled where at least one photo sees the pixel; confidence in [0, 1].
    """
    h, w = inverse.shape
    k = len(images)
    weights, beliefs = np.empty(k), np.empty(k)
    where, samples, centres, mean = np.empty((k, 2)), np.empty((k, 3)), np.empty((k, 3)), np.empty(3)
    for i in range(k):  # the photos' centres in the target's frame: -Rᵀ t
        for c in range(3):
            centres[i, c] = 0.0
            for r in range(3):
                centres[i, c] -= photos_from_target[i, r, c] * photos_from_target[i, r, 3]
    for y in range(h):
        for x in range(w):
            if inverse[y, x] <= 0:
                continue
            _weigh_photos(
                x, y, inverse[y, x], depths, trusts, K_photos, photos_from_target, centres, K, same, softness_deg,
                weights, beliefs, where,
            )  # fmt: skip
            confidence = _blend_photos(images, sources, weights, beliefs, where, samples, mean)
            if confidence < 0:
                continue
            for c in range(3):
                colour_out[y, x, c] = min(1.0, max(0.0, mean[c]))
            confidence_out[y, x] = confidence
