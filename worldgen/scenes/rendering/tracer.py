"""Pictures and depth of textured triangle scenes: Open3D finds what a ray hits, a numba kernel shades it.

Light is linear until it is developed: a sun or lamp with hard shadows (or none), sky light that is occluded
by what stands near (baked per vertex), highlights and mirrored surroundings on what shines.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from recon.compute.open3d_library import load_open3d
from worldgen.scenes.rendering.ambient import open_share
from worldgen.scenes.rendering.shading import shade
from worldgen.scenes.rendering.stage import Stage
from worldgen.scenes.rendering.texturing import pyramid, texel_density, texture_coordinates
from worldgen.scenes.shapes import Mesh

KEPT_SCENES = 32
"""Times whose ray-casting scenes are kept: a shot has at most a dozen, each of which is looked at several times."""


class Tracer:
    """A finished stage, ready to be seen at any time from anywhere."""

    def __init__(self, stage: Stage, rng: Generator) -> None:
        import cv2

        self.stage = stage
        whole = Mesh.join([part.mesh for part in stage.parts])
        self.vertices = whole.vertices.astype(np.float32)
        self.faces = whole.faces.astype(np.uint32)
        self.normals = whole.normals.astype(np.float32)
        counts = [len(part.mesh.faces) for part in stage.parts]
        self.material = np.repeat([part.material for part in stage.parts], counts).astype(np.int32)
        self.part = np.repeat(np.arange(len(counts)), counts)
        self.moving = np.repeat([part.movement is not None for part in stage.parts], counts)
        self.uv = texture_coordinates(stage, rng)
        self.density = texel_density(self.vertices, self.uv, self.faces)
        self.pyramid = pyramid([m.texture for m in stage.materials])
        self.finish = np.array([[m.gloss, m.sharpness, m.glow] for m in stage.materials], np.float32)
        panorama = np.ascontiguousarray(stage.surroundings, np.float32)
        self.panorama = panorama**2.2
        # what shines reflects a blurred picture: no surface here is a mirror
        self.reflected = cv2.GaussianBlur(panorama, (0, 0), panorama.shape[1] / 60) ** 2.2
        self._scenes: dict[float, tuple[Any, Float[np.ndarray, "v 3"]]] = {}
        still = np.ascontiguousarray(self.faces[~self.moving])
        self.ambient = open_share(self.vertices, self.normals, still)

    @property
    def anything_moves(self) -> bool:
        """Whether any part has a movement."""
        return bool(self.moving.any())

    def surfaces_at(self, time_s: float) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3"]]:
        """Vertices and normals of all parts at a time."""
        if not self.anything_moves:
            return self.vertices, self.normals
        vertices, normals = self.vertices.copy(), self.normals.copy()
        end = 0
        for part in self.stage.parts:
            rows = slice(end, end := end + len(part.mesh.vertices))
            if part.movement is not None:
                vertices[rows], normals[rows] = part.movement.move(vertices[rows], normals[rows], time_s)
        return vertices, normals

    def scene(self, time_s: float) -> tuple[Any, Float[np.ndarray, "v 3"]]:
        """The ray-casting scene at a time, and its normals; the last ones are kept."""
        o3d = load_open3d()

        key = float(time_s) if self.anything_moves else 0.0
        if key not in self._scenes:
            vertices, normals = self.surfaces_at(key)
            scene = o3d.t.geometry.RaycastingScene(nthreads=1)
            scene.add_triangles(o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(self.faces))
            if len(self._scenes) >= KEPT_SCENES:
                self._scenes.pop(next(iter(self._scenes)))
            self._scenes[key] = scene, normals
        return self._scenes[key]

    def z_depth(
        self,
        world_from_cam: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        width: int,
        height: int,
        time_s: float,
    ) -> tuple[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
        """z-depth through the pixel centres (0 where nothing is hit) and the triangle hit (-1)."""
        depth, triangle, _ = self.hit(world_from_cam, K, width, height, time_s)
        return depth, triangle

    def hit(
        self,
        world_from_cam: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        width: int,
        height: int,
        time_s: float,
    ) -> tuple[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"], Float[np.ndarray, "h w 2"]]:
        """As `z_depth`, and where on the triangle: weights of its second and third vertex."""
        o3d = load_open3d()

        rays = _rays(world_from_cam, K, width, height)
        scene, _ = self.scene(time_s)
        answer = scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        depth = answer["t_hit"].numpy()
        hit = np.isfinite(depth)
        triangle = np.where(hit, answer["primitive_ids"].numpy().astype(np.int64), -1)
        return np.where(hit, depth, 0).astype(np.float32), triangle, answer["primitive_uvs"].numpy()

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
        o3d = load_open3d()

        lens = np.diag([samples, samples, 1.0]) @ K
        rays = _rays(world_from_cam, lens, width * samples, height * samples).reshape(-1, 6)
        scene, normals = self.scene(time_s)
        answer = scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
        distance = answer["t_hit"].numpy()
        lit = self._lit(scene, rays, distance)
        out = np.zeros((len(rays), 3), np.float32)
        light = self.stage.light
        shade(
            rays, distance, answer["primitive_ids"].numpy().astype(np.int64), answer["primitive_uvs"].numpy(),
            answer["primitive_normals"].numpy(), lit, self.faces, self.uv, normals, self.ambient,
            self.density, self.material, self.pyramid, self.finish, self.panorama, self.reflected,
            light.place.astype(np.float32), light.colour.astype(np.float32), light.ambient.astype(np.float32),
            np.float32(light.reach), np.float32(1 / lens[0, 0]), out,
        )  # fmt: skip
        return out.reshape(height, samples, width, samples, 3).transpose(0, 2, 1, 3, 4)

    def _lit(
        self, scene: Any, rays: Float[np.ndarray, "r 6"], distance: Float[np.ndarray, "r"]
    ) -> Float[np.ndarray, "r"]:
        """1 where the lamp or sun reaches what a ray hits, 0 in its shadow."""
        o3d = load_open3d()

        if not self.stage.light.shadows:
            return np.ones(len(rays), np.float32)
        hit = np.isfinite(distance)
        at = rays[:, :3] + np.where(hit, distance, 0)[:, None] * rays[:, 3:]
        to_light = (self.stage.light.place - at).astype(np.float32)
        # start a little towards the light and the viewer, lest a surface shade itself
        start = at + 2e-3 * to_light / np.linalg.norm(to_light, axis=1, keepdims=True)
        start -= 1e-3 * rays[:, 3:] * np.where(hit, distance, 0)[:, None]
        towards = np.concatenate([start, self.stage.light.place - start], 1).astype(np.float32)
        return 1 - scene.test_occlusions(
            o3d.core.Tensor.from_numpy(towards), tfar=0.999, nthreads=1
        ).numpy().astype(np.float32)


def _rays(
    world_from_cam: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], width: int, height: int
) -> Float[np.ndarray, "h w 6"]:
    """Through the pixel centres, (0.5, 0.5) first; directions have z = 1 in the camera, so distance is z-depth."""
    v, u = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    local = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    directions = local @ world_from_cam[:3, :3].T
    origins = np.broadcast_to(world_from_cam[:3, 3], directions.shape)
    return np.concatenate([origins, directions], -1).astype(np.float32)
