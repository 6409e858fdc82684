// Pictures from tiles' lists: alpha compositing, front to back.
#include "tile.h"

namespace splats {

namespace {

// The pixels of a block between pieces of the list.
struct alignas(64) BlockState {
    float light[LANES], red[LANES], green[LANES], blue[LANES], depth_sum[LANES], depth_median[LANES];
    uint32_t open;  // lanes that more Gaussians may change
};

// Lists the Gaussians that changed the block in `changed` and returns how many they are.
template <bool WithDepth>
int draw_block(const Piece &piece, const Candidates &near, const PixelCenters &pixel, BlockState &state,
               uint8_t *changed) {
    const Lanes least = all(LOG2_ALPHA_MIN), most = all(ALPHA_MAX), dark = all(LIGHT_MIN), half = all(0.5f);
    Lanes light = load(state.light), red = load(state.red), green = load(state.green), blue = load(state.blue);
    Lanes depth_sum = load(state.depth_sum), depth_median = load(state.depth_median);
    Mask open = mask_of(state.open);
    int count = 0;
    for (int j = 0; j < near.count; j++) {
        const int i = near.in_piece[j];
        const Lanes exponent = log2_alpha(piece, i, pixel);
        const Mask touched = ge_among(open, exponent, least);
        changed[count] = static_cast<uint8_t>(i);
        count += any(touched);
        Lanes alpha = exp2(exponent);
        if (may_exceed_most(piece, i)) alpha = min(alpha, most);
        Lanes weight = multiply_where(touched, light, alpha);
        Lanes rest = light - weight;
        const Mask closing = le_among(open, rest, dark);
        if (any(closing)) {  // closed before this Gaussian
            weight = where(closing, all(0.0f), weight);
            rest = where(closing, light, rest);
            open = without(open, closing);
        }
        red = fma(weight, all(piece.field[RED][i]), red);
        green = fma(weight, all(piece.field[GREEN][i]), green);
        blue = fma(weight, all(piece.field[BLUE][i]), blue);
        if constexpr (WithDepth) {
            const Lanes depth = all(piece.field[DEPTH][i]);
            depth_sum = fma(weight, depth, depth_sum);
            depth_median = where((light > half) & (half >= rest), depth, depth_median);
        }
        light = rest;
        if (!any(open)) break;
    }
    store(state.light, light);
    store(state.red, red);
    store(state.green, green);
    store(state.blue, blue);
    if constexpr (WithDepth) {
        store(state.depth_sum, depth_sum);
        store(state.depth_median, depth_median);
    }
    state.open = bits_of(open);
    return count;
}

void write_block(const BlockState &state, const Block &block, const float background[3], splats_frame &frame,
                 const splats_pictures &out) {
    const Lanes light = load(state.light);
    const Lanes color[3] = {fma(light, all(background[0]), load(state.red)),
                            fma(light, all(background[1]), load(state.green)),
                            fma(light, all(background[2]), load(state.blue))};
    const PixelRows rows(block, frame.width, frame.height);
    rows.write(out.image, color);
    rows.write(frame.light.data(), light);
    rows.write(out.alpha, all(1.0f) - light);
    rows.write(out.depth_sum, load(state.depth_sum));
    rows.write(out.depth_median, load(state.depth_median));
}

template <bool WithDepth>
void draw_tile(splats_frame &frame, int tile, const float background[3], const splats_pictures &out) {
    Lists &lists = frame.lists;
    const int tile_x = tile % frame.tiles_x, tile_y = lists.first_row + tile / frame.tiles_x;
    const int32_t begin = lists.tile_start[tile], end = lists.tile_start[tile + 1];
    BlockState states[BLOCKS];
    int open_blocks = 0;
    for (int b = 0; b < BLOCKS; b++) {
        states[b] = {};
        std::fill_n(states[b].light, LANES, 1.0f);
        states[b].open = Block(tile_x, tile_y, b).inside(frame.width, frame.height);
        open_blocks += states[b].open != 0;
    }
    Piece piece;
    Candidates near;
    for (int32_t first = begin; first < end; first += PIECE) {
        uint16_t *changed_count = changed_count_in(lists, tile, first);
        std::fill_n(changed_count, BLOCKS, uint16_t{0});
        if (!open_blocks) continue;
        piece.read(frame.splats.data(), lists.entry.data() + first, std::min<int32_t>(PIECE, end - first));
        for (int b = 0; b < BLOCKS; b++) {
            if (!states[b].open) continue;
            uint8_t *changed = changed_in(lists, first) + b * piece.count;
            const Block block(tile_x, tile_y, b);
            near.find(piece, block);
            const int count = draw_block<WithDepth>(piece, near, PixelCenters(block), states[b], changed);
            changed_count[b] = static_cast<uint16_t>(count);
            open_blocks -= states[b].open == 0;
        }
    }
    for (int b = 0; b < BLOCKS; b++) write_block(states[b], Block(tile_x, tile_y, b), background, frame, out);
}

}  // namespace

void rasterize(Pool &pool, splats_frame &frame, const float background[3], const splats_pictures &out) {
    const int tiles = (frame.lists.last_row - frame.lists.first_row) * frame.tiles_x;
    frame.lists.changed.reserve(static_cast<size_t>(frame.lists.entries) * BLOCKS + 1);
    frame.lists.changed_count.reserve((static_cast<size_t>(frame.lists.entries) / PIECE + tiles + 1) * BLOCKS);
    frame.light.reserve(static_cast<size_t>(frame.width) * frame.height);
    const bool with_depth = out.depth_sum || out.depth_median;
    pool.run(tiles, [&](int tile, int) {
        with_depth ? draw_tile<true>(frame, tile, background, out) : draw_tile<false>(frame, tile, background, out);
    });
}

}  // namespace splats
