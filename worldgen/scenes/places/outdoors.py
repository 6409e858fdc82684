"""Hills with sheds, rocks and trees."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.materials import GROUNDS, WALLS
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.props import plant
from worldgen.scenes.places.rigs import Rig, Vector, drift, orbit, walk
from worldgen.scenes.places.things import figure, thing


def outdoors(rng: Generator, photographs: bool) -> Place:
    """Hills with sheds, rocks, trees and fences, photographed while walking about."""
    here = FilmSet(rng, photographs, indoors=False)
    ground = shapes.hills(rng, 40, height=rng.uniform(1, 9), cells=110)
    here.add(ground, here.paint(GROUNDS, extent=float(rng.uniform(2, 6))))
    for _ in range(int(rng.integers(8, 26))):
        turn, far = rng.uniform(0, 6.28), 11 * rng.random() ** 0.7
        _landmark(rng, here, np.array([far * np.cos(turn), far * np.sin(turn), -0.03]))
    here.add(figure(rng, 2.2) if rng.random() < 0.4 else thing(rng, rng.uniform(1, 2.2)))
    return Place(here.stage, _rig(rng), 0.1)


def _landmark(rng: Generator, here: FilmSet, at: Vector) -> None:
    """A shed, a tree, a boulder, a fence, a pole, or any thing."""
    kind, yaw = rng.random(), rng.uniform(0, 6.28)
    if kind < 0.25:
        _shed(rng, here, at, yaw)
    elif kind < 0.5:
        plant(rng, here, at, rng.uniform(1, 4.5))
    elif kind < 0.7:
        here.add(shapes.blob(rng, rng.uniform(0.2, 1.2)).place(at))
    elif kind < 0.8:
        length, height, gap = rng.uniform(1.5, 4), rng.uniform(0.7, 1.3), rng.uniform(0.12, 0.3)
        here.add(shapes.fence(length, height, gap=gap, bar=0.06).place(at, yaw=yaw))
    elif kind < 0.87:
        here.add(shapes.rod(at, at + [0, 0, rng.uniform(2, 5)], 0.06))
    else:
        here.add(thing(rng, rng.uniform(0.5, 2)).place(at, yaw=yaw))


def _shed(rng: Generator, here: FilmSet, at: Vector, yaw: float) -> None:
    """Four walls, mostly under a hipped roof."""
    size = rng.uniform(0.8, 3.0, 3)
    wall = here.paint(WALLS, extent=2.5) if rng.random() < 0.3 else None
    here.add(shapes.box(size, cell=0.4).place(at, yaw=yaw), wall)
    roof = np.array([[size[0] * 0.85, 0], [size[0] * 0.8, 0.05], [1e-3, rng.uniform(0.3, 1)]])
    if rng.random() < 0.7:
        here.add(shapes.revolve(roof, sides=4).place(at + [0, 0, size[2]], yaw=yaw + np.pi / 4))


def _rig(rng: Generator) -> Rig:
    """Around, towards or past what stands in the middle, or from wherever somebody stood."""
    focus = np.array([*rng.uniform(-1, 1, 2), rng.uniform(0.6, 1.3)])
    turn, radius = rng.uniform(0, 6.28), rng.uniform(3, 7)
    base = focus + np.array([radius * np.cos(turn), radius * np.sin(turn), rng.uniform(0.2, 1.2)])
    kind = rng.random()
    if kind < 0.5:
        return orbit(rng, focus, radius, base[2] - focus[2], turn)
    if kind < 0.7:
        return walk(rng, base, focus - base, 2 * focus - base, turning=1.0)
    if kind < 0.85:
        return walk(rng, base, np.cross(focus - base, [0, 0, 1]), focus, turning=float(rng.random()))
    return drift(rng, base, focus, 0.25 * radius)
