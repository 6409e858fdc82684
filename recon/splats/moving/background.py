"""What moves before a camera that stands still."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LEAST_CHANGE = 0.05
"""Difference from the background, of sRGB in [0, 1], below which nothing counts as moving: light and compression change as much."""
NOISE = 5.0
"""Robust deviations of the noise (1.48 times the median of the differences) below which nothing counts either."""
OPEN_PX, CLOSE_PX = 1, 2
"""Radius of specks that are removed, and of holes that are filled."""


def find_before_background(images: Float[Tensor, "t h w 3"]) -> Bool[Tensor, "t h w"]:
    """Where each picture of a still camera differs from the median over all times.

    What covers a pixel for more than half of the time is taken for its background.
    """
    background = images.median(0).values
    apart = (images - background).abs().amax(-1)
    noise = 1.48 * apart.flatten(1).median(1).values
    moving = apart > (NOISE * noise).clamp_min(LEAST_CHANGE)[:, None, None]
    grid = moving[:, None].float()
    grid = _grow(-_grow(-grid, OPEN_PX), OPEN_PX)
    return -_grow(-_grow(grid, CLOSE_PX), CLOSE_PX)[:, 0] > 0.5


def _grow(grid: Tensor, radius: int) -> Tensor:
    """Largest value within a square window."""
    return torch.nn.functional.max_pool2d(grid, 2 * radius + 1, stride=1, padding=radius)
