"""The part of their range that deep pictures use: cameras of 10 to 14 bits write files of 16."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

MIN_USED_SHARE = 0.25
"""Share of the range from which on a set of deep pictures is kept as it is. Half of it would leave pictures of 13 bits, 32
grey levels of 256, in which few features are found; twice as much would brighten every dim exposure."""
RARE_PERCENT = 0.05
"""Percent of pixels at either end that do not count: dead and hot ones, of which even a small picture has some."""
WHITES = tuple((2**bits - 1) / 65535 for bits in range(8, 17)) + (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""Usual values of white, in units of the file's own: whole numbers of bits in 16, and integers written as floats."""
MAX_SAMPLED_VALUES = 250_000
"""Values of a picture that are sampled evenly; they tell the ends to a tenth of `RARE_PERCENT`."""


@dataclass(frozen=True)
class Levels:
    """Values of deep pictures that become black and white."""

    black: float
    white: float
    """Both in units of the file's own white."""

    def stretch(self, pixels: Shaped[np.ndarray, "h w 3"]) -> Shaped[np.ndarray, "h w 3"]:
        """Stretch deep pixels to [0, 1]; those of 8 bits stay as they are."""
        if pixels.dtype == np.uint8:
            return pixels
        return ((pixels - self.black) / (self.white - self.black)).clip(0, 1).astype(np.float32)

    @property
    def note(self) -> str:
        """Sentence on the stretch, for a person."""
        return (
            f"deep pictures use values from {self.black:.4g} to {self.white:.4g} of their range only (1 is white); "
            "that part is stretched to the whole, in all pictures alike"
        )


def find_levels(pictures: Iterable[Shaped[np.ndarray, "_ _ 3"]]) -> Levels | None:
    """Find the range that the deep pictures of a set use; None where there are none, or where they use all of it.

    Args:
        pictures: uint8, or float32 in units of the file's own white, which floating-point files may exceed.
    """
    ends = [_measure_ends(pixels) for pixels in pictures if pixels.dtype != np.uint8]
    if not ends:
        return None
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if not np.isfinite([low, high]).all() or high <= low:
        return None
    if low >= 0 and high <= 1 and high - low >= MIN_USED_SHARE:
        return None
    if low >= 0 and low <= MIN_USED_SHARE * high:  # it begins at black
        # pixels are in single precision, in which 1023/65535 is a little more
        return Levels(0.0, next((white for white in WHITES if white >= high * (1 - 1e-6)), high))
    return Levels(low, high)


def _measure_ends(pixels: Float[np.ndarray, "h w 3"]) -> tuple[float, float]:
    values = pixels.reshape(-1)
    values = values[:: max(1, len(values) // MAX_SAMPLED_VALUES)]
    low, high = np.percentile(values, [RARE_PERCENT, 100 - RARE_PERCENT])
    return float(low), float(high)
