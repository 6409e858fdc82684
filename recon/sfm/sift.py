"""SIFT in memory: features by OpenCV, matches by one matrix product a pair.

COLMAP's own takes about three times as long for the same features and goes through files; what its verification and
mapping need is the same either way (`imported.write_matches`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.clip import Clip
from recon.matches import Matches

RATIO = 0.8
"""Lowe 2004: the nearest descriptor is at most this share of the way of the second nearest. Asked from both sides."""
MAX_ANGLE_RAD = 0.7
"""Between matched descriptors; COLMAP's default."""
CONTRAST = 0.013
"""In OpenCV's unit, in which COLMAP's peak threshold is 0.02: weaker features are taken, as many as COLMAP finds."""


def sift_matches(clip: Clip, pairs: Sequence[tuple[int, int]], *, max_features: int = 2048) -> Matches:
    """Putative matches between pictures: RootSIFT (Lowe 2004; Arandjelović and Zisserman 2012), mutual nearest
    neighbours that pass the ratio test in both directions.

    Args:
        pairs: (a, b) with a < b, in ascending order.
        max_features: of a picture, those with the strongest contrast.
    """
    described = [_describe(image, max_features) for image in clip.images]
    return Matches(
        width=clip.width,
        height=clip.height,
        keypoints=tuple(xy for xy, _ in described),
        pairs=tuple(pairs),
        indices=tuple(mutual_matches(described[a][1], described[b][1]) for a, b in pairs),
    )


def mutual_matches(a: Float[Tensor, "p d"], b: Float[Tensor, "q d"]) -> Int[Tensor, "m 2"]:
    """Rows (i, j) of unit descriptors that choose each other, clearly; ascending in i."""
    if len(a) < 2 or len(b) < 2:
        return torch.zeros(0, 2, dtype=torch.long)
    cosine = (a @ b.T).numpy()  # NumPy finds the largest of a row ten times as fast
    i = np.arange(len(a))
    j = cosine.argmax(1)
    best = cosine[i, j]
    cosine[i, j] = -2
    clear = _clear(best, cosine.max(1))
    cosine[i, j] = best
    i, j, best = i[clear], j[clear], best[clear]
    columns = cosine[:, j]  # only those that matter, for columns are slow
    mutual = best == columns.max(0)
    columns[i, np.arange(len(i))] = -2
    good = mutual & _clear(best, columns.max(0))
    return torch.from_numpy(np.stack([i[good], j[good]], axis=1))


def _clear(best: np.ndarray, second: np.ndarray) -> np.ndarray:
    near, next_near = np.arccos(best.clip(-1, 1)), np.arccos(second.clip(-1, 1))
    return (near < RATIO * next_near) & (near < MAX_ANGLE_RAD)


def _describe(
    image: Float[Tensor, "h w 3"], max_features: int
) -> tuple[Float[Tensor, "k 2"], Float[Tensor, "k 128"]]:
    """Positions in pixels and unit descriptors, strongest first; a place with two orientations is two features."""
    import cv2

    grey = cv2.cvtColor((image * 255).round().clamp(0, 255).to(torch.uint8).numpy(), cv2.COLOR_RGB2GRAY)
    # the precise upscale keeps the doubled picture's features where they are; without it they lie 1/4 px off
    sift = cv2.SIFT_create(nfeatures=max_features, contrastThreshold=CONTRAST, enable_precise_upscale=True)
    keypoints, descriptors = sift.detectAndCompute(grey, None)  # type: ignore[call-overload]
    if descriptors is None or not len(keypoints):
        return torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 128)
    xy = np.array([k.pt for k in keypoints], np.float64)
    strength, angle = np.array([k.response for k in keypoints]), np.array([k.angle for k in keypoints])
    keep = np.lexsort((angle, xy[:, 1], xy[:, 0], -strength))[
        :max_features
    ]  # OpenCV's order depends on its threads
    root = torch.from_numpy(descriptors[keep]).float()
    root = (root / root.sum(1, keepdim=True).clamp_min(1e-9)).sqrt()
    # OpenCV counts pixel centres from 0
    return torch.from_numpy(xy[keep] + 0.5), torch.nn.functional.normalize(root, dim=1)


def all_pairs(n: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(n) for b in range(a + 1, n)]


def sequential_pairs(n: int, *, overlap: int = 10) -> list[tuple[int, int]]:
    """Of a video: the next `overlap` frames, and beyond them those at distances of powers of two (COLMAP's
    quadratic overlap)."""
    return [(a, b) for a, b in all_pairs(n) if b - a <= overlap or (b - a) & (b - a - 1) == 0]
