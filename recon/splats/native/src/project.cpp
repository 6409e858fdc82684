// Gaussians to the screen: where they are, how they look, which tiles they may touch.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "projection.h"

namespace splats {

int chunks_of(int64_t count) { return static_cast<int>((count + CHUNK - 1) / CHUNK); }

namespace {

struct Target {
    splats_frame &frame;
    float *radii;
    int64_t *row_areas;  // of this chunk: by row of tiles, how many more tiles are touched than in the row before

    void skip(int64_t i) {
        frame.rects[i] = {0, 0, 0, 0};
        if (radii) radii[i] = 0;
    }

    // The tiles with a pixel centre in [low_x, high_x] × [low_y, high_y].
    void place(int64_t i, float low_x, float high_x, float low_y, float high_y, float radius) {
        const float left = std::ceil(std::max(low_x - 0.5f, 0.0f));
        const float right = std::floor(std::min(high_x - 0.5f, frame.width - 1.0f));
        const float top = std::ceil(std::max(low_y - 0.5f, 0.0f));
        const float bottom = std::floor(std::min(high_y - 0.5f, frame.height - 1.0f));
        if (!(left <= right && top <= bottom)) return skip(i);
        const auto tile = [](float pixel) { return static_cast<uint16_t>(static_cast<int>(pixel) / TILE); };
        const Rect rect{tile(left), static_cast<uint16_t>(tile(right) + 1), tile(top),
                        static_cast<uint16_t>(tile(bottom) + 1)};
        frame.rects[i] = rect;
        row_areas[rect.y0] += rect.x1 - rect.x0;
        row_areas[rect.y1] -= rect.x1 - rect.x0;
        if (radii) radii[i] = radius;
    }
};

void project_group(const splats_scene &scene, const View &view, bool antialiased, int64_t i, Target &target) {
    const int lanes = static_cast<int>(std::min<int64_t>(LANES, scene.count - i));
    const float *group = group_at(scene.parameters, scene.rows, i);
    const Projection p(group, view, antialiased);
    const Lanes log2_opacity = log2(max(p.opacity * p.compensation, all(1e-30f)));
    const Lanes above = all(2 * LN_2) * (log2_opacity - all(LOG2_ALPHA_MIN));  // 2 ln(255 opacity)
    const Lanes reach = max(above, all(0.0f));                                 // squared, in standard deviations
    const Lanes reach_x = sqrt(reach * p.xx), reach_y = sqrt(reach * p.yy);
    const Lanes low_x = p.x - reach_x, high_x = p.x + reach_x, low_y = p.y - reach_y, high_y = p.y + reach_y;
    const Lanes zero = all(0.0f);
    // Comparisons with NaN fail, so that what is not a number is not drawn.
    const Mask numbers = p.has_shape & (all(FLT_MAX) > p.determinant) & (p.logit >= p.logit);
    const Mask seen = numbers & (p.depth > all(view.near_plane)) & (all(view.far_plane) > p.depth) & (above > zero) &
                      (high_x > zero) & (all(static_cast<float>(view.width)) > low_x) & (high_y > zero) &
                      (all(static_cast<float>(view.height)) > low_y);
    const uint32_t chosen = bits_of(seen) & ((1u << lanes) - 1);
    if (!chosen) {
        for (int lane = 0; lane < lanes; lane++) target.skip(i + lane);
        return;
    }

    const Direction direction(group, view);
    Lanes basis[16], color[3];
    sh_values(scene.bases, direction, basis);
    for (int c = 0; c < 3; c++) {
        color[c] = all(0.5f);
        for (int k = 0; k < scene.bases; k++)
            color[c] = fma(basis[k], load(group + (COLOR + 3 * k + c) * LANES), color[c]);
        color[c] = max(zero, color[c]);  // in this order NaN stays NaN, and the loss tells of it
    }

    alignas(64) float box[4][LANES], radius[LANES] = {};
    store(box[0], low_x);
    store(box[1], high_x);
    store(box[2], low_y);
    store(box[3], high_y);
    if (target.radii) {  // the larger eigenvalue of the covariance
        const Lanes half = all(0.5f) * (p.xx - p.yy);
        store(radius, sqrt(reach * (all(0.5f) * (p.xx + p.yy) + sqrt(fma(half, half, p.xy * p.xy)))));
    }
    Lanes splat[16];
    splat[X] = p.x;
    splat[Y] = p.y;
    splat[A] = all(-0.5f * LOG2_E) * p.conic_xx;
    splat[B] = all(-LOG2_E) * p.conic_xy;
    splat[C] = all(-0.5f * LOG2_E) * p.conic_yy;
    splat[LOG2_OPACITY] = log2_opacity;
    for (int c = 0; c < 3; c++) splat[RED + c] = color[c];
    splat[DEPTH] = p.depth;
    splat[REACH_X] = reach_x;
    splat[REACH_Y] = reach_y;
    for (int k = REACH_Y + 1; k < 16; k++) splat[k] = zero;
    transpose(splat);
    for (int lane = 0; lane < lanes; lane++) {
        if (!(chosen >> lane & 1)) {
            target.skip(i + lane);
            continue;
        }
        store(reinterpret_cast<float *>(&target.frame.splats[i + lane]), splat[lane]);
        target.place(i + lane, box[0][lane], box[1][lane], box[2][lane], box[3][lane], radius[lane]);
    }
}

// Rows of tiles at which bands begin, such that no band of several rows needs more than MOST_ENTRIES.
void plan_bands(splats_frame &frame, int chunks) {
    frame.bands.assign(1, 0);
    int64_t in_band = 0, in_row = 0;
    for (int row = 0; row < frame.tiles_y; row++) {
        for (int chunk = 0; chunk < chunks; chunk++)
            in_row += frame.row_areas[static_cast<size_t>(chunk) * (frame.tiles_y + 1) + row];
        if (in_band + in_row > MOST_ENTRIES && row > frame.bands.back()) {
            frame.bands.push_back(row);
            in_band = 0;
        }
        in_band += in_row;
    }
    frame.bands.push_back(frame.tiles_y);
}

}  // namespace

void project(Pool &pool, splats_frame &frame, const splats_scene &scene, const View &view, bool antialiased,
             float *radii) {
    frame.count = scene.count;
    frame.width = view.width;
    frame.height = view.height;
    frame.tiles_x = (view.width + TILE - 1) / TILE;
    frame.tiles_y = (view.height + TILE - 1) / TILE;
    frame.splats.reserve(scene.count);
    frame.rects.reserve(scene.count);
    const int chunks = chunks_of(scene.count);
    const size_t rows = frame.tiles_y + 1;
    frame.row_areas.reserve(chunks * rows);
    std::fill_n(frame.row_areas.data(), chunks * rows, int64_t{0});
    pool.run(chunks, [&](int chunk, int) {
        Target target{frame, radii, frame.row_areas.data() + chunk * rows};
        const int64_t end = std::min<int64_t>(scene.count, (chunk + 1) * int64_t{CHUNK});
        for (int64_t i = chunk * int64_t{CHUNK}; i < end; i += LANES)
            project_group(scene, view, antialiased, i, target);
    });
    plan_bands(frame, chunks);
}

}  // namespace splats
