"""How alike two pictures are: PSNR and SSIM, one figure per image."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.results.metric import Metric
from recon.errors import BridgeError

PSNR_CAP_DB = 100.0
"""PSNR of identical pictures. A finite cap keeps means, intervals and JSON finite; 8-bit rounding alone
already limits two different encodings of a picture to about 59 dB."""

_WINDOW, _SIGMA = 11, 1.5


def psnr(
    a: Float[Tensor, "n h w 3"], b: Float[Tensor, "n h w 3"], mask: Bool[Tensor, "n h w"] | None = None
) -> Float[Tensor, "n"]:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1], at most `PSNR_CAP_DB`.

    With a mask only its pixels count; NaN where it is empty.
    """
    squared = (a.double() - b.double()).square().mean(-1)
    if mask is None:
        mse = squared.mean((1, 2))
    else:
        mse = (squared * mask).sum((1, 2)) / mask.sum((1, 2))
    return -10 * torch.log10(mse.clamp_min(10 ** (-PSNR_CAP_DB / 10)))


def ssim(
    a: Float[Tensor, "n h w 3"], b: Float[Tensor, "n h w 3"], mask: Bool[Tensor, "n h w"] | None = None
) -> Float[Tensor, "n"]:
    """Structural similarity (Wang et al. 2004) of pictures in [0, 1]; at most 1, reached by identical ones.

    Gaussian window of 11x11 with sigma 1.5, windows wholly inside the picture, mean over the three colours.
    With a mask only windows wholly inside it count, so that nothing outside has a say; NaN where none is.

    Raises:
        BridgeError: pictures smaller than the window.
    """
    from kornia.metrics import ssim as ssim_map

    if min(a.shape[1:3]) < _WINDOW:
        raise BridgeError(
            f"expected pictures of at least {_WINDOW}x{_WINDOW} pixels for SSIM, got {a.shape[2]}x{a.shape[1]}"
        )
    x, y = a.double().permute(0, 3, 1, 2), b.double().permute(0, 3, 1, 2)
    values = _ssim_by_image(ssim_map, x, y)
    if mask is None:
        return values.mean((1, 2))
    outside = torch.nn.functional.max_pool2d((~mask)[:, None].double(), _WINDOW, stride=1)[:, 0]
    inside = 1 - outside
    return (values * inside).sum((1, 2)) / inside.sum((1, 2))


def _ssim_by_image(
    ssim_map, x: Float[Tensor, "n 3 h w"], y: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n u v"]:
    """One picture at a time: the maps of a whole batch would take a gigabyte for twenty photos."""
    maps = [
        ssim_map(x[i : i + 1], y[i : i + 1], _WINDOW, max_val=1.0, padding="valid").mean(1)
        for i in range(len(x))
    ]
    return torch.cat(maps)


def photometric(a: Float[Tensor, "n h w 3"], b: Float[Tensor, "n h w 3"]) -> tuple[Metric, Metric]:
    """PSNR and SSIM as metrics, one value per image."""
    return (
        Metric.of("PSNR", "dB", psnr(a, b).tolist(), higher_is_better=True),
        Metric.of("SSIM", "", ssim(a, b).tolist(), higher_is_better=True),
    )
