"""Features of a picture: places that can be recognised in another one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

MIN_FEATURES = 30
"""Features that a picture needs to be matched; COLMAP asks as many inliers of a registered image."""


@dataclass(frozen=True)
class Features:
    """k features of one picture, the most certain first."""

    xy: Float[Tensor, "k 2"]
    """Pixels, float64; the centre of the top-left pixel is (0.5, 0.5)."""
    stored: Float[Tensor, "k d"] | UInt8[Tensor, "k d"]
    """Descriptors as they are kept: unit vectors in single or half precision, or COLMAP's bytes, of whose direction they are; those of
    500 photos take 1 GB in single precision, and 0.25 GB as bytes. d = 128 for SIFT, ALIKED and DISK, 64 for XFeat."""
    width: int
    height: int
    """Height of the picture, with its canvas where it has one, in pixels."""
    turns: int = 0
    """Quarter turns counterclockwise of the picture in which they were found; `xy` are pixels of the picture as it is."""

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def descriptors(self) -> Float[Tensor, "k d"]:
        """Unit vectors, float32; made anew each time where they are kept in another form."""
        if self.stored.dtype == torch.uint8:
            return torch.nn.functional.normalize(self.stored.float(), dim=1)
        return self.stored.float()


def enough_features(keypoints: Sequence[Float[Tensor, "_ 2"]]) -> bool:
    """Whether at least two pictures have enough features to be matched."""
    return sum(len(xy) >= MIN_FEATURES for xy in keypoints) >= 2
