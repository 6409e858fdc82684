// The C interface: checks what comes in, puts the steps together, and lets no exception out.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "frame.h"

struct splats_engine {
    splats::Pool pool;
    std::vector<splats::Buffer<float>> scratch;  // by worker

    explicit splats_engine(int threads) : pool(threads), scratch(threads) {}
};

namespace {

using namespace splats;

constexpr int LARGEST_SIDE = 1 << 16;

template <class Work>
int32_t guarded(splats_engine *engine, Work &&work) {
    try {
        engine->pool.resume();
        return work() ? SPLATS_OK : SPLATS_BAD_ARGUMENT;
    } catch (const Stopped &) {
        return SPLATS_STOPPED;
    } catch (const std::exception &) {
        return SPLATS_OUT_OF_MEMORY;
    }
}

bool usable(const splats_scene &scene) {
    const bool degree = scene.bases == 1 || scene.bases == 4 || scene.bases == 9 || scene.bases == 16;
    return degree && scene.count >= 0 && scene.count < INT32_MAX && scene.rows >= rows_of(scene.bases) &&
           (scene.parameters || scene.count == 0);
}

bool usable(const splats_camera &camera) {
    const auto side = [](int32_t pixels) { return pixels > 0 && pixels <= LARGEST_SIDE; };
    return side(camera.width) && side(camera.height) && camera.near_plane > 0;
}

void draw(Pool &pool, splats_frame &frame, const splats_scene &scene, const View &view, const splats_style &style,
          const splats_pictures &out) {
    project(pool, frame, scene, view, style.antialiased, out.radii);
    frame.intersections = 0;
    for (size_t band = 0; band + 1 < frame.bands.size(); band++) {
        list_tiles(pool, frame, frame.bands[band], frame.bands[band + 1]);
        frame.intersections += frame.lists.entries;
        rasterize(pool, frame, style.background, out);
    }
}

// Fills frame.gathered. The lists of the last band are still there; in a picture of one band nothing is done again.
void derive_screen(Pool &pool, splats_frame &frame, const splats_pictures &drawn,
                   const splats_picture_gradients &gradients, const splats_style &style) {
    const size_t bands = frame.bands.size() - 1;
    for (size_t band = 0; band < bands; band++) {
        if (bands > 1) {
            list_tiles(pool, frame, frame.bands[band], frame.bands[band + 1]);
            rasterize(pool, frame, style.background, drawn);  // for what changed each block
        }
        rasterize_backward(pool, frame, drawn, gradients);
        gather(pool, frame, band > 0);
    }
}

// pictured = A · rendered + b, in place; `rendered` keeps what was there.
void expose(float *image, float *rendered, size_t pixels, const float *exposure) {
    std::copy_n(image, 3 * pixels, rendered);
    for (size_t i = 0; i < pixels; i++)
        for (int r = 0; r < 3; r++) {
            const float *row = exposure + 4 * r;
            image[3 * i + r] = row[0] * rendered[3 * i] + row[1] * rendered[3 * i + 1] + row[2] * rendered[3 * i + 2] + row[3];
        }
}

// The derivative by what was rendered, in place, and by the exposure.
void unexpose(float *gradient, const float *rendered, size_t pixels, const float *exposure, float *by_exposure) {
    double total[12] = {};
    for (size_t i = 0; i < pixels; i++) {
        const float v[3] = {gradient[3 * i], gradient[3 * i + 1], gradient[3 * i + 2]};
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++) total[4 * r + c] += v[r] * rendered[3 * i + c];
            total[4 * r + 3] += v[r];
        }
        for (int c = 0; c < 3; c++)
            gradient[3 * i + c] = exposure[c] * v[0] + exposure[4 + c] * v[1] + exposure[8 + c] * v[2];
    }
    std::copy_n(total, 12, by_exposure);
}

}  // namespace

extern "C" {

splats_engine *splats_engine_create(int32_t threads) {
    try {
        return new splats_engine(std::max(1, threads));
    } catch (const std::exception &) {
        return nullptr;
    }
}

void splats_engine_destroy(splats_engine *engine) { delete engine; }

void splats_stop(splats_engine *engine) { engine->pool.stop(); }

splats_frame *splats_frame_create(void) { return new (std::nothrow) splats_frame; }

void splats_frame_destroy(splats_frame *frame) { delete frame; }

void splats_frame_statistics(const splats_frame *frame, splats_statistics *out) {
    const auto bands = static_cast<int64_t>(frame->bands.size());
    *out = {frame->seen, frame->intersections, std::max<int64_t>(0, bands - 1)};
}

int32_t splats_forward(splats_engine *engine, splats_frame *frame, const splats_scene *scene,
                       const splats_camera *camera, const splats_style *style, const splats_pictures *out) {
    return guarded(engine, [&] {
        if (!usable(*scene) || !usable(*camera) || !out->image) return false;
        draw(engine->pool, *frame, *scene, View(*camera), *style, *out);
        return true;
    });
}

int32_t splats_backward(splats_engine *engine, splats_frame *frame, const splats_scene *scene,
                        const splats_camera *camera, const splats_style *style, const splats_pictures *drawn,
                        const splats_picture_gradients *gradients, const splats_scene_gradients *out) {
    return guarded(engine, [&] {
        const bool same = frame->count == scene->count && frame->width == camera->width && frame->height == camera->height;
        if (!usable(*scene) || !usable(*camera) || !same || !drawn->image) return false;
        if (gradients->depth_sum && !drawn->depth_sum) return false;
        derive_screen(engine->pool, *frame, *drawn, *gradients, *style);
        project_backward(engine->pool, *frame, *scene, View(*camera), style->antialiased, *out);
        return true;
    });
}

int32_t splats_loss(splats_engine *engine, const float *image, const float *target, const float *weight,
                    int32_t width, int32_t height, float lambda_dssim, double *loss, float *gradient) {
    return guarded(engine, [&] {
        if (width <= 0 || height <= 0) return false;
        *loss = photometric_loss(engine->pool, engine->scratch, image, target, weight, width, height, lambda_dssim, gradient);
        return true;
    });
}

int32_t splats_train_step(splats_engine *engine, splats_frame *frame, const splats_camera *camera,
                          const splats_style *style, const splats_comparison *comparison, const splats_adam *adam,
                          double *loss) {
    return guarded(engine, [&] {
        const splats_scene scene{adam->parameters, adam->count, adam->rows, adam->bases};
        if (!usable(scene) || !usable(*camera) || adam->step < 1) return false;
        const size_t pixels = static_cast<size_t>(camera->width) * camera->height;
        const bool exposed = comparison->exposure != nullptr;
        const View view(*camera);
        splats_pictures drawn = {};
        drawn.image = frame->image.reserve(3 * pixels);
        float *gradient = frame->image_gradient.reserve(3 * pixels);
        draw(engine->pool, *frame, scene, view, *style, drawn);
        float *rendered = drawn.image;
        if (exposed) {
            rendered = frame->rendered.reserve(3 * pixels);
            expose(drawn.image, rendered, pixels, comparison->exposure);
        }
        *loss = photometric_loss(engine->pool, engine->scratch, drawn.image, comparison->target, comparison->weight,
                                 camera->width, camera->height, comparison->lambda_dssim, gradient);
        if (!std::isfinite(*loss)) return true;  // nothing is to be learnt from NaN; the caller sees the loss
        if (exposed) unexpose(gradient, rendered, pixels, comparison->exposure, comparison->exposure_gradient);
        drawn.image = rendered;
        splats_picture_gradients gradients = {};
        gradients.image = gradient;
        derive_screen(engine->pool, *frame, drawn, gradients, *style);
        learn(engine->pool, *frame, *adam, view, style->antialiased);
        return true;
    });
}

int32_t splats_explore(splats_engine *engine, float *parameters, int64_t count, int32_t rows, float strength,
                       uint64_t seed) {
    return guarded(engine, [&] {
        explore(engine->pool, parameters, count, rows, strength, seed);
        return true;
    });
}

}  // extern "C"
