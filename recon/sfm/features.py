"""Features of a picture: places that can be found again in another one."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """k features of one picture, the most certain first."""

    xy: Float[Tensor, "k 2"]
    """Pixels, float64; the centre of the top-left pixel is (0.5, 0.5)."""
    descriptors: Float[Tensor, "k d"]
    """Unit vectors, float32: d = 128 for SIFT, ALIKED and DISK, 64 for XFeat."""
    width: int
    height: int
    """Of the picture, in pixels."""

    def __len__(self) -> int:
        return len(self.xy)
