"""Triangle meshes of everyday shapes, each with texture coordinates and smooth normals.

Shapes stand on z = 0 or around the origin, as each says; x and y are level, z is up. Texture coordinates are
in world units along the surface, so that a material keeps its grain on shapes of every size.
"""

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
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "v 2"]
    """World units along the surface."""
    normals: Float[np.ndarray, "v 3"]
    """Unit length; which side they point to does not matter, the light turns them to the viewer."""

    def placed(
        self,
        at: Triple = (0.0, 0.0, 0.0),
        *,
        yaw: float = 0.0,
        turn: Float[np.ndarray, "3 3"] | None = None,
    ) -> "Mesh":
        """Turned about z by `yaw` radians (or by a whole rotation), then moved."""
        R = rotation_z(yaw) if turn is None else turn
        return Mesh(self.vertices @ R.T + np.asarray(at, float), self.faces, self.uv, self.normals @ R.T)

    def fitted(self) -> "Mesh":
        """The same mesh whose texture coordinates fill the unit square exactly."""
        low, high = self.uv.min(0), self.uv.max(0)
        return Mesh(self.vertices, self.faces, (self.uv - low) / np.maximum(high - low, 1e-9), self.normals)

    @staticmethod
    def joined(parts: Sequence["Mesh"]) -> "Mesh":
        starts = np.cumsum([0] + [len(part.vertices) for part in parts])
        return Mesh(
            np.concatenate([part.vertices for part in parts]),
            np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
            np.concatenate([part.uv for part in parts]),
            np.concatenate([part.normals for part in parts]),
        )


def rotation_z(angle: float) -> Float[np.ndarray, "3 3"]:
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
    return Mesh.joined(
        [
            quad(low + z, x, -z, cell=cell),
            quad(low + x + z, y, -z, cell=cell),
            quad(low + x + y + z, -x, -z, cell=cell),
            quad(low + y + z, -y, -z, cell=cell),
            quad(low + z, x, y, cell=cell),
            quad(low, x, y, cell=cell),
        ]
    )


def revolved(profile: Float[np.ndarray, "k 2"], *, sides: int = 32) -> Mesh:
    """A surface of revolution about z; `profile` holds (radius, height) from bottom to top."""
    k = len(profile)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
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
    return revolved(np.array(rim + body + top), sides=sides)


def sphere(radius: float, *, rings: int = 24) -> Mesh:
    """Around the origin."""
    angle = np.linspace(-np.pi / 2 + 1e-3, np.pi / 2 - 1e-3, rings + 1)
    return revolved(radius * np.stack([np.cos(angle), np.sin(angle)], 1), sides=2 * rings)


def torus(radius: float, tube: float) -> Mesh:
    """A ring around z, centred."""

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        a, b = 2 * np.pi * u, 2 * np.pi * v
        r = radius + tube * np.cos(b)
        return np.stack([r * np.cos(a), r * np.sin(a), tube * np.sin(b)], 1)

    return surface(shape, 16, 40, (2 * np.pi * radius, 2 * np.pi * tube))


def jar(rng: Generator, height: float) -> Mesh:
    """A vase, bottle, bowl or lamp foot: a smooth random profile, closed at the bottom."""
    from scipy.interpolate import PchipInterpolator

    knots = int(rng.integers(4, 7))
    radius = height * rng.uniform(0.08, 0.45, knots)
    at = np.linspace(0, 1, 28)
    r = PchipInterpolator(np.linspace(0, 1, knots), radius)(at)
    profile = np.concatenate([[[1e-4, 0.0]], np.stack([r, at * height], 1)])
    lip = [[0.92 * r[-1], height], [0.85 * r[-1], 0.8 * height]] if rng.random() < 0.6 else [[1e-4, height]]
    return revolved(np.concatenate([profile, lip]), sides=40)


def blob(rng: Generator, radius: float, *, rough: float = 0.25, rings: int = 34) -> Mesh:
    """A boulder, fruit or sculpted lump: a sphere pushed in and out by waves of many lengths."""
    waves = int(rng.integers(10, 40))
    pitch = np.exp(rng.uniform(np.log(1.0), np.log(9.0), waves))
    direction = rng.standard_normal((waves, 3))
    direction *= (pitch / np.linalg.norm(direction, axis=1))[:, None]
    phase, strength = rng.uniform(0, 2 * np.pi, waves), rough * rng.standard_normal(waves) / pitch
    squash = np.exp(0.25 * rng.standard_normal(3))

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        a, b = 2 * np.pi * u, np.pi * np.clip(v, 0.003, 0.997)
        unit = np.stack([np.sin(b) * np.cos(a), np.sin(b) * np.sin(a), np.cos(b)], 1)
        push = 1 + (np.sin(unit @ direction.T + phase) * strength).sum(1)
        return radius * np.clip(push, 0.35, 1.8)[:, None] * unit * squash

    return surface(shape, rings, 2 * rings, (2 * np.pi * radius, np.pi * radius))


def hills(rng: Generator, extent: float, *, height: float, cells: int = 72) -> Mesh:
    """A square height field around the origin, flat within a third of its extent."""
    from worldgen.textures import noise

    lift = noise(rng, cells + 1, cells + 1, (cells / 3, cells / 3), 5, 0.5)
    fine = noise(rng, cells + 1, cells + 1, (6, 6), 3, 0.6)

    def shape(u: np.ndarray, v: np.ndarray) -> np.ndarray:
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


def rod(start: Triple, end: Triple, radius: float) -> Mesh:
    """A round bar between two points."""
    foot, axis = np.asarray(start, float), np.asarray(end, float) - np.asarray(start, float)
    length = float(np.linalg.norm(axis))
    z = axis / length
    x = np.cross(z, [0.31, 0.52, 0.8])
    x /= np.linalg.norm(x)
    rings = max(2, int(np.clip(length / 0.2, 2, 16)))
    profile = np.stack([np.full(rings + 1, radius), np.linspace(0, length, rings + 1)], 1)
    return revolved(profile, sides=10).placed(foot, turn=np.stack([x, np.cross(z, x), z], 1))


def table(size: Triple, *, top: float = 0.05, leg: float = 0.06) -> Mesh:
    """A board on four legs; `size` is (x, y, height)."""
    x, y, height = size
    legs = [
        box((leg, leg, height - top)).placed((i * (x / 2 - leg), j * (y / 2 - leg), 0))
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    return Mesh.joined([box((x, y, top)).placed((0, 0, height - top)), *legs])


def chair(size: float) -> Mesh:
    """A slatted chair whose seat is at `size`."""
    seat = table((0.9 * size, 0.9 * size, size), top=0.08 * size, leg=0.08 * size)
    posts = [
        box((0.08 * size, 0.08 * size, size)).placed((i * 0.36 * size, 0.36 * size, size)) for i in (-1, 1)
    ]
    slats = [
        box((0.8 * size, 0.04 * size, 0.12 * size)).placed((0, 0.36 * size, size * (1.2 + 0.25 * k)))
        for k in range(4)
    ]
    return Mesh.joined([seat, *posts, *slats])


def fence(length: float, height: float, *, gap: float, bar: float) -> Mesh:
    """Upright slats with two rails, along x."""
    slats = [
        box((bar, 0.4 * bar, height), cell=1.0).placed((x, 0, 0))
        for x in np.arange(-length / 2, length / 2 + 1e-6, gap)
    ]
    rails = [
        box((length, 0.5 * bar, 0.7 * bar), cell=0.5).placed((0, 0.4 * bar, s * height)) for s in (0.25, 0.8)
    ]
    return Mesh.joined([*slats, *rails])


def stairs(width: float, steps: int, rise: float) -> Mesh:
    """Steps that climb towards +y from the origin."""
    return Mesh.joined(
        [
            box((width, 1.4 * rise, rise * (k + 1))).placed((0, 1.4 * rise * (k + 0.5), 0))
            for k in range(steps)
        ]
    )
