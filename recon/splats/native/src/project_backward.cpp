// Derivatives from the screen back to the Gaussians and the camera; and, in training, straight on into Adam.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "projection.h"

namespace splats {

namespace {

// A Gaussian's sums over a tile, moved from the tile's centre to its own: with d = centre - pixel, Σ g d and Σ g d dᵀ.
void add_slot(const Moments &from, float dx, float dy, Moments &to) {
    const float x = dx * from.one - from.x, y = dy * from.one - from.y;
    to.one += from.one;
    to.x += x;
    to.y += y;
    to.xx += dx * x - dx * from.x + from.xx;
    to.xy += dx * y - dy * from.x + from.xy;
    to.yy += dy * y - dy * from.y + from.yy;
    for (int c = 0; c < 3; c++) to.rgb[c] += from.rgb[c];
    to.depth += from.depth;
}

// Derivatives of the loss by sixteen Gaussians' appearance on the screen.
struct ScreenGradient {
    Lanes x, y;                             // by the centre
    Lanes conic_xx, conic_xy, conic_yy;     // by the conic; xy is its one off-diagonal number
    Lanes log_opacity, color[3], depth;

    ScreenGradient(const splats_frame &frame, int64_t i, uint32_t seen) {
        Lanes rows[16];
        for (int lane = 0; lane < LANES; lane++)
            rows[lane] = seen >> lane & 1 ? load(reinterpret_cast<const float *>(&frame.gathered[i + lane])) : all(0.0f);
        transpose(rows);
        // log2 alpha = … + a dx² + b dx dy + c dy², with a = -½ log2(e) conic_xx and so on.
        Lanes a, b, c;
        conic(frame, i, seen, a, b, c);
        const Lanes ln_2 = all(LN_2);
        x = ln_2 * fma(a + a, rows[1], b * rows[2]);
        y = ln_2 * fma(c + c, rows[2], b * rows[1]);
        conic_xx = all(-0.5f) * rows[3];
        conic_xy = -rows[4];
        conic_yy = all(-0.5f) * rows[5];
        log_opacity = rows[0];
        for (int k = 0; k < 3; k++) color[k] = rows[6 + k];
        depth = rows[9];
    }

  private:
    static void conic(const splats_frame &frame, int64_t i, uint32_t seen, Lanes &a, Lanes &b, Lanes &c) {
        alignas(64) float fields[3][LANES] = {};
        for (int lane = 0; lane < LANES; lane++) {
            if (!(seen >> lane & 1)) continue;
            const Splat &splat = frame.splats[i + lane];
            fields[0][lane] = splat.a;
            fields[1][lane] = splat.b;
            fields[2][lane] = splat.c;
        }
        a = load(fields[0]);
        b = load(fields[1]);
        c = load(fields[2]);
    }
};

uint32_t seen_among(const splats_frame &frame, int64_t i) {
    uint32_t seen = 0;
    const int lanes = static_cast<int>(std::min<int64_t>(LANES, frame.count - i));
    for (int lane = 0; lane < lanes; lane++) seen |= static_cast<uint32_t>(!frame.rects[i + lane].empty()) << lane;
    return seen;
}

// Sums over lanes, in double so that thousands of them do not wear the result down.
struct CameraSums {
    double rotation[9] = {}, translation[3] = {};
};

struct CameraGradient {
    Lanes rotation[9], translation[3];

    CameraGradient() {
        for (auto &r : rotation) r = all(0.0f);
        for (auto &t : translation) t = all(0.0f);
    }
    void add_to(CameraSums &sums) const {
        for (int k = 0; k < 9; k++) sums.rotation[k] += sum(rotation[k]);
        for (int k = 0; k < 3; k++) sums.translation[k] += sum(translation[k]);
    }
};

// Derivatives by sixteen Gaussians' parameters, handed row by row to emit(row, derivative); each row is read before
// it is handed over, so that emit may change it.
template <bool WithCamera, class Emit>
void derive_group(const float *group, int bases, const View &view, bool antialiased, const Projection &p,
                  const ScreenGradient &g, CameraGradient &camera, Emit &&emit) {
    const auto &R = view.rotation;
    const Lanes two = all(2.0f);

    // Covariance on the screen (xy counted once): -conic V conic, and what antialiasing adds.
    const Lanes half_xy = all(0.5f) * g.conic_xy;
    const Lanes m00 = p.conic_xx * g.conic_xx + p.conic_xy * half_xy, m01 = p.conic_xx * half_xy + p.conic_xy * g.conic_yy;
    const Lanes m10 = p.conic_xy * g.conic_xx + p.conic_yy * half_xy, m11 = p.conic_xy * half_xy + p.conic_yy * g.conic_yy;
    Lanes by_xx = -(m00 * p.conic_xx + m01 * p.conic_xy);
    Lanes by_xy = -(m00 * p.conic_xy + m01 * p.conic_yy) - (m10 * p.conic_xx + m11 * p.conic_xy);
    Lanes by_yy = -(m10 * p.conic_xy + m11 * p.conic_yy);
    if (antialiased) {  // ∂ ln compensation = ∂ ln |u × v| - ½ covariance⁻¹; the first is added below
        const Lanes half = all(0.5f) * g.log_opacity;
        by_xx = fnma(half, p.conic_xx, by_xx);
        by_xy = fnma(g.log_opacity, p.conic_xy, by_xy);
        by_yy = fnma(half, p.conic_yy, by_yy);
    }

    // Its square root, the axes on the screen; from there the Jacobian and the axes in the world.
    Lanes by_screen_axes[6], by_axes[9], by_jacobian[6];
    for (int k = 0; k < 3; k++) {
        by_screen_axes[k] = fma(two * by_xx, p.screen_axes[k], by_xy * p.screen_axes[3 + k]);
        by_screen_axes[3 + k] = fma(two * by_yy, p.screen_axes[3 + k], by_xy * p.screen_axes[k]);
    }
    if (antialiased) {  // by u: v × w / |w|², by v: w × u / |w|², with w = u × v
        const Lanes *u = p.screen_axes, *v = p.screen_axes + 3;
        const Lanes w[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
        const Lanes share = g.log_opacity / max(p.sharp_determinant, all(1e-30f));
        for (int k = 0; k < 3; k++) {
            const int l = (k + 1) % 3, m = (k + 2) % 3;
            by_screen_axes[k] = fma(share, v[l] * w[m] - v[m] * w[l], by_screen_axes[k]);
            by_screen_axes[3 + k] = fma(share, w[l] * u[m] - w[m] * u[l], by_screen_axes[3 + k]);
        }
    }
    for (int r = 0; r < 3; r++)
        for (int k = 0; k < 3; k++)
            by_axes[3 * r + k] = fma(p.jacobian[r], by_screen_axes[k], p.jacobian[3 + r] * by_screen_axes[3 + k]);
    for (int r = 0; r < 2; r++)
        for (int k = 0; k < 3; k++)
            by_jacobian[3 * r + k] = fma(by_screen_axes[3 * r], p.axes[3 * k],
                                         fma(by_screen_axes[3 * r + 1], p.axes[3 * k + 1],
                                             by_screen_axes[3 * r + 2] * p.axes[3 * k + 2]));

    // The axes are rotation · diag(scale).
    Lanes by_rotation[9];
    for (int k = 0; k < 9; k++) by_rotation[k] = by_axes[k] * p.scale[k % 3];
    const auto &D = by_rotation;
    const Lanes w = p.quaternion[0], x = p.quaternion[1], y = p.quaternion[2], z = p.quaternion[3];
    Lanes by_quaternion[4] = {
        two * (x * (D[7] - D[5]) + y * (D[2] - D[6]) + z * (D[3] - D[1])),
        two * (y * (D[1] + D[3]) + z * (D[2] + D[6]) + w * (D[7] - D[5]) - two * x * (D[4] + D[8])),
        two * (x * (D[1] + D[3]) + z * (D[5] + D[7]) + w * (D[2] - D[6]) - two * y * (D[0] + D[8])),
        two * (x * (D[2] + D[6]) + y * (D[5] + D[7]) + w * (D[3] - D[1]) - two * z * (D[0] + D[4])),
    };
    const Lanes along = by_quaternion[0] * w + by_quaternion[1] * x + by_quaternion[2] * y + by_quaternion[3] * z;

    // The point before the camera, by the centre on the screen, the Jacobian and the depth.
    // jacobian[k] = focal / z · (R[0][k] - slope · R[2][k]), and slope = x / z where it is not held.
    const Lanes rz = p.inverse_depth;
    const Lanes scaled_x = all(view.focal_x) * rz, scaled_y = all(view.focal_y) * rz;
    Lanes by_focal_x = all(0.0f), by_focal_y = all(0.0f), by_slope_x = all(0.0f), by_slope_y = all(0.0f);
    for (int k = 0; k < 3; k++) {
        by_focal_x = fma(by_jacobian[k], p.jacobian[k], by_focal_x);
        by_focal_y = fma(by_jacobian[3 + k], p.jacobian[3 + k], by_focal_y);
        by_slope_x = fma(by_jacobian[k], all(-R[6 + k]), by_slope_x);
        by_slope_y = fma(by_jacobian[3 + k], all(-R[6 + k]), by_slope_y);
    }
    const Lanes free_slope_x = (p.x - all(view.center_x)) * all(1 / view.focal_x);
    const Lanes free_slope_y = (p.y - all(view.center_y)) * all(1 / view.focal_y);
    const Lanes total_slope_x = fma(all(view.focal_x), g.x, where(p.free_x, by_slope_x * scaled_x));
    const Lanes total_slope_y = fma(all(view.focal_y), g.y, where(p.free_y, by_slope_y * scaled_y));
    const Lanes by_x = total_slope_x * rz, by_y = total_slope_y * rz;
    const Lanes by_z = g.depth - rz * (by_focal_x + by_focal_y + free_slope_x * total_slope_x + free_slope_y * total_slope_y);

    // Colour, in the direction from the eye.
    const Direction direction(group, view);
    Lanes basis[16], by_basis[16], color[3];
    sh_values(bases, direction, basis);
    for (auto &c : color) c = all(0.5f);
    const auto coefficient = [&](int k, int c) { return load(group + (COLOR + 3 * k + c) * LANES); };
    for (int k = 0; k < bases; k++)
        for (int c = 0; c < 3; c++) color[c] = fma(basis[k], coefficient(k, c), color[c]);
    Lanes by_color[3];
    for (int c = 0; c < 3; c++) by_color[c] = where(color[c] > all(0.0f), g.color[c]);
    for (int k = 1; k < bases; k++)
        by_basis[k] = fma(by_color[0], coefficient(k, 0), fma(by_color[1], coefficient(k, 1), by_color[2] * coefficient(k, 2)));
    Lanes by_unit_x, by_unit_y, by_unit_z;
    sh_gradient(bases, direction, by_basis, by_unit_x, by_unit_y, by_unit_z);
    const Lanes radial = by_unit_x * direction.x + by_unit_y * direction.y + by_unit_z * direction.z;
    const Lanes by_direction[3] = {(by_unit_x - radial * direction.x) * direction.inverse_length,
                                   (by_unit_y - radial * direction.y) * direction.inverse_length,
                                   (by_unit_z - radial * direction.z) * direction.inverse_length};

    if constexpr (WithCamera) {
        const Lanes by_point[3] = {by_x, by_y, by_z};
        const Lanes slope[2] = {p.slope_x, p.slope_y}, scaled[2] = {scaled_x, scaled_y};
        for (int k = 0; k < 3; k++) {
            const Lanes mean = load(group + (MEAN + k) * LANES);
            for (int r = 0; r < 3; r++)  // x_cam = R mean + t, and eye = -Rᵀ t
                camera.rotation[3 * r + k] = fma(by_point[r], mean, by_direction[k] * all(view.translation[r]));
            for (int r = 0; r < 2; r++) {
                const Lanes by_row = by_jacobian[3 * r + k] * scaled[r];
                camera.rotation[3 * r + k] = camera.rotation[3 * r + k] + by_row;
                camera.rotation[6 + k] = fnma(slope[r], by_row, camera.rotation[6 + k]);
            }
        }
        for (int r = 0; r < 3; r++) {
            camera.translation[r] = by_point[r];
            for (int k = 0; k < 3; k++)
                camera.translation[r] = fma(all(R[3 * r + k]), by_direction[k], camera.translation[r]);
        }
    }

    for (int k = 0; k < 3; k++)
        emit(MEAN + k, fma(all(R[k]), by_x, fma(all(R[3 + k]), by_y, fma(all(R[6 + k]), by_z, by_direction[k]))));
    for (int k = 0; k < 4; k++)
        emit(QUATERNION + k, (by_quaternion[k] - along * p.quaternion[k]) * p.inverse_norm);
    for (int k = 0; k < 3; k++)
        emit(LOG_SCALE + k, p.scale[k] * fma(p.rotation[k], by_axes[k],
                                             fma(p.rotation[3 + k], by_axes[3 + k], p.rotation[6 + k] * by_axes[6 + k])));
    emit(LOGIT, g.log_opacity * (all(1.0f) - p.opacity));
    for (int k = 0; k < bases; k++)
        for (int c = 0; c < 3; c++) emit(COLOR + 3 * k + c, basis[k] * by_color[c]);
}

// Adam with its constants worked out.
struct Adam {
    const splats_adam &options;
    float rate_correction, inverse_second_correction;

    explicit Adam(const splats_adam &adam) : options(adam) {
        rate_correction = static_cast<float>(1 / (1 - std::pow(double{adam.beta1}, adam.step)));
        inverse_second_correction = static_cast<float>(1 / std::sqrt(1 - std::pow(double{adam.beta2}, adam.step)));
    }

    void update(int row, int64_t i, Mask seen, Lanes gradient) const {
        const float rate = options.rates[row] * rate_correction;
        if (rate == 0) return;
        const size_t at = i * options.rows + row * LANES;
        const Lanes old_first = load(options.first_moments + at), old_second = load(options.second_moments + at);
        const Lanes first = fma(all(options.beta1), old_first - gradient, gradient);
        const Lanes second = fma(all(options.beta2), old_second - gradient * gradient, gradient * gradient);
        const Lanes root = fma(sqrt(second), all(inverse_second_correction), all(options.epsilon));
        const Lanes value = load(options.parameters + at);
        store(options.first_moments + at, where(seen, first, old_first));
        store(options.second_moments + at, where(seen, second, old_second));
        store(options.parameters + at, where(seen, value - all(rate) * first / root, value));
    }
};

void observe(const splats_frame &frame, const splats_adam &adam, int64_t i, uint32_t seen, const ScreenGradient &g) {
    if (!adam.gradient_sum && !adam.visits) return;
    const Lanes x = g.x * all(0.5f * frame.width), y = g.y * all(0.5f * frame.height);
    alignas(64) float norm[LANES];
    store(norm, sqrt(fma(x, x, y * y)));
    for (uint32_t left = seen; left; left &= left - 1) {
        const int lane = __builtin_ctz(left);
        if (adam.gradient_sum) adam.gradient_sum[i + lane] += norm[lane];
        if (adam.visits) adam.visits[i + lane] += 1;
    }
}

template <class Work>
void for_each_group(Pool &pool, const splats_frame &frame, Work &&work) {
    pool.run(chunks_of(frame.count), [&](int chunk, int) {
        const int64_t end = std::min<int64_t>(frame.count, (chunk + 1) * int64_t{CHUNK});
        for (int64_t i = chunk * int64_t{CHUNK}; i < end; i += LANES) work(chunk, i, seen_among(frame, i));
    });
}

}  // namespace

void gather(Pool &pool, splats_frame &frame, bool add) {
    frame.gathered.reserve(frame.count);
    pool.run(chunks_of(frame.count), [&](int chunk, int) {
        const int64_t end = std::min<int64_t>(frame.count, (chunk + 1) * int64_t{CHUNK});
        for (int64_t i = chunk * int64_t{CHUNK}; i < end; i++) {
            if (frame.rects[i].empty()) continue;
            const Splat &splat = frame.splats[i];
            const SlotRange range = frame.lists.slots_of[i];
            Moments total = add ? frame.gathered[i] : Moments{};
            for (int32_t slot = range.first; slot < range.first + range.count; slot++) {
                const int32_t tile = frame.lists.tile_of_slot[slot];
                const float dx = splat.x - (tile % frame.tiles_x * TILE + TILE * 0.5f);
                const float dy = splat.y - (tile / frame.tiles_x * TILE + TILE * 0.5f);
                add_slot(frame.slots[slot], dx, dy, total);
            }
            frame.gathered[i] = total;
        }
    });
}

void project_backward(Pool &pool, const splats_frame &frame, const splats_scene &scene, const View &view,
                      bool antialiased, const splats_scene_gradients &out) {
    std::vector<CameraSums> camera_sums(chunks_of(frame.count));
    for_each_group(pool, frame, [&](int chunk, int64_t i, uint32_t seen) {
        const Mask mask = mask_of(seen);
        const auto emit = [&](int row, Lanes gradient) {
            if (out.parameters) store(group_at(out.parameters, scene.rows, i) + row * LANES, where(mask, gradient));
        };
        if (!seen) {
            for (int row = 0; row < rows_of(scene.bases); row++) emit(row, all(0.0f));
            if (out.means2d) std::fill_n(out.means2d + 2 * i, 2 * std::min<int64_t>(LANES, frame.count - i), 0.0f);
            return;
        }
        const float *group = group_at(scene.parameters, scene.rows, i);
        const Projection p(group, view, antialiased);
        const ScreenGradient g(frame, i, seen);
        CameraGradient camera;
        if (out.camera) {
            derive_group<true>(group, scene.bases, view, antialiased, p, g, camera, emit);
            for (auto &r : camera.rotation) r = where(mask, r);
            for (auto &t : camera.translation) t = where(mask, t);
            camera.add_to(camera_sums[chunk]);
        } else {
            derive_group<false>(group, scene.bases, view, antialiased, p, g, camera, emit);
        }
        if (out.means2d) {
            alignas(64) float x[LANES], y[LANES];
            store(x, g.x);
            store(y, g.y);
            for (int64_t lane = 0; lane < std::min<int64_t>(LANES, frame.count - i); lane++) {
                out.means2d[2 * (i + lane)] = x[lane];
                out.means2d[2 * (i + lane) + 1] = y[lane];
            }
        }
    });
    if (!out.camera) return;
    CameraSums total;
    for (const CameraSums &part : camera_sums) {
        for (int k = 0; k < 9; k++) total.rotation[k] += part.rotation[k];
        for (int k = 0; k < 3; k++) total.translation[k] += part.translation[k];
    }
    std::copy_n(total.rotation, 9, out.camera);
    std::copy_n(total.translation, 3, out.camera + 9);
}

void learn(Pool &pool, const splats_frame &frame, const splats_adam &options, const View &view, bool antialiased) {
    const Adam adam(options);
    for_each_group(pool, frame, [&](int, int64_t i, uint32_t seen) {
        if (!seen) return;
        const float *group = group_at(options.parameters, options.rows, i);
        const Projection p(group, view, antialiased);
        const ScreenGradient g(frame, i, seen);
        const Mask mask = mask_of(seen);
        const Lanes by_opacity = all(options.opacity_regularisation) * p.opacity * (all(1.0f) - p.opacity);
        CameraGradient camera;
        derive_group<false>(group, options.bases, view, antialiased, p, g, camera, [&](int row, Lanes gradient) {
            if (row == LOGIT) gradient = gradient + by_opacity;
            if (row >= LOG_SCALE && row < LOG_SCALE + 3)
                gradient = fma(all(options.scale_regularisation), p.scale[row - LOG_SCALE], gradient);
            adam.update(row, i, mask, gradient);
        });
        observe(frame, options, i, seen, g);
    });
}

}  // namespace splats
