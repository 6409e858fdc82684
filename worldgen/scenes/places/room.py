"""A furnished room."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.props import laid_table, plant, shelf
from worldgen.scenes.places.rigs import Rig, Vector, drift, orbit, walk
from worldgen.scenes.places.things import thing
from worldgen.scenes.places.walls import walls


def room(rng: Generator, photographs: bool) -> Place:
    """A furnished room, photographed from its corners or middle."""
    here = FilmSet(rng, photographs, indoors=True)
    half = np.array([rng.uniform(1.8, 3.4), rng.uniform(1.6, 3.0), 0])
    high = rng.uniform(2.4, 3.0)
    walls(rng, here, half, 0.0, high)
    _along_walls(rng, here, half)
    _middle(rng, here, half)
    return Place(here.stage, _rig(rng, half), 0.06)


def _along_walls(rng: Generator, here: FilmSet, half: Vector) -> None:
    """Shelves, chests, plants and things with their backs to the four walls."""
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
                here.add(thing(rng, rng.uniform(0.3, 0.9)).place(at, yaw=rng.uniform(0, 6.28)))
            position += width + rng.uniform(0.1, 0.9)


def _middle(rng: Generator, here: FilmSet, half: Vector) -> None:
    """A table with chairs, perhaps on a carpet."""
    middle = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), 0]) * half
    size = (rng.uniform(0.7, 1.5), rng.uniform(0.6, 1.0), rng.uniform(0.4, 0.8))
    laid_table(rng, here, middle, size, rng.uniform(0, 6.28))
    for _ in range(int(rng.integers(0, 4))):
        turn = rng.uniform(0, 6.28)
        at = middle + np.array([np.cos(turn), np.sin(turn), 0]) * rng.uniform(0.7, 1.0)
        here.add(shapes.chair(rng.uniform(0.38, 0.5)).place(at, yaw=rng.uniform(0, 6.28)))
    if rng.random() < 0.5:
        carpet = shapes.box((rng.uniform(1, 2), rng.uniform(1, 2), 0.012))
        here.add(carpet.place(middle, yaw=rng.uniform(0, 6.28)))


def _rig(rng: Generator, half: Vector) -> Rig:
    """Around the middle, towards or past something in it, or from a corner."""
    focus = np.array(
        [rng.uniform(-0.5, 0.5) * half[0], rng.uniform(-0.5, 0.5) * half[1], rng.uniform(0.5, 1.2)]
    )
    eye_height = rng.uniform(1.0, 1.8)
    corner = np.array([*(rng.choice([-1, 1], 2) * half[:2] * rng.uniform(0.6, 0.85)), eye_height])
    kind = rng.random()
    if kind < 0.4:
        start = np.arctan2(corner[1], corner[0])
        return orbit(rng, np.array([0, 0, focus[2]]), 0.8 * half[:2].min(), eye_height - focus[2], start)
    if kind < 0.6:
        return walk(rng, corner, focus - corner, 2 * focus - corner, turning=1.0)
    if kind < 0.75:
        across = np.cross(focus - corner, [0, 0, 1])
        return walk(rng, 0.5 * (corner + focus), across, 2 * focus - corner, turning=float(rng.random()))
    return drift(rng, corner, focus, rng.uniform(0.2, 0.6))
