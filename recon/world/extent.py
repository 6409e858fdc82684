"""How far cameras lie apart, and from where on single precision loses them."""

import torch
from jaxtyping import Float
from torch import Tensor

FAR = 100.0
"""Cameras so many times their extent away from the origin are worked on elsewhere: pictures are drawn in single precision,
which at 10⁵ times the extent is a pixel."""


def measure_extent(centers: Float[Tensor, "n 3"]) -> float:
    """The largest distance between two of them, also of places whose differences are their last digits."""
    return float(torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist").max())
