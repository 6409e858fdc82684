"""The numba kernel that turns what rays hit into light: texture, lamp, sky light, highlights, reflections."""

import math

import numpy as np

from recon.splats.kernels.jit import kernel


@kernel
def _mirror_coordinate(x, side):
    """Texel coordinate (integer centres) of a texture coordinate; every second repeat is mirrored."""
    x = x - 2 * math.floor(x / 2)
    if x > 1:
        x = 2 - x
    return min(max(x * side - 0.5, 0.0), side - 1.0)


@kernel
def _add_texel(level, material, u, v, weight, out):
    """Adds a weighted bilinear sample of one level of a texture."""
    side = level.shape[1]
    x, y = _mirror_coordinate(u, side), _mirror_coordinate(v, side)
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
def shade(
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
