"""The inner loop of fusion, in numba."""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def integrate(corners, rows, tsdf, weight, color, depth, image, K, cam_from_world, voxel, band):
    """Averages one picture with depth into the voxels of some blocks (Curless & Levoy 1996).

    Args:
        corners: [b, 3] of the blocks, in voxels.
        rows: [b] of the blocks in the next three.
        tsdf, weight: [r, 8, 8, 8], z first; signed distance to the surface by `band`, positive before it, within ±1;
            and how many pictures said so. Filled.
        color: [r, 8, 8, 8, 3], filled.
        depth, image: [h, w], 0 where unknown, and [h, w, 3].
        K, cam_from_world: of the picture; the centre of the first pixel is (0.5, 0.5).
        voxel: edge length of a voxel.
        band: distance behind a surface up to which it is known that nothing is seen, in the unit of depth.
    """
    h, w = depth.shape
    side = tsdf.shape[1]
    R, t = cam_from_world[:3, :3], cam_from_world[:3, 3]
    reach = 0.5 * math.sqrt(3.0) * side * voxel  # half the diagonal of a block
    at = np.empty(3)
    for b in range(len(corners)):
        for k in range(3):
            at[k] = (corners[b, k] + 0.5 * side) * voxel
        if R[2, 0] * at[0] + R[2, 1] * at[1] + R[2, 2] * at[2] + t[2] < -reach:
            continue
        r = rows[b]
        for z in range(side):
            for y in range(side):
                for x in range(side):
                    px = (corners[b, 0] + x) * voxel
                    py = (corners[b, 1] + y) * voxel
                    pz = (corners[b, 2] + z) * voxel
                    c = R[2, 0] * px + R[2, 1] * py + R[2, 2] * pz + t[2]
                    if c <= 1e-9:
                        continue
                    # the voxel's pixel, whose depth says how far before the surface the voxel lies
                    a = (R[0, 0] * px + R[0, 1] * py + R[0, 2] * pz + t[0]) / c
                    e = (R[1, 0] * px + R[1, 1] * py + R[1, 2] * pz + t[1]) / c
                    u = math.floor(K[0, 0] * a + K[0, 1] * e + K[0, 2])
                    v = math.floor(K[1, 1] * e + K[1, 2])
                    if not (0 <= u < w and 0 <= v < h) or depth[v, u] <= 0:
                        continue
                    distance = (depth[v, u] - c) / band
                    if distance < -1:  # hidden behind the surface: this picture says nothing of it
                        continue
                    # running means over the pictures
                    before = weight[r, z, y, x]
                    share = 1 / (before + 1)
                    tsdf[r, z, y, x] += share * (min(distance, 1.0) - tsdf[r, z, y, x])
                    for k in range(3):
                        color[r, z, y, x, k] += share * (image[v, u, k] - color[r, z, y, x, k])
                    weight[r, z, y, x] = before + 1


@kernel
def rasterize(uv, faces, owner, share):
    """Which triangle each texel belongs to, and where in it.

    Args:
        uv: [v, 2] in texels from the upper left corner of the texture.
        faces: [f, 3].
        owner: [h, w], filled; -1 stays where there is none.
        share: [h, w, 3] barycentric coordinates, filled.
    """
    h, w = owner.shape
    for f in range(len(faces)):
        ax, ay = uv[faces[f, 0], 0], uv[faces[f, 0], 1]
        bx, by = uv[faces[f, 1], 0] - ax, uv[faces[f, 1], 1] - ay
        cx, cy = uv[faces[f, 2], 0] - ax, uv[faces[f, 2], 1] - ay
        area = bx * cy - by * cx
        if abs(area) < 1e-12:
            continue
        first_x, last_x = ax + min(0.0, bx, cx), ax + max(0.0, bx, cx)
        first_y, last_y = ay + min(0.0, by, cy), ay + max(0.0, by, cy)
        for y in range(max(0, int(first_y)), min(h, int(last_y) + 1)):
            for x in range(max(0, int(first_x)), min(w, int(last_x) + 1)):
                dx, dy = x + 0.5 - ax, y + 0.5 - ay
                s = (dx * cy - dy * cx) / area
                t = (bx * dy - by * dx) / area
                if s >= -1e-9 and t >= -1e-9 and s + t <= 1 + 1e-9:
                    owner[y, x] = f
                    share[y, x, 0], share[y, x, 1], share[y, x, 2] = 1 - s - t, s, t


@kernel
def add_colors(xyz, normal, depth, image, K, cam_from_world, tolerance, power, color, weight):
    """Adds the colours in which one picture shows some points of a surface, where it sees them.

    Args:
        xyz, normal: [p, 3] in the world, normals of length 1 towards the seen side.
        depth, image: [h, w], 0 where unknown, and [h, w, 3].
        K, cam_from_world: of the picture; the centre of the first pixel is (0.5, 0.5).
        tolerance: relative difference of depth up to which a point is what the picture shows.
        power: of the weight, which is pixels a unit of surface.
        color, weight: [p, 3] and [p], added to.
    """
    h, w = depth.shape
    R, t = cam_from_world[:3, :3], cam_from_world[:3, 3]
    for p in range(len(xyz)):
        c = R[2, 0] * xyz[p, 0] + R[2, 1] * xyz[p, 1] + R[2, 2] * xyz[p, 2] + t[2]
        if c <= 1e-9:
            continue
        a = R[0, 0] * xyz[p, 0] + R[0, 1] * xyz[p, 1] + R[0, 2] * xyz[p, 2] + t[0]
        b = R[1, 0] * xyz[p, 0] + R[1, 1] * xyz[p, 1] + R[1, 2] * xyz[p, 2] + t[1]
        u = K[0, 0] * a / c + K[0, 1] * b / c + K[0, 2]
        v = K[1, 1] * b / c + K[1, 2]
        if not (0.5 <= u < w - 0.5 and 0.5 <= v < h - 0.5):
            continue
        seen = depth[int(v), int(u)]
        if seen <= 0 or abs(c / seen - 1) > tolerance:
            continue
        facing = 0.0
        for k in range(3):
            facing -= normal[p, k] * (R[0, k] * a + R[1, k] * b + R[2, k] * c)
        facing /= math.sqrt(a * a + b * b + c * c)
        if facing <= 0.05:  # three degrees from edge on
            continue
        share = (facing * (K[0, 0] / c) ** 2) ** power
        x, y = u - 0.5, v - 0.5
        x0, y0 = int(x), int(y)
        fx, fy = x - x0, y - y0
        for k in range(3):
            top = (1 - fx) * image[y0, x0, k] + fx * image[y0, x0 + 1, k]
            low = (1 - fx) * image[y0 + 1, x0, k] + fx * image[y0 + 1, x0 + 1, k]
            color[p, k] += share * ((1 - fy) * top + fy * low)
        weight[p] += share
