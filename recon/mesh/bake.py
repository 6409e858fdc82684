"""Texture of a mesh, from the pictures that its depth came from."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from recon.compute.progress import note, progress
from recon.errors import MissingDependencyError, ReconstructionError
from recon.mesh.types import Mesh
from recon.mesh.views import AGREEMENT, DepthViews

MOST_FACES = 60_000
"""Most triangles that are unwrapped: half a minute, and five minutes for four times as many."""
GUTTER_PX = 3
"""Pixels between patches of the texture, so that bilinear filtering does not mix them: two, once xatlas, which overshoots the
size it is asked for by a tenth, is scaled to it."""
SHARPNESS = 3.0
"""Power of the weight by which pictures are mixed: at 1 every picture counts and poses that differ by a pixel blur; far
above, borders between pictures show."""


def bake_texture(mesh: Mesh, views: DepthViews, *, side: int) -> Mesh:
    """Gives a mesh a texture, besides the colours of its vertices; vertices on seams are doubled.

    Args:
        mesh: at most `MOST_FACES` triangles.
        views: where depth is 0, a picture gives no colour; what none shows takes that of the vertices.
        side: of the texture in pixels; powers of two suit old devices.

    Raises:
        MissingDependencyError: xatlas is not installed.
        ReconstructionError: more triangles than can be unwrapped.
    """
    if len(mesh) > MOST_FACES:
        raise ReconstructionError(
            f"a texture is made for at most {MOST_FACES:,} triangles, and the mesh has {len(mesh):,}; ask for fewer (--faces)"
        )
    mesh = _unwrap(mesh, side)
    owner, share = _texels(mesh, side)
    covered = owner >= 0
    corners = mesh.faces.numpy()[owner[covered]]
    share = share[covered][..., None]
    xyz = (mesh.vertices.double().numpy()[corners] * share).sum(1)
    plain = (mesh.colors.double().numpy()[corners] * share).sum(1)
    color, weight = _colors(xyz, _normals(mesh)[owner[covered]], views)
    seen = weight > 0
    plain[seen] = color[seen] / weight[seen, None]
    texture = np.zeros((side, side, 3), np.float32)
    texture[covered] = plain
    return replace(mesh, texture=torch.from_numpy(_fill_empty_texels(texture, covered)).clamp(0, 1))


def _unwrap(mesh: Mesh, side: int) -> Mesh:
    """Cuts the mesh into patches and packs them into a square."""
    try:
        import xatlas
    except ImportError:
        raise MissingDependencyError(
            "a texture needs xatlas, which is not installed here; run: pip install 'bridge4d[texture]'"
        ) from None
    atlas = xatlas.Atlas()
    atlas.add_mesh(np.ascontiguousarray(mesh.vertices.float().numpy()), mesh.faces.numpy().astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding, pack.bilinear = side, GUTTER_PX, True
    note(f"unwrapping {len(mesh):,} triangles, which takes half a minute for {MOST_FACES:,}")
    with progress("unwrapping", None):
        atlas.generate(pack_options=pack)
    came_from, faces, uv = atlas[0]
    rows = torch.from_numpy(came_from.astype(np.int64))
    uv = torch.from_numpy(np.ascontiguousarray(uv, np.float32))
    return Mesh(
        vertices=mesh.vertices[rows],
        faces=torch.from_numpy(faces.astype(np.int64)),
        colors=mesh.colors[rows],
        # xatlas counts from the upper left corner
        uv=torch.stack([uv[:, 0], 1 - uv[:, 1]], -1),
    )


def _texels(mesh: Mesh, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The triangle of each texel, -1 for none, and the texel's barycentric coordinates in it."""
    from recon.mesh.kernels import rasterize

    assert mesh.uv is not None
    uv = mesh.uv.double().numpy()
    owner, share = np.full((side, side), -1, np.int64), np.zeros((side, side, 3))
    places = np.stack([uv[:, 0], 1 - uv[:, 1]], -1)
    rasterize(side * places, mesh.faces.numpy(), owner, share)
    return owner, share


def _normals(mesh: Mesh) -> np.ndarray:
    """Unit normals of the triangles."""
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    return torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1).numpy()


def _colors(xyz: np.ndarray, normals: np.ndarray, views: DepthViews) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sum of the colours in which the pictures show the points, and the sum of weights."""
    from recon.mesh.kernels import add_colors

    color, weight = np.zeros((len(xyz), 3)), np.zeros(len(xyz))
    depth, images = views.depth.float().numpy(), views.images.float().numpy()
    K, poses = views.cameras.K.double().numpy(), views.cameras.cam_from_world.double().numpy()
    threads = torch.get_num_threads()
    edges = np.linspace(0, len(xyz), threads + 1).astype(int)
    parts = [slice(edges[k], edges[k + 1]) for k in range(threads)]
    with (
        ThreadPoolExecutor(max_workers=threads) as pool,
        progress("baking the texture", len(views)) as update,
    ):
        for i in range(len(views)):

            def one(part: slice, i: int = i) -> None:
                """Add one picture to a part of the texels."""
                add_colors(
                    xyz[part], normals[part], depth[i], images[i], K[i], poses[i], AGREEMENT, SHARPNESS,
                    color[part], weight[part],
                )  # fmt: skip

            list(pool.map(one, parts))
            update(i + 1, "")
    return color, weight


def _fill_empty_texels(texture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Fills empty texels with the nearest covered colour, because smaller mip levels mix them in."""
    from scipy.ndimage import distance_transform_edt

    if not covered.any():
        return texture
    nearest = np.asarray(distance_transform_edt(~covered, return_distances=False, return_indices=True))
    return texture[nearest[0], nearest[1]]
