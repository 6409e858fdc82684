"""Extent of cameras, and their distance from the origin that single precision allows."""

import torch
from jaxtyping import Float
from torch import Tensor

FAR = 100.0
"""Distance from the origin, in extents of the cameras, above which a scene is moved there: pictures are drawn in single
precision, whose error at 10⁵ extents is a pixel."""


def measure_extent(centers: Float[Tensor, "n 3"]) -> float:
    """Largest distance between two centres, exact also where they differ in their last digits only."""
    return float(torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist").max())
