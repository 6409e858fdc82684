"""Where textures lie on meshes, and their mip pyramids."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.scenes.materials import SIZE
from worldgen.scenes.rendering.stage import Stage

LEVELS = 7
"""Of a texture's mip pyramid."""


def texture_coordinates(stage: Stage, rng: Generator) -> Float[np.ndarray, "v 2"]:
    """In textures, each part at a place of its own unless it is fitted to [0, 1]."""
    out = []
    for part in stage.parts:
        extent = stage.materials[part.material].extent
        out.append(part.mesh.uv if part.fitted else part.mesh.uv / extent + rng.uniform(0, 2, 2))
    return np.concatenate(out).astype(np.float32)


def texel_density(vertices: np.ndarray, uv: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, "f"]:
    """Texels per world unit on each triangle."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    p, q, r = (uv[faces[:, k]] for k in range(3))
    painted = np.abs((q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0])
    return (SIZE * np.sqrt(painted / np.maximum(area, 1e-12))).astype(np.float32)


def pyramid(pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Mip levels [material, side, side, 3], linear light, finest first."""
    linear = ((np.arange(256) / 255) ** 2.2).astype(np.float32)
    level: np.ndarray = np.stack([linear[np.round(picture * 255).astype(np.uint8)] for picture in pictures])
    out: list[np.ndarray] = [level]
    for _ in range(LEVELS - 1):
        rows = level[:, ::2] + level[:, 1::2]
        level = np.ascontiguousarray(rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
        out.append(level)
    return tuple(out)
