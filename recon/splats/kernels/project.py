"""Projection of Gaussians to the screen (EWA splatting, Zwicker et al. 2001) and its gradient.

Everything about one Gaussian is computed in float64: it costs nothing beside the pixels, and needles stay
positive definite. A camera is a flat array: rotation (9), translation (3), fx, fy, cx, cy, and the limits of
x / z and y / z (min, max, min, max) past which the Jacobian is held.
"""

import math

import numpy as np

from recon.splats.kernels.harmonics import harmonics, harmonics_gradient
from recon.splats.kernels.jit import kernel
from recon.splats.kernels.raster import (
    BLUE,
    DEPTH,
    EXTENT_Y,
    G_BLUE,
    G_DEPTH,
    G_GREEN,
    G_RED,
    GREEN,
    GX,
    GXX,
    GXY,
    GY,
    GYY,
    LOG2_OPACITY,
    QXX,
    QXY,
    QYY,
    RED,
    SLOTS,
    TILE,
    G,
    X,
    Y,
)

LOW_PASS_PX2 = 0.3
NEAR = 0.01
FARTHEST_PX = 1e7
"""Centres farther off are not drawn: float32 pixels could not tell where in the picture they reach."""
LOG2_E = math.log2(math.e)
LN_2 = math.log(2)


@kernel
def _view(k, means, camera):
    """Camera coordinates of a mean."""
    R, (x, y, z) = camera, (means[k, 0], means[k, 1], means[k, 2])
    return (
        R[0] * x + R[1] * y + R[2] * z + R[9],
        R[3] * x + R[4] * y + R[5] * z + R[10],
        R[6] * x + R[7] * y + R[8] * z + R[11],
    )


@kernel
def _rotation(k, quats):
    """Normalised quaternion, length before, and its matrix; the identity for a quaternion of zeros."""
    w, x, y, z = (
        np.float64(quats[k, 0]),
        np.float64(quats[k, 1]),
        np.float64(quats[k, 2]),
        np.float64(quats[k, 3]),
    )
    length = max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    w, x, y, z = w / length, x / length, y / length, z / length
    R = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    return (w, x, y, z), length, R


@kernel
def _jacobian(view, camera):
    """Two rows of d pixel / d world, and the held x / z and y / z."""
    R, fx, fy = camera, camera[12], camera[13]
    inverse = 1 / view[2]
    tx = min(max(view[0] * inverse, camera[16]), camera[17])
    ty = min(max(view[1] * inverse, camera[18]), camera[19])
    ax, ay = fx * inverse, fy * inverse
    J = (
        ax * (R[0] - tx * R[6]),
        ax * (R[1] - tx * R[7]),
        ax * (R[2] - tx * R[8]),
        ay * (R[3] - ty * R[6]),
        ay * (R[4] - ty * R[7]),
        ay * (R[5] - ty * R[8]),
    )
    return J, tx, ty


@kernel
def _axes(J, R, s):
    """The three axes of the Gaussian on the screen: J R diag(s), 2 x 3."""
    return (
        (J[0] * R[0] + J[1] * R[3] + J[2] * R[6]) * s[0],
        (J[0] * R[1] + J[1] * R[4] + J[2] * R[7]) * s[1],
        (J[0] * R[2] + J[1] * R[5] + J[2] * R[8]) * s[2],
        (J[3] * R[0] + J[4] * R[3] + J[5] * R[6]) * s[0],
        (J[3] * R[1] + J[4] * R[4] + J[5] * R[7]) * s[1],
        (J[3] * R[2] + J[4] * R[5] + J[5] * R[8]) * s[2],
    )


@kernel
def _covariance(U):
    """Screen covariance U Uᵀ plus the low-pass, and its determinant without cancellation (Cauchy–Binet)."""
    uu = U[0] * U[0] + U[1] * U[1] + U[2] * U[2]
    uv = U[0] * U[3] + U[1] * U[4] + U[2] * U[5]
    vv = U[3] * U[3] + U[4] * U[4] + U[5] * U[5]
    cross_x = U[1] * U[5] - U[2] * U[4]
    cross_y = U[2] * U[3] - U[0] * U[5]
    cross_z = U[0] * U[4] - U[1] * U[3]
    area = cross_x * cross_x + cross_y * cross_y + cross_z * cross_z
    det = area + LOW_PASS_PX2 * (uu + vv) + LOW_PASS_PX2 * LOW_PASS_PX2
    return uu + LOW_PASS_PX2, uv, vv + LOW_PASS_PX2, det


@kernel
def _scales(k, log_scales):
    return math.exp(log_scales[k, 0]), math.exp(log_scales[k, 1]), math.exp(log_scales[k, 2])


@kernel
def _direction(k, means, center):
    """Unit vector from the camera centre to a mean, and the distance."""
    x, y, z = means[k, 0] - center[0], means[k, 1] - center[1], means[k, 2] - center[2]
    length = max(math.sqrt(x * x + y * y + z * z), 1e-12)
    return x / length, y / length, z / length, length


@kernel
def project(
    first,
    last,
    means,
    quats,
    log_scales,
    logits,
    sh,
    bases,
    camera,
    center,
    width,
    height,
    splats,
    tiles,
    radii,
):
    """Fills splats, tiles (first and one past the last, along x then y) and radii in px (0: not seen)."""
    basis = np.zeros(16)
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for k in range(first, last):
        radii[k] = 0
        view = _view(k, means, camera)
        opacity = 1 / (1 + math.exp(-np.float64(logits[k])))
        reach = 2 * math.log(255 * opacity) if opacity > 1 / 255 else 0.0
        if not (view[2] > NEAR and reach > 0):
            continue
        _, _, R = _rotation(k, quats)
        J, _, _ = _jacobian(view, camera)
        cxx, cxy, cyy, det = _covariance(_axes(J, R, _scales(k, log_scales)))
        x = camera[12] * view[0] / view[2] + camera[14]
        y = camera[13] * view[1] / view[2] + camera[15]
        if not (math.isfinite(det) and abs(x) < FARTHEST_PX and abs(y) < FARTHEST_PX):
            continue
        extent_x, extent_y = math.sqrt(reach * cxx) + 1e-3, math.sqrt(reach * cyy) + 1e-3
        # Pixel centres 0.5, 1.5 … width - 0.5 that lie within the extents.
        left, right = max(x - extent_x, 0.5), min(x + extent_x, width - 0.5)
        top, bottom = max(y - extent_y, 0.5), min(y + extent_y, height - 0.5)
        if not (math.ceil(left - 0.5) <= math.floor(right - 0.5)):
            continue
        if not (math.ceil(top - 0.5) <= math.floor(bottom - 0.5)):
            continue
        tiles[k, 0] = min(math.ceil(left - 0.5) // TILE, tiles_x - 1)
        tiles[k, 1] = math.floor(right - 0.5) // TILE + 1
        tiles[k, 2] = min(math.ceil(top - 0.5) // TILE, tiles_y - 1)
        tiles[k, 3] = math.floor(bottom - 0.5) // TILE + 1
        radii[k] = max(extent_x, extent_y)
        splats[k, X], splats[k, Y], splats[k, DEPTH], splats[k, EXTENT_Y] = x, y, view[2], extent_y
        splats[k, QXX] = -0.5 * LOG2_E * cyy / det
        splats[k, QXY] = LOG2_E * cxy / det
        splats[k, QYY] = -0.5 * LOG2_E * cxx / det
        splats[k, LOG2_OPACITY] = math.log(opacity) * LOG2_E
        dx, dy, dz, _ = _direction(k, means, center)
        harmonics(bases, dx, dy, dz, basis)
        red, green, blue = 0.5, 0.5, 0.5
        for b in range(bases):
            red += basis[b] * sh[k, b, 0]
            green += basis[b] * sh[k, b, 1]
            blue += basis[b] * sh[k, b, 2]
        splats[k, RED], splats[k, GREEN], splats[k, BLUE] = max(red, 0.0), max(green, 0.0), max(blue, 0.0)


@kernel
def _quaternion_gradient(q, length, V):
    """From dL / d rotation matrix to dL / d quaternion before it was normalised."""
    w, x, y, z = q
    gw = 2 * (x * (V[7] - V[5]) + y * (V[2] - V[6]) + z * (V[3] - V[1]))
    gx = 2 * (-2 * x * (V[4] + V[8]) + y * (V[1] + V[3]) + z * (V[2] + V[6]) + w * (V[7] - V[5]))
    gy = 2 * (x * (V[1] + V[3]) - 2 * y * (V[0] + V[8]) + z * (V[5] + V[7]) + w * (V[2] - V[6]))
    gz = 2 * (x * (V[2] + V[6]) + y * (V[5] + V[7]) - 2 * z * (V[0] + V[4]) + w * (V[3] - V[1]))
    along = gw * w + gx * x + gy * y + gz * z
    return (
        (gw - along * w) / length,
        (gx - along * x) / length,
        (gy - along * y) / length,
        (gz - along * z) / length,
    )


@kernel
def project_backward(
    first,
    last,
    means,
    quats,
    log_scales,
    logits,
    sh,
    bases,
    camera,
    center,
    radii,
    splats,
    slot_start,
    slot_count,
    slots,
    v_means,
    v_quats,
    v_log_scales,
    v_logits,
    v_sh,
    v_means2d,
):
    """Sums the slots of each Gaussian, in order, and carries them to its parameters (arrays of zeros)."""
    total = np.zeros(SLOTS)
    basis, v_basis = np.zeros(16), np.zeros(16)
    fx, fy = camera[12], camera[13]
    for k in range(first, last):
        if radii[k] <= 0:
            continue
        total[:] = 0
        for slot in range(slot_start[k], slot_start[k] + slot_count[k]):
            for column in range(SLOTS):
                total[column] += slots[slot, column]
        qxx, qxy, qyy = (
            np.float64(splats[k, QXX]),
            np.float64(splats[k, QXY]),
            np.float64(splats[k, QYY]),
        )
        v_u = LN_2 * (2 * qxx * total[GX] + qxy * total[GY])
        v_v = LN_2 * (2 * qyy * total[GY] + qxy * total[GX])
        v_means2d[k, 0], v_means2d[k, 1] = v_u, v_v
        v_logits[k] = total[G] * (1 - 1 / (1 + math.exp(-np.float64(logits[k]))))

        # From the inverse covariance P to the covariance: V = -P (dL/dP) P.
        view = _view(k, means, camera)
        q, length, R = _rotation(k, quats)
        J, tx, ty = _jacobian(view, camera)
        s = _scales(k, log_scales)
        U = _axes(J, R, s)
        cxx, cxy, cyy, det = _covariance(U)
        pxx, pxy, pyy = cyy / det, -cxy / det, cxx / det
        gxx, gxy, gyy = -0.5 * total[GXX], -0.5 * total[GXY], -0.5 * total[GYY]
        axx, axy = pxx * gxx + pxy * gxy, pxx * gxy + pxy * gyy
        ayx, ayy = pxy * gxx + pyy * gxy, pxy * gxy + pyy * gyy
        vxx = -(axx * pxx + axy * pxy)
        vxy = -(axx * pxy + axy * pyy)
        vyy = -(ayx * pxy + ayy * pyy)

        # To the screen axes U = J R diag(s), then to J, R and s.
        v_U = (
            2 * (vxx * U[0] + vxy * U[3]),
            2 * (vxx * U[1] + vxy * U[4]),
            2 * (vxx * U[2] + vxy * U[5]),
            2 * (vxy * U[0] + vyy * U[3]),
            2 * (vxy * U[1] + vyy * U[4]),
            2 * (vxy * U[2] + vyy * U[5]),
        )
        v_log_scales[k, 0] = v_U[0] * U[0] + v_U[3] * U[3]
        v_log_scales[k, 1] = v_U[1] * U[1] + v_U[4] * U[4]
        v_log_scales[k, 2] = v_U[2] * U[2] + v_U[5] * U[5]
        v_R = (
            (J[0] * v_U[0] + J[3] * v_U[3]) * s[0],
            (J[0] * v_U[1] + J[3] * v_U[4]) * s[1],
            (J[0] * v_U[2] + J[3] * v_U[5]) * s[2],
            (J[1] * v_U[0] + J[4] * v_U[3]) * s[0],
            (J[1] * v_U[1] + J[4] * v_U[4]) * s[1],
            (J[1] * v_U[2] + J[4] * v_U[5]) * s[2],
            (J[2] * v_U[0] + J[5] * v_U[3]) * s[0],
            (J[2] * v_U[1] + J[5] * v_U[4]) * s[1],
            (J[2] * v_U[2] + J[5] * v_U[5]) * s[2],
        )
        gw, gx, gy, gz = _quaternion_gradient(q, length, v_R)
        v_quats[k, 0], v_quats[k, 1], v_quats[k, 2], v_quats[k, 3] = gw, gx, gy, gz
        # J[row] = (f / z) (R_row - t R_depth): dL/d(f/z) and dL/dt from dL/dJ = v_U diag(s) Rᵀ.
        v_j0x = v_U[0] * s[0] * R[0] + v_U[1] * s[1] * R[1] + v_U[2] * s[2] * R[2]
        v_j0y = v_U[0] * s[0] * R[3] + v_U[1] * s[1] * R[4] + v_U[2] * s[2] * R[5]
        v_j0z = v_U[0] * s[0] * R[6] + v_U[1] * s[1] * R[7] + v_U[2] * s[2] * R[8]
        v_j1x = v_U[3] * s[0] * R[0] + v_U[4] * s[1] * R[1] + v_U[5] * s[2] * R[2]
        v_j1y = v_U[3] * s[0] * R[3] + v_U[4] * s[1] * R[4] + v_U[5] * s[2] * R[5]
        v_j1z = v_U[3] * s[0] * R[6] + v_U[4] * s[1] * R[7] + v_U[5] * s[2] * R[8]
        inverse = 1 / view[2]
        v_z = -inverse * (v_j0x * J[0] + v_j0y * J[1] + v_j0z * J[2])
        v_z -= inverse * (v_j1x * J[3] + v_j1y * J[4] + v_j1z * J[5])
        v_tx = -fx * inverse * (v_j0x * camera[6] + v_j0y * camera[7] + v_j0z * camera[8])
        v_ty = -fy * inverse * (v_j1x * camera[6] + v_j1y * camera[7] + v_j1z * camera[8])
        v_x, v_y = fx * inverse * v_u, fy * inverse * v_v
        v_z -= inverse * inverse * (fx * view[0] * v_u + fy * view[1] * v_v)
        if camera[16] < view[0] * inverse < camera[17]:
            v_x += v_tx * inverse
            v_z -= v_tx * tx * inverse
        if camera[18] < view[1] * inverse < camera[19]:
            v_y += v_ty * inverse
            v_z -= v_ty * ty * inverse
        v_z += total[G_DEPTH]
        mean_x = camera[0] * v_x + camera[3] * v_y + camera[6] * v_z
        mean_y = camera[1] * v_x + camera[4] * v_y + camera[7] * v_z
        mean_z = camera[2] * v_x + camera[5] * v_y + camera[8] * v_z

        # Colour: zero where it was clamped.
        red = total[G_RED] if splats[k, RED] > 0 else 0.0
        green = total[G_GREEN] if splats[k, GREEN] > 0 else 0.0
        blue = total[G_BLUE] if splats[k, BLUE] > 0 else 0.0
        dx, dy, dz, distance = _direction(k, means, center)
        harmonics(bases, dx, dy, dz, basis)
        for b in range(bases):
            v_sh[k, b, 0], v_sh[k, b, 1], v_sh[k, b, 2] = basis[b] * red, basis[b] * green, basis[b] * blue
            v_basis[b] = red * sh[k, b, 0] + green * sh[k, b, 1] + blue * sh[k, b, 2]
        if bases > 1:
            sx, sy, sz = harmonics_gradient(bases, dx, dy, dz, v_basis)
            along = sx * dx + sy * dy + sz * dz
            mean_x += (sx - along * dx) / distance
            mean_y += (sy - along * dy) / distance
            mean_z += (sz - along * dz) / distance
        v_means[k, 0], v_means[k, 1], v_means[k, 2] = mean_x, mean_y, mean_z
