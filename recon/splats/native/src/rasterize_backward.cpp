// Derivatives of a loss by what was drawn, from tiles' lists, front to back again.
//
// With the weight w_j = T_j α_j of the j-th Gaussian on a pixel and v the loss's derivative by the pixel, let
// ω_j = v · (colour_j, depth_j, …) and S_j = Σ_{k > j} w_k ω_k, background included. Then
//
//     ∂L/∂ln α_j = w_j ω_j - S_j α_j / (1 - α_j)
//
// and S is known at the front: it is v · picture. Of this number, its sums over the pixels of a block times 1, x, y,
// x², x y and y² are all that a Gaussian's position and shape need; they are found for sixteen Gaussians at once, by
// a transpose, and added up over the blocks of the tile.
#include <cstring>

#include "tile.h"

namespace splats {

namespace {

struct alignas(64) BlockState {
    float light[LANES], behind[LANES];  // T and S
    float red[LANES], green[LANES], blue[LANES];  // v
    float depth_sum[LANES], depth_median[LANES];
    uint32_t open;
};

// Rows are Gaussians of the piece, as `Moments`, about the tile's centre.
using Sums = float[PIECE + LANES][LANES];

// Sixteen Gaussians' derivatives on the pixels of a block, waiting to be summed.
struct alignas(64) Batch {
    float by_log_alpha[LANES][LANES], weight[LANES][LANES];
};

// Adds the batch's first n Gaussians, whose numbers in the piece are given, to their sums.
void add_up(const Batch &batch, int n, const uint8_t *in_piece, float from_tile_x, float from_tile_y,
            const BlockState &state, Sums &sums) {
    Lanes rows[16];
    for (int k = 0; k < LANES; k++) rows[k] = load(batch.by_log_alpha[k]);
    transpose(rows);  // now by pixel, a lane per Gaussian
    const Lanes near = all(0.5f), far = all(1.5f), near2 = all(0.25f), far2 = all(2.25f);
    Lanes one[BLOCK], x[BLOCK], xx[BLOCK];  // of each row of pixels
    for (int y = 0; y < BLOCK; y++) {
        const Lanes a = rows[4 * y], b = rows[4 * y + 1], c = rows[4 * y + 2], d = rows[4 * y + 3];
        const Lanes outer = a + d, inner = b + c;
        one[y] = outer + inner;
        x[y] = fma(far, d - a, near * (c - b));
        xx[y] = fma(far2, outer, near2 * inner);
    }
    const auto total = [](const Lanes(&r)[BLOCK]) { return (r[0] + r[3]) + (r[1] + r[2]); };
    const auto times_y = [&](const Lanes(&r)[BLOCK]) { return fma(far, r[3] - r[0], near * (r[2] - r[1])); };
    const Lanes sum_1 = total(one), sum_x = total(x), sum_xx = total(xx), sum_y = times_y(one), sum_xy = times_y(x);
    const Lanes sum_yy = fma(far2, one[0] + one[3], near2 * (one[1] + one[2]));

    for (int k = 0; k < LANES; k++) rows[k] = load(batch.weight[k]);
    transpose(rows);
    Lanes red = all(0.0f), green = all(0.0f), blue = all(0.0f);
    for (int lane = 0; lane < LANES; lane++) {
        red = fma(rows[lane], all(state.red[lane]), red);
        green = fma(rows[lane], all(state.green[lane]), green);
        blue = fma(rows[lane], all(state.blue[lane]), blue);
    }

    // From the block's centre to the tile's.
    const Lanes ox = all(from_tile_x), oy = all(from_tile_y);
    const Lanes tile_x = fma(ox, sum_1, sum_x), tile_y = fma(oy, sum_1, sum_y);
    rows[0] = sum_1;
    rows[1] = tile_x;
    rows[2] = tile_y;
    rows[3] = fma(ox, sum_x + tile_x, sum_xx);
    rows[4] = fma(ox, sum_y, fma(oy, tile_x, sum_xy));
    rows[5] = fma(oy, sum_y + tile_y, sum_yy);
    rows[6] = red;
    rows[7] = green;
    rows[8] = blue;
    for (int k = 9; k < 16; k++) rows[k] = all(0.0f);
    transpose(rows);
    for (int k = 0; k < n; k++) {
        float *sum = sums[in_piece[k]];
        store(sum, load(sum) + rows[k]);
    }
}

// `changed` are the Gaussians that changed the block in the forward pass, `count` of them.
template <bool WithDepth>
void derive_block(const Piece &piece, const uint8_t *changed, int count, const PixelCenters &pixel, float from_tile_x,
                  float from_tile_y, BlockState &state, Sums &sums) {
    constexpr int DEPTH_SUM = offsetof(Moments, depth) / sizeof(float);
    const Lanes least = all(LOG2_ALPHA_MIN), most = all(ALPHA_MAX), dark = all(LIGHT_MIN);
    const Lanes red = load(state.red), green = load(state.green), blue = load(state.blue);
    const Lanes by_depth_sum = load(state.depth_sum), by_median = load(state.depth_median), half = all(0.5f);
    Lanes light = load(state.light), behind = load(state.behind);
    Mask open = mask_of(state.open);
    Batch batch;
    int waiting = 0, j = 0;
    for (; j < count; j++) {
        const int i = changed[j];
        const bool held = may_exceed_most(piece, i);
        const Lanes exponent = log2_alpha(piece, i, pixel);
        const Mask touched = ge_among(open, exponent, least);
        const Lanes free_alpha = exp2(exponent), alpha = held ? min(free_alpha, most) : free_alpha;
        Lanes weight = multiply_where(touched, light, alpha), rest = light - weight;
        const Mask closing = le_among(open, rest, dark);
        if (any(closing)) {
            open = without(open, closing);
            weight = where(open, weight);
            rest = where(open, rest, light);
        }
        Lanes value = fma(red, all(piece.field[RED][i]),
                          fma(green, all(piece.field[GREEN][i]), blue * all(piece.field[BLUE][i])));
        if constexpr (WithDepth) {
            value = fma(by_depth_sum, all(piece.field[DEPTH][i]), value);
            const Mask middle = (light > half) & (half >= rest);
            sums[i][DEPTH_SUM] += sum(fma(weight, by_depth_sum, where(middle, by_median)));
        }
        const Lanes here = weight * value;
        behind = behind - here;
        // α / (1 - α) = w / T of the next. Depths are large numbers with small differences: they want all digits.
        const Lanes inverse_rest = WithDepth ? reciprocal(rest) : rough_reciprocal(rest);
        Lanes by_log_alpha = fnma(behind, weight * inverse_rest, here);
        if (held) by_log_alpha = where(most >= free_alpha, by_log_alpha);  // there it does not depend on the Gaussian
        store(batch.by_log_alpha[waiting], by_log_alpha);
        store(batch.weight[waiting], weight);
        light = rest;
        if (++waiting == LANES) {
            add_up(batch, LANES, changed + j - (LANES - 1), from_tile_x, from_tile_y, state, sums);
            waiting = 0;
        }
    }
    if (waiting) {
        for (int k = waiting; k < LANES; k++) {
            store(batch.by_log_alpha[k], all(0.0f));
            store(batch.weight[k], all(0.0f));
        }
        add_up(batch, waiting, changed + j - waiting, from_tile_x, from_tile_y, state, sums);
    }
    store(state.light, light);
    store(state.behind, behind);
    state.open = bits_of(open);
}

// Before the first Gaussian: T = 1, and S = v · picture.
void start(BlockState &state, const Block &block, const splats_frame &frame, const splats_pictures &drawn,
           const splats_picture_gradients &gradients) {
    const PixelRows rows(block, frame.width, frame.height);
    Lanes behind = all(0.0f), by_color[3] = {behind, behind, behind};
    if (gradients.image) {
        Lanes color[3];
        rows.read(gradients.image, by_color);
        rows.read(drawn.image, color);
        for (int c = 0; c < 3; c++) behind = fma(by_color[c], color[c], behind);
    }
    if (gradients.alpha) behind = fnma(rows.read(gradients.alpha), rows.read(frame.light.data()), behind);
    const Lanes by_depth_sum = rows.read(gradients.depth_sum);
    if (gradients.depth_sum) behind = fma(by_depth_sum, rows.read(drawn.depth_sum), behind);
    store(state.light, all(1.0f));
    store(state.behind, behind);
    store(state.red, by_color[0]);
    store(state.green, by_color[1]);
    store(state.blue, by_color[2]);
    store(state.depth_sum, by_depth_sum);
    store(state.depth_median, rows.read(gradients.depth_median));
    state.open = block.inside(frame.width, frame.height);
}

template <bool WithDepth>
void derive_tile(splats_frame &frame, int tile, const splats_pictures &drawn,
                 const splats_picture_gradients &gradients) {
    Lists &lists = frame.lists;
    const int32_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    if (begin == end) return;
    const int tile_x = tile % frame.tiles_x, tile_y = lists.first_row + tile / frame.tiles_x;
    BlockState states[BLOCKS];
    for (int b = 0; b < BLOCKS; b++) start(states[b], Block(tile_x, tile_y, b), frame, drawn, gradients);
    Piece piece;
    alignas(64) Sums sums;
    for (int32_t first = begin; first < end; first += PIECE) {
        const Entry *entries = lists.entry.data() + first;
        const int n = std::min<int32_t>(PIECE, end - first);
        std::memset(sums, 0, sizeof(float) * LANES * n);
        const uint16_t *changed_count = changed_count_in(lists, tile, first);
        if (std::any_of(changed_count, changed_count + BLOCKS, [](uint16_t count) { return count > 0; })) {
            piece.read(frame.splats.data(), entries, n);
            for (int b = 0; b < BLOCKS; b++) {
                if (!changed_count[b]) continue;
                const Block block(tile_x, tile_y, b);
                const uint8_t *changed = changed_in(lists, first) + b * n;
                derive_block<WithDepth>(piece, changed, changed_count[b], PixelCenters(block), block.center_x - (tile_x * TILE + TILE * 0.5f),
                                        block.center_y - (tile_y * TILE + TILE * 0.5f), states[b], sums);
            }
        }
        for (int i = 0; i < n; i++)
            store(reinterpret_cast<float *>(&frame.slots[entries[i].slot]), load(sums[i]));
    }
}

}  // namespace

void rasterize_backward(Pool &pool, splats_frame &frame, const splats_pictures &drawn,
                        const splats_picture_gradients &gradients) {
    const int tiles = (frame.lists.last_row - frame.lists.first_row) * frame.tiles_x;
    const bool with_depth = gradients.depth_sum || gradients.depth_median;
    pool.run(tiles, [&](int tile, int) {
        with_depth ? derive_tile<true>(frame, tile, drawn, gradients)
                   : derive_tile<false>(frame, tile, drawn, gradients);
    });
}

}  // namespace splats
