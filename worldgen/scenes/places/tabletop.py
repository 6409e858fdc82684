"""Things on a table or on the ground."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.materials import GROUNDS
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.props import plant
from worldgen.scenes.places.rigs import orbit
from worldgen.scenes.places.things import figure, thing
from worldgen.scenes.places.walls import walls


def tabletop(rng: Generator, photographs: bool) -> Place:
    """Things on a table, in a room or in the open, photographed from around."""
    indoors = bool(rng.random() < 0.65)
    here = FilmSet(rng, photographs, indoors=indoors)
    if indoors:
        _in_a_room(rng, here)
    else:
        _in_the_open(rng, here)
    tall = rng.uniform(0.35, 0.9)
    hero = figure(rng, tall) if rng.random() < 0.4 else thing(rng, tall)
    here.add(hero.place((0, 0, 0), yaw=rng.uniform(0, 6.28)))
    for _ in range(int(rng.integers(2, 9))):
        turn, far = rng.uniform(0, 6.28), rng.uniform(0.25, 0.75)
        at = np.array([far * np.cos(turn), far * np.sin(turn), 0])
        if rng.random() < 0.15:
            plant(rng, here, at, rng.uniform(0.2, 0.5))
        else:
            here.add(thing(rng, rng.uniform(0.06, 0.4)).place(at, yaw=rng.uniform(0, 6.28)))
    centre = np.array([0, 0, rng.uniform(0.1, 0.5) * tall])
    rig = orbit(rng, centre, rng.uniform(0.9, 1.7), rng.uniform(0.15, 0.9))
    return Place(here.stage, rig, 0.04)


def _in_a_room(rng: Generator, here: FilmSet) -> None:
    """A table whose top is at z = 0, and things along the walls."""
    half = np.array([rng.uniform(2.2, 4), rng.uniform(2.2, 4), 0])
    walls(rng, here, half, -0.75, rng.uniform(1.8, 2.4))
    for _ in range(int(rng.integers(2, 7))):
        turn, far = rng.uniform(0, 6.28), 0.85 * half[:2].min()
        at = np.array([far * np.cos(turn), far * np.sin(turn), -0.75])
        here.add(thing(rng, rng.uniform(0.4, 1.6)).place(at, yaw=rng.uniform(0, 6.28)))
    top = shapes.table((rng.uniform(1.2, 2.4), rng.uniform(1.0, 2.0), 0.75)).place((0, 0, -0.75))
    here.add(top, here.paint(GROUNDS, extent=float(rng.uniform(0.8, 2))))


def _in_the_open(rng: Generator, here: FilmSet) -> None:
    """Level ground at z = 0, hills around it, plants and things at a distance."""
    ground = shapes.hills(rng, 16, height=rng.uniform(0.5, 4))
    here.add(ground, here.paint(GROUNDS, extent=float(rng.uniform(1.5, 4))))
    for _ in range(int(rng.integers(3, 12))):
        turn, far = rng.uniform(0, 6.28), rng.uniform(2.5, 8)
        at = np.array([far * np.cos(turn), far * np.sin(turn), -0.05])
        if rng.random() < 0.4:
            plant(rng, here, at, rng.uniform(1, 3))
        else:
            here.add(thing(rng, rng.uniform(0.5, 2.5)).place(at, yaw=rng.uniform(0, 6.28)))
