"""Which features of two pictures look alike: nearest neighbours by one matrix product."""

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

RATIO = 0.8
"""Lowe 2004: the nearest descriptor is at most this share of the way of the second nearest. Asked from both sides."""
MAX_ANGLE_RAD = 0.7
"""Largest angle between matched descriptors; COLMAP's default."""


def match_mutual_nearest(a: Float[Tensor, "p d"], b: Float[Tensor, "q d"]) -> Int[Tensor, "m 2"]:
    """Rows (i, j) of unit descriptors that choose each other, clearly; ascending in i.

    What COLMAP's matcher computes with cross-check, ratio and distance, but exactly: its own neighbours are approximate.
    """
    if len(a) < 2 or len(b) < 2:
        return torch.zeros(0, 2, dtype=torch.long)
    cosine = (a @ b.T).numpy()  # NumPy finds the largest of a row ten times as fast
    i = np.arange(len(a))
    j = cosine.argmax(1)
    best = cosine[i, j]
    cosine[i, j] = -2
    clear = _is_clear(best, cosine.max(1))
    cosine[i, j] = best
    i, j, best = i[clear], j[clear], best[clear]
    columns = cosine[:, j]  # only those that matter, for columns are slow
    mutual = best == columns.max(0)
    columns[i, np.arange(len(i))] = -2
    good = mutual & _is_clear(best, columns.max(0))
    return torch.from_numpy(np.stack([i[good], j[good]], axis=1))


def _is_clear(best: np.ndarray, second: np.ndarray) -> np.ndarray:
    near, next_near = np.arccos(best.clip(-1, 1)), np.arccos(second.clip(-1, 1))
    return (near < RATIO * next_near) & (near < MAX_ANGLE_RAD)


def root_normalize(histograms: Shaped[np.ndarray, "k d"]) -> Float[Tensor, "k d"]:
    """SIFT's histograms as RootSIFT: unit vectors whose cosine is the Hellinger kernel."""
    root = torch.from_numpy(np.ascontiguousarray(histograms)).float()
    root = (root / root.sum(1, keepdim=True).clamp_min(1e-9)).sqrt()
    return torch.nn.functional.normalize(root, dim=1)
