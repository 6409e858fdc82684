"""Textures with the statistics of photographs, and of what grows or crumbles.

Dead leaves (Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 2001): shapes whose sizes
follow r⁻³ and that cover each other have the edges and the 1/f spectrum of natural pictures.
"""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.materials.palette import palette, pick
from worldgen.scenes.textures import Picture, noise, tint


def dead_leaves(rng: Generator, height: int, width: int) -> Picture:
    """Discs, boxes and polygons that cover each other; radii follow a power law of exponent -3."""
    import cv2

    colours = palette(rng, int(rng.integers(4, 14)))
    low, high = 2.0, width * rng.uniform(0.12, 0.35)
    count = int(rng.integers(300, 1500))
    # inverse of the distribution function of r^-3 between low and high
    radii = 1 / np.sqrt(1 / low**2 - rng.random(count) * (1 / low**2 - 1 / high**2))
    radii[: count // 6] = np.sort(rng.uniform(0.2, 1, count // 6))[::-1] * high
    out = np.full((height, width, 3), pick(rng, colours), np.float32)
    shade = noise(rng, height, width, (60, 60), 5, 0.7)
    sharp = rng.random()
    for r in radii:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        colour = pick(rng, colours).tolist()
        if rng.random() < sharp:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
            corners = np.array([x, y]) + r * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(out, [np.round(corners * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
        else:
            axes = (max(1, int(16 * r)), max(1, int(16 * r * rng.uniform(0.3, 1))))
            centre = (int(16 * x), int(16 * y))
            cv2.ellipse(out, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA, 4)
    return tint((1, 1, 1), 0.12 * shade - 0.05) * out


def coloured_noise(rng: Generator, height: int, width: int) -> Picture:
    """1/f noise whose channels go together, as colours in photographs do (two weak chroma axes)."""
    gain = rng.uniform(0.5, 0.8)
    light = noise(rng, height, width, (256, 256), 8, gain)
    warm = noise(rng, height, width, (256, 256), 6, gain)
    base = palette(rng, 1)[0]
    axis = np.array([0.05, 0.0, -0.06], np.float32) * rng.uniform(0.2, 2)
    return np.clip(
        base * (1 + rng.uniform(0.1, 0.4) * light[..., None]) + warm[..., None] * axis, 0, 1
    ).astype(np.float32)


def cells(rng: Generator, height: int, width: int) -> Picture:
    """Cobbles, gravel, scales or cracked mud: the cells of scattered seeds, dark between them."""
    import cv2

    count = int(np.exp(rng.uniform(np.log(40), np.log(3000))))
    seeds = np.full((height, width), 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    found = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    label = np.asarray(found, np.int64)
    edges = (label != np.roll(label, 1, 0)) | (label != np.roll(label, 1, 1))
    inside = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 5)
    pitch = np.sqrt(height * width / count)
    bulge = np.clip(inside / (pitch * rng.uniform(0.05, 0.4)), 0, 1) ** 0.6
    colours = palette(rng, 3)
    tint = colours[rng.integers(len(colours), size=label.max() + 1)] * rng.uniform(
        0.6, 1.2, (label.max() + 1, 1)
    )
    rough = 1 + 0.15 * noise(rng, height, width, (12, 12), 4, 0.7)
    gap = rng.uniform(0.1, 0.6)
    return np.clip(tint[label] * (gap + (1 - gap) * bulge)[..., None] * rough[..., None], 0, 1).astype(
        np.float32
    )


def strokes(rng: Generator, height: int, width: int) -> Picture:
    """Grass, hay, fur or foliage: thousands of short strokes over darkness."""
    import cv2

    green = rng.random() < 0.6
    base = np.array([0.30, 0.40, 0.15]) if green else pick(rng, palette(rng, 4))
    out = np.full((height, width, 3), 0.35 * base, np.float32)
    lean, spread, long = rng.uniform(0, np.pi), rng.uniform(0.1, 1.5), rng.uniform(5, 28)
    for _ in range(60):  # of one colour each, mixed over the picture
        start = rng.uniform(0, (width, height), (80, 2))
        angle = lean + spread * rng.standard_normal(80)
        tip = (long * rng.uniform(0.4, 1.4, 80) * np.stack([np.cos(angle), np.sin(angle)])).T
        colour = np.clip(base * rng.uniform(0.4, 1.6) + 0.04 * rng.standard_normal(3), 0, 1).tolist()
        ends = np.round(8 * np.stack([start, start + tip], 1)).astype(np.int32)
        cv2.polylines(out, list(ends), False, colour, 1, cv2.LINE_AA, 3)
    return tint((1, 1, 1), 0.15 * noise(rng, height, width, (90, 90), 4) - 0.05) * out
