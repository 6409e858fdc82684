// What the forward and the backward pass over a tile have in common.
//
// A tile of 16 × 16 pixels is drawn as sixteen blocks of 4 × 4, each of them one vector of pixels whose state stays
// in registers while a list of Gaussians passes by. The tile's list is taken in pieces that fit the first-level
// cache; of each piece, every block picks those that may touch it.
#pragma once
#include <algorithm>

#include "frame.h"

namespace splats {

constexpr uint32_t WHOLE = (1u << LANES) - 1;  // lanes of a block that lies in the picture

constexpr int PIECE = 256;  // Gaussians of a tile's list that are looked at together; their places fit a byte

// The places in Lists::changed and Lists::changed_count of the piece of a tile's list that begins at `first`: tiles and
// pieces both count up, so no two pieces get the same number.
inline uint8_t *changed_in(Lists &lists, int32_t first) {
    return lists.changed.data() + static_cast<size_t>(BLOCKS) * first;
}
inline uint16_t *changed_count_in(Lists &lists, int tile, int32_t first) {
    return lists.changed_count.data() + static_cast<size_t>(BLOCKS) * (tile + first / PIECE);
}

// Where a block lies.
struct Block {
    int x, y;                    // its first pixel
    float center_x, center_y;

    Block(int tile_x, int tile_y, int number)
        : x(tile_x * TILE + number % (TILE / BLOCK) * BLOCK), y(tile_y * TILE + number / (TILE / BLOCK) * BLOCK),
          center_x(x + BLOCK * 0.5f), center_y(y + BLOCK * 0.5f) {}

    // Lanes whose pixel lies in the picture.
    uint32_t inside(int width, int height) const {
        if (x + BLOCK <= width && y + BLOCK <= height) return WHOLE;
        uint32_t bits = 0;
        for (int lane = 0; lane < LANES; lane++)
            bits |= static_cast<uint32_t>(x + lane % BLOCK < width && y + lane / BLOCK < height) << lane;
        return bits;
    }
};

// A block's part of a picture. What lies past the border reads as 0 and is not written.
class PixelRows {
  public:
    PixelRows(const Block &block, int width, int height)
        : first_(static_cast<size_t>(block.y) * width + block.x), stride_(width),
          columns_(std::min(BLOCK, width - block.x)), rows_(std::min(BLOCK, height - block.y)) {}

    Lanes read(const float *plane) const {
        if (!plane) return all(0.0f);
        if (whole()) return load_block(plane + first_, stride_);
        alignas(64) float lanes[LANES] = {};
        for_each([&](int lane, size_t pixel) { lanes[lane] = plane[pixel]; });
        return load(lanes);
    }
    void read(const float *image, Lanes (&channel)[3]) const {
        if (whole()) return load_block(image + 3 * first_, 3 * stride_, channel);
        alignas(64) float lanes[3][LANES] = {};
        for_each([&](int lane, size_t pixel) {
            for (int c = 0; c < 3; c++) lanes[c][lane] = image[3 * pixel + c];
        });
        for (int c = 0; c < 3; c++) channel[c] = load(lanes[c]);
    }
    void write(float *plane, Lanes value) const {
        if (!plane) return;
        if (whole()) return store_block(plane + first_, stride_, value);
        alignas(64) float lanes[LANES];
        store(lanes, value);
        for_each([&](int lane, size_t pixel) { plane[pixel] = lanes[lane]; });
    }
    void write(float *image, const Lanes (&channel)[3]) const {
        if (whole()) return store_block(image + 3 * first_, 3 * stride_, channel);
        alignas(64) float lanes[3][LANES];
        for (int c = 0; c < 3; c++) store(lanes[c], channel[c]);
        for_each([&](int lane, size_t pixel) {
            for (int c = 0; c < 3; c++) image[3 * pixel + c] = lanes[c][lane];
        });
    }

  private:
    bool whole() const { return columns_ == BLOCK && rows_ == BLOCK; }

    template <class Visit>
    void for_each(Visit &&visit) const {
        for (int y = 0; y < rows_; y++)
            for (int x = 0; x < columns_; x++) visit(BLOCK * y + x, first_ + y * stride_ + x);
    }

    size_t first_, stride_;
    int columns_, rows_;
};

// The centres of a block's pixels.
struct PixelCenters {
    Lanes x, y;

    explicit PixelCenters(const Block &block) {
        alignas(64) static constexpr float X[LANES] = {-1.5f, -.5f, .5f, 1.5f, -1.5f, -.5f, .5f, 1.5f,
                                                       -1.5f, -.5f, .5f, 1.5f, -1.5f, -.5f, .5f, 1.5f};
        alignas(64) static constexpr float Y[LANES] = {-1.5f, -1.5f, -1.5f, -1.5f, -.5f, -.5f, -.5f, -.5f,
                                                       .5f,   .5f,   .5f,   .5f,   1.5f, 1.5f, 1.5f, 1.5f};
        x = all(block.center_x) + load(X);
        y = all(block.center_y) + load(Y);
    }
};

// A piece of a tile's list, by field.
struct Piece {
    alignas(64) float field[DEPTH + 1][PIECE + LANES];
    int count = 0;

    void read(const Splat *splats, const Entry *entries, int n) {
        count = n;
        for (int i = 0; i < n; i += LANES) {
            Lanes rows[16];
            for (int j = 0; j < LANES; j++)
                rows[j] = load(reinterpret_cast<const float *>(splats + entries[std::min(i + j, n - 1)].splat));
            transpose(rows);
            for (int k = 0; k <= DEPTH; k++) store(field[k] + i, rows[k]);
        }
        for (int i = n; i % LANES; i++) field[LOG2_OPACITY][i] = -1e30f;  // never touches a block
    }
};

// Those of a piece that may touch a block, by their place in the piece.
struct Candidates {
    int32_t in_piece[PIECE + LANES];
    int count = 0;

    void find(const Piece &piece, const Block &block) {
        const Lanes half = all(0.5f), to_border = all(BLOCK * 0.5f - 0.5f), least = all(LOG2_ALPHA_MIN);
        count = 0;
        for (int i = 0; i < piece.count; i += LANES) {
            const Lanes dx = load(piece.field[X] + i) - all(block.center_x);
            const Lanes dy = load(piece.field[Y] + i) - all(block.center_y);
            const Lanes a = load(piece.field[A] + i), b = load(piece.field[B] + i), c = load(piece.field[C] + i);
            const Lanes slope_x = fma(a + a, dx, b * dy), slope_y = fma(c + c, dy, b * dx);
            const Lanes center = fma(half, fma(slope_x, dx, slope_y * dy), load(piece.field[LOG2_OPACITY] + i));
            // The tangent plane at the centre lies above log2 alpha, which is concave.
            const Mask near = fma(to_border, abs(slope_x) + abs(slope_y), center) >= least;
            if (any(near)) count += compress_numbers(in_piece + count, near, i);
        }
    }
};

// Whether a Gaussian's alpha has to be held at ALPHA_MAX where it is largest.
inline bool may_exceed_most(const Piece &piece, int i) { return piece.field[LOG2_OPACITY][i] > LOG2_ALPHA_MAX; }

// log2 of a Gaussian's alpha at a block's pixels.
inline Lanes log2_alpha(const Piece &piece, int i, const PixelCenters &pixel) {
    const Lanes dx = all(piece.field[X][i]) - pixel.x, dy = all(piece.field[Y][i]) - pixel.y;
    const Lanes by_x = fma(all(piece.field[A][i]), dx, all(piece.field[B][i]) * dy);
    return fma(all(piece.field[C][i]) * dy, dy, fma(by_x, dx, all(piece.field[LOG2_OPACITY][i])));
}

}  // namespace splats
