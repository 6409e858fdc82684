"""Light baked onto the faces of the synthetic room, from a panel under the ceiling and a window."""

import math

import numpy as np

from worldgen.scenes.raytrace import bake_light, face_size
from worldgen.scenes.solids import CYLINDER, ELLIPSOID, ROOM

WALL_CELLS_PER_M, CELLS_PER_M = 11, 22
"""Grid cells a metre on walls and on things, whose shadows are smaller; doubled, baking takes four times as long."""
CELLS_PER_SIDE = (3, 100)
"""Least and most cells along a side of a face."""
SKY_RAYS = 36
"""Directions in which a cell looks for open space; fewer show as spots."""


def bake_room_light(kind, centre, half, turn) -> tuple[np.ndarray, np.ndarray]:
    """Brightness on a grid over every face [m], and (first value, rows, columns) of each grid [s, 6, 3].

    The arguments are as in `SceneArrays`.
    """
    grid = np.zeros((len(kind), 6, 3), np.int64)
    points, normals, first = [], [], 0
    for s in range(len(kind)):
        for face in range(6):
            u, v = face_size(kind[s], half[s], face)
            per_m = WALL_CELLS_PER_M if kind[s] == ROOM else CELLS_PER_M
            rows, columns = (int(np.clip(x * per_m, *CELLS_PER_SIDE)) for x in (v, u))
            grid[s, face] = first, rows, columns
            first += rows * columns
            place, normal = _surface(int(kind[s]), half[s], face, rows, columns)
            c, sn = turn[s]
            R = np.array([[c, -sn, 0], [sn, c, 0], [0, 0, 1]])
            points.append(place @ R.T + centre[s])
            normals.append((-normal if kind[s] == ROOM else normal) @ R.T)
    light = np.zeros(first, np.float32)
    bake_light(
        kind,
        centre,
        half,
        turn,
        np.concatenate(points),
        np.concatenate(normals),
        _hemisphere(SKY_RAYS),
        _lamps(),
        light,
    )
    return light, grid


def _surface(
    kind: int, half: np.ndarray, face: int, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward unit normals [rows·columns, 3] at the middles of a grid over a face."""
    v, u = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    u, v = u.ravel(), v.ravel()
    if kind in (ELLIPSOID, CYLINDER) and (kind == ELLIPSOID or face < 4):
        angle = 2 * np.pi * u - np.pi
        rise = np.pi / 2 - np.pi * v if kind == ELLIPSOID else np.zeros_like(v)
        ball = np.stack([np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)], 1)
        place = ball * half
        if kind == CYLINDER:
            place[:, 2] = half[2] * (1 - 2 * v)
        normal = ball / half
        return place, normal / np.linalg.norm(normal, axis=1, keepdims=True)
    axis, sign = face // 2, 1.0 if face % 2 else -1.0
    place = np.zeros((len(u), 3))
    across, along = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[axis]
    place[:, axis] = sign * half[axis]
    place[:, across] = half[across] * (2 * u - 1)
    place[:, along] = half[along] * (2 * v - 1 if axis == 2 else 1 - 2 * v)
    normal = np.zeros_like(place)
    normal[:, axis] = sign
    return place, normal


def _hemisphere(count: int) -> np.ndarray:
    """Cosine-weighted directions [count, 3] around +z on a Fibonacci spiral."""
    i = np.arange(count) + 0.5
    radius, angle = np.sqrt(i / count), i * np.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], 1)


def _lamps() -> np.ndarray:
    """Points [l, 4] with power: a panel under the ceiling and a window in the wall at x = -3."""
    side = np.arange(3) - 1.0
    panel = [(0.7 * a + 0.2, 0.5 * b - 0.3, 2.6, 0.60) for a in side for b in side]
    window = [(-2.9, -1.2 + 0.6 * a, 1.7 + 0.5 * b, 0.53) for a in side for b in side]
    return np.array(panel + window)
