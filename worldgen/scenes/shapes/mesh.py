"""A triangle mesh with texture coordinates and smooth normals, and the surfaces that all shapes are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

Triple = Sequence[float] | np.ndarray
"""Three numbers."""


@dataclass(frozen=True)
class Mesh:
    vertices: Float[np.ndarray, "v 3"]
    """World units, z up."""
    faces: Int[np.ndarray, "f 3"]
    """Rows of `vertices`."""
    uv: Float[np.ndarray, "v 2"]
    """World units along the surface."""
    normals: Float[np.ndarray, "v 3"]
    """Unit length; which side they point to does not matter, the light turns them to the viewer."""

    def place(
        self,
        at: Triple = (0.0, 0.0, 0.0),
        *,
        yaw: float = 0.0,
        turn: Float[np.ndarray, "3 3"] | None = None,
    ) -> "Mesh":
        """Turned about z by `yaw` radians (or by a whole rotation), then moved."""
        R = rotation_z(yaw) if turn is None else turn
        return Mesh(self.vertices @ R.T + np.asarray(at, float), self.faces, self.uv, self.normals @ R.T)

    def fit_uv(self) -> "Mesh":
        """The same mesh whose texture coordinates fill the unit square exactly."""
        low, high = self.uv.min(0), self.uv.max(0)
        return Mesh(self.vertices, self.faces, (self.uv - low) / np.maximum(high - low, 1e-9), self.normals)

    @staticmethod
    def join(parts: Sequence["Mesh"]) -> "Mesh":
        """Several meshes as one."""
        starts = np.cumsum([0] + [len(part.vertices) for part in parts])
        return Mesh(
            np.concatenate([part.vertices for part in parts]),
            np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
            np.concatenate([part.uv for part in parts]),
            np.concatenate([part.normals for part in parts]),
        )


def rotation_z(angle: float) -> Float[np.ndarray, "3 3"]:
    """By `angle` radians about z, from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def any_rotation(rng: Generator, most: float = np.pi) -> Float[np.ndarray, "3 3"]:
    """About a random axis by up to `most` radians."""
    from scipy.spatial.transform import Rotation

    axis = rng.standard_normal(3)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * rng.uniform(0, most)).as_matrix()


def surface(
    shape: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: int, columns: int, size: tuple[float, float]
) -> Mesh:
    """A parametric surface [0, 1]² → space as a grid; `size` is its extent in world units along u and v."""
    v, u = np.meshgrid(np.linspace(0, 1, rows + 1), np.linspace(0, 1, columns + 1), indexing="ij")
    vertices = shape(u.ravel(), v.ravel())
    a = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    b, c, d = a + 1, a + columns + 1, a + columns + 2
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    corners = vertices[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Mesh(vertices, faces, np.stack([u.ravel() * size[0], v.ravel() * size[1]], 1), normals)
