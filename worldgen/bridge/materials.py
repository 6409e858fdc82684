"""What procedural surfaces are made of: textures with the statistics of photographs, and how they shine.

Dead leaves (Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 2001): shapes whose sizes
follow r⁻³ and that cover each other have the edges and the 1/f spectrum of natural pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen import textures
from worldgen.textures import Picture, noise

SIZE = 512
"""Texels along a side of a texture."""
Painter = Callable[[Generator, int, int], Picture]
"""(generator, height, width) to a picture."""


@dataclass(frozen=True)
class Material:
    texture: Float[np.ndarray, "size size 3"]
    """sRGB in [0, 1]."""
    extent: float = 1.5
    """World units that the texture covers before it is mirrored."""
    gloss: float = 0.0
    """Strength of highlights and of the reflected surroundings, in [0, 1]."""
    sharpness: float = 30.0
    """Exponent of the highlight (Blinn 1977)."""
    glow: float = 0.0
    """Light that the surface gives of itself, as a share of its colour."""


def palette(rng: Generator, count: int, *, calm: bool = False) -> Float[np.ndarray, "k 3"]:
    """Colours that occur together: a few hues, mostly muted, brightness spread wide; `calm` ones suit walls."""
    import cv2

    # browns above all, then blues and greens; purple and pink are rare outside of shops
    centres = rng.choice([0.07, 0.30, 0.58, rng.random()], size=count, p=[0.3, 0.2, 0.3, 0.2])
    hues = np.where(rng.random(count) < (0.7 if calm else 0.45), 0.09, centres)
    hues = hues + 0.035 * rng.standard_normal(count)
    # most of what people build is nearly grey or brown; a few things are dyed
    vivid = not calm and rng.random() < 0.3
    saturation = np.clip(rng.beta(1.6, 2.2 if vivid else 4.5, count) * (0.6 if calm else 1), 0, 0.9)
    value = rng.uniform(0.45, 0.95, count) if calm else rng.uniform(0.1, 0.95, count)
    hsv = np.stack([360 * (hues % 1), saturation, value], 1)
    return cv2.cvtColor(hsv.astype(np.float32)[None], cv2.COLOR_HSV2RGB)[0]


def pick(rng: Generator, colours: Float[np.ndarray, "k 3"]) -> np.ndarray:
    return np.clip(colours[rng.integers(len(colours))] * rng.uniform(0.8, 1.2), 0, 1)


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
    return textures.tinted((1, 1, 1), 0.12 * shade - 0.05) * out


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
    return textures.tinted((1, 1, 1), 0.15 * noise(rng, height, width, (90, 90), 4) - 0.05) * out


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
    return textures.tinted((1, 1, 1), 0.04 * noise(rng, height, width, (20, 20), 4) - 0.02) * out


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


def flat(rng: Generator, height: int, width: int) -> Picture:
    """Paint, paper or plastic: one colour, hardly any grain."""
    base = np.clip(pick(rng, palette(rng, 4)), 0.03, 0.97)
    return textures.tinted(base, rng.uniform(0.002, 0.04) * noise(rng, height, width, (200, 200), 7, 0.6))


def painted_wall(rng: Generator, height: int, width: int) -> Picture:
    """What most walls are: pale, almost even, with faint clouds and a few marks."""
    base = np.clip(0.15 + 0.85 * pick(rng, palette(rng, 4, calm=True)), 0.05, 0.97)
    clouds = noise(rng, height, width, (200, 200), 8, rng.uniform(0.5, 0.8))
    marks = np.clip(noise(rng, height, width, (24, 24), 3, 0.6) - rng.uniform(1.8, 3), 0, 1)
    return textures.tinted(base, rng.uniform(0.005, 0.05) * clouds - 0.4 * marks)


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


def _based(paint: Callable[..., Picture], *, calm: bool = False) -> Painter:
    """A painter whose base colour is drawn too."""

    def painted(rng: Generator, height: int, width: int) -> Picture:
        return paint(
            rng, height, width, np.clip(0.1 + 0.9 * pick(rng, palette(rng, 4, calm=calm)), 0, 1).tolist()
        )

    return painted


WALLS: Sequence[Painter] = (
    painted_wall, painted_wall, painted_wall, painted_wall, ashlar, ashlar, textures.bricks, textures.bricks,
    _based(textures.plaster, calm=True), _based(textures.plaster, calm=True), coloured_noise,
    _based(textures.wallpaper, calm=True), tiles, cells, glyphs,
)  # fmt: skip
GROUNDS: Sequence[Painter] = (
    textures.planks, textures.planks, tiles, cells, cells, strokes, coloured_noise, coloured_noise,
    textures.marble, _based(textures.fabric), dead_leaves,
)  # fmt: skip
THINGS: Sequence[Painter] = (
    dead_leaves, dead_leaves, dead_leaves, coloured_noise, coloured_noise, flat, flat, flat, textures.wood,
    _based(textures.marble), _based(textures.fabric), textures.patchwork, textures.poster, glyphs, stripes,
    cells, strokes, tiles, textures.spines,
)  # fmt: skip
PHOTOGRAPHS = ("brick", "grass", "gravel", "coffee", "chelsea", "camera", "rocket", "astronaut")
"""Pictures of scikit-image in the public domain (CC0, or NASA's)."""


def photograph(rng: Generator) -> Picture:
    """A square out of one of scikit-image's public-domain photographs, perhaps mirrored.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    import cv2

    from recon.errors import MissingDependencyError

    try:
        from skimage import data  # pyright: ignore[reportMissingImports]  # optional
    except ImportError as error:
        raise MissingDependencyError(
            "photographs=True needs scikit-image, which is not installed; run pip install scikit-image"
        ) from error
    image = np.asarray(getattr(data, PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))])())
    image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
    side = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
    crop = np.ascontiguousarray(image[top : top + side, left : left + side][:, :: rng.choice([-1, 1])])
    return cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def embossed(picture: Picture, depth: float) -> Picture:
    """Bright and dark flanks along edges, as a slanting light leaves them on a relief."""
    light = picture.mean(2)
    slope = np.roll(light, (1, 1), (0, 1)) - np.roll(light, (-1, -1), (0, 1))
    return np.clip(picture * (1 + depth * slope[..., None]), 0, 1).astype(np.float32)


def worn(rng: Generator, picture: Picture) -> Picture:
    """Stained, faded and scratched: what age does to any surface."""
    height, width, _ = picture.shape
    stain = np.clip(
        noise(rng, height, width, (rng.uniform(60, 300), rng.uniform(30, 120)), 6, 0.65) - 0.6, 0, 1
    )
    colour = pick(rng, palette(rng, 2)) * 0.7
    mixed = picture + (rng.uniform(0.2, 0.9) * stain)[..., None] * (colour - picture)
    return np.clip(mixed, 0, 1).astype(np.float32)


def texture(rng: Generator, painters: Sequence[Painter], photographs: bool) -> Picture:
    """One random texture out of these painters, tinted and worn at random."""
    if photographs and rng.random() < 0.3:
        out = photograph(rng)
    else:
        out = painters[int(rng.integers(len(painters)))](rng, SIZE, SIZE)
    if rng.random() < 0.35:
        out = worn(rng, out)
    if rng.random() < 0.4:
        out = embossed(out, rng.uniform(0.5, 2) * rng.choice([-1, 1]))
    tint = np.exp(0.08 * rng.standard_normal(3)) * np.exp(0.12 * rng.standard_normal())
    return np.clip(out * tint, 0, 1).astype(np.float32)


def material(
    rng: Generator,
    painters: Sequence[Painter] = THINGS,
    *,
    photographs: bool = False,
    extent: float | None = None,
) -> Material:
    """A random material; about a third shine."""
    shiny = rng.random() < 0.35
    return Material(
        texture(rng, painters, photographs),
        extent=float(np.exp(rng.uniform(np.log(0.6), np.log(3.0)))) if extent is None else extent,
        gloss=float(rng.uniform(0.05, 0.45)) if shiny else 0.0,
        sharpness=float(np.exp(rng.uniform(np.log(12), np.log(150)))),
    )
