"""Solids of geometry: quads, boxes, and what a lathe makes."""

import numpy as np
from jaxtyping import Float

from worldgen.scenes.shapes.mesh import Mesh, Triple, surface


def quad(corner: Triple, along: Triple, up: Triple, *, cell: float = 0.25) -> Mesh:
    """A parallelogram in cells of about `cell` world units, so that baked light has where to live."""
    at, u_edge, v_edge = (np.asarray(x, float) for x in (corner, along, up))
    width, height = float(np.linalg.norm(u_edge)), float(np.linalg.norm(v_edge))
    rows, columns = (int(np.clip(round(extent / cell), 1, 40)) for extent in (height, width))
    return surface(
        lambda u, v: at + u[:, None] * u_edge + v[:, None] * v_edge, rows, columns, (width, height)
    )


def box(size: Triple, *, cell: float = 0.25) -> Mesh:
    """An axis-aligned box that stands on z = 0."""
    x, y, z = np.diag(np.asarray(size, float))
    low = -(x + y) / 2
    return Mesh.join(
        [
            quad(low + z, x, -z, cell=cell),
            quad(low + x + z, y, -z, cell=cell),
            quad(low + x + y + z, -x, -z, cell=cell),
            quad(low + y + z, -y, -z, cell=cell),
            quad(low + z, x, y, cell=cell),
            quad(low, x, y, cell=cell),
        ]
    )


def revolve(profile: Float[np.ndarray, "k 2"], *, sides: int = 32) -> Mesh:
    """A surface of revolution about z; `profile` holds (radius, height) from bottom to top."""
    k = len(profile)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the surface at u, v in [0, 1]."""
        r, z = (np.interp(v * (k - 1), np.arange(k), profile[:, i]) for i in (0, 1))
        return np.stack([r * np.cos(2 * np.pi * u), r * np.sin(2 * np.pi * u), z], 1)

    mesh = surface(shape, k - 1, sides, (1.0, 1.0))
    row = np.repeat(np.arange(k), sides + 1)
    uv = np.stack([mesh.uv[:, 0] * 2 * np.pi * profile[:, 0].mean(), length[-1] - length[row]], 1)
    return Mesh(mesh.vertices, mesh.faces, uv, mesh.normals)


def cylinder(radius: float, height: float, *, sides: int = 28) -> Mesh:
    """A closed upright cylinder on z = 0."""
    bevel = min(radius, height) * 0.04
    rim = [(1e-4, 0), (radius - bevel, 0), (radius, bevel)]
    body = [(radius, height * s) for s in np.linspace(0.1, 0.9, 5)]
    top = [(radius, height - bevel), (radius - bevel, height), (1e-4, height)]
    return revolve(np.array(rim + body + top), sides=sides)


def sphere(radius: float, *, rings: int = 24) -> Mesh:
    """Around the origin."""
    angle = np.linspace(-np.pi / 2 + 1e-3, np.pi / 2 - 1e-3, rings + 1)
    return revolve(radius * np.stack([np.cos(angle), np.sin(angle)], 1), sides=2 * rings)


def torus(radius: float, tube: float) -> Mesh:
    """A ring around z, centred."""

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the surface at u, v in [0, 1]."""
        a, b = 2 * np.pi * u, 2 * np.pi * v
        r = radius + tube * np.cos(b)
        return np.stack([r * np.cos(a), r * np.sin(a), tube * np.sin(b)], 1)

    return surface(shape, 16, 40, (2 * np.pi * radius, 2 * np.pi * tube))
