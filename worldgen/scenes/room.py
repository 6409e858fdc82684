"""The furniture of the synthetic room: solids and their skins. Metres, z up."""

import math

import numpy as np
from numpy.random import Generator

from worldgen.scenes import textures
from worldgen.scenes.raytrace import SceneArrays, face_size
from worldgen.scenes.room_light import bake_room_light
from worldgen.scenes.solids import BOX, CYLINDER, ELLIPSOID, ROOM

HALF_ROOM = (3.0, 2.5, 1.35)
"""The room spans ±3 m, ±2.5 m and stands on z = 0, 2.7 m high."""
MIP_LEVELS = 9
"""Levels of a texture: the largest, of 1400 texels, ends at 5, coarser than any pixel sees."""
FRONT = 2
"""The face that looks towards -y, where the cameras stand."""


class _Builder:
    """Collects solids and textures, then lays them out as flat arrays."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.solids: list[tuple[int, list[float], list[float], float]] = []
        self.faces: list[list[tuple[int, list[float]]]] = []
        self.textures: list[np.ndarray] = []

    def texture(self, picture: np.ndarray) -> int:
        """Add a texture; its number."""
        self.textures.append(picture)
        return len(self.textures) - 1

    def add(
        self, kind: int, at: tuple[float, float, float], size: tuple[float, float, float], skin: int,
        *, yaw_deg: float = 0.0, texels_per_m: float = 340.0, fitted: dict[int, int] | None = None,
    ) -> None:  # fmt: skip
        """A solid of `size` whose foot's middle stands `at`; `fitted` textures span a whole face, once.

        Other faces cut a piece out of `skin` at a random place, so that no two look alike.
        """
        half = [s / 2 for s in size]
        self.solids.append((kind, [at[0], at[1], at[2] + half[2]], half, math.radians(yaw_deg)))
        placings = []
        for face in range(6):
            index = (fitted or {}).get(face, skin)
            h, w, _ = self.textures[index].shape
            if fitted and face in fitted:
                u, v = face_size(kind, np.array(half), face)
                placings.append((index, [0.0, 0.0, w / u, h / v]))
            else:
                offset = self.rng.uniform(0, [w, h])
                placings.append((index, [offset[0], offset[1], texels_per_m, texels_per_m]))
        self.faces.append(placings)

    def box(self, at, size, skin: int, **options) -> None:
        """Add a box; see `add`."""
        self.add(BOX, at, size, skin, **options)

    def scene(self) -> SceneArrays:
        """Everything as flat arrays, with its light."""
        kind = np.array([s[0] for s in self.solids], np.int64)
        centre = np.array([s[1] for s in self.solids])
        half = np.array([s[2] for s in self.solids])
        turn = np.array([[math.cos(s[3]), math.sin(s[3])] for s in self.solids])
        texture = np.array([[f[0] for f in faces] for faces in self.faces], np.int64)
        placing = np.array([[f[1] for f in faces] for faces in self.faces])
        texels, levels = _pyramids(self.textures)
        light, grid = bake_room_light(kind, centre, half, turn)
        return SceneArrays(kind, centre, half, turn, texture, placing, texels, levels, light, grid)


def build_living_room(seed: int) -> SceneArrays:
    """Build a living room: sofa, armchair, bookcase, a laid table on a rug, pictures, plants, boxes and balls."""
    rng = np.random.default_rng(seed)
    b = _Builder(rng)
    _shell(b)
    wood = b.texture(textures.wood(rng, 700, 1400))
    dark = b.texture(textures.wood(rng, 700, 1400, (0.40, 0.27, 0.18)))
    _sofa(b, wood)
    _armchair(b, dark)
    _table(b, wood)
    _bookcase(b, dark)
    _odds_and_ends(b, wood)
    return b.scene()


def _shell(b: _Builder) -> None:
    """Floor, walls and ceiling, and the rug."""
    x, y, z = HALF_ROOM
    density = 200.0
    long, short, tall = int(2 * x * density), int(2 * y * density), int(2 * z * density)
    walls = {
        0: textures.bricks(b.rng, tall, short),
        1: textures.plaster(b.rng, tall, short, (0.80, 0.70, 0.58)),
        2: textures.plaster(b.rng, tall, long),
        3: textures.wallpaper(b.rng, tall, long),
        4: textures.planks(b.rng, short, long),
        5: textures.plaster(b.rng, short, long, (0.90, 0.89, 0.86)),
    }
    fitted = {face: b.texture(picture) for face, picture in walls.items()}
    b.add(ROOM, (0, 0, 0), (2 * x, 2 * y, 2 * z), fitted[2], fitted=fitted)
    rug = b.texture(textures.patchwork(b.rng, 560, 880, 80))
    b.box((-0.1, 0.45, 0.0), (2.9, 1.9, 0.015), rug, fitted={5: rug})
    skirting = b.texture(textures.wood(b.rng, 64, 1400, (0.82, 0.79, 0.72)))
    for at, size in (
        ((0, y - 0.01, 0), (2 * x, 0.02, 0.12)),
        ((-x + 0.01, 0, 0), (0.02, 2 * y, 0.12)),
        ((x - 0.01, 0, 0), (0.02, 2 * y, 0.12)),
    ):
        b.box(at, size, skirting)


def _sofa(b: _Builder, wood: int) -> None:
    """A sofa of boxes with three cushions."""
    cloth = b.texture(textures.fabric(b.rng, 700, 900))
    b.box((-0.75, 1.95, 0.14), (1.9, 0.85, 0.28), cloth)
    b.box((-0.75, 2.30, 0.42), (1.9, 0.22, 0.48), cloth)
    for side in (-1, 1):
        b.box((-0.75 + side * 1.02, 1.95, 0.10), (0.18, 0.88, 0.55), cloth)
        b.box((-0.75 + side * 0.80, 1.70, 0.0), (0.06, 0.06, 0.14), wood)
    for x, yaw, size in ((-1.35, 12, 0.42), (-0.92, -9, 0.36), (-0.22, -16, 0.44)):
        quilt = b.texture(textures.patchwork(b.rng, 160, 160, int(b.rng.integers(36, 60))))
        b.box((x, 2.08, 0.43), (size, 0.14, size), quilt, yaw_deg=yaw, fitted={2: quilt, 3: quilt})


def _armchair(b: _Builder, legs: int) -> None:
    """An armchair, turned towards the table."""
    cloth = b.texture(textures.fabric(b.rng, 600, 600, (0.72, 0.42, 0.30)))
    x, y, yaw = -2.25, 0.75, 62
    c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))

    def part(dx: float, dy: float, z: float, size: tuple[float, float, float], skin: int = cloth) -> None:
        """A box in the armchair's own frame."""
        b.box((x + c * dx - s * dy, y + s * dx + c * dy, z), size, skin, yaw_deg=yaw)

    part(0, 0, 0.15, (0.66, 0.66, 0.27))
    part(0, 0.32, 0.20, (0.72, 0.16, 0.72))
    for side in (-1, 1):
        part(side * 0.38, 0, 0.12, (0.12, 0.70, 0.46))
        for end in (-1, 1):
            part(side * 0.30, end * 0.26, 0.0, (0.05, 0.05, 0.15), legs)


def _table(b: _Builder, wood: int) -> None:
    """A low table with books, a vase, a globe, a cup and a box of cereals."""
    x, y, top = 0.0, 0.55, 0.44
    b.box((x, y, top - 0.05), (1.25, 0.70, 0.05), wood)
    for dx in (-0.55, 0.55):
        for dy in (-0.28, 0.28):
            b.box((x + dx, y + dy, 0), (0.07, 0.07, top - 0.05), wood)
    z = top
    for i in range(5):
        cover = b.texture(textures.poster(b.rng, 180, 240))
        pages = b.texture(textures.wood(b.rng, 60, 300, b.rng.choice(textures.PALETTE).tolist()))
        thick = float(b.rng.uniform(0.025, 0.05))
        b.box(
            (x - 0.36, y - 0.02, z), (0.32 - 0.025 * i, 0.24 - 0.02 * i, thick), pages,
            yaw_deg=float(b.rng.uniform(-25, 25)), fitted={5: cover},
        )  # fmt: skip
        z += thick
    vase = b.texture(textures.marble(b.rng, 400, 700, (0.36, 0.52, 0.58)))
    b.add(CYLINDER, (x + 0.05, y + 0.12, top), (0.16, 0.16, 0.26), vase, texels_per_m=700)
    b.add(
        ELLIPSOID,
        (x + 0.05, y + 0.12, top + 0.22),
        (0.36, 0.36, 0.30),
        b.texture(textures.wallpaper(b.rng, 400, 500, (0.34, 0.46, 0.28))),
        texels_per_m=420,
    )
    globe = b.texture(textures.marble(b.rng, 300, 600, (0.86, 0.62, 0.30)))
    b.add(ELLIPSOID, (x + 0.40, y - 0.10, top), (0.24, 0.24, 0.24), globe, texels_per_m=700)
    cereal = [b.texture(textures.poster(b.rng, 300, 210)) for _ in range(2)]
    b.box(
        (x + 0.42, y + 0.20, top),
        (0.20, 0.08, 0.30),
        cereal[0],
        yaw_deg=-24,
        fitted={2: cereal[0], 3: cereal[1], 0: cereal[1]},
    )


def _bookcase(b: _Builder, wood: int) -> None:
    """A bookcase with five shelves of spines and gaps."""
    x, y, width, deep, tall, shelves = 1.55, 2.33, 1.5, 0.32, 1.85, 5
    b.box((x, y + 0.15, 0), (width, 0.02, tall), wood)
    for side in (-1, 1):
        b.box((x + side * width / 2, y, 0), (0.04, deep, tall + 0.02), wood)
    for i in range(shelves + 1):
        z = i * tall / shelves
        b.box((x, y, z), (width, deep, 0.03), wood)
        left = x - width / 2 + 0.04
        while i < shelves and left < x + width / 2 - 0.2:
            run = min(float(b.rng.uniform(0.2, 0.6)), x + width / 2 - 0.03 - left)
            high = float(b.rng.uniform(0.2, 0.30))
            row = b.texture(textures.spines(b.rng, 110, int(420 * run)))
            sunk = float(b.rng.uniform(0.0, 0.08))
            b.box((left + run / 2, y + sunk, z + 0.03), (run, 0.22, high), row, fitted={FRONT: row})
            left += run + float(b.rng.choice([0.01, 0.10]))


def _odds_and_ends(b: _Builder, wood: int) -> None:
    """Pictures on the walls, and things on the floor."""
    _, wall, _ = HALF_ROOM
    for x, z, w, h in (
        (-1.75, 1.25, 0.55, 0.75),
        (-1.0, 1.35, 0.75, 0.52),
        (-0.2, 1.22, 0.5, 0.68),
        (0.42, 1.4, 0.42, 0.42),
    ):
        picture = b.texture(textures.poster(b.rng, int(360 * h), int(360 * w)))
        b.box((x, wall - 0.02, z), (w, 0.04, h), wood, fitted={FRONT: picture})
    for y, z, w, h in ((1.3, 1.15, 0.8, 0.6), (0.1, 1.1, 0.6, 0.85), (-1.1, 1.2, 0.9, 0.65)):
        for side, face in ((-1, 1), (1, 0)):
            picture = b.texture(textures.poster(b.rng, int(320 * h), int(320 * w)))
            b.box((side * (HALF_ROOM[0] - 0.02), y, z), (0.04, w, h), wood, fitted={face: picture})
    crate = b.texture(textures.wood(b.rng, 500, 700, (0.72, 0.58, 0.40)))
    label = b.texture(textures.poster(b.rng, 200, 200))
    b.box((2.1, 1.05, 0), (0.55, 0.5, 0.42), crate, yaw_deg=24, fitted={FRONT: label})
    b.box(
        (2.12, 1.07, 0.42),
        (0.34, 0.34, 0.30),
        label,
        yaw_deg=-14,
        fitted={face: b.texture(textures.poster(b.rng, 160, 160)) for face in range(6)},
    )
    pot = b.texture(textures.bricks(b.rng, 240, 500, (20, 34)))
    b.add(CYLINDER, (-2.5, 2.0, 0), (0.40, 0.40, 0.42), pot, texels_per_m=300)
    leaves = b.texture(textures.wallpaper(b.rng, 600, 900, (0.26, 0.38, 0.22)))
    for dx, dy, z, size in ((0, 0, 0.40, 0.62), (0.16, -0.1, 0.78, 0.46), (-0.12, 0.05, 1.0, 0.40)):
        b.add(ELLIPSOID, (-2.5 + dx, 2.0 + dy, z), (size, size, size * 0.85), leaves)
    for x, y, size, base in (
        (1.1, -0.1, 0.34, (0.80, 0.34, 0.26)),
        (-1.35, 0.35, 0.26, (0.30, 0.46, 0.60)),
        (1.55, 0.55, 0.22, (0.88, 0.72, 0.34)),
    ):
        ball = b.texture(textures.marble(b.rng, 400, 800, base))
        b.add(ELLIPSOID, (x, y, 0), (size, size, size), ball, texels_per_m=500)


def _pyramids(pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All textures as box-filtered mip levels in one array [k, 3], and where each begins."""
    import cv2

    parts, table, first = [], [], 0
    for picture in pictures:
        rows = []
        level = np.ascontiguousarray(picture, np.float32)
        for _ in range(MIP_LEVELS):
            h, w, _ = level.shape
            rows.append((first, h, w))
            parts.append(level.reshape(-1, 3))
            first += h * w
            level = cv2.resize(level, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
        table.append(rows)
    return np.concatenate(parts), np.array(table, np.int64)
