"""Groups that stand about: plants, shelves with books, tables with things on them."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.materials import SIZE, Material
from worldgen.scenes.materials.natural_textures import strokes
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.things import thing


def plant(rng: Generator, here: FilmSet, at: np.ndarray, height: float) -> None:
    """A pot or trunk, and leaves."""
    foot = height * rng.uniform(0.2, 0.5)
    green = here.stage.uses(Material(strokes(rng, SIZE, SIZE), 0.5))
    if rng.random() < 0.5:
        here.add(shapes.jar(rng, foot).place(at))
    else:
        here.add(shapes.rod(at, at + [0.05 * height, 0, 1.3 * foot], 0.04 * height))
    spread = 0.4 * height * np.array([1, 1, 0.9]) * np.exp(0.15 * rng.standard_normal(3))
    crown = shapes.leaves(rng, int(rng.integers(60, 500)), spread, height * rng.uniform(0.03, 0.09))
    here.add(crown.place(at + [0, 0, foot + 0.35 * height]), green)


def shelf(
    rng: Generator, here: FilmSet, at: np.ndarray, yaw: float, size: tuple[float, float, float]
) -> None:
    """Boards with books and things on them; its back is at y = +depth / 2."""
    width, depth, height = size
    wood = here.any_thing()
    floors = int(rng.integers(2, 5))
    boards = [shapes.box((width, depth, 0.03)).place((0, 0, height * k / floors)) for k in range(floors + 1)]
    sides = [shapes.box((0.03, depth, height + 0.03)).place((s * width / 2, 0, 0)) for s in (-1, 1)]
    back = shapes.box((width, 0.015, height)).place((0, depth / 2, 0))
    here.add(shapes.Mesh.join([*boards, *sides, back]).place(at, yaw=yaw), wood)
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
            here.add(mesh.place(place, yaw=yaw))
            x += wide + (0.004 if rng.random() < 0.8 else rng.uniform(0.02, 0.2))


def laid_table(
    rng: Generator, here: FilmSet, at: np.ndarray, size: tuple[float, float, float], yaw: float
) -> None:
    """A table or chest with things on it."""
    solid = shapes.box(size) if rng.random() < 0.4 else shapes.table(size)
    here.add(solid.place(at, yaw=yaw))
    turn = shapes.rotation_z(yaw)
    for _ in range(int(rng.integers(2, 7))):
        spot = turn @ np.array(
            [rng.uniform(-0.4, 0.4) * size[0], rng.uniform(-0.35, 0.35) * size[1], size[2]]
        )
        here.add(thing(rng, rng.uniform(0.08, 0.35)).place(np.asarray(at) + spot, yaw=rng.uniform(0, 6.28)))
