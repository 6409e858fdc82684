"""The photometric loss of 3DGS, (1 - λ) L1 + λ (1 - SSIM), with a weight for every pixel."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def photometric_loss(
    image: Float[Tensor, "h w 3"],
    target: Float[Tensor, "h w 3"],
    weight: Float[Tensor, "h w"] | None = None,
    *,
    lambda_dssim: float = 0.2,
) -> Float[Tensor, ""]:
    """Mean over all pixels of weight · ((1 - λ) |image - target| + λ (1 - SSIM)); differentiable in `image`.

    SSIM as in Wang et al. 2004: Gaussian window of 11 px, σ = 1.5, zeros past the border. The mean is over
    all pixels, whatever they weigh, so an image of low weights counts less than one of high weights. A pixel
    of weight 0 is taken to be right as rendered: its target is never looked at, not by its neighbours' SSIM either.
    """
    if weight is None:
        weight = torch.ones(image.shape[:2], device=image.device)
    if image.device.type == "cpu" and image.dtype == torch.float32:
        return _Compiled.apply(image, target, weight, lambda_dssim)  # type: ignore[return-value]
    return plain_loss(image, target, weight, lambda_dssim=lambda_dssim)


def plain_loss(
    image: Float[Tensor, "h w 3"],
    target: Float[Tensor, "h w 3"],
    weight: Float[Tensor, "h w"],
    *,
    lambda_dssim: float = 0.2,
) -> Float[Tensor, ""]:
    """`photometric_loss` in plain torch: any device and dtype."""
    w = weight[..., None].to(image.dtype)
    target = torch.where(w > 0, target.to(image.dtype), image.detach())
    l1 = (w * (image - target).abs()).mean()
    dssim = (w * (1 - ssim_map(image, target))).mean()
    return (1 - lambda_dssim) * l1 + lambda_dssim * dssim


def ssim_map(x: Float[Tensor, "h w 3"], y: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Structural similarity of every pixel's neighbourhood, in [-1, 1]."""
    taps = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    taps = torch.exp(-0.5 * (taps / SIGMA) ** 2)
    taps = taps / taps.sum()

    def blur(z: Tensor) -> Tensor:
        planes = z.permute(2, 0, 1)[:, None]
        planes = torch.nn.functional.conv2d(planes, taps.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
        planes = torch.nn.functional.conv2d(planes, taps.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))
        return planes[:, 0].permute(1, 2, 0)

    mx, my = blur(x), blur(y)
    var_x, var_y, covariance = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similar = (2 * mx * my + C1) * (2 * covariance + C2)
    return similar / ((mx * mx + my * my + C1) * (var_x + var_y + C2))


class _Compiled(torch.autograd.Function):
    """The same in float32 on the CPU; the gradient is found along with the value."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, weight: Tensor, lambda_dssim: float) -> Tensor:
        from recon.splats.kernels import ssim
        from recon.splats.kernels.threads import run

        h, w, _ = image.shape
        x, y = (t.detach().float().contiguous().numpy().reshape(h, 3 * w) for t in (image, target))
        weights = weight.detach().float().contiguous().numpy()
        wanted, found = np.empty_like(x), np.empty_like(x)
        blurred = _padded(5, h, 3 * w)
        derivatives = _padded(3, h, 3 * w)
        dssim, absolute = np.empty(h), np.empty(h)
        scales = np.float32((1 - lambda_dssim) / x.size), np.float32(lambda_dssim / x.size)
        run(ssim.moments, h, x, y, weights, wanted, blurred)
        run(ssim.similarity, h, blurred, weights, derivatives, dssim)
        run(ssim.gradient, h, x, wanted, weights, derivatives, *scales, absolute, found)
        ctx.found = torch.from_numpy(found).view(h, w, 3)
        total = (1 - lambda_dssim) * absolute.sum() + lambda_dssim * dssim.sum()
        return torch.tensor(total / x.size, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.found * v[0], None, None, None


def _padded(planes: int, rows: int, columns: int) -> np.ndarray:
    """Room for `rows` with zeros above and below."""
    from recon.splats.kernels.ssim import PAD_ROWS

    out = np.empty((planes, rows + 2 * PAD_ROWS, columns), np.float32)
    out[:, :PAD_ROWS] = 0
    out[:, -PAD_ROWS:] = 0
    return out
