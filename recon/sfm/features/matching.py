"""Matching of descriptors: mutual nearest neighbours by one matrix product."""

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

RATIO = 0.8
"""Largest angle to the nearest descriptor as a share of that to the second nearest, in both directions (Lowe 2004; COLMAP's
default). Towards 1 repeated texture matches by chance."""
MAX_ANGLE_RAD = 0.7
"""Largest angle between matched descriptors; COLMAP's default."""


def match_mutual_nearest(
    a: Float[Tensor, "p d"],
    b: Float[Tensor, "q d"],
    *,
    ratio: float = RATIO,
    max_angle_rad: float = MAX_ANGLE_RAD,
) -> Int[Tensor, "m 2"]:
    """Match unit descriptors that are each other's nearest by a clear margin: rows (i, j), ascending in i.

    It computes COLMAP's cross-check, ratio and distance tests exactly, where COLMAP's own neighbours are approximate.
    """
    if len(a) < 2 or len(b) < 2:
        return torch.zeros(0, 2, dtype=torch.long)
    # NumPy finds the largest of a row ten times as fast. Torch's product is not freed by glibc before 2.38: 16 MB a pair
    cosine = a.numpy() @ b.numpy().T
    i = np.arange(len(a))
    j = cosine.argmax(1)
    best = cosine[i, j]
    cosine[i, j] = -2
    clear = _is_clear(best, cosine.max(1), ratio, max_angle_rad)
    cosine[i, j] = best
    i, j, best = i[clear], j[clear], best[clear]
    mutual = best == cosine.max(0)[j]
    mutual &= (
        np.bincount(j[mutual], minlength=len(b))[j] == 1
    )  # two that are equally near: neither is nearer by a margin
    i, j, best = i[mutual], j[mutual], best[mutual]
    cosine[i, j] = -2
    good = _is_clear(best, cosine.max(0)[j], ratio, max_angle_rad)
    return torch.from_numpy(np.stack([i[good], j[good]], axis=1))


def _is_clear(best: np.ndarray, second: np.ndarray, ratio: float, max_angle_rad: float) -> np.ndarray:
    near, next_near = np.arccos(best.clip(-1, 1)), np.arccos(second.clip(-1, 1))
    return (near < ratio * next_near) & (near < max_angle_rad)


def root_normalize(histograms: Shaped[np.ndarray, "k d"]) -> Float[Tensor, "k d"]:
    """Convert SIFT's histograms to RootSIFT: unit vectors whose cosine is the Hellinger kernel."""
    root = torch.from_numpy(np.ascontiguousarray(histograms)).float()
    root = (root / root.sum(1, keepdim=True).clamp_min(1e-9)).sqrt()
    return torch.nn.functional.normalize(root, dim=1)
