"""A hall full of things."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.rigs import drift, orbit
from worldgen.scenes.places.things import thing
from worldgen.scenes.places.walls import walls


def clutter(rng: Generator, photographs: bool) -> Place:
    """A hall full of things of all sizes, some hanging in the air."""
    here = FilmSet(rng, photographs, indoors=bool(rng.random() < 0.7))
    half = np.array([rng.uniform(2.5, 4.5), rng.uniform(2.5, 4.5), 0])
    walls(rng, here, half, 0.0, rng.uniform(2.5, 4))
    for _ in range(int(rng.integers(12, 40))):
        at = np.array([*(rng.uniform(-0.85, 0.85, 2) * half[:2]), 0.0])
        mesh = thing(rng, float(np.exp(rng.uniform(np.log(0.12), np.log(1.3)))))
        if rng.random() < 0.25:
            mesh = mesh.place(turn=shapes.any_rotation(rng))
            at[2] = rng.uniform(0.3, 2)
        here.add(mesh.place(at, yaw=rng.uniform(0, 6.28)))
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
