"""A small ray tracer for boxes, ellipsoids and upright cylinders: numba kernels and the arrays they read.

Surfaces are diffuse and their light is baked, so a point has one colour from wherever it is seen. A solid
stands upright, turned by a yaw about world z. Faces are numbered 0..5 (-x, +x, -y, +y, -z, +z in the solid's
own frame); an ellipsoid has face 0 only, a cylinder face 0 (its side), 4 and 5 (its ends).
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from recon.splats.kernels.jit import kernel
from worldgen.scenes.solids import CYLINDER, ELLIPSOID, NO_HIT, ROOM, enter_solid


@dataclass(frozen=True)
class SceneArrays:
    """A scene as flat arrays, as the kernels want it; s solids with six faces each, t textures."""

    kind: np.ndarray
    """[s] of BOX, ELLIPSOID, CYLINDER, ROOM."""
    centre: np.ndarray
    """[s, 3] metres."""
    half: np.ndarray
    """[s, 3] half sizes or radii, metres."""
    turn: np.ndarray
    """[s, 2] cosine and sine of the yaw."""
    texture: np.ndarray
    """[s, 6] texture of each face."""
    placing: np.ndarray
    """[s, 6, 4] texel = (offset u, offset v) + (scale u, scale v) · metres on the face."""
    texels: np.ndarray
    """[k, 3] all levels of all textures, one after the other."""
    levels: np.ndarray
    """[t, levels, 3] of (first texel, height, width)."""
    light: np.ndarray
    """[m] baked irradiance of all faces."""
    light_grid: np.ndarray
    """[s, 6, 3] of (first value, rows, columns)."""

    def arrays(self) -> tuple[np.ndarray, ...]:
        """In the order in which the kernels take them."""
        return tuple(getattr(self, f.name) for f in fields(self))


@kernel
def _first_hit(kind, centre, half, turn, origin, direction):
    """(distance in units of |direction|, solid, face) of what a world ray meets first; solid -1 for nothing."""
    best, solid, face = NO_HIT, -1, 0
    length2 = direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2
    for s in range(len(kind)):
        px, py, pz = origin[0] - centre[s, 0], origin[1] - centre[s, 1], origin[2] - centre[s, 2]
        if kind[s] != ROOM:  # bounding sphere first
            along = px * direction[0] + py * direction[1] + pz * direction[2]
            radius2 = half[s, 0] ** 2 + half[s, 1] ** 2 + half[s, 2] ** 2
            apart2 = px * px + py * py + pz * pz
            if apart2 - along * along / length2 > radius2 or (along > 0 and apart2 > radius2):
                continue
        c, sn = turn[s, 0], turn[s, 1]
        t, f = enter_solid(
            kind[s], half[s],
            c * px + sn * py, -sn * px + c * py, pz,
            c * direction[0] + sn * direction[1], -sn * direction[0] + c * direction[1], direction[2],
        )  # fmt: skip
        if t < best:
            best, solid, face = t, s, f
    return best, solid, face


@kernel
def _face_frame(kind, half, face, x, y, z):
    """Metres (u, v) on the face and its outward normal, in the solid's frame, at a point of its surface."""
    if kind == ELLIPSOID:
        nx, ny, nz = x / half[0] ** 2, y / half[1] ** 2, z / half[2] ** 2
        n = math.sqrt(nx * nx + ny * ny + nz * nz)
        u = (math.atan2(y / half[1], x / half[0]) + math.pi) * half[0]
        v = (math.pi / 2 - math.asin(max(-1.0, min(1.0, z / half[2])))) * half[2]
        return u, v, nx / n, ny / n, nz / n
    if kind == CYLINDER and face < 4:
        return (math.atan2(y, x) + math.pi) * half[0], half[2] - z, x / half[0], y / half[0], 0.0
    sign = 1.0 if face % 2 else -1.0
    if face < 2:
        return half[1] + y, half[2] - z, sign, 0.0, 0.0
    if face < 4:
        return half[0] + x, half[2] - z, 0.0, sign, 0.0
    return half[0] + x, half[1] + y, 0.0, 0.0, sign


@kernel
def face_size(kind, half, face):
    """Metres (u, v) that a face spans, as `_face_frame` counts them."""
    if kind == ELLIPSOID:
        return 2 * math.pi * half[0], math.pi * half[2]
    if kind == CYLINDER and face < 4:
        return 2 * math.pi * half[0], 2 * half[2]
    return 2 * half[1 if face < 2 else 0], 2 * half[1 if face >= 4 else 2]


@kernel
def _add_texel(texels, levels, texture, level, u, v, weight, out):
    """Adds a bilinear sample of one level; u, v are texels of level 0, wrapped around."""
    first, h, w = levels[texture, level]
    x = u * w / levels[texture, 0, 2] - 0.5
    y = v * h / levels[texture, 0, 1] - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    for dy in range(2):
        for dx in range(2):
            at = first + (int(y0) + dy) % h * w + (int(x0) + dx) % w
            k = weight * (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
            for c in range(3):
                out[c] += k * texels[at, c]


@kernel
def _sample_light(light, grid, u, v, size_u, size_v):
    """Bilinear irradiance at (u, v) metres of a face."""
    first, rows, columns = grid
    x = min(max(u / size_u * columns - 0.5, 0.0), columns - 1.0)
    y = min(max(v / size_v * rows - 0.5, 0.0), rows - 1.0)
    x0, y0 = min(int(x), columns - 2), min(int(y), rows - 2)
    fx, fy = x - x0, y - y0
    at = first + y0 * columns + x0
    top = (1 - fx) * light[at] + fx * light[at + 1]
    low = (1 - fx) * light[at + columns] + fx * light[at + columns + 1]
    return (1 - fy) * top + fy * low


@kernel
def _shade(
    kind, centre, half, turn, texture, placing, texels, levels, light, grid, origin, direction, pixel, out
):
    """Adds the colour along a ray to `out`; `pixel` is the sample's width per metre of depth.

    Minification is band-limited by mip levels chosen for the short axis of the footprint, with up to
    eight taps along its long axis (anisotropic filtering).
    """
    t, s, face = _first_hit(kind, centre, half, turn, origin, direction)
    if s < 0:
        return
    c, sn = turn[s, 0], turn[s, 1]
    wx, wy = origin[0] + t * direction[0] - centre[s, 0], origin[1] + t * direction[1] - centre[s, 1]
    x, y, z = c * wx + sn * wy, -sn * wx + c * wy, origin[2] + t * direction[2] - centre[s, 2]
    dx, dy, dz = c * direction[0] + sn * direction[1], -sn * direction[0] + c * direction[1], direction[2]
    norm = math.sqrt(dx * dx + dy * dy + dz * dz)
    u, v, nx, ny, nz = _face_frame(kind[s], half[s], face, x, y, z)
    facing = abs(nx * dx + ny * dy + nz * dz) / norm
    foot = t * norm * pixel
    taps = int(min(8.0, max(1.0, math.ceil(1 / max(facing, 0.05)))))
    stretch = foot / max(facing, 0.05)
    # the long axis of the footprint is the ray's direction along the surface
    ax, ay, az = dx / norm, dy / norm, dz / norm
    along = ax * nx + ay * ny + az * nz
    ax, ay, az = ax - along * nx, ay - along * ny, az - along * nz
    length = max(math.sqrt(ax * ax + ay * ay + az * az), 1e-9)
    ax, ay, az = ax / length, ay / length, az / length
    place = placing[s, face]
    tex = texture[s, face]
    scale = max(abs(place[2]), abs(place[3]))
    blur = max(foot, stretch / taps) * scale
    level = min(max(math.log2(max(blur, 1e-9)), 0.0), levels.shape[1] - 1.001)
    low = int(level)
    shade = _sample_light(light, grid[s, face], u, v, *face_size(kind[s], half[s], face)) / taps
    for k in range(taps):
        shift = ((k + 0.5) / taps - 0.5) * stretch
        uu, vv, _, _, _ = _face_frame(kind[s], half[s], face, x + shift * ax, y + shift * ay, z + shift * az)
        tu, tv = place[0] + place[2] * uu, place[1] + place[3] * vv
        _add_texel(texels, levels, tex, low, tu, tv, shade * (1 - level + low), out)
        _add_texel(texels, levels, tex, low + 1, tu, tv, shade * (level - low), out)


@kernel
def render_rows(
    kind, centre, half, turn, texture, placing, texels, levels, light, grid,
    world_from_cam, K, samples, first_row, image, depth,
):  # fmt: skip
    """Fills image [rows, w, 3] and z-depth [rows, w] of pixel rows from `first_row` on, `samples`² rays a pixel."""
    origin = world_from_cam[:3, 3].copy()
    direction = np.empty(3)
    pixel = 1 / (K[0, 0] * samples)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            out = np.zeros(3)
            for sub in range(samples * samples + 1):
                if sub < samples * samples:
                    px = column + (sub % samples + 0.5) / samples
                    py = first_row + row + (sub // samples + 0.5) / samples
                else:  # the last ray, through the pixel's centre, gives the depth
                    px, py = column + 0.5, first_row + row + 0.5
                y = (py - K[1, 2]) / K[1, 1]
                x = (px - K[0, 2] - K[0, 1] * y) / K[0, 0]
                for i in range(3):
                    direction[i] = world_from_cam[i, 0] * x + world_from_cam[i, 1] * y + world_from_cam[i, 2]
                if sub < samples * samples:
                    _shade(
                        kind, centre, half, turn, texture, placing, texels, levels, light, grid,
                        origin, direction, pixel, out,
                    )  # fmt: skip
                else:
                    t, s, _ = _first_hit(kind, centre, half, turn, origin, direction)
                    depth[row, column] = t if s >= 0 else 0.0
            for i in range(3):
                image[row, column, i] = min(max(out[i] / (samples * samples), 0.0), 1.0)


@kernel
def bake_light(kind, centre, half, turn, points, normals, hemisphere, lamps, out):
    """Brightness of surface points [p, 3] with unit normals: a gamma-coded factor, about 1 in full light.

    Ambient light is occluded by what is near (hemisphere [r, 3]: cosine-weighted directions around +z);
    lamps [l, 4] are points of area lights with their power, and cast shadows.
    """
    origin, direction = np.empty(3), np.empty(3)
    for p in range(len(points)):
        n = normals[p]
        # a frame around the normal (Duff et al. 2017)
        sign = math.copysign(1.0, n[2])
        a = -1.0 / (sign + n[2])
        b = n[0] * n[1] * a
        for i in range(3):
            origin[i] = points[p, i] + 2e-3 * n[i]
        ambient = 0.0
        for r in range(len(hemisphere)):
            x, y, z = hemisphere[r]
            direction[0] = x * (1 + sign * n[0] * n[0] * a) + y * b + z * n[0]
            direction[1] = x * sign * b + y * (sign + n[1] * n[1] * a) + z * n[1]
            direction[2] = -x * sign * n[0] - y * n[1] + z * n[2]
            t, s, _ = _first_hit(kind, centre, half, turn, origin, direction)
            ambient += t / (t + 0.35) if s >= 0 else 1.0
        total = 0.55 * ambient / len(hemisphere)
        for j in range(len(lamps)):
            distance2 = 0.0
            for i in range(3):
                direction[i] = lamps[j, i] - origin[i]
                distance2 += direction[i] ** 2
            facing = (n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]) / math.sqrt(distance2)
            if facing > 0:
                t, s, _ = _first_hit(kind, centre, half, turn, origin, direction)
                if t > 0.999 or s < 0:
                    total += lamps[j, 3] * facing / (0.5 + distance2)
        out[p] = total ** (1 / 2.2)
