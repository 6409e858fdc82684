"""Shapes that people make: jars, rods, furniture, fences and stairs."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.shapes.mesh import Mesh, Triple
from worldgen.scenes.shapes.solids import box, revolve


def jar(rng: Generator, height: float) -> Mesh:
    """A vase, bottle, bowl or lamp foot: a smooth random profile, closed at the bottom."""
    from scipy.interpolate import PchipInterpolator

    knots = int(rng.integers(4, 7))
    radius = height * rng.uniform(0.08, 0.45, knots)
    at = np.linspace(0, 1, 28)
    r = PchipInterpolator(np.linspace(0, 1, knots), radius)(at)
    profile = np.concatenate([[[1e-4, 0.0]], np.stack([r, at * height], 1)])
    lip = [[0.92 * r[-1], height], [0.85 * r[-1], 0.8 * height]] if rng.random() < 0.6 else [[1e-4, height]]
    return revolve(np.concatenate([profile, lip]), sides=40)


def rod(start: Triple, end: Triple, radius: float) -> Mesh:
    """A round bar between two points."""
    foot, axis = np.asarray(start, float), np.asarray(end, float) - np.asarray(start, float)
    length = float(np.linalg.norm(axis))
    z = axis / length
    x = np.cross(z, [0.31, 0.52, 0.8])
    x /= np.linalg.norm(x)
    rings = max(2, int(np.clip(length / 0.2, 2, 16)))
    profile = np.stack([np.full(rings + 1, radius), np.linspace(0, length, rings + 1)], 1)
    return revolve(profile, sides=10).place(foot, turn=np.stack([x, np.cross(z, x), z], 1))


def table(size: Triple, *, top: float = 0.05, leg: float = 0.06) -> Mesh:
    """A board on four legs; `size` is (x, y, height)."""
    x, y, height = size
    legs = [
        box((leg, leg, height - top)).place((i * (x / 2 - leg), j * (y / 2 - leg), 0))
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    return Mesh.join([box((x, y, top)).place((0, 0, height - top)), *legs])


def chair(size: float) -> Mesh:
    """A slatted chair whose seat is at `size`."""
    seat = table((0.9 * size, 0.9 * size, size), top=0.08 * size, leg=0.08 * size)
    posts = [
        box((0.08 * size, 0.08 * size, size)).place((i * 0.36 * size, 0.36 * size, size)) for i in (-1, 1)
    ]
    slats = [
        box((0.8 * size, 0.04 * size, 0.12 * size)).place((0, 0.36 * size, size * (1.2 + 0.25 * k)))
        for k in range(4)
    ]
    return Mesh.join([seat, *posts, *slats])


def fence(length: float, height: float, *, gap: float, bar: float) -> Mesh:
    """Upright slats with two rails, along x."""
    slats = [
        box((bar, 0.4 * bar, height), cell=1.0).place((x, 0, 0))
        for x in np.arange(-length / 2, length / 2 + 1e-6, gap)
    ]
    rails = [
        box((length, 0.5 * bar, 0.7 * bar), cell=0.5).place((0, 0.4 * bar, s * height)) for s in (0.25, 0.8)
    ]
    return Mesh.join([*slats, *rails])


def stairs(width: float, steps: int, rise: float) -> Mesh:
    """Steps that climb towards +y from the origin."""
    return Mesh.join(
        [box((width, 1.4 * rise, rise * (k + 1))).place((0, 1.4 * rise * (k + 0.5), 0)) for k in range(steps)]
    )
