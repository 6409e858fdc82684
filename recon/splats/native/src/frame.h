// A picture being drawn: the Gaussians on the screen, and each tile's list of them.
#pragma once
#include <cstdint>
#include <vector>

#include "buffer.h"
#include "simd.h"
#include "splats.h"
#include "threads.h"

namespace splats {

constexpr int LANES = SPLATS_LANES;
constexpr int TILE = 16;                            // pixels along a tile's side
constexpr int BLOCK = 4;                            // pixels along a block's side: a block is one vector
constexpr int BLOCKS = (TILE / BLOCK) * (TILE / BLOCK);  // in a tile
constexpr int CHUNK = 1024;                         // Gaussians per task

// What gsplat defines: see recon/splats/reference.py.
constexpr float LOW_PASS = 0.3f;                    // px², added to a Gaussian's covariance on the screen
constexpr float LOG2_ALPHA_MIN = -7.99435343685886f;  // log2 of 1/255, below which a Gaussian is not drawn
constexpr float ALPHA_MAX = 0.999f, LOG2_ALPHA_MAX = -0.001444f;  // the latter rounded down
constexpr float LIGHT_MIN = 1e-4f;                  // transmittance at which a pixel is closed
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

// A list of tiles and its derivatives take up to 96 bytes per entry; a picture that needs more entries than
// this is drawn in horizontal bands. Tests set it low.
#if defined(SPLATS_MOST_ENTRIES)
constexpr int64_t MOST_ENTRIES = SPLATS_MOST_ENTRIES;
#else
constexpr int64_t MOST_ENTRIES = 4 << 20;
#endif

// Rows of a group's parameters: see splats.h.
constexpr int MEAN = 0, QUATERNION = 3, LOG_SCALE = 7, LOGIT = 10, COLOR = 11;
inline int rows_of(int bases) { return COLOR + 3 * bases; }

// A group of Gaussians within an array of parameters, by the first one's number, which is a multiple of LANES.
template <class T>
T *group_at(T *parameters, int rows, int64_t first) {
    return parameters + first * rows;
}

// A Gaussian on the screen: log2 alpha = log2_opacity + a dx² + b dx dy + c dy², with d = centre - pixel.
struct alignas(64) Splat {
    float x, y, a, b, c, log2_opacity, rgb[3], depth, reach_x, reach_y, unused[4];
};
enum SplatField { X, Y, A, B, C, LOG2_OPACITY, RED, GREEN, BLUE, DEPTH, REACH_X, REACH_Y };

// Sums over the pixels of a tile of g = ∂L/∂ln alpha times powers of the distance to the tile's centre, and of
// the derivatives by colour and depth. `gather` brings them to the Gaussian's own centre.
struct alignas(64) Moments {
    float one, x, y, xx, xy, yy, rgb[3], depth, unused[6];
};

// Tiles x0 ≤ x < x1, y0 ≤ y < y1; none where x0 = x1.
struct Rect {
    uint16_t x0, x1, y0, y1;
    bool empty() const { return x0 == x1; }
};

struct Entry {
    int32_t splat, slot;
};

// A Gaussian's tiles, in [first, first + count) of `tile_of_slot` and of `slots`.
struct SlotRange {
    int32_t first, count;
};

// Tiles' lists of some rows of tiles, front to back.
struct Lists {
    int first_row = 0, last_row = -1;   // rows of tiles [first_row, last_row)
    int64_t entries = 0;
    Buffer<Entry> entry;
    Buffer<int32_t> tile_start;         // into `entry`, one more than there are tiles in the rows
    Buffer<SlotRange> slots_of;         // by Gaussian
    Buffer<int32_t> tile_of_slot;       // x + y · tiles in a row, of the whole picture
    // What the forward pass tells the backward pass: which Gaussians of a piece changed a block, by place in the piece.
    Buffer<uint8_t> changed;            // for a piece of n entries from `first` on: block b's from 16 · first + b · n
    Buffer<uint16_t> changed_count;     // by piece and block
};

struct View : splats_camera {
    float eye[3];  // the camera's centre in the world

    explicit View(const splats_camera &camera) : splats_camera(camera) {
        for (int k = 0; k < 3; k++)
            eye[k] = -(rotation[k] * translation[0] + rotation[3 + k] * translation[1] +
                       rotation[6 + k] * translation[2]);
    }
};

}  // namespace splats

struct splats_frame {
    int64_t count = 0, seen = 0, intersections = 0;
    int width = 0, height = 0, tiles_x = 0, tiles_y = 0;
    std::vector<int> bands;  // rows of tiles at which bands begin, and the last row's end

    splats::Buffer<splats::Splat> splats;
    splats::Buffer<splats::Rect> rects;
    splats::Buffer<int32_t> by_depth;   // the `seen` Gaussians, nearest first
    splats::Lists lists;                // of the band drawn last
    splats::Buffer<float> light;        // transmittance left at every pixel
    splats::Buffer<splats::Moments> slots;     // by slot
    splats::Buffer<splats::Moments> gathered;  // by Gaussian

    // Working memory of the steps.
    splats::Buffer<uint32_t> keys[2];
    splats::Buffer<int32_t> indices;
    splats::Buffer<int64_t> row_areas;
    splats::Buffer<int32_t> histogram;
    splats::Buffer<float> image, rendered, image_gradient;  // of training steps
};

namespace splats {

int chunks_of(int64_t count);

// project.cpp: fills splats and rects (and radii, if wanted); decides on the bands.
void project(Pool &pool, splats_frame &frame, const splats_scene &scene, const View &view, bool antialiased,
             float *radii);

// bin.cpp
void sort_by_depth(splats_frame &frame);
void list_tiles(Pool &pool, splats_frame &frame, int first_row, int last_row);

// rasterize.cpp, for the rows in frame.lists
void rasterize(Pool &pool, splats_frame &frame, const float background[3], const splats_pictures &out);

// rasterize_backward.cpp: fills frame.slots for the rows in frame.lists
void rasterize_backward(Pool &pool, splats_frame &frame, const splats_pictures &drawn,
                        const splats_picture_gradients &gradients);

// project_backward.cpp
void gather(Pool &pool, splats_frame &frame, bool add);
void project_backward(Pool &pool, const splats_frame &frame, const splats_scene &scene, const View &view,
                      bool antialiased, const splats_scene_gradients &out);
void learn(Pool &pool, const splats_frame &frame, const splats_adam &adam, const View &view, bool antialiased);

// loss.cpp
double photometric_loss(Pool &pool, std::vector<Buffer<float>> &scratch, const float *image, const float *target, const float *weight,
                        int width, int height, float lambda_dssim, float *gradient);

// explore.cpp
void explore(Pool &pool, float *parameters, int64_t count, int rows, float strength, uint64_t seed);

}  // namespace splats
