"""The photometric loss of 3DGS, (1 - λ) L1 + λ (1 - SSIM), with a weight for every pixel."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from recon.splats.native.library import check_comparable, engine, unavailable

WINDOW, SIGMA = 11, 1.5
"""Pixels and standard deviation of SSIM's Gaussian window (Wang et al. 2004)."""
C1, C2 = 0.01**2, 0.03**2
"""SSIM's constants for values in [0, 1] (Wang et al. 2004)."""


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

    Raises:
        BridgeError: not of these shapes.
    """
    check_comparable(image, target, weight)
    if image.device.type == "cpu" and image.dtype == torch.float32 and unavailable() is None:
        return _Compiled.apply(image, target, weight, lambda_dssim)  # type: ignore[return-value]
    if weight is None:
        weight = torch.ones(image.shape[:2], device=image.device)
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
        """Blur both axes by the window of SSIM."""
        planes = z.permute(2, 0, 1)[:, None]
        planes = torch.nn.functional.conv2d(planes, taps.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
        planes = torch.nn.functional.conv2d(planes, taps.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))
        return planes[:, 0].permute(1, 2, 0)

    mx, my = blur(x), blur(y)
    var_x, var_y, covariance = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similar = (2 * mx * my + C1) * (2 * covariance + C2)
    return similar / ((mx * mx + my * my + C1) * (var_x + var_y + C2))


class _Compiled(torch.autograd.Function):
    """The loss in float32 on the CPU, whose gradient is computed along with the value."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, target: Tensor, weight: Tensor | None, lambda_dssim: float
    ) -> Tensor:
        """Compute the loss and its gradient at once."""
        picture, wanted = (t.detach().float().contiguous() for t in (image, target))
        weights = None if weight is None else weight.detach().float().contiguous()
        ctx.found = torch.empty_like(picture) if ctx.needs_input_grad[0] else None
        loss = engine().loss(picture, wanted, weights, lambda_dssim, ctx.found)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradient found by `forward`."""
        return ctx.found * v, None, None, None
