"""Features of a picture: places that can be recognised in another one."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

MIN_FEATURES = 30
"""Features that a picture needs to be matched; COLMAP asks as many inliers of a registered image."""


@dataclass(frozen=True)
class Features:
    """k features of one picture, the most certain first."""

    xy: Float[Tensor, "k 2"]
    """Pixels, float64; the centre of the top-left pixel is (0.5, 0.5)."""
    descriptors: Float[Tensor, "k d"]
    """Unit vectors, float32: d = 128 for SIFT, ALIKED and DISK, 64 for XFeat."""
    width: int
    height: int
    """Height of the picture, with its canvas where it has one, in pixels."""
    turns: int = 0
    """Quarter turns counterclockwise of the picture in which they were found; `xy` are pixels of the picture as it is."""

    def __len__(self) -> int:
        return len(self.xy)


def enough_features(keypoints: Sequence[Float[Tensor, "_ 2"]]) -> bool:
    """Whether at least two pictures have enough features to be matched."""
    return sum(len(xy) >= MIN_FEATURES for xy in keypoints) >= 2
