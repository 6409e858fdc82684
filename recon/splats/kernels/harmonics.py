"""Real spherical harmonics up to degree 3 and their derivatives, as 3DGS orders and signs them."""

from recon.splats.kernels.jit import kernel

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2, C2_ZZ, C2_XX = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
C3_0, C3_1, C3_2 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
C3_ZZZ, C3_ZXX = 0.3731763325901154, 1.445305721320277


@kernel
def harmonics(bases, x, y, z, out):
    """Values [bases] at the unit direction (x, y, z)."""
    out[0] = C0
    if bases > 1:
        out[1], out[2], out[3] = -C1 * y, C1 * z, -C1 * x
    if bases > 4:
        xx, yy, zz = x * x, y * y, z * z
        out[4], out[5], out[7] = C2 * x * y, -C2 * y * z, -C2 * x * z
        out[6], out[8] = C2_ZZ * (2 * zz - xx - yy), C2_XX * (xx - yy)
        if bases > 9:
            out[9], out[15] = -C3_0 * y * (3 * xx - yy), -C3_0 * x * (xx - 3 * yy)
            out[10], out[14] = C3_1 * x * y * z, C3_ZXX * z * (xx - yy)
            out[11], out[13] = -C3_2 * y * (4 * zz - xx - yy), -C3_2 * x * (4 * zz - xx - yy)
            out[12] = C3_ZZZ * z * (2 * zz - 3 * xx - 3 * yy)


@kernel
def harmonics_gradient(bases, x, y, z, v):
    """Gradient by direction of Σ v[b] · Y_b(x, y, z), the polynomials as written above, not normalised."""
    gx, gy, gz = 0.0, 0.0, 0.0
    if bases > 1:
        gx, gy, gz = -C1 * v[3], -C1 * v[1], C1 * v[2]
    if bases > 4:
        gx += C2 * (y * v[4] - z * v[7]) - 2 * C2_ZZ * x * v[6] + 2 * C2_XX * x * v[8]
        gy += C2 * (x * v[4] - z * v[5]) - 2 * C2_ZZ * y * v[6] - 2 * C2_XX * y * v[8]
        gz += -C2 * (y * v[5] + x * v[7]) + 4 * C2_ZZ * z * v[6]
    if bases > 9:
        xx, yy, zz = x * x, y * y, z * z
        gx += -6 * C3_0 * x * y * v[9] - 3 * C3_0 * (xx - yy) * v[15]
        gx += C3_1 * y * z * v[10] + 2 * C3_ZXX * x * z * v[14] + 2 * C3_2 * x * y * v[11]
        gx += -C3_2 * (4 * zz - 3 * xx - yy) * v[13] - 6 * C3_ZZZ * x * z * v[12]
        gy += -3 * C3_0 * (xx - yy) * v[9] + 6 * C3_0 * x * y * v[15]
        gy += C3_1 * x * z * v[10] - 2 * C3_ZXX * y * z * v[14] + 2 * C3_2 * x * y * v[13]
        gy += -C3_2 * (4 * zz - xx - 3 * yy) * v[11] - 6 * C3_ZZZ * y * z * v[12]
        gz += C3_1 * x * y * v[10] + C3_ZXX * (xx - yy) * v[14]
        gz += -8 * C3_2 * z * (y * v[11] + x * v[13]) + 3 * C3_ZZZ * (2 * zz - xx - yy) * v[12]
    return gx, gy, gz
