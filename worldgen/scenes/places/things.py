"""Single objects of no particular use: boxes, jars, rings, lumps, statues."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes


def thing(rng: Generator, height: float) -> shapes.Mesh:
    """An object of about this height that stands on z = 0."""
    kind = int(rng.integers(11))
    width = height * np.exp(0.4 * rng.standard_normal())
    if kind <= 2:
        return shapes.box((width, width * rng.uniform(0.3, 1.2), height), cell=height / 5)
    if kind == 3:
        return shapes.cylinder(width * 0.4, height)
    if kind == 4:
        return shapes.sphere(height / 2).place((0, 0, height / 2))
    if kind in (5, 6):
        return shapes.jar(rng, height)
    if kind == 7:
        tube = height * rng.uniform(0.15, 0.3)
        ring = shapes.torus(height / 2 - tube, tube)
        if rng.random() < 0.5:
            return ring.place((0, 0, tube))
        return ring.place((0, 0, height / 2), turn=np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]))
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
        return shapes.revolve(cone)
    if kind == 9:
        solid = shapes.box((0.6 * height,) * 3, cell=0.12 * height).place((0, 0, -0.3 * height))
        return solid.place((0, 0, height / 2), turn=shapes.any_rotation(rng))
    lump = shapes.blob(rng, height / 2, rough=rng.uniform(0.1, 0.4))
    return lump.place((0, 0, -lump.vertices[:, 2].min() - 0.03 * height))


def figure(rng: Generator, height: float) -> shapes.Mesh:
    """A statue of sorts: lumps on each other on a plinth."""
    plinth = shapes.box((0.5 * height, 0.5 * height, 0.15 * height), cell=0.1)
    body = shapes.blob(rng, 0.26 * height, rough=0.35, rings=48).place((0, 0, 0.4 * height))
    head = shapes.blob(rng, 0.13 * height, rough=0.3, rings=40).place((0, 0, 0.82 * height))
    arms = [
        shapes.blob(rng, 0.12 * height, rough=0.3).place((s * 0.25 * height, 0, 0.45 * height))
        for s in (-1, 1)
    ]
    return shapes.Mesh.join([plinth, body, head, *arms])
