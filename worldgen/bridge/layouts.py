"""Procedural places, each with the way in which somebody would photograph it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.bridge import materials, shapes
from worldgen.bridge.materials import GROUNDS, THINGS, WALLS, Material, Painter
from worldgen.bridge.raycast import Light, Stage
from worldgen.textures import noise

Vector = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Rig:
    """A camera path without end: photo i is taken around s = i, and what lies between is where one could walk."""

    eye: Callable[[float], Vector]
    look: Callable[[float], Vector]
    """The point looked at."""


@dataclass(frozen=True)
class Place:
    stage: Stage
    rig: Rig
    wander: float
    """How far photographers stray from the path, world units."""


class Set:
    """A stage with the shorthands that decorators want."""

    def __init__(self, rng: Generator, photographs: bool, *, indoors: bool) -> None:
        self.rng = rng
        self.photographs = photographs
        self.stage = Stage(_panorama(rng, indoors), _light(rng, indoors))
        self.things = [self.paint(THINGS) for _ in range(int(rng.integers(5, 10)))]
        self.plain = [self.paint((materials.flat,)) for _ in range(3)]

    def paint(self, painters: Sequence[Painter], *, extent: float | None = None) -> int:
        return self.stage.uses(
            materials.material(self.rng, painters, photographs=self.photographs, extent=extent)
        )

    def any_thing(self) -> int:
        return int(self.rng.choice(self.things if self.rng.random() < 0.75 else self.plain))

    def add(self, mesh: shapes.Mesh, material: int | None = None, *, fit: bool = False) -> None:
        self.stage.add(mesh, self.any_thing() if material is None else material, fit=fit)


def _light(rng: Generator, indoors: bool) -> Light:
    warm = 1 + np.array([0.12, 0.02, -0.14]) * rng.uniform(-0.3, 1)
    if indoors:
        place = np.array([rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(2.0, 2.35)])
        sun, sky = rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.1)
        ambient = sky * (1 + np.array([0.03, 0, -0.03]) * rng.standard_normal())
        return Light(place, sun * warm, ambient, bool(rng.random() < 0.5), rng.uniform(1.5, 4))
    turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.2)
    place = 500 * np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    overcast = rng.random() < 0.4
    sun = rng.uniform(0.1, 0.4) if overcast else rng.uniform(0.8, 1.8)
    ambient = rng.uniform(0.6, 0.9) * (1 + np.array([-0.08, 0, 0.10]) * rng.uniform(0, 1))
    return Light(place, sun * warm, ambient, not overcast and bool(rng.random() < 0.8), np.inf)


def _panorama(rng: Generator, indoors: bool) -> Float[np.ndarray, "h w 3"]:
    """Sky and clouds over a hazy horizon, or the soft blur of a room."""
    height, width = 256, 512
    if indoors:
        return np.clip(0.5 + 0.15 * noise(rng, height, width, (120, 120), 4)[..., None] * np.ones(3), 0, 1)
    z = np.cos((np.arange(height) + 0.5) / height * np.pi)[:, None, None]
    zenith = np.array([0.28, 0.48, 0.82]) + 0.08 * rng.standard_normal(3)
    haze = np.array([0.80, 0.86, 0.92]) + 0.05 * rng.standard_normal(3)
    sky = haze + (zenith - haze) * np.clip(z, 0, 1) ** rng.uniform(0.4, 0.9)
    # mirrored halves meet at the seam behind
    half = noise(rng, height, width // 2, (50, 90), 6, 0.55)
    clouds = np.concatenate([half, half[:, ::-1]], 1)[..., None]
    cover = rng.uniform(-0.6, 1.6)
    sky = sky + (0.93 - sky) * np.clip((clouds - cover) * rng.uniform(0.5, 1.5), 0, 1) * (z > 0)
    ground = np.array([0.35, 0.34, 0.28]) * rng.uniform(0.7, 1.2)
    return np.clip(np.where(z < 0, ground, sky), 0, 1)


def thing(rng: Generator, height: float) -> shapes.Mesh:
    """An object of about this height that stands on z = 0."""
    kind = int(rng.integers(11))
    width = height * np.exp(0.4 * rng.standard_normal())
    if kind <= 2:
        return shapes.box((width, width * rng.uniform(0.3, 1.2), height), cell=height / 5)
    if kind == 3:
        return shapes.cylinder(width * 0.4, height)
    if kind == 4:
        return shapes.sphere(height / 2).placed((0, 0, height / 2))
    if kind in (5, 6):
        return shapes.jar(rng, height)
    if kind == 7:
        tube = height * rng.uniform(0.15, 0.3)
        ring = shapes.torus(height / 2 - tube, tube)
        if rng.random() < 0.5:
            return ring.placed((0, 0, tube))
        return ring.placed((0, 0, height / 2), turn=np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]))
    if kind == 8:
        cone = np.array(
            [
                [1e-4, 0],
                [width * 0.5, 0],
                [width * 0.5, 0.02],
                [width * rng.uniform(0.0, 0.4) + 1e-4, height],
                [1e-4, height],
            ]
        )
        return shapes.revolved(cone)
    if kind == 9:
        solid = shapes.box((0.6 * height,) * 3, cell=0.12 * height).placed((0, 0, -0.3 * height))
        return solid.placed((0, 0, height / 2), turn=shapes.any_rotation(rng))
    lump = shapes.blob(rng, height / 2, rough=rng.uniform(0.1, 0.4))
    return lump.placed((0, 0, -lump.vertices[:, 2].min() - 0.03 * height))


def figure(rng: Generator, height: float) -> shapes.Mesh:
    """A statue of sorts: lumps on each other on a plinth."""
    plinth = shapes.box((0.5 * height, 0.5 * height, 0.15 * height), cell=0.1)
    body = shapes.blob(rng, 0.26 * height, rough=0.35, rings=48).placed((0, 0, 0.4 * height))
    head = shapes.blob(rng, 0.13 * height, rough=0.3, rings=40).placed((0, 0, 0.82 * height))
    arms = [
        shapes.blob(rng, 0.12 * height, rough=0.3).placed((s * 0.25 * height, 0, 0.45 * height))
        for s in (-1, 1)
    ]
    return shapes.Mesh.joined([plinth, body, head, *arms])


def plant(rng: Generator, here: Set, at: np.ndarray, height: float) -> None:
    """A pot or trunk, and leaves."""
    foot = height * rng.uniform(0.2, 0.5)
    green = here.stage.uses(Material(materials.strokes(rng, materials.SIZE, materials.SIZE), 0.5))
    if rng.random() < 0.5:
        here.add(shapes.jar(rng, foot).placed(at))
    else:
        here.add(shapes.rod(at, at + [0.05 * height, 0, 1.3 * foot], 0.04 * height))
    spread = 0.4 * height * np.array([1, 1, 0.9]) * np.exp(0.15 * rng.standard_normal(3))
    crown = shapes.leaves(rng, int(rng.integers(60, 500)), spread, height * rng.uniform(0.03, 0.09))
    here.add(crown.placed(at + [0, 0, foot + 0.35 * height]), green)


def shelf(rng: Generator, here: Set, at: np.ndarray, yaw: float, size: tuple[float, float, float]) -> None:
    """Boards with books and things on them; its back is at y = +depth / 2."""
    width, depth, height = size
    wood = here.any_thing()
    floors = int(rng.integers(2, 5))
    boards = [shapes.box((width, depth, 0.03)).placed((0, 0, height * k / floors)) for k in range(floors + 1)]
    sides = [shapes.box((0.03, depth, height + 0.03)).placed((s * width / 2, 0, 0)) for s in (-1, 1)]
    back = shapes.box((width, 0.015, height)).placed((0, depth / 2, 0))
    here.add(shapes.Mesh.joined([*boards, *sides, back]).placed(at, yaw=yaw), wood)
    room = height / floors - 0.03
    turn = shapes.rotation_z(yaw)
    for k in range(floors):
        x = -width / 2 + 0.05
        while x < width / 2 - 0.1:
            tall = room * rng.uniform(0.4, 0.92)
            wide = rng.uniform(0.03, 0.09) if rng.random() < 0.7 else rng.uniform(0.1, 0.25)
            place = np.asarray(at) + turn @ np.array(
                [x + wide / 2, rng.uniform(-0.1, 0.1) * depth, height * k / floors + 0.03]
            )
            mesh = (
                shapes.box((wide, 0.7 * depth, tall), cell=0.2) if wide < 0.1 else thing(rng, min(tall, wide))
            )
            here.add(mesh.placed(place, yaw=yaw))
            x += wide + (0.004 if rng.random() < 0.8 else rng.uniform(0.02, 0.2))


def laid_table(
    rng: Generator, here: Set, at: np.ndarray, size: tuple[float, float, float], yaw: float
) -> None:
    """A table or chest with things on it."""
    solid = shapes.box(size) if rng.random() < 0.4 else shapes.table(size)
    here.add(solid.placed(at, yaw=yaw))
    turn = shapes.rotation_z(yaw)
    for _ in range(int(rng.integers(2, 7))):
        spot = turn @ np.array(
            [rng.uniform(-0.4, 0.4) * size[0], rng.uniform(-0.35, 0.35) * size[1], size[2]]
        )
        here.add(thing(rng, rng.uniform(0.08, 0.35)).placed(np.asarray(at) + spot, yaw=rng.uniform(0, 6.28)))


def walls(rng: Generator, here: Set, half: Vector, low: float, high: float) -> None:
    """Floor, four walls, a ceiling, skirting, and on the walls what hangs there."""
    x, y = half[0], half[1]
    wall = [here.paint(WALLS, extent=float(rng.uniform(1.5, 4))) for _ in range(int(rng.integers(1, 3)))]
    floor = here.paint(GROUNDS, extent=float(rng.uniform(2, 4)))
    here.add(shapes.quad((-x, -y, low), (2 * x, 0, 0), (0, 2 * y, 0)), floor)
    here.add(shapes.quad((-x, -y, high), (2 * x, 0, 0), (0, 2 * y, 0)), here.plain[0])
    skirting = here.any_thing()
    for k in range(4):
        turn = shapes.rotation_z(k * np.pi / 2)
        along, away = (x, y) if k % 2 == 0 else (y, x)
        material = wall[k % len(wall)]
        here.add(
            shapes.quad(turn @ [-along, away, high], turn @ [2 * along, 0, 0], (0, 0, low - high)), material
        )
        here.add(
            shapes.box((2 * along, 0.03, 0.09)).placed(turn @ [0, away - 0.01, low], yaw=k * np.pi / 2),
            skirting,
        )
        position = -along + rng.uniform(0.2, 0.8)
        while position < along - 0.4:
            width, height = rng.uniform(0.3, 1.3), rng.uniform(0.3, 1.2)
            if position + width > along - 0.1:
                break
            hung = rng.random()
            if hung < 0.75:
                bottom = low + (high - low) * rng.uniform(0.35, 0.6)
                centre = turn @ [position + width / 2, away - 0.02, min(bottom, high - height - 0.1)]
                _hung(rng, here, centre, width, height, k * np.pi / 2, window=hung < 0.2)
            position += width + rng.uniform(0.15, 1.5)


def _hung(
    rng: Generator, here: Set, at: np.ndarray, width: float, height: float, yaw: float, *, window: bool
) -> None:
    """A picture in its frame, or a window with bars; the wall is towards +y."""
    turn = shapes.rotation_z(yaw)
    depth = rng.uniform(0.02, 0.06)
    bar = rng.uniform(0.02, 0.07)
    frame = [shapes.box((width, depth, bar)).placed((0, 0, z)) for z in (0, height - bar)]
    frame += [shapes.box((bar, depth, height)).placed((s * (width - bar) / 2, 0, 0)) for s in (-1, 1)]
    if window:
        frame += [
            shapes.box((0.04, 0.06, height)),
            shapes.box((width, 0.06, 0.04)).placed((0, 0, height * 0.55)),
        ]
        view = Material(
            materials.dead_leaves(rng, materials.SIZE, materials.SIZE) * 0.4 + 0.6, glow=rng.uniform(0.5, 1.3)
        )
    else:
        painter = (
            materials.dead_leaves,
            materials.glyphs,
            materials.textures.poster,
            materials.coloured_noise,
        )
        view = materials.material(rng, painter, photographs=here.photographs)
    pane = shapes.quad((-width / 2, -0.01, height), (width, 0, 0), (0, 0, -height))
    here.add(pane.placed(at, yaw=yaw), here.stage.uses(view), fit=True)
    here.add(
        shapes.Mesh.joined(frame).placed(at + turn @ [0, -0.01, 0], yaw=yaw), int(rng.choice(here.plain))
    )


def _step_deg(rng: Generator) -> float:
    """Angle between neighbouring photos: sparse captures have wide ones."""
    return float(np.exp(rng.uniform(np.log(3.5), np.log(24))))


def orbit(rng: Generator, centre: Vector, radius: float, rise: float, start: float | None = None) -> Rig:
    """Around a point, with a sway in height and distance; `rise` is the camera's height above the point."""
    step = np.radians(_step_deg(rng)) * rng.choice([-1, 1])
    first = rng.uniform(0, 2 * np.pi) if start is None else start
    sway, phase = rng.uniform(0, 0.15, 2), rng.uniform(0, 6, 2)

    def eye(s: float) -> Vector:
        angle, r = first + s * step, radius * (1 + sway[0] * np.sin(0.9 * s + phase[0]))
        z = rise + sway[1] * radius * np.sin(1.3 * s + phase[1])
        return centre + np.array([r * np.cos(angle), r * np.sin(angle), z])

    return Rig(eye, lambda s: centre)


def walk(rng: Generator, start: Vector, along: Vector, focus: Vector, *, turning: float) -> Rig:
    """Straight past something: the view stays square to the path (turning 0) or follows the focus (1)."""
    distance = np.linalg.norm(focus - start)
    step = distance * np.tan(np.radians(_step_deg(rng))) * along / np.linalg.norm(along)
    start = start - 2.5 * step
    return Rig(
        lambda s: start + s * step,
        lambda s: turning * focus + (1 - turning) * (focus + (s - 2.5) * step),
    )


def drift(rng: Generator, base: Vector, focus: Vector, spread: float) -> Rig:
    """A smooth random curve in a ball: photos from wherever somebody stood."""
    turn, phase = rng.uniform(0.5, 1.2, 3), rng.uniform(0, 6.28, 3)
    size = spread * rng.uniform(0.5, 1.0, 3) * np.array([1, 1, 0.4])
    return Rig(
        lambda s: base + size * np.sin(turn * s + phase), lambda s: focus + 0.1 * size * np.cos(turn * s)
    )


def room(rng: Generator, photographs: bool) -> Place:
    """A furnished room, photographed from its corners or middle."""
    here = Set(rng, photographs, indoors=True)
    half = np.array([rng.uniform(1.8, 3.4), rng.uniform(1.6, 3.0), 0])
    high = rng.uniform(2.4, 3.0)
    walls(rng, here, half, 0.0, high)
    for k in range(4):
        turn = shapes.rotation_z(k * np.pi / 2)
        along, away = (half[0], half[1]) if k % 2 == 0 else (half[1], half[0])
        position = -along + 0.3
        while position < along - 0.9:
            width = rng.uniform(0.5, 1.4)
            at = turn @ [position + width / 2, away - 0.28, 0]
            kind = rng.random()
            if kind < 0.3:
                shelf(rng, here, at, k * np.pi / 2, (width, 0.3, rng.uniform(0.8, 2.0)))
            elif kind < 0.6:
                laid_table(rng, here, at, (width, 0.5, rng.uniform(0.4, 0.9)), k * np.pi / 2)
            elif kind < 0.7:
                plant(rng, here, at, rng.uniform(0.6, 1.6))
            elif kind < 0.8:
                here.add(thing(rng, rng.uniform(0.3, 0.9)).placed(at, yaw=rng.uniform(0, 6.28)))
            position += width + rng.uniform(0.1, 0.9)
    middle = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), 0]) * half
    laid_table(
        rng,
        here,
        middle,
        (rng.uniform(0.7, 1.5), rng.uniform(0.6, 1.0), rng.uniform(0.4, 0.8)),
        rng.uniform(0, 6.28),
    )
    for _ in range(int(rng.integers(0, 4))):
        turn = rng.uniform(0, 6.28)
        at = middle + np.array([np.cos(turn), np.sin(turn), 0]) * rng.uniform(0.7, 1.0)
        here.add(shapes.chair(rng.uniform(0.38, 0.5)).placed(at, yaw=rng.uniform(0, 6.28)))
    if rng.random() < 0.5:
        here.add(
            shapes.box((rng.uniform(1, 2), rng.uniform(1, 2), 0.012)).placed(middle, yaw=rng.uniform(0, 6.28))
        )
    focus = np.array(
        [rng.uniform(-0.5, 0.5) * half[0], rng.uniform(-0.5, 0.5) * half[1], rng.uniform(0.5, 1.2)]
    )
    eye_height = rng.uniform(1.0, 1.8)
    corner = np.array([*(rng.choice([-1, 1], 2) * half[:2] * rng.uniform(0.6, 0.85)), eye_height])
    kind = rng.random()
    if kind < 0.4:
        start = np.arctan2(corner[1], corner[0])
        rig = orbit(rng, np.array([0, 0, focus[2]]), 0.8 * half[:2].min(), eye_height - focus[2], start)
    elif kind < 0.6:
        rig = walk(rng, corner, focus - corner, 2 * focus - corner, turning=1.0)
    elif kind < 0.75:
        across = np.cross(focus - corner, [0, 0, 1])
        rig = walk(rng, 0.5 * (corner + focus), across, 2 * focus - corner, turning=float(rng.random()))
    else:
        rig = drift(rng, corner, focus, rng.uniform(0.2, 0.6))
    return Place(here.stage, rig, 0.06)


def tabletop(rng: Generator, photographs: bool) -> Place:
    """Things on a table, in a room or in the open, photographed from around."""
    indoors = bool(rng.random() < 0.65)
    here = Set(rng, photographs, indoors=indoors)
    if indoors:
        half = np.array([rng.uniform(2.2, 4), rng.uniform(2.2, 4), 0])
        walls(rng, here, half, -0.75, rng.uniform(1.8, 2.4))
        for _ in range(int(rng.integers(2, 7))):
            turn, far = rng.uniform(0, 6.28), 0.85 * half[:2].min()
            at = np.array([far * np.cos(turn), far * np.sin(turn), -0.75])
            here.add(thing(rng, rng.uniform(0.4, 1.6)).placed(at, yaw=rng.uniform(0, 6.28)))
        top = shapes.table((rng.uniform(1.2, 2.4), rng.uniform(1.0, 2.0), 0.75)).placed((0, 0, -0.75))
        here.add(top, here.paint(GROUNDS, extent=float(rng.uniform(0.8, 2))))
    else:
        here.add(
            shapes.hills(rng, 16, height=rng.uniform(0.5, 4)),
            here.paint(GROUNDS, extent=float(rng.uniform(1.5, 4))),
        )
        for _ in range(int(rng.integers(3, 12))):
            turn, far = rng.uniform(0, 6.28), rng.uniform(2.5, 8)
            at = np.array([far * np.cos(turn), far * np.sin(turn), -0.05])
            if rng.random() < 0.4:
                plant(rng, here, at, rng.uniform(1, 3))
            else:
                here.add(thing(rng, rng.uniform(0.5, 2.5)).placed(at, yaw=rng.uniform(0, 6.28)))
    tall = rng.uniform(0.35, 0.9)
    hero = figure(rng, tall) if rng.random() < 0.4 else thing(rng, tall)
    here.add(hero.placed((0, 0, 0), yaw=rng.uniform(0, 6.28)))
    for _ in range(int(rng.integers(2, 9))):
        turn, far = rng.uniform(0, 6.28), rng.uniform(0.25, 0.75)
        at = np.array([far * np.cos(turn), far * np.sin(turn), 0])
        if rng.random() < 0.15:
            plant(rng, here, at, rng.uniform(0.2, 0.5))
        else:
            here.add(thing(rng, rng.uniform(0.06, 0.4)).placed(at, yaw=rng.uniform(0, 6.28)))
    centre = np.array([0, 0, rng.uniform(0.1, 0.5) * tall])
    rig = orbit(rng, centre, rng.uniform(0.9, 1.7), rng.uniform(0.15, 0.9))
    return Place(here.stage, rig, 0.04)


def facade(rng: Generator, photographs: bool) -> Place:
    """A house front with deep windows, ledges and a door, photographed along the street."""
    here = Set(rng, photographs, indoors=False)
    wall = here.paint(WALLS, extent=float(rng.uniform(2, 5)))
    trim, glass = (
        here.any_thing(),
        here.stage.uses(
            Material(
                0.12 + 0.1 * materials.coloured_noise(rng, materials.SIZE, materials.SIZE), 2.0, 0.6, 120
            )
        ),
    )
    here.add(
        shapes.hills(rng, 40, height=rng.uniform(0, 3)), here.paint(GROUNDS, extent=float(rng.uniform(2, 5)))
    )
    columns, floors = int(rng.integers(4, 9)), int(rng.integers(2, 5))
    bay, storey = rng.uniform(1.6, 3), rng.uniform(2.6, 3.4)
    width, height, deep = columns * bay, floors * storey + 0.6, rng.uniform(0.12, 0.5)
    opening = np.array([bay * rng.uniform(0.35, 0.65), storey * rng.uniform(0.4, 0.65)])
    sill = storey * rng.uniform(0.2, 0.3)
    here.add(shapes.quad((-width / 2, deep, height), (width, 0, 0), (0, 0, -height), cell=0.5), glass)
    pier = bay - opening[0]
    front: list[shapes.Mesh] = []
    for c in range(columns + 1):
        front.append(shapes.box((pier, deep, height), cell=0.5).placed((-width / 2 + c * bay, deep / 2, 0)))
    for f in range(floors + 1):
        low = f * storey + (sill + opening[1] - storey if f else -0.1)
        top = f * storey + sill if f < floors else height
        front.append(shapes.box((width, 0.98 * deep, top - low), cell=0.5).placed((0, deep / 2 + 0.01, low)))
    here.add(shapes.Mesh.joined(front), wall)
    ledge, bars, door = rng.random() < 0.7, int(rng.integers(0, 3)), int(rng.integers(columns))
    for c in range(columns):
        x = -width / 2 + (c + 0.5) * bay
        for f in range(floors):
            z = f * storey + sill
            if f == 0 and c == door:
                here.add(shapes.box((opening[0], 0.1, z + opening[1])).placed((x, 0.4 * deep, 0)), trim)
                here.add(shapes.stairs(1.4 * opening[0], 3, 0.12).placed((x, -0.5, 0)))
                continue
            if ledge:
                here.add(shapes.box((1.15 * opening[0], 0.25, 0.08)).placed((x, -0.05, z - 0.08)), trim)
            rods = [
                shapes.box((0.06, 0.06, opening[1])).placed((x + s * opening[0], deep - 0.05, z))
                for s in np.linspace(-0.48, 0.48, bars + 2)
            ]
            rods += [
                shapes.box((opening[0], 0.06, 0.06)).placed((x, deep - 0.05, z + s * opening[1]))
                for s in (0.02, 0.5, 0.97)
            ]
            here.add(shapes.Mesh.joined(rods), trim)
            if rng.random() < 0.15:
                plant(rng, here, np.array([x, -0.12, z]), rng.uniform(0.3, 0.7))
    if rng.random() < 0.6:
        for z in np.arange(1, floors + 1) * storey:
            here.add(shapes.box((width + 0.2, 0.2, 0.15), cell=0.5).placed((0, -0.03, z - 0.1)), trim)
    here.add(shapes.box((width + 0.8, 0.8, 0.25), cell=0.5).placed((0, 0.1, height)), trim)
    for side in (-1, 1):  # neighbours, nearer or farther
        size = (rng.uniform(4, 9), 3.0, rng.uniform(4, 11))
        here.add(
            shapes.box(size, cell=0.8).placed(
                (side * (width + size[0]) / 2 + side * 0.05, rng.uniform(0.5, 3), 0)
            ),
            here.paint(WALLS, extent=3.0),
        )
    for _ in range(int(rng.integers(2, 9))):
        at = np.array([rng.uniform(-0.6, 0.6) * width, -rng.uniform(0.4, 2.5), 0])
        kind = rng.random()
        if kind < 0.3:
            here.add(shapes.rod(at, at + [0, 0, rng.uniform(2, 6)], rng.uniform(0.03, 0.09)))
        elif kind < 0.55:
            plant(rng, here, at, rng.uniform(0.8, 3.5))
        elif kind < 0.7:
            here.add(shapes.fence(rng.uniform(1, 3), rng.uniform(0.6, 1.1), gap=0.14, bar=0.05).placed(at))
        else:
            here.add(thing(rng, rng.uniform(0.4, 1.3)).placed(at, yaw=rng.uniform(0, 6.28)))
    distance = rng.uniform(3, 8)
    focus = np.array([rng.uniform(-0.25, 0.25) * width, 0, rng.uniform(1.2, 3.0)])
    start = focus + np.array([rng.uniform(-0.4, 0.4) * distance, -distance, rng.uniform(1.4, 2.2) - focus[2]])
    if rng.random() < 0.2:
        rig = orbit(rng, focus, distance, start[2] - focus[2], -np.pi / 2 + rng.uniform(-0.5, 0.1))
    else:
        rig = walk(rng, start, np.array([1, rng.uniform(-0.2, 0.2), 0]), focus, turning=float(rng.random()))
    return Place(here.stage, rig, 0.12)


def outdoors(rng: Generator, photographs: bool) -> Place:
    """Hills with sheds, rocks, trees and fences, photographed while walking about."""
    here = Set(rng, photographs, indoors=False)
    here.add(
        shapes.hills(rng, 40, height=rng.uniform(1, 9), cells=110),
        here.paint(GROUNDS, extent=float(rng.uniform(2, 6))),
    )
    for _ in range(int(rng.integers(8, 26))):
        turn, far = rng.uniform(0, 6.28), 11 * rng.random() ** 0.7
        at = np.array([far * np.cos(turn), far * np.sin(turn), -0.03])
        kind = rng.random()
        yaw = rng.uniform(0, 6.28)
        if kind < 0.25:
            size = rng.uniform(0.8, 3.0, 3)
            here.add(
                shapes.box(size, cell=0.4).placed(at, yaw=yaw),
                here.paint(WALLS, extent=2.5) if rng.random() < 0.3 else None,
            )
            roof = np.array([[size[0] * 0.85, 0], [size[0] * 0.8, 0.05], [1e-3, rng.uniform(0.3, 1)]])
            if rng.random() < 0.7:
                here.add(shapes.revolved(roof, sides=4).placed(at + [0, 0, size[2]], yaw=yaw + np.pi / 4))
        elif kind < 0.5:
            plant(rng, here, at, rng.uniform(1, 4.5))
        elif kind < 0.7:
            here.add(shapes.blob(rng, rng.uniform(0.2, 1.2)).placed(at))
        elif kind < 0.8:
            here.add(
                shapes.fence(
                    rng.uniform(1.5, 4), rng.uniform(0.7, 1.3), gap=rng.uniform(0.12, 0.3), bar=0.06
                ).placed(at, yaw=yaw)
            )
        elif kind < 0.87:
            here.add(shapes.rod(at, at + [0, 0, rng.uniform(2, 5)], 0.06))
        else:
            here.add(thing(rng, rng.uniform(0.5, 2)).placed(at, yaw=yaw))
    hero = figure(rng, 2.2) if rng.random() < 0.4 else thing(rng, rng.uniform(1, 2.2))
    here.add(hero)
    focus = np.array([*rng.uniform(-1, 1, 2), rng.uniform(0.6, 1.3)])
    turn, radius = rng.uniform(0, 6.28), rng.uniform(3, 7)
    base = focus + np.array([radius * np.cos(turn), radius * np.sin(turn), rng.uniform(0.2, 1.2)])
    kind = rng.random()
    if kind < 0.5:
        rig = orbit(rng, focus, radius, base[2] - focus[2], turn)
    elif kind < 0.7:
        rig = walk(rng, base, focus - base, 2 * focus - base, turning=1.0)
    elif kind < 0.85:
        rig = walk(rng, base, np.cross(focus - base, [0, 0, 1]), focus, turning=float(rng.random()))
    else:
        rig = drift(rng, base, focus, 0.25 * radius)
    return Place(here.stage, rig, 0.1)


def clutter(rng: Generator, photographs: bool) -> Place:
    """A hall full of things of all sizes, some hanging in the air."""
    here = Set(rng, photographs, indoors=bool(rng.random() < 0.7))
    half = np.array([rng.uniform(2.5, 4.5), rng.uniform(2.5, 4.5), 0])
    walls(rng, here, half, 0.0, rng.uniform(2.5, 4))
    for _ in range(int(rng.integers(12, 40))):
        at = np.array([*(rng.uniform(-0.85, 0.85, 2) * half[:2]), 0.0])
        mesh = thing(rng, float(np.exp(rng.uniform(np.log(0.12), np.log(1.3)))))
        if rng.random() < 0.25:
            mesh = mesh.placed(turn=shapes.any_rotation(rng))
            at[2] = rng.uniform(0.3, 2)
        here.add(mesh.placed(at, yaw=rng.uniform(0, 6.28)))
    for _ in range(int(rng.integers(0, 6))):
        ends = rng.uniform(-0.9, 0.9, (2, 3)) * [half[0], half[1], 0] + [[0, 0, 0.02], [0, 0, 2.3]]
        here.add(shapes.rod(ends[0], ends[1], rng.uniform(0.01, 0.05)))
    focus = np.array([*rng.uniform(-0.6, 0.6, 2), rng.uniform(0.3, 1)])
    turn = rng.uniform(0, 6.28)
    base = focus + np.array([np.cos(turn), np.sin(turn), 0.3]) * rng.uniform(1.2, 2.2)
    if rng.random() < 0.5:
        return Place(
            here.stage, orbit(rng, focus, float(np.linalg.norm(base - focus)), rng.uniform(0.2, 1)), 0.06
        )
    return Place(here.stage, drift(rng, base, focus, rng.uniform(0.2, 0.8)), 0.06)


PLACES = (room, room, tabletop, tabletop, facade, outdoors, clutter)
"""What is drawn from, each as often as it stands here."""
