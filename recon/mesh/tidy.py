"""Removes loose pieces from a fused surface, and simplifies it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.compute.open3d_library import load_open3d
from recon.mesh.types import Mesh


def drop_islands(mesh: Mesh, share: float) -> tuple[Mesh, int]:
    """Drops connected pieces whose area is below a share of the largest's; also returns how many."""
    if len(mesh) == 0 or share == 0:
        return mesh, 0
    piece, areas = _pieces(mesh)
    small = areas < share * areas.max()
    if share == 1:
        small = torch.arange(len(areas)) != areas.argmax()
    return mesh.keep_faces(~small[piece]), int(small.sum())


def _pieces(mesh: Mesh) -> tuple[Tensor, Float[Tensor, "p"]]:
    """The piece of each triangle, and the area of each piece."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    faces = mesh.faces.numpy()
    a, b = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    v = len(mesh.vertices)
    links = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(v, v))
    count, of_vertex = connected_components(links, directed=False)
    piece = torch.from_numpy(of_vertex[faces[:, 0]].astype(np.int64))
    return piece, torch.zeros(count, dtype=torch.float64).index_add_(0, piece, mesh.areas())


def simplify(mesh: Mesh, faces: int) -> Mesh:
    """Simplifies a mesh to at most so many triangles, by quadric error (Garland & Heckbert 1997); colours go along."""
    o3d = load_open3d()

    if len(mesh) <= faces:
        return mesh
    whole = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices.double().numpy()),
        o3d.utility.Vector3iVector(mesh.faces.numpy().astype(np.int32)),
    )
    whole.vertex_colors = o3d.utility.Vector3dVector(mesh.colors.double().numpy())
    small = whole.simplify_quadric_decimation(faces)
    small.remove_degenerate_triangles()
    small.remove_unreferenced_vertices()
    return Mesh(
        torch.from_numpy(np.asarray(small.vertices)).float(),
        torch.from_numpy(np.asarray(small.triangles).astype(np.int64)),
        torch.from_numpy(np.asarray(small.vertex_colors)).float().clamp(0, 1),
    )
