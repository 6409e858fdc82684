"""Shapes of nature: boulders, hills and foliage."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.shapes.mesh import Mesh, Triple, surface
from worldgen.scenes.textures import noise


def blob(rng: Generator, radius: float, *, rough: float = 0.25, rings: int = 34) -> Mesh:
    """A boulder, fruit or sculpted lump: a sphere pushed in and out by waves of many lengths."""
    waves = int(rng.integers(10, 40))
    pitch = np.exp(rng.uniform(np.log(1.0), np.log(9.0), waves))
    direction = rng.standard_normal((waves, 3))
    direction *= (pitch / np.linalg.norm(direction, axis=1))[:, None]
    phase, strength = rng.uniform(0, 2 * np.pi, waves), rough * rng.standard_normal(waves) / pitch
    squash = np.exp(0.25 * rng.standard_normal(3))

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the surface at u, v in [0, 1]."""
        a, b = 2 * np.pi * u, np.pi * np.clip(v, 0.003, 0.997)
        unit = np.stack([np.sin(b) * np.cos(a), np.sin(b) * np.sin(a), np.cos(b)], 1)
        push = 1 + (np.sin(unit @ direction.T + phase) * strength).sum(1)
        return radius * np.clip(push, 0.35, 1.8)[:, None] * unit * squash

    return surface(shape, rings, 2 * rings, (2 * np.pi * radius, np.pi * radius))


def hills(rng: Generator, extent: float, *, height: float, cells: int = 72) -> Mesh:
    """A square height field around the origin, flat within a third of its extent."""
    lift = noise(rng, cells + 1, cells + 1, (cells / 3, cells / 3), 5, 0.5)
    fine = noise(rng, cells + 1, cells + 1, (6, 6), 3, 0.6)

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the surface at u, v in [0, 1]."""
        x, y = (2 * u - 1) * extent, (2 * v - 1) * extent
        away = np.clip(np.hypot(x, y) / extent * 1.5 - 0.45, 0, 1) ** 1.5
        z = height * (lift.ravel() + 0.8) * away + 0.006 * height * fine.ravel()
        return np.stack([x, y, z], 1)

    return surface(shape, cells, cells, (2 * extent, 2 * extent))


def leaves(rng: Generator, count: int, spread: Triple, size: float) -> Mesh:
    """Small bent leaves that turn every way, spread in an ellipsoid around the origin."""
    place = rng.standard_normal((count, 3))
    place *= (rng.random(count) ** (1 / 2.5) / np.linalg.norm(place, axis=1))[:, None]
    place *= np.asarray(spread, float)
    along, side = rng.standard_normal((2, count, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side -= (side * along).sum(1, keepdims=True) * along
    side *= 0.35 / np.linalg.norm(side, axis=1, keepdims=True)
    scale = size * np.exp(0.3 * rng.standard_normal((count, 1, 1)))
    outline = np.stack([-along, side, -side, along], 1) * scale
    normals = np.cross(along, side) + 0.5 * place / np.maximum(np.abs(place).max(), 1e-9)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    faces = np.array([[0, 1, 2], [1, 3, 2]]) + 4 * np.arange(count)[:, None, None]
    corners = np.array([[0, 0.5], [0.5, 0], [0.5, 1], [1, 0.5]])
    uv = corners * 2 * size + rng.uniform(0, 20 * size, (count, 1, 2))
    return Mesh(
        (place[:, None] + outline).reshape(-1, 3),
        faces.reshape(-1, 3),
        uv.reshape(-1, 2),
        np.repeat(normals, 4, axis=0),
    )
