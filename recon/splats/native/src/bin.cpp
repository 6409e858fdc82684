// Each tile's list of Gaussians, front to back: sort the Gaussians once by depth, then deal them out in that order.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "frame.h"

namespace splats {

namespace {

constexpr int DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS;
constexpr int DEALS = 16;  // parts of the depth order that are dealt out independently
constexpr int AHEAD = 8;   // neighbours in depth lie anywhere in memory; they are fetched so many steps before

// Whether a splat may reach 1/255 in a tile: log2 alpha is concave, so its tangent plane at the tile's centre
// lies above it.
bool may_touch(const Splat &s, int tile_x, int tile_y) {
    const float dx = s.x - (tile_x * TILE + TILE * 0.5f), dy = s.y - (tile_y * TILE + TILE * 0.5f);
    const float by_x = 2 * s.a * dx + s.b * dy, by_y = 2 * s.c * dy + s.b * dx;
    const float at_center = s.log2_opacity + 0.5f * (by_x * dx + by_y * dy);
    const float to_border = TILE * 0.5f - 0.5f;
    return at_center + to_border * (std::fabs(by_x) + std::fabs(by_y)) >= LOG2_ALPHA_MIN;
}

Rect within(Rect rect, int first_row, int last_row) {
    rect.y0 = static_cast<uint16_t>(std::max<int>(rect.y0, first_row));
    rect.y1 = static_cast<uint16_t>(std::min<int>(rect.y1, last_row));
    if (rect.y0 >= rect.y1) rect = {0, 0, 0, 0};
    return rect;
}

int64_t area(const Rect &rect) { return int64_t{rect.x1 - rect.x0} * (rect.y1 - rect.y0); }

// Gives every Gaussian of a chunk its slots, from `slot` on: one for each tile that it may touch.
void take_slots(splats_frame &frame, int64_t begin, int64_t end, int32_t slot) {
    Lists &lists = frame.lists;
    for (int64_t i = begin; i < end; i++) {
        const Rect rect = within(frame.rects[i], lists.first_row, lists.last_row);
        const int32_t first = slot;
        const bool single = area(rect) == 1;
        for (int y = rect.y0; y < rect.y1; y++)
            for (int x = rect.x0; x < rect.x1; x++)
                if (single || may_touch(frame.splats[i], x, y)) lists.tile_of_slot[slot++] = y * frame.tiles_x + x;
        lists.slots_of[i] = {first, slot - first};
    }
}

}  // namespace

// A radix sort of the seen Gaussians' depths; positive floats order as their bits do. Ties stay in order of index.
void sort_by_depth(splats_frame &frame) {
    uint32_t *keys = frame.keys[0].reserve(frame.count), *other_keys = frame.keys[1].reserve(frame.count);
    int32_t *indices = frame.by_depth.reserve(frame.count), *other_indices = frame.indices.reserve(frame.count);
    uint32_t starts[3][DIGITS] = {};
    int64_t n = 0;
    for (int64_t i = 0; i < frame.count; i++) {
        if (frame.rects[i].empty()) continue;
        uint32_t key;
        std::memcpy(&key, &frame.splats[i].depth, sizeof key);
        keys[n] = key;
        indices[n++] = static_cast<int32_t>(i);
        for (int pass = 0; pass < 3; pass++) starts[pass][key >> (pass * DIGIT_BITS) & (DIGITS - 1)]++;
    }
    frame.seen = n;
    for (int pass = 0; pass < 3; pass++) {
        uint32_t total = 0;
        for (uint32_t &start : starts[pass]) total += std::exchange(start, total);
        for (int64_t j = 0; j < n; j++) {
            const uint32_t place = starts[pass][keys[j] >> (pass * DIGIT_BITS) & (DIGITS - 1)]++;
            other_keys[place] = keys[j];
            other_indices[place] = indices[j];
        }
        std::swap(keys, other_keys);
        std::swap(indices, other_indices);
    }
    // Three passes leave the result in the other buffer.
    std::copy_n(indices, n, frame.by_depth.data());
}

void list_tiles(Pool &pool, splats_frame &frame, int first_row, int last_row) {
    Lists &lists = frame.lists;
    lists.first_row = first_row;
    lists.last_row = last_row;
    const int tiles = (last_row - first_row) * frame.tiles_x, first_tile = first_row * frame.tiles_x;
    const int chunks = chunks_of(frame.count);
    const bool unsorted = first_row == 0;

    // Where each chunk's slots begin, by an upper bound; what a chunk does not need is never touched.
    std::vector<int64_t> slot_begin(chunks + 1, 0);
    for (int chunk = 0; chunk < chunks; chunk++) {
        int64_t areas = 0;
        const int64_t end = std::min<int64_t>(frame.count, (chunk + 1) * int64_t{CHUNK});
        for (int64_t i = chunk * int64_t{CHUNK}; i < end; i++)
            areas += area(within(frame.rects[i], first_row, last_row));
        slot_begin[chunk + 1] = slot_begin[chunk] + areas;
    }
    if (slot_begin[chunks] > INT32_MAX) throw std::bad_alloc();  // slots are numbered in 32 bits
    lists.slots_of.reserve(frame.count);
    lists.tile_of_slot.reserve(slot_begin[chunks]);
    frame.slots.reserve(slot_begin[chunks]);
    pool.run(chunks + unsorted, [&](int task, int) {
        if (unsorted && task == 0) return sort_by_depth(frame);
        const int chunk = task - unsorted;
        take_slots(frame, chunk * int64_t{CHUNK}, std::min<int64_t>(frame.count, (chunk + 1) * int64_t{CHUNK}),
                   static_cast<int32_t>(slot_begin[chunk]));
    });

    // Count, then deal: parts of the depth order write next to each other in every tile's list.
    int32_t *histogram = frame.histogram.reserve(static_cast<size_t>(DEALS) * tiles);
    std::fill_n(histogram, static_cast<size_t>(DEALS) * tiles, 0);
    const auto for_each_entry = [&](int deal, auto &&visit) {
        for (int64_t j = frame.seen * deal / DEALS; j < frame.seen * (deal + 1) / DEALS; j++) {
            const auto ahead = [&](int64_t steps) { return frame.by_depth[std::min(j + steps, frame.seen - 1)]; };
            __builtin_prefetch(&lists.slots_of[ahead(2 * AHEAD)]);
            __builtin_prefetch(&lists.tile_of_slot[lists.slots_of[ahead(AHEAD)].first]);
            const int32_t i = frame.by_depth[j];
            const SlotRange range = lists.slots_of[i];
            for (int32_t slot = range.first; slot < range.first + range.count; slot++)
                visit(lists.tile_of_slot[slot] - first_tile, Entry{i, slot});
        }
    };
    pool.run(DEALS, [&](int deal, int) {
        int32_t *count = histogram + static_cast<size_t>(deal) * tiles;
        for_each_entry(deal, [&](int32_t tile, Entry) { count[tile]++; });
    });
    int32_t *tile_start = lists.tile_start.reserve(tiles + 1), total = 0;
    for (int tile = 0; tile < tiles; tile++) {
        tile_start[tile] = total;
        for (int deal = 0; deal < DEALS; deal++)
            total += std::exchange(histogram[static_cast<size_t>(deal) * tiles + tile], total);
    }
    tile_start[tiles] = total;
    lists.entries = total;
    lists.entry.reserve(total);
    pool.run(DEALS, [&](int deal, int) {
        int32_t *next = histogram + static_cast<size_t>(deal) * tiles;
        for_each_entry(deal, [&](int32_t tile, Entry entry) { lists.entry[next[tile]++] = entry; });
    });
}

}  // namespace splats
