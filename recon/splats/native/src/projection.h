// Sixteen Gaussians seen by a camera, and the intermediate results that their derivatives need.
#pragma once
#include "frame.h"

namespace splats {

struct Projection {
    Lanes depth, inverse_depth;
    Lanes slope_x, slope_y;                // x / z and y / z, held within the camera's limits
    Mask free_x, free_y;                   // where they were not held
    Lanes x, y;                            // centre in pixels
    Lanes quaternion[4], inverse_norm;     // normalised
    Lanes rotation[9], scale[3];
    Lanes axes[9];                         // rotation · diag(scale): its square is the covariance in the world
    Lanes jacobian[6];                     // 2 × 3: of the pixel by the point in the world
    Lanes screen_axes[6];                  // jacobian · axes: its square is the covariance on the screen
    Lanes xx, xy, yy;                      // that covariance, low-pass in
    Lanes sharp_determinant;               // of the covariance before the low-pass
    Lanes determinant;                     // and after
    Lanes conic_xx, conic_xy, conic_yy;    // the covariance's inverse
    Mask has_shape;                        // neither log scales nor quaternion are NaN
    Lanes logit, opacity;                  // before antialiasing
    Lanes compensation;                    // factor by antialiasing; 1 without

    Projection(const float *group, const View &view, bool antialiased) {
        const auto row = [&](int r) { return load(group + r * LANES); };
        const auto &R = view.rotation;
        const Lanes one = all(1.0f), two = all(2.0f);

        const Lanes mean[3] = {row(MEAN), row(MEAN + 1), row(MEAN + 2)};
        const auto in_camera = [&](int r) {
            const Lanes zz = fma(all(R[3 * r + 2]), mean[2], all(view.translation[r]));
            return fma(all(R[3 * r]), mean[0], fma(all(R[3 * r + 1]), mean[1], zz));
        };
        depth = in_camera(2);
        inverse_depth = one / max(depth, all(1e-6f));
        const Lanes free_slope_x = in_camera(0) * inverse_depth, free_slope_y = in_camera(1) * inverse_depth;
        slope_x = clamp(free_slope_x, all(view.limit_x[0]), all(view.limit_x[1]));
        slope_y = clamp(free_slope_y, all(view.limit_y[0]), all(view.limit_y[1]));
        free_x = (free_slope_x >= all(view.limit_x[0])) & (free_slope_x <= all(view.limit_x[1]));
        free_y = (free_slope_y >= all(view.limit_y[0])) & (free_slope_y <= all(view.limit_y[1]));
        x = fma(all(view.focal_x), free_slope_x, all(view.center_x));
        y = fma(all(view.focal_y), free_slope_y, all(view.center_y));

        Lanes norm = all(0.0f);
        for (int k = 0; k < 4; k++) {
            quaternion[k] = row(QUATERNION + k);
            norm = fma(quaternion[k], quaternion[k], norm);
        }
        inverse_norm = one / sqrt(max(norm, all(1e-24f)));
        for (auto &q : quaternion) q = q * inverse_norm;
        const Lanes qw = quaternion[0], qx = quaternion[1], qy = quaternion[2], qz = quaternion[3];
        rotation[0] = one - two * (qy * qy + qz * qz);
        rotation[1] = two * (qx * qy - qw * qz);
        rotation[2] = two * (qx * qz + qw * qy);
        rotation[3] = two * (qx * qy + qw * qz);
        rotation[4] = one - two * (qx * qx + qz * qz);
        rotation[5] = two * (qy * qz - qw * qx);
        rotation[6] = two * (qx * qz - qw * qy);
        rotation[7] = two * (qy * qz + qw * qx);
        rotation[8] = one - two * (qx * qx + qy * qy);
        has_shape = norm >= norm;
        for (int k = 0; k < 3; k++) {
            const Lanes log_scale = row(LOG_SCALE + k);
            scale[k] = exp(log_scale);
            has_shape = has_shape & (log_scale >= log_scale);
        }
        for (int k = 0; k < 9; k++) axes[k] = rotation[k] * scale[k % 3];

        const Lanes by_x = all(view.focal_x) * inverse_depth, by_y = all(view.focal_y) * inverse_depth;
        for (int k = 0; k < 3; k++) {
            jacobian[k] = by_x * fnma(slope_x, all(R[6 + k]), all(R[k]));
            jacobian[3 + k] = by_y * fnma(slope_y, all(R[6 + k]), all(R[3 + k]));
        }
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 3; k++)
                screen_axes[3 * r + k] = fma(jacobian[3 * r], axes[k],
                                             fma(jacobian[3 * r + 1], axes[3 + k], jacobian[3 * r + 2] * axes[6 + k]));
        const auto &u = screen_axes;
        const Lanes sharp_xx = fma(u[0], u[0], fma(u[1], u[1], u[2] * u[2]));
        const Lanes sharp_yy = fma(u[3], u[3], fma(u[4], u[4], u[5] * u[5]));
        xx = sharp_xx + all(LOW_PASS);
        yy = sharp_yy + all(LOW_PASS);
        xy = fma(u[0], u[3], fma(u[1], u[4], u[2] * u[5]));
        // |u₀ × u₁|² (Lagrange): unlike xx · yy - xy², it does not lose a needle's width to rounding.
        sharp_determinant = square(u[0] * u[4] - u[1] * u[3]) + square(u[1] * u[5] - u[2] * u[4]) +
                            square(u[2] * u[3] - u[0] * u[5]);
        determinant = sharp_determinant + fma(all(LOW_PASS), sharp_xx + sharp_yy, all(LOW_PASS * LOW_PASS));
        const Lanes inverse = one / determinant;
        conic_xx = yy * inverse;
        conic_xy = -(xy * inverse);
        conic_yy = xx * inverse;

        logit = row(LOGIT);
        opacity = sigmoid(logit);
        compensation = antialiased ? sqrt(sharp_determinant * inverse) : one;
    }
};

// Unit direction from the eye to a mean.
struct Direction {
    Lanes x, y, z, inverse_length;

    Direction(const float *group, const View &view) {
        x = load(group + MEAN * LANES) - all(view.eye[0]);
        y = load(group + (MEAN + 1) * LANES) - all(view.eye[1]);
        z = load(group + (MEAN + 2) * LANES) - all(view.eye[2]);
        inverse_length = all(1.0f) / sqrt(max(fma(x, x, fma(y, y, z * z)), all(1e-24f)));
        x = x * inverse_length;
        y = y * inverse_length;
        z = z * inverse_length;
    }
};

// Real spherical harmonics, ordered and signed as in 3DGS (recon/splats/sh.py).
constexpr float SH0 = 0.28209479177387814f, SH1 = 0.4886025119029199f;
constexpr float SH2A = 1.0925484305920792f, SH2B = 0.31539156525252005f, SH2C = 0.5462742152960396f;
constexpr float SH3A = 0.5900435899266435f, SH3B = 2.890611442640554f, SH3C = 0.4570457994644658f;
constexpr float SH3D = 0.3731763325901154f, SH3E = 1.445305721320277f;

inline void sh_values(int bases, const Direction &d, Lanes (&value)[16]) {
    const Lanes x = d.x, y = d.y, z = d.z;
    value[0] = all(SH0);
    if (bases == 1) return;
    value[1] = all(-SH1) * y;
    value[2] = all(SH1) * z;
    value[3] = all(-SH1) * x;
    if (bases == 4) return;
    const Lanes xx = x * x, yy = y * y, zz = z * z;
    value[4] = all(SH2A) * x * y;
    value[5] = all(-SH2A) * y * z;
    value[6] = all(SH2B) * (zz + zz - xx - yy);
    value[7] = all(-SH2A) * x * z;
    value[8] = all(SH2C) * (xx - yy);
    if (bases == 9) return;
    const Lanes across = all(4.0f) * zz - xx - yy;
    value[9] = all(-SH3A) * y * (all(3.0f) * xx - yy);
    value[10] = all(SH3B) * x * y * z;
    value[11] = all(-SH3C) * y * across;
    value[12] = all(SH3D) * z * (zz + zz - all(3.0f) * (xx + yy));
    value[13] = all(-SH3C) * x * across;
    value[14] = all(SH3E) * z * (xx - yy);
    value[15] = all(-SH3A) * x * (xx - all(3.0f) * yy);
}

// Σ weight[k] ∇ value[k], by the unit direction's x, y and z.
inline void sh_gradient(int bases, const Direction &d, const Lanes (&weight)[16], Lanes &by_x, Lanes &by_y,
                        Lanes &by_z) {
    by_x = by_y = by_z = all(0.0f);
    if (bases == 1) return;
    const Lanes x = d.x, y = d.y, z = d.z;
    by_x = all(-SH1) * weight[3];
    by_y = all(-SH1) * weight[1];
    by_z = all(SH1) * weight[2];
    if (bases == 4) return;
    const Lanes w4 = all(SH2A) * weight[4], w5 = all(-SH2A) * weight[5], w6 = all(2 * SH2B) * weight[6];
    const Lanes w7 = all(-SH2A) * weight[7], w8 = all(2 * SH2C) * weight[8];
    by_x = by_x + w4 * y - w6 * x + w7 * z + w8 * x;
    by_y = by_y + w4 * x + w5 * z - w6 * y - w8 * y;
    by_z = by_z + w5 * y + all(2.0f) * w6 * z + w7 * x;
    if (bases == 9) return;
    const Lanes xx = x * x, yy = y * y, zz = z * z, xy = x * y, xz = x * z, yz = y * z;
    const Lanes two = all(2.0f), three = all(3.0f), six = all(6.0f), eight = all(8.0f);
    const Lanes w9 = all(-SH3A) * weight[9], w10 = all(SH3B) * weight[10], w11 = all(-SH3C) * weight[11];
    const Lanes w12 = all(SH3D) * weight[12], w13 = all(-SH3C) * weight[13], w14 = all(SH3E) * weight[14];
    const Lanes w15 = all(-SH3A) * weight[15], across = all(4.0f) * zz - xx - yy;
    by_x = by_x + w9 * six * xy + w10 * yz - w11 * two * xy - w12 * six * xz + w13 * (across - two * xx) +
           w14 * two * xz + w15 * three * (xx - yy);
    by_y = by_y + w9 * three * (xx - yy) + w10 * xz + w11 * (across - two * yy) - w12 * six * yz -
           w13 * two * xy - w14 * two * yz - w15 * six * xy;
    by_z = by_z + w10 * xy + w11 * eight * yz + w12 * (six * zz - three * (xx + yy)) + w13 * eight * xz +
           w14 * (xx - yy);
}

}  // namespace splats
