// Blocks of pixels, lane by lane: for instruction sets without a better way.
#pragma once
#include <cstring>

namespace splats {

// A block of 4 × 4 pixels, from rows that lie `stride` floats apart.
inline Lanes load_block(const float *p, size_t stride) {
    float lanes[16];
    for (int y = 0; y < 4; y++) std::memcpy(lanes + 4 * y, p + y * stride, 4 * sizeof(float));
    return load(lanes);
}
inline void store_block(float *p, size_t stride, Lanes a) {
    float lanes[16];
    store(lanes, a);
    for (int y = 0; y < 4; y++) std::memcpy(p + y * stride, lanes + 4 * y, 4 * sizeof(float));
}

// The same of pixels with three channels side by side.
inline void load_block(const float *p, size_t stride, Lanes (&channel)[3]) {
    float lanes[3][16];
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++)
            for (int c = 0; c < 3; c++) lanes[c][4 * y + x] = p[y * stride + 3 * x + c];
    for (int c = 0; c < 3; c++) channel[c] = load(lanes[c]);
}
inline void store_block(float *p, size_t stride, const Lanes (&channel)[3]) {
    float lanes[3][16];
    for (int c = 0; c < 3; c++) store(lanes[c], channel[c]);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++)
            for (int c = 0; c < 3; c++) p[y * stride + 3 * x + c] = lanes[c][4 * y + x];
}

}  // namespace splats
