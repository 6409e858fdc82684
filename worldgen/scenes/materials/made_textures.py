"""Textures of what people make: paint, masonry, tiles, cloth and print."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.materials.palette import palette, pick
from worldgen.scenes.textures import Picture, noise, tint


def flat(rng: Generator, height: int, width: int) -> Picture:
    """Paint, paper or plastic: one colour, hardly any grain."""
    base = np.clip(pick(rng, palette(rng, 4)), 0.03, 0.97)
    return tint(base, rng.uniform(0.002, 0.04) * noise(rng, height, width, (200, 200), 7, 0.6))


def painted_wall(rng: Generator, height: int, width: int) -> Picture:
    """What most walls are: pale, almost even, with faint clouds and a few marks."""
    base = np.clip(0.15 + 0.85 * pick(rng, palette(rng, 4, calm=True)), 0.05, 0.97)
    clouds = noise(rng, height, width, (200, 200), 8, rng.uniform(0.5, 0.8))
    marks = np.clip(noise(rng, height, width, (24, 24), 3, 0.6) - rng.uniform(1.8, 3), 0, 1)
    return tint(base, rng.uniform(0.005, 0.05) * clouds - 0.4 * marks)


def ashlar(rng: Generator, height: int, width: int) -> Picture:
    """Courses of cut stone, each block with a grain and tint of its own."""
    out = np.empty((height, width, 3), np.float32)
    colours = palette(rng, 3, calm=True)
    grain = noise(rng, height, width, (40, 40), 7, 0.75)
    joint, rough, top = pick(rng, colours) * rng.uniform(0.4, 0.9), rng.uniform(0.04, 0.2), 0
    while top < height:
        course, left = int(rng.integers(28, 80)), -int(rng.integers(0, 80))
        while left < width:
            block = int(course * rng.uniform(1, 3))
            area = (slice(top, top + course), slice(max(left, 0), max(left + block, 0)))
            out[area] = pick(rng, colours) * (1 + rough * grain[area])[..., None]
            out[top : top + 2, area[1]] = joint
            out[area[0], area[1]][:, :2] = joint
            left += block
        top += course
    return np.clip(out, 0, 1)


def tiles(rng: Generator, height: int, width: int) -> Picture:
    """Square or oblong tiles or a chequerboard, with joints."""
    a, b = (pick(rng, palette(rng, 3)) for _ in range(2))
    if rng.random() < 0.5:
        b = a
    h = int(rng.integers(24, 128))
    w = h if rng.random() < 0.5 else int(h * rng.uniform(1, 3))
    row, column = np.arange(height) // h, np.arange(width) // w
    tint = 1 + rng.uniform(0.0, 0.15) * rng.standard_normal((row[-1] + 1, column[-1] + 1))
    odd = ((row[:, None] + column) % 2)[..., None]
    out = (np.where(odd, a, b) * tint[row[:, None], column][..., None]).astype(np.float32)
    joint = (np.arange(height) % h < 2)[:, None] | (np.arange(width) % w < 2)
    out[joint] = pick(rng, palette(rng, 2)) * 0.7
    return np.clip(out * (1 + 0.06 * noise(rng, height, width, (40, 40), 6, 0.8)[..., None]), 0, 1).astype(
        np.float32
    )


def stripes(rng: Generator, height: int, width: int) -> Picture:
    """Corrugation, cloth or blinds: bands along one axis."""
    colours = palette(rng, int(rng.integers(2, 5)))
    period = rng.uniform(12, 80)
    at = np.arange(width) + (2 * rng.random() - 1) * noise(rng, height, width, (200, 200), 3)
    band = (at % period) / period
    stripe = colours[(band * len(colours)).astype(int) % len(colours)]
    return np.clip(
        stripe * (0.9 + 0.06 * noise(rng, height, width, (16, 16), 5, 0.8))[..., None], 0, 1
    ).astype(np.float32)


def glyphs(rng: Generator, height: int, width: int) -> Picture:
    """A page, a shop sign or a poster: blocks of letters in several sizes, with coloured boxes."""
    import cv2

    colours = palette(rng, 5)
    ground = np.clip(pick(rng, colours) + rng.choice([0.0, 0.5]), 0, 1)
    out = np.full((height, width, 3), ground, np.float32)
    for _ in range(int(rng.integers(2, 9))):
        corner = rng.integers(0, width, 2)
        extent = rng.integers(20, width // 2, 2)
        cv2.rectangle(out, corner.tolist(), (corner + extent).tolist(), pick(rng, colours).tolist(), -1)
    ink = (1 - ground) * rng.uniform(0.2, 1)
    y = 0
    while y < height:
        scale = float(np.exp(rng.uniform(np.log(0.4), np.log(3.0))))
        y += int(30 * scale)
        letters = "".join(chr(c) for c in rng.integers(65, 122, int(rng.integers(4, 40))))
        colour = ink if rng.random() < 0.7 else pick(rng, colours)
        left = int(rng.integers(0, width // 4))
        font = int(rng.integers(0, 5))
        band = out[max(0, y - int(30 * scale)) : y + int(10 * scale)]
        mask = np.zeros(band.shape[:2], np.uint8)  # letters are drawn in bytes only
        foot = (left, min(y, int(30 * scale)))
        cv2.putText(mask, letters, foot, font, scale, 255, max(1, int(1.5 * scale)), cv2.LINE_AA)
        band += (mask / np.float32(255))[..., None] * (colour - band)
    return tint((1, 1, 1), 0.04 * noise(rng, height, width, (20, 20), 4) - 0.02) * out
