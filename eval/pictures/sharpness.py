"""Is a picture as sharp as the true photo? Compares their gradients.

A smooth fill wins PSNR wherever a model cannot know the truth, so what is invented needs a second figure.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
"""Rec. 601, as OpenCV and Pillow turn colour to grey."""


def gradient_magnitude(images: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n h-2 w-2"]:
    """Length of the gradient of luma by central differences, per pixel of distance; the outermost pixels have none."""
    grey = images.double() @ torch.tensor(_LUMA, dtype=torch.float64)
    dx = (grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]) / 2
    dy = (grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]) / 2
    return torch.hypot(dx, dy)


def gradient_ratio(
    images: Float[Tensor, "n h w 3"],
    truth: Float[Tensor, "n h w 3"],
    mask: Bool[Tensor, "n h w"] | None = None,
) -> Float[Tensor, "n"]:
    """Mean gradient magnitude over that of the truth: 1 is right, 0 is flat, above 1 is too busy.

    With a mask only pixels whose four neighbours all lie in it count, so that its border has no say. NaN where no
    pixel counts, or where the truth is flat there.
    """
    a, b = gradient_magnitude(images), gradient_magnitude(truth)
    counts = torch.ones_like(a) if mask is None else _inside(mask).to(a.dtype)
    below = (b * counts).sum((1, 2))
    return torch.where(below > 0, (a * counts).sum((1, 2)) / below, torch.nan)


def _inside(mask: Bool[Tensor, "n h w"]) -> Bool[Tensor, "n h-2 w-2"]:
    across = mask[:, 1:-1, :-2] & mask[:, 1:-1, 1:-1] & mask[:, 1:-1, 2:]
    return across & mask[:, :-2, 1:-1] & mask[:, 2:, 1:-1]
