// L1 + SSIM and its gradient, streaming: a row of the picture goes in, a row of the gradient comes out ten rows later.
//
// With means, second moments and covariance under the window, v = SSIM has at every pixel three derivatives
//
//     p = ∂v/∂E[x],   q = ∂v/∂E[x²],   r = ∂v/∂E[xy],
//
// and because the window is symmetric, ∂(Σ v)/∂x = window ∗ p + 2 x (window ∗ q) + y (window ∗ r). Rows hold the
// three channels side by side as the picture does, so that the next pixel is three floats away. A sum under the
// window is taken down the columns first, from rows that lie in a ring, then along the row.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "frame.h"

namespace splats {

namespace {

constexpr int RADIUS = 5, ROWS = 2 * RADIUS + 1, CHANNELS = 3;
constexpr int MARGIN = LANES;        // zeros before and behind a row: at least RADIUS pixels, and whole vectors
constexpr int LEAST_BAND = 32;       // rows; 2 · RADIUS more are read around it
constexpr float C1 = 0.01f * 0.01f, C2 = 0.03f * 0.03f;

// A Gaussian of σ = 1.5 at distances 0 … 5, of sum 1 over the window.
constexpr float TAP[RADIUS + 1] = {0.26601171493530273f, 0.21300552785396576f, 0.10936068743467331f,
                                   0.036000773310661316f, 0.0075987582094967365f, 0.001028380123898387f};

template <int K>
Lanes pair_along(const float *p) {
    return shifted<-CHANNELS * K>(p) + shifted<CHANNELS * K>(p);
}

// Sum under the window along a row.
Lanes along(const float *p) {
    Lanes total = all(TAP[0]) * shifted<0>(p);
    total = fma(all(TAP[1]), pair_along<1>(p), total);
    total = fma(all(TAP[2]), pair_along<2>(p), total);
    total = fma(all(TAP[3]), pair_along<3>(p), total);
    total = fma(all(TAP[4]), pair_along<4>(p), total);
    return fma(all(TAP[5]), pair_along<5>(p), total);
}

struct Task {
    const float *image, *target, *weight;
    float *gradient;  // may be null
    int width, height;
    float l1_scale, dssim_scale;
    double *row_loss;

    // A band of rows, and the memory it works in.
    struct Band {
        int length, stride;  // floats in a row; with its margins, in whole vectors
        float *image[ROWS], *target[ROWS], *p[ROWS], *q[ROWS], *r[ROWS];
        float *moment[4], *summed[3], *weight;

        Band(const Task &task, Buffer<float> &memory) {
            length = CHANNELS * task.width;
            stride = (length + LANES - 1) / LANES * LANES + 2 * MARGIN;
            const size_t rows = 5 * ROWS + 4 + 3 + 1;
            float *next = memory.reserve(rows * stride);
            std::fill_n(next, rows * stride, 0.0f);
            const auto take = [&] {
                float *row = next + MARGIN;
                next += stride;
                return row;
            };
            for (auto ring : {image, target, p, q, r})
                for (int k = 0; k < ROWS; k++) ring[k] = take();
            for (float *&row : moment) row = take();
            for (float *&row : summed) row = take();
            weight = take();
        }
    };

    static int slot(int y) { return (y + 2 * ROWS) % ROWS; }

    // Row y of the pictures into the ring, or zeros past the border.
    void read(Band &band, int y) const {
        float *x = band.image[slot(y)], *t = band.target[slot(y)];
        if (y < 0 || y >= height) {
            std::fill_n(x, band.length, 0.0f);
            std::fill_n(t, band.length, 0.0f);
            return;
        }
        const size_t first = static_cast<size_t>(y) * band.length;
        std::memcpy(x, image + first, sizeof(float) * band.length);
        std::memcpy(t, target + first, sizeof(float) * band.length);
        if (!weight) return;
        for (int column = 0; column < width; column++)  // what does not count is right as it is
            if (!(weight[static_cast<size_t>(y) * width + column] > 0))
                std::memcpy(t + CHANNELS * column, x + CHANNELS * column, sizeof(float) * CHANNELS);
    }

    void read_weight(Band &band, int y) const {
        for (int column = 0; column < width; column++)
            for (int c = 0; c < CHANNELS; c++)
                band.weight[CHANNELS * column + c] = weight ? weight[static_cast<size_t>(y) * width + column] : 1.0f;
    }

    // Sums down the columns of x, y, x² + y² and x y about row y.
    void moments_down(Band &band, int y) const {
        const float *image_row[ROWS], *target_row[ROWS];
        for (int k = 0; k < ROWS; k++) {
            image_row[k] = band.image[slot(y - RADIUS + k)];
            target_row[k] = band.target[slot(y - RADIUS + k)];
        }
        for (int i = 0; i < band.length; i += LANES) {
            const Lanes x = load(image_row[RADIUS] + i), t = load(target_row[RADIUS] + i), center = all(TAP[0]);
            Lanes mean_x = center * x, mean_t = center * t;
            Lanes squares = center * fma(x, x, t * t), product = center * (x * t);
            for (int k = 1; k <= RADIUS; k++) {
                const Lanes tap = all(TAP[k]);
                const Lanes x0 = load(image_row[RADIUS - k] + i), x1 = load(image_row[RADIUS + k] + i);
                const Lanes t0 = load(target_row[RADIUS - k] + i), t1 = load(target_row[RADIUS + k] + i);
                mean_x = fma(tap, x0 + x1, mean_x);
                mean_t = fma(tap, t0 + t1, mean_t);
                squares = fma(tap, fma(x0, x0, x1 * x1) + fma(t0, t0, t1 * t1), squares);
                product = fma(tap, fma(x0, t0, x1 * t1), product);
            }
            store(band.moment[0] + i, mean_x);
            store(band.moment[1] + i, mean_t);
            store(band.moment[2] + i, squares);
            store(band.moment[3] + i, product);
        }
    }

    // SSIM along row y, and its weighted derivatives into the ring; returns Σ weight (1 - SSIM).
    double similarity(Band &band, int y) const {
        float *p = band.p[slot(y)], *q = band.q[slot(y)], *r = band.r[slot(y)];
        Lanes loss = all(0.0f);
        for (int i = 0; i < band.length; i += LANES) {
            const Lanes mean_x = along(band.moment[0] + i), mean_t = along(band.moment[1] + i);
            const Lanes squares = along(band.moment[2] + i), product = along(band.moment[3] + i);
            const Lanes two = all(2.0f), mean_squares = fma(mean_x, mean_x, mean_t * mean_t), mean_xt = mean_x * mean_t;
            const Lanes a = mean_squares + all(C1), b = squares - mean_squares + all(C2);
            const Lanes c = fma(two, mean_xt, all(C1)), d = fma(two, product - mean_xt, all(C2));
            const Lanes inverse_a = reciprocal(a), inverse_b = reciprocal(b), inverse = inverse_a * inverse_b;
            const Lanes ssim = c * d * inverse, weight = load(band.weight + i);  // 0 past the row's end
            loss = fma(weight, all(1.0f) - ssim, loss);
            store(p + i, weight * two * fma(mean_t, (d - c) * inverse, mean_x * ssim * (inverse_b - inverse_a)));
            store(q + i, -(weight * ssim * inverse_b));
            store(r + i, weight * two * c * inverse);
        }
        return sum(loss);
    }

    void derivatives_down(Band &band, int y) const {
        float *const *rings[3] = {band.p, band.q, band.r};
        for (int stream = 0; stream < 3; stream++) {
            const float *row[ROWS];
            for (int k = 0; k < ROWS; k++) row[k] = rings[stream][slot(y - RADIUS + k)];
            for (int i = 0; i < band.length; i += LANES) {
                Lanes total = all(TAP[0]) * load(row[RADIUS] + i);
                for (int k = 1; k <= RADIUS; k++)
                    total = fma(all(TAP[k]), load(row[RADIUS - k] + i) + load(row[RADIUS + k] + i), total);
                store(band.summed[stream] + i, total);
            }
        }
    }

    // Row y of the gradient.
    void finish(Band &band, int y) const {
        derivatives_down(band, y);
        const float *x_row = band.image[slot(y)], *t_row = band.target[slot(y)];
        float *out = gradient + static_cast<size_t>(y) * band.length;
        const Lanes l1 = all(l1_scale), dssim = all(-dssim_scale);
        for (int i = 0; i < band.length; i += LANES) {
            const Lanes x = load(x_row + i), t = load(t_row + i);
            const Lanes by_ssim = fma(t, along(band.summed[2] + i),
                                      fma(x + x, along(band.summed[1] + i), along(band.summed[0] + i)));
            const Lanes step = where(x > t, l1) - where(t > x, l1);
            const Lanes result = fma(dssim, by_ssim, step * load(band.weight + i));
            if (i + LANES <= band.length) {
                store(out + i, result);
            } else {
                alignas(64) float rest[LANES];
                store(rest, result);
                std::copy_n(rest, band.length - i, out + i);
            }
        }
    }

    double absolute_difference(const Band &band, int y) const {
        const float *x = band.image[slot(y)], *t = band.target[slot(y)];
        Lanes total = all(0.0f);
        for (int i = 0; i < band.length; i += LANES)
            total = fma(load(band.weight + i), abs(load(x + i) - load(t + i)), total);
        return sum(total);
    }

    void run(int first, int last, Buffer<float> &memory) const {
        Band band(*this, memory);
        for (int y = first - 2 * RADIUS; y < first; y++) read(band, y);
        for (int y = first - RADIUS; y < last + RADIUS; y++) {
            read(band, y + RADIUS);  // over row y - RADIUS - 1, which is done with
            if (y < 0 || y >= height) {
                for (float *row : {band.p[slot(y)], band.q[slot(y)], band.r[slot(y)]})
                    std::fill_n(row, band.length, 0.0f);
            } else {
                read_weight(band, y);
                moments_down(band, y);
                const double dissimilar = similarity(band, y);
                if (y >= first && y < last)
                    row_loss[y] = l1_scale * absolute_difference(band, y) + dssim_scale * dissimilar;
            }
            if (gradient && y - RADIUS >= first) {
                read_weight(band, y - RADIUS);
                finish(band, y - RADIUS);
            }
        }
    }
};

}  // namespace

double photometric_loss(Pool &pool, std::vector<Buffer<float>> &scratch, const float *image, const float *target,
                        const float *weight, int width, int height, float lambda_dssim, float *gradient) {
    const double numbers = double{CHANNELS} * width * height;
    std::vector<double> row_loss(height);
    const Task task{image,  target, weight, gradient, width, height, static_cast<float>((1 - lambda_dssim) / numbers),
                    static_cast<float>(lambda_dssim / numbers), row_loss.data()};
    const int bands = std::max(1, std::min(2 * pool.threads(), height / LEAST_BAND));
    pool.run(bands, [&](int band, int worker) {
        task.run(static_cast<int>(int64_t{height} * band / bands), static_cast<int>(int64_t{height} * (band + 1) / bands),
                 scratch[worker]);
    });
    double total = 0;
    for (double loss : row_loss) total += loss;
    return total;
}

}  // namespace splats
