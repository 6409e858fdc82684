"""A house front on a street."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.materials import GROUNDS, SIZE, WALLS, Material
from worldgen.scenes.materials.natural_textures import coloured_noise
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.props import plant
from worldgen.scenes.places.rigs import Rig, orbit, walk
from worldgen.scenes.places.things import thing


@dataclass(frozen=True)
class Front:
    """Measures of a house front, whose lower middle is the origin and which looks towards -y."""

    columns: int
    """Windows side by side."""
    floors: int
    """Storeys."""
    bay: float
    """Width of a column of windows."""
    storey: float
    """Height of a storey, metres."""
    deep: float
    """How far the panes lie behind the wall."""
    opening: Float[np.ndarray, "2"]
    """Width and height of a window."""
    sill: float
    """Height of the windows above their floor."""

    @property
    def width(self) -> float:
        """Width of the front, metres."""
        return self.columns * self.bay

    @property
    def height(self) -> float:
        """Height of the front, metres."""
        return self.floors * self.storey + 0.6


def facade(rng: Generator, photographs: bool) -> Place:
    """A house front with deep windows, ledges and a door, photographed along the street."""
    here = FilmSet(rng, photographs, indoors=False)
    wall, trim = here.paint(WALLS, extent=float(rng.uniform(2, 5))), here.any_thing()
    glass = here.stage.uses(Material(0.12 + 0.1 * coloured_noise(rng, SIZE, SIZE), 2.0, 0.6, 120))
    ground = shapes.hills(rng, 40, height=rng.uniform(0, 3))
    here.add(ground, here.paint(GROUNDS, extent=float(rng.uniform(2, 5))))
    front = _measures(rng)
    _masonry(here, front, wall, glass)
    _openings(rng, here, front, trim)
    _ledges_and_roof(rng, here, front, trim)
    _neighbours(rng, here, front)
    _on_the_pavement(rng, here, front)
    return Place(here.stage, _rig(rng, front), 0.12)


def _measures(rng: Generator) -> Front:
    columns, floors = int(rng.integers(4, 9)), int(rng.integers(2, 5))
    bay, storey, deep = rng.uniform(1.6, 3), rng.uniform(2.6, 3.4), rng.uniform(0.12, 0.5)
    opening = np.array([bay * rng.uniform(0.35, 0.65), storey * rng.uniform(0.4, 0.65)])
    return Front(columns, floors, bay, storey, deep, opening, storey * rng.uniform(0.2, 0.3))


def _masonry(here: FilmSet, front: Front, wall: int, glass: int) -> None:
    """Piers and bands that leave the windows free, and one pane behind them all."""
    width, height, deep = front.width, front.height, front.deep
    here.add(shapes.quad((-width / 2, deep, height), (width, 0, 0), (0, 0, -height), cell=0.5), glass)
    pier = front.bay - front.opening[0]
    parts: list[shapes.Mesh] = []
    for c in range(front.columns + 1):
        at = (-width / 2 + c * front.bay, deep / 2, 0)
        parts.append(shapes.box((pier, deep, height), cell=0.5).place(at))
    for f in range(front.floors + 1):
        low = f * front.storey + (front.sill + front.opening[1] - front.storey if f else -0.1)
        top = f * front.storey + front.sill if f < front.floors else height
        band = shapes.box((width, 0.98 * deep, top - low), cell=0.5)
        parts.append(band.place((0, deep / 2 + 0.01, low)))
    here.add(shapes.Mesh.join(parts), wall)


def _openings(rng: Generator, here: FilmSet, front: Front, trim: int) -> None:
    """Windows with bars, perhaps ledges and flowers, and a door with steps."""
    (wide, tall), deep = front.opening, front.deep
    ledge, bars, door = rng.random() < 0.7, int(rng.integers(0, 3)), int(rng.integers(front.columns))
    for c in range(front.columns):
        x = -front.width / 2 + (c + 0.5) * front.bay
        for f in range(front.floors):
            z = f * front.storey + front.sill
            if f == 0 and c == door:
                here.add(shapes.box((wide, 0.1, z + tall)).place((x, 0.4 * deep, 0)), trim)
                here.add(shapes.stairs(1.4 * wide, 3, 0.12).place((x, -0.5, 0)))
                continue
            if ledge:
                here.add(shapes.box((1.15 * wide, 0.25, 0.08)).place((x, -0.05, z - 0.08)), trim)
            upright, level = shapes.box((0.06, 0.06, tall)), shapes.box((wide, 0.06, 0.06))
            rods = [upright.place((x + s * wide, deep - 0.05, z)) for s in np.linspace(-0.48, 0.48, bars + 2)]
            rods += [level.place((x, deep - 0.05, z + s * tall)) for s in (0.02, 0.5, 0.97)]
            here.add(shapes.Mesh.join(rods), trim)
            if rng.random() < 0.15:
                plant(rng, here, np.array([x, -0.12, z]), rng.uniform(0.3, 0.7))


def _ledges_and_roof(rng: Generator, here: FilmSet, front: Front, trim: int) -> None:
    if rng.random() < 0.6:
        for z in np.arange(1, front.floors + 1) * front.storey:
            here.add(shapes.box((front.width + 0.2, 0.2, 0.15), cell=0.5).place((0, -0.03, z - 0.1)), trim)
    here.add(shapes.box((front.width + 0.8, 0.8, 0.25), cell=0.5).place((0, 0.1, front.height)), trim)


def _neighbours(rng: Generator, here: FilmSet, front: Front) -> None:
    """Plain houses on both sides, farther back."""
    for side in (-1, 1):
        size = (rng.uniform(4, 9), 3.0, rng.uniform(4, 11))
        at = (side * (front.width + size[0]) / 2 + side * 0.05, rng.uniform(0.5, 3), 0)
        here.add(shapes.box(size, cell=0.8).place(at), here.paint(WALLS, extent=3.0))


def _on_the_pavement(rng: Generator, here: FilmSet, front: Front) -> None:
    """Poles, plants, fences and things before the house."""
    for _ in range(int(rng.integers(2, 9))):
        at = np.array([rng.uniform(-0.6, 0.6) * front.width, -rng.uniform(0.4, 2.5), 0])
        kind = rng.random()
        if kind < 0.3:
            here.add(shapes.rod(at, at + [0, 0, rng.uniform(2, 6)], rng.uniform(0.03, 0.09)))
        elif kind < 0.55:
            plant(rng, here, at, rng.uniform(0.8, 3.5))
        elif kind < 0.7:
            here.add(shapes.fence(rng.uniform(1, 3), rng.uniform(0.6, 1.1), gap=0.14, bar=0.05).place(at))
        else:
            here.add(thing(rng, rng.uniform(0.4, 1.3)).place(at, yaw=rng.uniform(0, 6.28)))


def _rig(rng: Generator, front: Front) -> Rig:
    """Mostly along the street, sometimes around a point of the front."""
    distance = rng.uniform(3, 8)
    focus = np.array([rng.uniform(-0.25, 0.25) * front.width, 0, rng.uniform(1.2, 3.0)])
    start = focus + np.array([rng.uniform(-0.4, 0.4) * distance, -distance, rng.uniform(1.4, 2.2) - focus[2]])
    if rng.random() < 0.2:
        return orbit(rng, focus, distance, start[2] - focus[2], -np.pi / 2 + rng.uniform(-0.5, 0.1))
    return walk(rng, start, np.array([1, rng.uniform(-0.2, 0.2), 0]), focus, turning=float(rng.random()))
