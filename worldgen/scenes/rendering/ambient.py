"""Sky light that is occluded by what stands near, baked for each vertex."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt

from recon.compute.open3d_library import load_open3d


def open_share(
    vertices: Float[np.ndarray, "v 3"], normals: Float[np.ndarray, "v 3"], still: UInt[np.ndarray, "f 3"]
) -> Float[np.ndarray, "v"]:
    """The share of sky light that reaches each vertex, in [0, 1].

    Args:
        vertices: of all surfaces.
        normals: unit length; of their two sides the one that a few rays find more open counts.
        still: the triangles that give shade. What moves gives none, and keeps what it takes where it starts.
    """
    o3d = load_open3d()

    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(still))
    first, back = (_openness(scene, vertices, side * normals, 6) for side in (1.0, -1.0))
    outwards = np.where(first >= back, 1, -1)[:, None] * normals
    return _openness(scene, vertices, outwards.astype(np.float32), 18)


def _openness(
    scene: Any, vertices: Float[np.ndarray, "v 3"], normals: Float[np.ndarray, "v 3"], rays: int
) -> Float[np.ndarray, "v"]:
    """Mean over cosine-weighted directions (Malley's method) of how far the next surface is, in [0, 1]."""
    o3d = load_open3d()

    # the same directions for all vertices: bias instead of noise
    r, turn = np.sqrt((np.arange(rays) + 0.5) / rays), 2.399963 * np.arange(rays)
    local = np.stack([r * np.cos(turn), r * np.sin(turn), np.sqrt(1 - r**2)], 1).astype(np.float32)
    x = np.cross(normals, np.array([0.0123, 0.577, 0.816], np.float32))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    frame = np.stack([x, np.cross(normals, x), normals], 1)
    extent = float(np.ptp(vertices, axis=0).max())
    cast = np.empty((rays, len(normals), 6), np.float32)
    cast[..., :3] = vertices + 2e-4 * extent * normals
    cast[..., 3:] = np.einsum("ri,vij->rvj", local, frame)
    hit = scene.cast_rays(o3d.core.Tensor.from_numpy(cast), nthreads=1)["t_hit"].numpy()
    # what is far takes little light, for it sends back its own; a miss is infinitely far and counts 1
    reach = 0.08 * extent
    return (1 - reach / (hit + reach)).mean(0).astype(np.float32)
