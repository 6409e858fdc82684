"""Weighted L1 + D-SSIM and its gradient in three passes over the rows of a picture.

Pictures are [h, 3 w] with interleaved channels: a blur along x is then a sum of elements three apart, one long
loop that vectorises. The window is the 11-tap Gaussian (σ = 1.5) of Wang et al. 2004, zeros outside.
"""

import numpy as np

from recon.splats.kernels.jit import kernel

PAD_ROWS = 5
PAD = 3 * PAD_ROWS
_taps = np.exp(-0.5 * (np.arange(6) / 1.5) ** 2)
_taps /= _taps[0] + 2 * _taps[1:].sum()
W0, W1, W2, W3, W4, W5 = (np.float32(t) for t in _taps)
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


@kernel
def _along_x(padded, out):
    """`padded` has PAD elements more than `out` on either side."""
    for i in range(out.shape[0]):
        out[i] = (
            W0 * padded[i + 15]
            + W1 * (padded[i + 12] + padded[i + 18])
            + W2 * (padded[i + 9] + padded[i + 21])
            + W3 * (padded[i + 6] + padded[i + 24])
            + W4 * (padded[i + 3] + padded[i + 27])
            + W5 * (padded[i] + padded[i + 30])
        )


@kernel
def _along_y(plane, y, out):
    """Row `y` of the picture; `plane` has PAD_ROWS rows more above and below."""
    a, b, c, d, e, f = plane[y], plane[y + 1], plane[y + 2], plane[y + 3], plane[y + 4], plane[y + 5]
    g, h, i, j, k = plane[y + 6], plane[y + 7], plane[y + 8], plane[y + 9], plane[y + 10]
    for x in range(out.shape[0]):
        out[x] = (
            W0 * f[x]
            + W1 * (e[x] + g[x])
            + W2 * (d[x] + h[x])
            + W3 * (c[x] + i[x])
            + W4 * (b[x] + j[x])
            + W5 * (a[x] + k[x])
        )


@kernel
def moments(first, last, image, target, weight, wanted, blurred):
    """Pass 1: `wanted` is the target, or the image itself where a pixel weighs nothing; five moments along x."""
    n = image.shape[1]
    x, y = np.zeros(n + 2 * PAD, np.float32), np.zeros(n + 2 * PAD, np.float32)
    product = np.zeros(n + 2 * PAD, np.float32)
    for row in range(first, last):
        for i in range(n):
            x[PAD + i] = image[row, i]
            y[PAD + i] = target[row, i] if weight[row, i // 3] > ZERO else image[row, i]
            wanted[row, i] = y[PAD + i]
        _along_x(x, blurred[0, PAD_ROWS + row])
        _along_x(y, blurred[1, PAD_ROWS + row])
        for i in range(PAD, n + PAD):
            product[i] = x[i] * x[i]
        _along_x(product, blurred[2, PAD_ROWS + row])
        for i in range(PAD, n + PAD):
            product[i] = y[i] * y[i]
        _along_x(product, blurred[3, PAD_ROWS + row])
        for i in range(PAD, n + PAD):
            product[i] = x[i] * y[i]
        _along_x(product, blurred[4, PAD_ROWS + row])


@kernel
def similarity(first, last, blurred, weight, derivatives, dssim):
    """Pass 2: Σ over a row of weight · (1 - SSIM), and its derivatives by the moments, blurred along x."""
    n = blurred.shape[2]
    mx, my, xx = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    yy, xy, w = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    loss = np.empty(n, np.float32)
    by_mean, by_square = np.zeros(n + 2 * PAD, np.float32), np.zeros(n + 2 * PAD, np.float32)
    by_product = np.zeros(n + 2 * PAD, np.float32)
    for row in range(first, last):
        _along_y(blurred[0], row, mx)
        _along_y(blurred[1], row, my)
        _along_y(blurred[2], row, xx)
        _along_y(blurred[3], row, yy)
        _along_y(blurred[4], row, xy)
        for i in range(n):
            w[i] = weight[row, i // 3]
        for i in range(n):
            luminance = mx[i] * mx[i] + my[i] * my[i] + C1
            contrast = xx[i] - mx[i] * mx[i] + yy[i] - my[i] * my[i] + C2
            means, covariance = TWO * mx[i] * my[i] + C1, TWO * (xy[i] - mx[i] * my[i]) + C2
            inverse = ONE / (luminance * contrast)
            ssim = means * covariance * inverse
            loss[i] = w[i] * (ONE - ssim)
            slope = my[i] * (covariance - means) * inverse + mx[i] * ssim * (ONE / contrast - ONE / luminance)
            by_mean[PAD + i] = -TWO * w[i] * slope
            by_square[PAD + i] = w[i] * ssim / contrast
            by_product[PAD + i] = -TWO * w[i] * means * inverse
        total = 0.0
        for i in range(n):
            total += loss[i]
        dssim[row] = total
        _along_x(by_mean, derivatives[0, PAD_ROWS + row])
        _along_x(by_square, derivatives[1, PAD_ROWS + row])
        _along_x(by_product, derivatives[2, PAD_ROWS + row])


@kernel
def gradient(first, last, image, wanted, weight, derivatives, scale_l1, scale_dssim, absolute, out):
    """Pass 3: Σ over a row of weight · |image - target|, and the gradient of the whole loss by the image."""
    n = image.shape[1]
    by_mean, by_square = np.empty(n, np.float32), np.empty(n, np.float32)
    by_product, w = np.empty(n, np.float32), np.empty(n, np.float32)
    for row in range(first, last):
        _along_y(derivatives[0], row, by_mean)
        _along_y(derivatives[1], row, by_square)
        _along_y(derivatives[2], row, by_product)
        for i in range(n):
            w[i] = weight[row, i // 3]
        total = 0.0
        for i in range(n):
            x, y = image[row, i], wanted[row, i]
            total += w[i] * abs(x - y)
            side = ONE if x > y else (-ONE if x < y else ZERO)
            by_ssim = by_mean[i] + TWO * x * by_square[i] + y * by_product[i]
            out[row, i] = scale_l1 * w[i] * side + scale_dssim * by_ssim
        absolute[row] = total
