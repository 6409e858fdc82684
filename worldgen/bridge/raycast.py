"""Pictures and depth of textured triangle scenes: Open3D finds what a ray hits, a numba kernel shades it.

Light is linear until it is developed: a sun or lamp with hard shadows (or none), sky light that is occluded
by what stands near (baked per vertex), highlights and mirrored surroundings on what shines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from recon.splats.kernels.jit import kernel
from worldgen.bridge.materials import SIZE, Material
from worldgen.bridge.shapes import Mesh

LEVELS = 7
"""Of a texture's mip pyramid."""


@dataclass(frozen=True)
class Part:
    mesh: Mesh
    material: int
    moves: bool = False
    fitted: bool = False


@dataclass(frozen=True)
class Light:
    place: Float[np.ndarray, "3"]
    """Of the sun (far away) or the lamp, world."""
    colour: Float[np.ndarray, "3"]
    ambient: Float[np.ndarray, "3"]
    shadows: bool
    reach: float
    """Distance at which a lamp has its nominal strength; infinite for the sun."""


@dataclass
class Stage:
    """A scene while it is put together: meshes with materials, under a light, inside surroundings."""

    surroundings: Float[np.ndarray, "h w 3"]
    """sRGB panorama seen where nothing is hit, equirectangular, z up: row 0 is the zenith."""
    light: Light
    velocity: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    """World units a second, of the parts that move."""
    materials: list[Material] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def uses(self, material: Material) -> int:
        """Registers a material; its number is what `add` takes."""
        self.materials.append(material)
        return len(self.materials) - 1

    def add(self, mesh: Mesh, material: int, *, moves: bool = False, fit: bool = False) -> None:
        """`fit` shows the whole texture on the mesh once, as a poster or a screen wants it."""
        self.parts.append(Part(mesh.fitted() if fit else mesh, material, moves, fit))


class Tracer:
    """A finished stage, ready to be seen at any time from anywhere."""

    def __init__(self, stage: Stage, rng: Generator) -> None:
        import cv2

        self.stage = stage
        whole = Mesh.joined([part.mesh for part in stage.parts])
        self.vertices = whole.vertices.astype(np.float32)
        self.faces = whole.faces.astype(np.uint32)
        self.normals = whole.normals.astype(np.float32)
        counts = [len(part.mesh.faces) for part in stage.parts]
        self.material = np.repeat([part.material for part in stage.parts], counts).astype(np.int32)
        self.moving = np.repeat([part.moves for part in stage.parts], counts)
        self.moving_vertices = np.repeat(
            [part.moves for part in stage.parts], [len(part.mesh.vertices) for part in stage.parts]
        )
        self.uv = _texture_coordinates(stage, rng)
        self.density = _texel_density(self.vertices, self.uv, self.faces)
        self.pyramid = _pyramid([m.texture for m in stage.materials])
        self.finish = np.array([[m.gloss, m.sharpness, m.glow] for m in stage.materials], np.float32)
        panorama = np.ascontiguousarray(stage.surroundings, np.float32)
        self.panorama = panorama**2.2
        # what shines reflects a blurred picture: no surface here is a mirror
        self.reflected = cv2.GaussianBlur(panorama, (0, 0), panorama.shape[1] / 60) ** 2.2
        self._scenes: dict[float, Any] = {}
        self.ambient = self._bake_ambient()

    @property
    def anything_moves(self) -> bool:
        return bool(self.moving.any())

    def scene(self, time_s: float) -> Any:
        """The ray-casting scene at a time; built once for each."""
        import open3d as o3d

        key = float(time_s) if self.anything_moves else 0.0
        if key not in self._scenes:
            shift = (self.moving_vertices[:, None] * self.stage.velocity * key).astype(np.float32)
            scene = o3d.t.geometry.RaycastingScene(nthreads=1)
            scene.add_triangles(
                o3d.core.Tensor.from_numpy(self.vertices + shift), o3d.core.Tensor.from_numpy(self.faces)
            )
            self._scenes[key] = scene
        return self._scenes[key]

    def _bake_ambient(self) -> Float[np.ndarray, "v"]:
        """The share of sky light that reaches each vertex; what moves neither gives nor takes shade."""
        import open3d as o3d

        scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        still = np.ascontiguousarray(self.faces[~self.moving])
        scene.add_triangles(o3d.core.Tensor.from_numpy(self.vertices), o3d.core.Tensor.from_numpy(still))
        first, back = (self._openness(scene, side * self.normals, 6) for side in (1.0, -1.0))
        outwards = np.where(first >= back, 1, -1)[:, None] * self.normals
        return self._openness(scene, outwards.astype(np.float32), 18)

    def _openness(self, scene: Any, normals: Float[np.ndarray, "v 3"], rays: int) -> Float[np.ndarray, "v"]:
        """Mean over cosine-weighted directions (Malley's method) of how far the next surface is, in [0, 1]."""
        import open3d as o3d

        # the same directions for all vertices: bias instead of noise
        r, turn = np.sqrt((np.arange(rays) + 0.5) / rays), 2.399963 * np.arange(rays)
        local = np.stack([r * np.cos(turn), r * np.sin(turn), np.sqrt(1 - r**2)], 1).astype(np.float32)
        x = np.cross(normals, np.array([0.0123, 0.577, 0.816], np.float32))
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        frame = np.stack([x, np.cross(normals, x), normals], 1)
        extent = float(np.ptp(self.vertices, axis=0).max())
        cast = np.empty((rays, len(normals), 6), np.float32)
        cast[..., :3] = self.vertices + 2e-4 * extent * normals
        cast[..., 3:] = np.einsum("ri,vij->rvj", local, frame)
        hit = scene.cast_rays(o3d.core.Tensor.from_numpy(cast), nthreads=1)["t_hit"].numpy()
        # what is far takes little light, for it sends back its own; a miss is infinitely far and counts 1
        reach = 0.08 * extent
        return (1 - reach / (hit + reach)).mean(0).astype(np.float32)

    def z_depth(
        self,
        world_from_cam: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        width: int,
        height: int,
        time_s: float,
    ) -> tuple[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
        """z-depth through the pixel centres (0 where nothing is hit) and the triangle hit (-1)."""
        import open3d as o3d

        rays = _rays(world_from_cam, K, width, height)
        answer = self.scene(time_s).cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        depth = answer["t_hit"].numpy()
        hit = np.isfinite(depth)
        return np.where(hit, depth, 0).astype(np.float32), np.where(
            hit, answer["primitive_ids"].numpy().astype(np.int64), -1
        )

    def render(
        self,
        world_from_cam: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        width: int,
        height: int,
        time_s: float = 0.0,
        samples: int = 2,
    ) -> Float[np.ndarray, "h w s s 3"]:
        """Linear light of `samples`² rays a pixel, not yet averaged: highlights are clipped by the film first."""
        import open3d as o3d

        lens = np.diag([samples, samples, 1.0]) @ K
        rays = _rays(world_from_cam, lens, width * samples, height * samples).reshape(-1, 6)
        scene = self.scene(time_s)
        answer = scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        distance = answer["t_hit"].numpy()
        lit = np.ones(len(rays), np.float32)
        if self.stage.light.shadows:
            hit = np.isfinite(distance)
            at = rays[:, :3] + np.where(hit, distance, 0)[:, None] * rays[:, 3:]
            to_light = (self.stage.light.place - at).astype(np.float32)
            # start a little towards the light and the viewer, lest a surface shade itself
            start = at + 2e-3 * to_light / np.linalg.norm(to_light, axis=1, keepdims=True)
            start -= 1e-3 * rays[:, 3:] * np.where(hit, distance, 0)[:, None]
            towards = np.concatenate([start, self.stage.light.place - start], 1).astype(np.float32)
            lit = 1 - scene.test_occlusions(
                o3d.core.Tensor.from_numpy(towards), tfar=0.999, nthreads=1
            ).numpy().astype(np.float32)
        out = np.zeros((len(rays), 3), np.float32)
        light = self.stage.light
        _shade(
            rays, distance, answer["primitive_ids"].numpy().astype(np.int64), answer["primitive_uvs"].numpy(),
            answer["primitive_normals"].numpy(), lit, self.faces, self.uv, self.normals, self.ambient,
            self.density, self.material, self.pyramid, self.finish, self.panorama, self.reflected,
            light.place.astype(np.float32), light.colour.astype(np.float32), light.ambient.astype(np.float32),
            np.float32(light.reach), np.float32(1 / lens[0, 0]), out,
        )  # fmt: skip
        return out.reshape(height, samples, width, samples, 3).transpose(0, 2, 1, 3, 4)


def _rays(
    world_from_cam: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], width: int, height: int
) -> Float[np.ndarray, "h w 6"]:
    """Through the pixel centres, (0.5, 0.5) first; directions have z = 1 in the camera, so distance is z-depth."""
    v, u = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    local = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    directions = local @ world_from_cam[:3, :3].T
    origins = np.broadcast_to(world_from_cam[:3, 3], directions.shape)
    return np.concatenate([origins, directions], -1).astype(np.float32)


def _texture_coordinates(stage: Stage, rng: Generator) -> Float[np.ndarray, "v 2"]:
    """In textures, each part at a place of its own unless it is fitted to [0, 1]."""
    out = []
    for part in stage.parts:
        extent = stage.materials[part.material].extent
        out.append(part.mesh.uv if part.fitted else part.mesh.uv / extent + rng.uniform(0, 2, 2))
    return np.concatenate(out).astype(np.float32)


def _texel_density(vertices: np.ndarray, uv: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, "f"]:
    """Texels per world unit on each triangle."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    p, q, r = (uv[faces[:, k]] for k in range(3))
    painted = np.abs((q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0])
    return (SIZE * np.sqrt(painted / np.maximum(area, 1e-12))).astype(np.float32)


def _pyramid(pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Mip levels [material, side, side, 3], linear light, finest first."""
    linear = ((np.arange(256) / 255) ** 2.2).astype(np.float32)
    level: np.ndarray = np.stack([linear[np.round(picture * 255).astype(np.uint8)] for picture in pictures])
    out: list[np.ndarray] = [level]
    for _ in range(LEVELS - 1):
        rows = level[:, ::2] + level[:, 1::2]
        level = np.ascontiguousarray(rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
        out.append(level)
    return tuple(out)


@kernel
def _mirrored(x, side):
    """Texel coordinate (integer centres) of a texture coordinate; every second repeat is mirrored."""
    x = x - 2 * math.floor(x / 2)
    if x > 1:
        x = 2 - x
    return min(max(x * side - 0.5, 0.0), side - 1.0)


@kernel
def _add_texel(level, material, u, v, weight, out):
    side = level.shape[1]
    x, y = _mirrored(u, side), _mirrored(v, side)
    x0, y0 = min(int(x), side - 2), min(int(y), side - 2)
    fx, fy = x - x0, y - y0
    for c in range(3):
        top = (1 - fx) * level[material, y0, x0, c] + fx * level[material, y0, x0 + 1, c]
        low = (1 - fx) * level[material, y0 + 1, x0, c] + fx * level[material, y0 + 1, x0 + 1, c]
        out[c] += weight * ((1 - fy) * top + fy * low)


@kernel
def _panorama(picture, x, y, z, channel):
    """Looks up an equirectangular picture along a unit direction, bilinearly."""
    rows, columns = picture.shape[0], picture.shape[1]
    row = math.acos(min(max(z, -1.0), 1.0)) / math.pi * rows - 0.5
    column = (math.atan2(y, x) / (2 * math.pi) + 0.5) * columns - 0.5
    row = min(max(row, 0.0), rows - 1.001)
    r0, c0 = int(row), math.floor(column)
    fr, fc = row - r0, column - c0
    a, b = (c0 + columns) % columns, (c0 + 1) % columns
    top = (1 - fc) * picture[r0, a, channel] + fc * picture[r0, b, channel]
    low = (1 - fc) * picture[r0 + 1, a, channel] + fc * picture[r0 + 1, b, channel]
    return (1 - fr) * top + fr * low


@kernel
def _shade(
    rays, distance, triangle, bary, geometric, lit, faces, uv, normals, ambient, density, material,
    pyramid, finish, panorama, reflected, lamp, lamp_colour, ambient_colour, reach, pixel, out,
):  # fmt: skip
    """Adds what each ray sees to `out` [r, 3]; `pixel` is a sample's width per unit of depth."""
    texel = np.empty(3)
    for i in range(len(rays)):
        dx, dy, dz = rays[i, 3], rays[i, 4], rays[i, 5]
        length = math.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy, dz = dx / length, dy / length, dz / length
        t = distance[i]
        if not math.isfinite(t):
            for c in range(3):
                out[i, c] = _panorama(panorama, dx, dy, dz, c)
            continue
        f = triangle[i]
        w1, w2 = bary[i, 0], bary[i, 1]
        w0 = 1 - w1 - w2
        a, b, d = faces[f, 0], faces[f, 1], faces[f, 2]
        u = w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[d, 0]
        v = w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[d, 1]
        open_sky = w0 * ambient[a] + w1 * ambient[b] + w2 * ambient[d]
        nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[d, 0]
        ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[d, 1]
        nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[d, 2]
        norm = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
        nx, ny, nz = nx / norm, ny / norm, nz / norm
        gx, gy, gz = geometric[i, 0], geometric[i, 1], geometric[i, 2]
        gnorm = math.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9
        facing = abs(gx * dx + gy * dy + gz * dz) / gnorm
        cosine = nx * dx + ny * dy + nz * dz
        if cosine > 0:
            nx, ny, nz, cosine = -nx, -ny, -nz, -cosine
        # the mean of the footprint's two axes: isotropic filtering, a little sharp at grazing angles
        foot = t * length * pixel / math.sqrt(max(facing, 0.05)) * density[f]
        level = min(max(math.log2(max(foot, 1e-6)), 0.0), len(pyramid) - 1.001)
        low = int(level)
        m = material[f]
        texel[:] = 0
        _add_texel(pyramid[low], m, u, v, 1 - level + low, texel)
        _add_texel(pyramid[low + 1], m, u, v, level - low, texel)
        px, py, pz = rays[i, 0] + t * length * dx, rays[i, 1] + t * length * dy, rays[i, 2] + t * length * dz
        lx, ly, lz = lamp[0] - px, lamp[1] - py, lamp[2] - pz
        away = math.sqrt(lx * lx + ly * ly + lz * lz)
        lx, ly, lz = lx / away, ly / away, lz / away
        power = lit[i]
        if math.isfinite(reach):
            power *= 2 * reach * reach / (away * away + reach * reach)
        lambert = max(0.0, nx * lx + ny * ly + nz * lz) * power
        gloss, sharpness, glow = finish[m, 0], finish[m, 1], finish[m, 2]
        spark, mirror = 0.0, 0.0
        rx, ry, rz = dx - 2 * cosine * nx, dy - 2 * cosine * ny, dz - 2 * cosine * nz
        if gloss > 0:
            hx, hy, hz = lx - dx, ly - dy, lz - dz
            half = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            spark = gloss * power * max(0.0, (nx * hx + ny * hy + nz * hz) / half) ** sharpness
            # Schlick 1994: surfaces reflect more when seen at a slant
            mirror = gloss * (0.1 + 0.9 * (1 + cosine) ** 5) * open_sky
        sky = open_sky * (0.7 + 0.3 * nz)
        for c in range(3):
            diffuse = lambert * lamp_colour[c] + sky * ambient_colour[c] + glow
            out[i, c] = texel[c] * diffuse * (1 - mirror) + spark * lamp_colour[c]
            if mirror > 0:
                out[i, c] += mirror * _panorama(reflected, rx, ry, rz, c)
