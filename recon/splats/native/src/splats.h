/* The C interface of bridge4d's CPU splatting engine: 3D Gaussian splatting, forward, backward and training.
 *
 * Plain pointers to float32, no allocation that the caller has to free but of the two handles. All lengths are
 * in elements. Every function that can fail returns a `splats_status`. A handle serves one call at a time.
 *
 * Parameters are planar in groups of SPLATS_LANES Gaussians: an array [groups][rows][SPLATS_LANES], in which row r
 * of a group holds one number of each of its Gaussians. All that an iteration needs of a group lies together.
 *
 *     rows 0–2   mean x, y, z             rows 7–9   log scale x, y, z
 *     rows 3–6   quaternion w, x, y, z    row  10    opacity logit
 *     row  11 + 3 k + c                   colour: coefficient k of channel c
 *
 * `rows` is at least 11 + 3 · bases. The memory is aligned to 64 bytes. Lanes of the last group past `count` are read
 * and written, so they must exist; what they hold does not matter.
 *
 * The same input gives the same output, bit for bit, for any number of threads.
 *
 * Memory: about 150 bytes per Gaussian and frame, 28 per pixel, and up to 96 for every pair of a Gaussian and a tile
 * of 16 × 16 pixels in a band. A picture is drawn in as many bands of whole rows of tiles as keep that under 400 MB;
 * one row of tiles is never split, so many Gaussians as wide as a wide picture take more.
 */
#ifndef BRIDGE4D_SPLATS_H
#define BRIDGE4D_SPLATS_H

#include <stdint.h>

#if defined(_WIN32)
#define SPLATS_API __declspec(dllexport)
#else
#define SPLATS_API __attribute__((visibility("default")))
#endif

#define SPLATS_ABI 2
#define SPLATS_LANES 16

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    SPLATS_OK = 0,
    SPLATS_STOPPED = 1,       /* splats_stop was called */
    SPLATS_OUT_OF_MEMORY = 2,
    SPLATS_BAD_ARGUMENT = 3
} splats_status;

typedef struct splats_engine splats_engine; /* threads and their working memory */
typedef struct splats_frame splats_frame;   /* what a backward pass needs of its forward pass */

/* A pinhole camera: x_cam = rotation · x_world + translation, OpenCV axes, top-left pixel's centre at (0.5, 0.5). */
typedef struct {
    float rotation[9]; /* row-major */
    float translation[3];
    float focal_x, focal_y, center_x, center_y; /* pixels */
    float limit_x[2], limit_y[2]; /* x / z and y / z (min, max) past which the projection's Jacobian is held */
    float near_plane, far_plane;  /* drawn are z-depths strictly between */
    int32_t width, height;
} splats_camera;

typedef struct {
    float background[3];
    int32_t antialiased; /* scale opacity by what the low-pass adds to a Gaussian's area (Mip-Splatting) */
} splats_style;

typedef struct {
    const float *parameters;
    int64_t count;
    int32_t rows;  /* in a group */
    int32_t bases; /* spherical harmonics in use: 1, 4, 9 or 16; rows past them are not touched */
} splats_scene;

/* Row-major pictures. Any pointer but `image` may be null: then it is not computed. */
typedef struct {
    float *image;        /* height × width × 3 */
    float *alpha;        /* height × width, in [0, 1] */
    float *depth_sum;    /* Σ weight · z-depth */
    float *depth_median; /* z-depth of the Gaussian at which transmittance falls to a half; 0 where it never does */
    float *radii;        /* count: pixels within which alpha reaches 1/255; 0 where not seen */
} splats_pictures;

/* Derivatives of a loss by the pictures; null for zero. */
typedef struct {
    const float *image;
    const float *alpha;
    const float *depth_sum;
    const float *depth_median;
} splats_picture_gradients;

/* Derivatives of the loss by what was drawn; null for what is not wanted. All are overwritten. */
typedef struct {
    float *parameters; /* laid out as the scene */
    float *means2d;    /* count × 2: by the centres in pixels */
    float *camera;     /* 12: by rotation (row-major), then translation */
} splats_scene_gradients;

/* Adam (Kingma & Ba 2015) on the Gaussians that a camera sees; the others keep their values and moments. */
typedef struct {
    float *parameters, *first_moments, *second_moments; /* laid out alike */
    int64_t count;
    int32_t rows;
    int32_t bases;
    int32_t step;       /* 1, 2, …: for the bias correction */
    const float *rates; /* learning rate of each of the 11 + 3 · bases rows */
    float beta1, beta2, epsilon;
    float opacity_regularisation; /* added to the loss: this times the sum of the seen Gaussians' opacities */
    float scale_regularisation;   /* this times the sum of the seen Gaussians' scales */
    float *gradient_sum; /* count, += |derivative by the centre on the screen|, in half pictures; null: not wanted */
    float *visits;       /* count, += 1 for the Gaussians seen; null: not wanted */
} splats_adam;

/* What a training step compares its picture with. */
typedef struct {
    const float *target; /* height × width × 3 */
    const float *weight; /* height × width, or null for 1 everywhere */
    float lambda_dssim;
    const float *exposure;    /* 3 × 4, pictured = A · rendered + b; null: none */
    float *exposure_gradient; /* 3 × 4; null with `exposure` */
} splats_comparison;

/* Sizes of the last frame drawn: for benchmarks and for the curious. */
typedef struct {
    int64_t seen;          /* Gaussians in the picture */
    int64_t intersections; /* pairs of a Gaussian and a 16 × 16 tile */
    int64_t bands;         /* parts that the picture was drawn in to bound memory */
} splats_statistics;

SPLATS_API int32_t splats_abi(void);
SPLATS_API const char *splats_build(void); /* instruction set, compiler and hash of the sources */
SPLATS_API const char *splats_cpu_level(void); /* "x86-64-v4", "x86-64-v3" or "generic": the best this machine runs */

/* Null when memory or threads are not to be had. */
SPLATS_API splats_engine *splats_engine_create(int32_t threads);
SPLATS_API void splats_engine_destroy(splats_engine *engine);
/* From any thread: the call in progress returns SPLATS_STOPPED soon; the next call runs as usual. */
SPLATS_API void splats_stop(splats_engine *engine);

SPLATS_API splats_frame *splats_frame_create(void);
SPLATS_API void splats_frame_destroy(splats_frame *frame);
SPLATS_API void splats_frame_statistics(const splats_frame *frame, splats_statistics *out);

/* Draws a scene; `frame` remembers what splats_backward needs. */
SPLATS_API int32_t splats_forward(splats_engine *engine, splats_frame *frame, const splats_scene *scene,
                                  const splats_camera *camera, const splats_style *style,
                                  const splats_pictures *out);

/* Derivatives of a loss by scene and camera. Scene, camera, style and pictures are those of the forward pass. A picture
 * of several bands is drawn again on the way, over `drawn`, to the same bits. */
SPLATS_API int32_t splats_backward(splats_engine *engine, splats_frame *frame, const splats_scene *scene,
                                   const splats_camera *camera, const splats_style *style,
                                   const splats_pictures *drawn, const splats_picture_gradients *gradients,
                                   const splats_scene_gradients *out);

/* Mean over pixels and channels of weight · ((1 - λ) |image - target| + λ (1 - SSIM)), and its gradient.
 * SSIM: Wang et al. 2004, Gaussian window of 11 pixels, σ = 1.5, zeros past the border. Where the weight is 0
 * the target is taken to equal the image. `gradient` (height × width × 3) may be null. */
SPLATS_API int32_t splats_loss(splats_engine *engine, const float *image, const float *target, const float *weight,
                               int32_t width, int32_t height, float lambda_dssim, double *loss, float *gradient);

/* One iteration of training: draw, compare, derive, learn. */
SPLATS_API int32_t splats_train_step(splats_engine *engine, splats_frame *frame, const splats_camera *camera,
                                     const splats_style *style, const splats_comparison *comparison,
                                     const splats_adam *adam, double *loss);

/* The random walk of MCMC splatting (Kheradmand et al. 2024): moves every mean by
 * strength · σ(100 (0.005 - opacity)) · covariance · normal noise, drawn by a counter from `seed`. */
SPLATS_API int32_t splats_explore(splats_engine *engine, float *parameters, int64_t count, int32_t rows,
                                  float strength, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
