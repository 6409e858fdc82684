"""Weighted L1 + D-SSIM and its gradient in three passes over the rows of a picture.

Pictures are [h, 3 w] with interleaved channels: a blur along x is then a sum of elements three apart, one long
loop. Loops touch few arrays each, or one scratch array in planes of `BLOCK`: LLVM vectorises only where it can
cheaply rule out that arrays overlap. The window is the 11-tap Gaussian (σ = 1.5) of Wang et al. 2004, zeros outside.
"""

import numpy as np

from recon.splats.kernels.jit import kernel

PAD_ROWS = 5
PAD = 3 * PAD_ROWS
_taps = np.exp(-0.5 * (np.arange(6) / 1.5) ** 2)
_taps /= _taps[0] + 2 * _taps[1:].sum()
W0, W1, W2, W3, W4, W5 = (np.float32(t) for t in _taps)
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)
BLOCK = 256
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
        out[x] = W0 * f[x] + W1 * (e[x] + g[x]) + W2 * (d[x] + h[x])
    for x in range(out.shape[0]):
        out[x] += W3 * (c[x] + i[x]) + W4 * (b[x] + j[x]) + W5 * (a[x] + k[x])


@kernel
def _spread(weight, out):
    """Weights of pixels to weights of interleaved channels."""
    for x in range(weight.shape[0]):
        out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = weight[x]


@kernel
def _derivatives(s):
    """Of weight · (1 - SSIM) by the moments, for a block: planes 0-4 and 5 (weight) to 6 (value) and 7-9."""
    for i in range(BLOCK):
        mx, my, w = s[i], s[BLOCK + i], s[5 * BLOCK + i]
        luminance = mx * mx + my * my + C1
        contrast = s[2 * BLOCK + i] - mx * mx + s[3 * BLOCK + i] - my * my + C2
        means, covariance = TWO * mx * my + C1, TWO * (s[4 * BLOCK + i] - mx * my) + C2
        inverse = ONE / (luminance * contrast)
        ssim = means * covariance * inverse
        slope = my * (covariance - means) * inverse + mx * ssim * (ONE / contrast - ONE / luminance)
        s[6 * BLOCK + i] = w * (ONE - ssim)
        s[7 * BLOCK + i] = -TWO * w * slope
        s[8 * BLOCK + i] = w * ssim / contrast
        s[9 * BLOCK + i] = -TWO * w * means * inverse


@kernel
def _combine(x, y, w, by_mean, by_square, by_product, scale_l1, scale_dssim, absolute, out):
    for i in range(out.shape[0]):
        absolute[i] = w[i] * abs(x[i] - y[i])
    for i in range(out.shape[0]):
        side = ONE if x[i] > y[i] else ZERO
        side = -ONE if x[i] < y[i] else side
        out[i] = scale_l1 * w[i] * side
    for i in range(out.shape[0]):
        out[i] += scale_dssim * (by_mean[i] + TWO * x[i] * by_square[i] + y[i] * by_product[i])


@kernel
def _product(x, y, out):
    for i in range(out.shape[0]):
        out[i] = x[i] * y[i]


@kernel
def _total(values):
    total = 0.0
    for value in values:
        total += value
    return total


@kernel
def moments(first, last, image, target, weight, wanted, blurred):
    """Pass 1: `wanted` is the target, or the image itself where a pixel weighs nothing; five moments along x."""
    n = image.shape[1]
    x, y = np.zeros(n + 2 * PAD, np.float32), np.zeros(n + 2 * PAD, np.float32)
    w, product = np.empty(n, np.float32), np.empty(n + 2 * PAD, np.float32)
    for row in range(first, last):
        _spread(weight[row], w)
        for i in range(n):
            wanted[row, i] = target[row, i] if w[i] > ZERO else image[row, i]
        x[PAD : PAD + n] = image[row]
        y[PAD : PAD + n] = wanted[row]
        _along_x(x, blurred[0, PAD_ROWS + row])
        _along_x(y, blurred[1, PAD_ROWS + row])
        _product(x, x, product)
        _along_x(product, blurred[2, PAD_ROWS + row])
        _product(y, y, product)
        _along_x(product, blurred[3, PAD_ROWS + row])
        _product(x, y, product)
        _along_x(product, blurred[4, PAD_ROWS + row])


@kernel
def similarity(first, last, blurred, weight, derivatives, dssim):
    """Pass 2: Σ over a row of weight · (1 - SSIM), and its derivatives by the moments, blurred along x."""
    n = blurred.shape[2]
    s, w = np.zeros(10 * BLOCK, np.float32), np.empty(n, np.float32)
    padded = np.zeros((3, n + 2 * PAD), np.float32)
    for row in range(first, last):
        _spread(weight[row], w)
        total = 0.0
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            for moment in range(5):
                plane = blurred[moment, :, start : start + size]
                _along_y(plane, row, s[moment * BLOCK : moment * BLOCK + size])
            s[5 * BLOCK : 5 * BLOCK + size] = w[start : start + size]
            _derivatives(s)
            total += _total(s[6 * BLOCK : 6 * BLOCK + size])
            for part in range(3):
                plane = (7 + part) * BLOCK
                padded[part, PAD + start : PAD + start + size] = s[plane : plane + size]
        dssim[row] = total
        for part in range(3):
            _along_x(padded[part], derivatives[part, PAD_ROWS + row])


@kernel
def gradient(first, last, image, wanted, weight, derivatives, scale_l1, scale_dssim, absolute, out):
    """Pass 3: Σ over a row of weight · |image - target|, and the gradient of the whole loss by the image."""
    n = image.shape[1]
    by_mean, by_square = np.empty(n, np.float32), np.empty(n, np.float32)
    by_product, w = np.empty(n, np.float32), np.empty(n, np.float32)
    difference = np.empty(n, np.float32)
    for row in range(first, last):
        _along_y(derivatives[0], row, by_mean)
        _along_y(derivatives[1], row, by_square)
        _along_y(derivatives[2], row, by_product)
        _spread(weight[row], w)
        _combine(
            image[row],
            wanted[row],
            w,
            by_mean,
            by_square,
            by_product,
            scale_l1,
            scale_dssim,
            difference,
            out[row],
        )
        absolute[row] = _total(difference)
