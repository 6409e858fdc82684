"""Procedural surface patterns for the synthetic room: rich, sharp and never repeating.

Every function paints a picture of `height` x `width` texels, sRGB float32 in [0, 1], from a numpy generator.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

Picture = Float[np.ndarray, "h w 3"]
"""sRGB in [0, 1], float32."""

PALETTE = np.array(
    [
        [0.80, 0.36, 0.25], [0.93, 0.72, 0.36], [0.22, 0.42, 0.50], [0.36, 0.52, 0.36], [0.91, 0.87, 0.78],
        [0.20, 0.22, 0.32], [0.60, 0.26, 0.32], [0.45, 0.62, 0.68], [0.70, 0.55, 0.40], [0.95, 0.93, 0.88],
        [0.85, 0.55, 0.50], [0.30, 0.32, 0.30],
    ],
    dtype=np.float32,
)  # fmt: skip
"""Warm interior colours that sit well beside each other."""


def noise(
    rng: Generator, height: int, width: int, cells: tuple[float, float], octaves: int = 6, gain: float = 0.62
) -> Float[np.ndarray, "h w"]:
    """Multi-octave value noise of unit deviation; `cells` are texels per lattice cell, (vertical, horizontal)."""
    import cv2

    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(3, int(height * 2**octave / cells[0]) + 3)
        columns = max(3, int(width * 2**octave / cells[1]) + 3)
        if rows > height or columns > width:
            rows, columns = min(rows, height), min(columns, width)
        lattice = rng.standard_normal((rows, columns)).astype(np.float32)
        total += gain**octave * cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / total.std()


def tint(base: Sequence[float] | np.ndarray, light: Float[np.ndarray, "h w"]) -> Picture:
    """A base colour whose brightness follows `light` (0 is neutral)."""
    return np.clip(np.asarray(base, np.float32) * (1 + light[..., None]), 0, 1).astype(np.float32)


def wood(rng: Generator, height: int, width: int, base: Sequence[float] = (0.62, 0.43, 0.27)) -> Picture:
    """Grain along the horizontal axis, with darker rings and speckle."""
    warp = noise(rng, height, width, (90, 400), 4)
    rings = np.sin(2.2 * warp + np.linspace(0, 40 * height / 256, height, dtype=np.float32)[:, None])
    grain = noise(rng, height, width, (5, 120), 3)
    speck = noise(rng, height, width, (24, 24), 4, 0.8)
    return tint(base, 0.10 * rings + 0.10 * grain + 0.07 * speck)


def planks(rng: Generator, height: int, width: int, board: int = 26) -> Picture:
    """A floor of boards of random length, tint and grain; `board` is their width in texels."""
    out = wood(rng, height, width, (0.66, 0.48, 0.32))
    for top in range(0, height, board):
        left = -int(rng.integers(0, 200))
        while left < width:
            right = left + int(rng.integers(120, 330))
            tint = (0.74 + 0.42 * rng.random()) * (1 + 0.06 * rng.standard_normal(3))
            patch = out[top : top + board, max(left, 0) : max(right, 0)]
            patch[:] = np.clip(patch * tint, 0, 1)
            patch[:, :1] *= 0.45
            left = right
        out[top : top + 1] *= 0.5
    return out.astype(np.float32)


def bricks(rng: Generator, height: int, width: int, brick: tuple[int, int] = (14, 42)) -> Picture:
    """Bricks with colours of their own in light mortar; `brick` is (height, width) in texels."""
    out = tint((0.74, 0.70, 0.64), 0.10 * noise(rng, height, width, (8, 8), 3))
    rough = noise(rng, height, width, (20, 20), 5, 0.75)
    h, w = brick
    for row, top in enumerate(range(0, height, h)):
        for left in range(-(w // 2) * (row % 2), width, w):
            base = np.array([0.66, 0.36, 0.26]) * (0.62 + 0.6 * rng.random()) + 0.045 * rng.standard_normal(3)
            rows = slice(top + 1, min(top + h - 1, height))
            columns = slice(max(left + 1, 0), max(min(left + w - 1, width), 0))
            out[rows, columns] = tint(np.clip(base, 0.05, 1), 0.13 * rough[rows, columns])
    return out


def wallpaper(rng: Generator, height: int, width: int, base: Sequence[float] = (0.78, 0.80, 0.72)) -> Picture:
    """Scattered leaves and blossoms, each of its own size, turn and tint."""
    import cv2

    out = tint(base, 0.05 * noise(rng, height, width, (60, 60), 6, 0.8))
    ink = [
        np.array(c) for c in ((0.42, 0.52, 0.40), (0.55, 0.62, 0.52), (0.78, 0.52, 0.42), (0.32, 0.42, 0.46))
    ]
    for _ in range(height * width // 420):
        x, y = int(rng.integers(0, width) * 8), int(rng.integers(0, height) * 8)
        long, wide = rng.uniform(5, 15), rng.uniform(2, 5)
        colour = np.clip(ink[rng.integers(len(ink))] * rng.uniform(0.75, 1.25), 0, 1)
        size, turn = (int(long * 8), int(wide * 8)), float(rng.uniform(0, 360))
        cv2.ellipse(out, (x, y), size, turn, 0, 360, colour.tolist(), -1, cv2.LINE_AA, 3)
        if rng.random() < 0.5:
            tip = np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))]) * long * 8
            ends = [(int(x + s * tip[0]), int(y + s * tip[1])) for s in (-1, 1)]
            cv2.line(out, ends[0], ends[1], (colour * 0.7).tolist(), 1, cv2.LINE_AA, 3)
    return out


def plaster(rng: Generator, height: int, width: int, base: Sequence[float] = (0.86, 0.83, 0.76)) -> Picture:
    """Trowelled lime plaster: soft clouds, fine grain and small chips."""
    clouds = noise(rng, height, width, (120, 120), 5, 0.6)
    grain = noise(rng, height, width, (10, 10), 3, 0.9)
    chips = np.clip(noise(rng, height, width, (16, 16), 3, 0.5) - 1.7, 0, 1)
    return tint(base, 0.06 * clouds + 0.045 * grain - 0.35 * chips)


def marble(rng: Generator, height: int, width: int, base: Sequence[float] = (0.80, 0.82, 0.80)) -> Picture:
    """Veins where warped noise crosses zero."""
    veins = np.exp(-6 * np.abs(noise(rng, height, width, (90, 90), 5, 0.6)))
    fine = np.exp(-8 * np.abs(noise(rng, height, width, (30, 40), 4, 0.6)))
    return tint(base, 0.07 * noise(rng, height, width, (20, 20), 4) - 0.55 * veins - 0.3 * fine)


def fabric(rng: Generator, height: int, width: int, base: Sequence[float] = (0.30, 0.44, 0.50)) -> Picture:
    """A tartan whose stripes never come twice, on a coarse weave."""
    out = tint(
        base, 0.12 * noise(rng, height, width, (4, 4), 2) + 0.10 * noise(rng, height, width, (50, 50), 4)
    )
    for axis, extent in ((0, height), (1, width)):
        position = 0
        while position < extent:
            thick = int(rng.integers(1, 9))
            stripe = np.moveaxis(out, axis, 0)[position : position + thick]
            stripe += 0.45 * (PALETTE[rng.integers(len(PALETTE))] - stripe)
            position += thick + int(rng.integers(3, 22))
    return np.clip(out, 0, 1)


def patchwork(rng: Generator, height: int, width: int, patch: int = 40) -> Picture:
    """A quilt: every patch has its own colour and motif, with a border around the whole."""
    import cv2

    out = np.zeros((height, width, 3), np.float32)
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            first, second = (PALETTE[i].tolist() for i in rng.choice(len(PALETTE), 2, replace=False))
            cell = np.full((patch, patch, 3), first, np.float32)
            middle, motif = patch // 2, rng.integers(4)
            if motif == 0:
                cv2.circle(
                    cell, (middle, middle), int(patch * rng.uniform(0.15, 0.42)), second, -1, cv2.LINE_AA
                )
            elif motif == 1:
                corners = (
                    np.array([[0, 0], [patch, 0], [0, patch]])
                    if rng.random() < 0.5
                    else rng.integers(0, patch, (4, 2))
                )
                cv2.fillConvexPoly(cell, cv2.convexHull(corners.astype(np.int32)), second, cv2.LINE_AA)
            elif motif == 2:
                for x in range(-patch, patch, int(rng.integers(6, 14))):
                    cv2.line(cell, (x, 0), (x + patch, patch), second, 2, cv2.LINE_AA)
            else:
                for _ in range(9):
                    spot = tuple(int(v) for v in rng.integers(0, patch, 2))
                    cv2.circle(cell, spot, int(rng.integers(2, 6)), second, -1, cv2.LINE_AA)
            out[top : top + patch, left : left + patch] = cell[: height - top, : width - left]
    rim = max(2, patch // 5)
    cv2.rectangle(out, (0, 0), (width - 1, height - 1), PALETTE[6].tolist(), 2 * rim)
    cv2.rectangle(out, (rim, rim), (width - 1 - rim, height - 1 - rim), PALETTE[4].tolist(), 2)
    return np.clip(out * (1 + 0.10 * noise(rng, height, width, (5, 5), 3)[..., None]), 0, 1).astype(
        np.float32
    )


def poster(rng: Generator, height: int, width: int) -> Picture:
    """A framed print: a graded ground, bold shapes, and lines that look like writing."""
    import cv2

    colours = PALETTE[rng.permutation(len(PALETTE))]
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    out = np.ascontiguousarray(
        np.broadcast_to(colours[0] * (1 - ramp) + colours[1] * ramp, (height, width, 3))
    )
    side = min(height, width)
    for i in range(14):
        colour = colours[2 + i % (len(colours) - 2)].tolist()
        centre = np.array([rng.uniform(0, width), rng.uniform(0, 0.8 * height)])
        size = side * rng.uniform(0.05, 0.28)
        if i % 3 == 0:
            cv2.circle(out, (int(centre[0]), int(centre[1])), int(size), colour, -1, cv2.LINE_AA)
        elif i % 3 == 1:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
            corners = centre + 1.3 * size * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(out, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            far = centre + rng.uniform(-1, 1, 2) * side * 0.6
            ends = [(int(p[0]), int(p[1])) for p in (centre, far)]
            cv2.line(out, ends[0], ends[1], colour, max(2, int(size / 5)), cv2.LINE_AA)
    out *= 1 + 0.05 * noise(rng, height, width, (12, 12), 4, 0.8)[..., None]
    _writing(out, rng, top=int(0.82 * height), colour=colours[-1])
    frame = max(3, side // 22)
    cv2.rectangle(out, (0, 0), (width - 1, height - 1), (0.16, 0.13, 0.11), 2 * frame)
    return np.clip(out, 0, 1).astype(np.float32)


def _writing(picture: Picture, rng: Generator, *, top: int, colour: np.ndarray) -> None:
    """Rows of dashes of random length, painted into the picture from row `top` down."""
    height, width, _ = picture.shape
    step = max(5, height // 40)
    for y in range(top, height - 2 * step, step):
        x = width // 10
        while x < 0.9 * width:
            length = int(rng.integers(3, max(4, width // 9)))
            picture[y : y + max(2, step // 2), x : min(x + length, int(0.9 * width))] = colour
            x += length + max(2, width // 60)


def spines(rng: Generator, height: int, width: int) -> Picture:
    """A row of books seen from their backs."""
    out = np.full((height, width, 3), 0.06, np.float32)
    left = 0
    while left < width:
        thick = int(rng.integers(max(5, height // 14), max(8, height // 5)))
        top = int(rng.uniform(0, 0.22) * height)
        book = out[top:, left : left + thick - 1]
        base = PALETTE[rng.integers(len(PALETTE))] * rng.uniform(0.65, 1.05)
        book[:] = base
        for _ in range(int(rng.integers(1, 4))):
            at, band = int(rng.uniform(0.05, 0.85) * len(book)), int(rng.integers(2, max(3, height // 9)))
            book[at : at + band, 1:-1] = PALETTE[rng.integers(len(PALETTE))]
        book *= np.linspace(0.8, 1.1, max(book.shape[1], 1), dtype=np.float32)[None, :, None]
        left += thick
    return np.clip(out * (1 + 0.05 * noise(rng, height, width, (6, 6), 2)[..., None]), 0, 1).astype(
        np.float32
    )
