"""Depth of many views fused into a truncated signed distance in sparse blocks, and the surface in it."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import backproject
from recon.compute.open3d_library import load_open3d
from recon.compute.progress import progress
from recon.errors import ReconstructionError
from recon.mesh.types import Mesh
from recon.mesh.views import DepthViews

SIDE = 8
"""Voxels along the edge of a block."""
BAND_VOXELS = 4.0
"""Truncation: doubled, opposite sides of thin things meet; halved, views that differ by noise leave two surfaces."""
VOXEL_PX = 2.0
"""Edge of a voxel in typical pixels: at 1 the mesh has four times the triangles and is no more exact."""
MOST_ACROSS = 384
"""Voxels along the diagonal of the scene: views from close by would ask for more, of all of it."""
MOST_BLOCKS = 80_000
"""Most blocks of a grid: at 10 kB each 0.8 GB, and as much again for the triangles."""
FARTHEST_BLOCK = 1 << 20
"""Largest block number along an axis; three of them fit one 64-bit key."""
SEEN = 0.5
"""Weight of a voxel from which its distance is known; each view that sees it weighs 1."""


def fuse(views: DepthViews, *, voxel: float | None = None) -> tuple[Mesh, float]:
    """The surface that depth maps agree on, coloured by the mean of the pictures, and the voxel size taken.

    Args:
        views: depth is 0 where it is not known.
        voxel: edge length in units of the scene; None: two typical pixels, or more where memory would not do.

    Raises:
        ReconstructionError: no depth at all, or a voxel too small for the scene.
    """
    if not bool(views.has_depth.any()):
        raise ReconstructionError(
            "nothing to make a mesh of: no camera sees a surface of this scene that others confirm"
        )
    # float32 positions near 0, however far away from the origin the scene lies
    origin = views.cameras.centers.double().mean(0)
    views = _move_origin(views, origin)
    voxel, blocks = _blocks_within_memory(views, voxel)
    mesh = _surface(views, blocks, voxel)
    return replace(mesh, vertices=(mesh.vertices.double() + origin).float()), voxel


def _move_origin(views: DepthViews, origin: Float[Tensor, "3"]) -> DepthViews:
    """Moves the origin of the world to `origin`."""
    pose = views.cameras.cam_from_world.double().clone()
    pose[:, :3, 3] += pose[:, :3, :3] @ origin
    return replace(views, cameras=replace(views.cameras, cam_from_world=pose, K=views.cameras.K.double()))


def _blocks_within_memory(views: DepthViews, asked: float | None) -> tuple[float, Int[Tensor, "b 3"]]:
    """The voxel size and the blocks near a surface."""
    across = _diagonal(views)
    if asked is not None and not across / FARTHEST_BLOCK < asked < math.inf:
        raise ReconstructionError(f"a voxel of {asked:g} is no use for a scene {across:.3g} across")
    voxel = asked or max(VOXEL_PX * _pixel_size(views), across / MOST_ACROSS)
    while True:
        blocks = find_touched_blocks(views, voxel)
        if len(blocks) <= MOST_BLOCKS:
            return voxel, blocks
        # surfaces fill blocks by the square of their number along an edge
        larger = voxel * 1.05 * (len(blocks) / MOST_BLOCKS) ** 0.5
        if asked is not None:
            raise ReconstructionError(
                f"a voxel of {asked:g} needs {len(blocks):,} blocks of the grid, which has room for {MOST_BLOCKS:,}; ask "
                f"for one of {larger:.2g} or more"
            )
        voxel = larger


def _pixel_size(views: DepthViews) -> float:
    """Median size of a pixel on the surface that it shows, in units of the scene."""
    focal = views.cameras.K[:, 0, 0].float()[:, None, None]
    sizes = (views.depth / focal)[views.has_depth]
    return float(sizes[:: max(1, len(sizes) // 100_000)].median())


def _diagonal(views: DepthViews) -> float:
    """Diagonal of a box around nine tenths, along each axis, of what the views see."""
    points = [
        backproject(views.depth[i : i + 1].double(), views.cameras[i])[views.has_depth[i : i + 1]][::97]
        for i in range(len(views))
    ]
    ordered = torch.cat(points).sort(0).values
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    return float((high - low).norm())


def find_touched_blocks(views: DepthViews, voxel: float) -> Int[Tensor, "b 3"]:
    """Blocks of the grid that lie within the band about a surface; one number a block along x, y and z."""
    keys = torch.zeros(0, dtype=torch.long)
    for i in range(len(views)):
        depth, camera = views.depth[i : i + 1].double(), views.cameras[i]
        known = depth > 0
        xyz = backproject(depth, camera)[known]
        step = voxel * (xyz - camera.centers.double()) / depth[known][:, None]  # a voxel farther in depth
        # steps of two voxels: none of the eight in a block is jumped over
        found = [
            _block_keys((xyz + steps * step) / (SIDE * voxel))
            for steps in torch.linspace(-BAND_VOXELS, BAND_VOXELS, 5).tolist()
        ]
        keys = torch.unique(torch.cat([keys, *found]))
    span = 2 * FARTHEST_BLOCK
    x, y, z = keys // span // span, keys // span % span, keys % span
    return torch.stack([x, y, z], -1) - FARTHEST_BLOCK


def _block_keys(places: Float[Tensor, "p 3"]) -> Int[Tensor, "b"]:
    """One number for each block that holds one of the places, which are in blocks."""
    block = places.floor()
    block = block[(block.abs() < FARTHEST_BLOCK).all(-1)].long() + FARTHEST_BLOCK
    span = 2 * FARTHEST_BLOCK
    keys = (block[:, 0] * span + block[:, 1]) * span + block[:, 2]
    # neighbouring pixels see the same block, so that little is left to sort
    return torch.unique(torch.unique_consecutive(keys))


def _surface(views: DepthViews, blocks: Int[Tensor, "b 3"], voxel: float) -> Mesh:
    """Fuses in the buffers of Open3D's grid, and takes its marching cubes.

    Open3D's own integration reads depth at another pixel than ours (it counts integer centres and truncates) and takes
    four times as long.
    """
    o3d = load_open3d()

    core = o3d.core
    channels = [core.SizeVector([n]) for n in (1, 1, 3)]
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (core.float32,) * 3, channels, voxel, SIDE, len(blocks)
    )
    keys = np.ascontiguousarray(blocks.numpy(), np.int32)
    rows = grid.hashmap().activate(core.Tensor.from_numpy(keys))[0].numpy().astype(np.int64)
    buffers = [grid.attribute(name).numpy() for name in ("tsdf", "weight", "color")]
    for buffer in buffers:
        buffer[:] = 0
    _integrate_all(views, blocks.numpy() * SIDE, rows, buffers, voxel)
    found = grid.extract_triangle_mesh(SEEN)
    if found.is_empty() or len(found.triangle.indices) == 0:
        return Mesh.empty()
    vertices, faces, colors = _order_mesh(
        found.vertex.positions.numpy(), found.triangle.indices.numpy(), found.vertex.colors.numpy()
    )
    # Open3D takes colours in the grid for 0 to 255 and divides
    return Mesh(vertices, faces, (255 * colors).clamp(0, 1))


def _order_mesh(
    xyz: np.ndarray, corners: np.ndarray, rgb: np.ndarray
) -> tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"], Float[Tensor, "v 3"]]:
    """Sorts vertices by place and triangles by vertices: Open3D's threads leave them in another order each time."""
    table = np.concatenate([xyz, rgb], 1).astype(np.float32)
    order = np.lexsort(table.T[::-1])
    table = table[order]
    # equal vertices become one, for which of them comes first would be chance
    fresh = np.ones(len(table), bool)
    fresh[1:] = (table[1:] != table[:-1]).any(1)
    row = np.empty(len(table), np.int64)
    row[order] = np.cumsum(fresh) - 1
    faces = row[corners]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    first = faces.argmin(1)
    faces = np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
    faces = faces[np.lexsort(faces.T[::-1])]
    kept = torch.from_numpy(np.ascontiguousarray(table[fresh]))
    return kept[:, :3].contiguous(), torch.from_numpy(faces), kept[:, 3:].contiguous()


def _integrate_all(
    views: DepthViews, corners: np.ndarray, rows: np.ndarray, buffers: list[np.ndarray], voxel: float
) -> None:
    from recon.mesh.kernels import integrate

    tsdf, weight, color = buffers[0][..., 0], buffers[1][..., 0], buffers[2]
    depth, images = views.depth.float().numpy(), views.images.float().numpy()
    K, poses = views.cameras.K.double().numpy(), views.cameras.cam_from_world.double().numpy()
    threads = torch.get_num_threads()
    parts = [slice(k, None, threads) for k in range(threads)]
    with ThreadPoolExecutor(max_workers=threads) as pool, progress("fusing", len(views)) as update:
        for i in range(len(views)):

            def one(part: slice, i: int = i) -> None:
                """Integrate one picture into a part of the blocks."""
                integrate(
                    corners[part], rows[part], tsdf, weight, color, depth[i], images[i], K[i], poses[i], voxel,
                    BAND_VOXELS * voxel,
                )  # fmt: skip

            list(pool.map(one, parts))
            update(i + 1, f"{len(corners):,} blocks")
