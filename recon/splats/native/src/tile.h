// What the forward and the backward pass over a tile have in common.
//
// A tile of 16 × 16 pixels is drawn as sixteen blocks of 4 × 4, each of them one vector of pixels whose state stays
// in registers while a list of Gaussians passes by. The tile's list is taken in pieces that fit the first-level
// cache; of each piece, every block picks those that may touch it.
#pragma once
#include <algorithm>

#include "frame.h"

namespace splats {

constexpr int PIECE = 256;  // Gaussians of a tile's list that are looked at together

// Where a block lies.
struct Block {
    int x, y;                    // its first pixel
    float center_x, center_y;

    Block(int tile_x, int tile_y, int number)
        : x(tile_x * TILE + number % (TILE / BLOCK) * BLOCK), y(tile_y * TILE + number / (TILE / BLOCK) * BLOCK),
          center_x(x + BLOCK * 0.5f), center_y(y + BLOCK * 0.5f) {}

    // Lanes whose pixel lies in the picture.
    uint32_t inside(int width, int height) const {
        uint32_t bits = 0;
        for (int lane = 0; lane < LANES; lane++)
            bits |= static_cast<uint32_t>(x + lane % BLOCK < width && y + lane / BLOCK < height) << lane;
        return bits;
    }
    size_t pixel(int lane, int width) const {
        return static_cast<size_t>(y + lane / BLOCK) * width + x + lane % BLOCK;
    }
};

// Pixel centres relative to the block's centre, and their products.
struct PixelOffsets {
    Lanes x, y, xx, xy, yy;

    PixelOffsets() {
        alignas(64) static constexpr float X[LANES] = {-1.5f, -.5f, .5f, 1.5f, -1.5f, -.5f, .5f, 1.5f,
                                                       -1.5f, -.5f, .5f, 1.5f, -1.5f, -.5f, .5f, 1.5f};
        alignas(64) static constexpr float Y[LANES] = {-1.5f, -1.5f, -1.5f, -1.5f, -.5f, -.5f, -.5f, -.5f,
                                                       .5f,   .5f,   .5f,   .5f,   1.5f, 1.5f, 1.5f, 1.5f};
        x = load(X);
        y = load(Y);
        xx = x * x;
        xy = x * y;
        yy = y * y;
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

// Those of a piece that may touch a block: log2 alpha = at_center + by_x x + by_y y + a x² + b x y + c y², for
// pixels at (x, y) from the block's centre.
struct Candidates {
    alignas(64) float at_center[PIECE + LANES], by_x[PIECE + LANES], by_y[PIECE + LANES];
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
            if (!any(near)) continue;
            compress(at_center + count, near, center);
            compress(by_x + count, near, -slope_x);
            compress(by_y + count, near, -slope_y);
            count += compress_numbers(in_piece + count, near, i);
        }
    }

    Lanes log2_alpha(int j, const Piece &piece, const PixelOffsets &offset) const {
        const int i = in_piece[j];
        const Lanes linear = fma(all(by_y[j]), offset.y, fma(all(by_x[j]), offset.x, all(at_center[j])));
        const Lanes square = fma(all(piece.field[B][i]), offset.xy, all(piece.field[A][i]) * offset.xx);
        return fma(all(piece.field[C][i]), offset.yy, square) + linear;
    }
};

}  // namespace splats
