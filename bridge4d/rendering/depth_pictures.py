"""Depth as 16-bit values and as colours."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8, UInt16
from torch import Tensor

from recon.pictures.eight_bit import to_eight_bit
from recon.splats.engines.screen import Rendering

FAR_MARGIN = 2.0
"""Largest depth that has a value, as a multiple of the largest in a few small renderings, whose pixels may miss far
things. Doubled, near things have half the values."""
NOTHING, BEYOND = 0, 65535
"""Values for pixels without depth, and at or beyond the largest one."""
SHOWN_QUANTILES = (0.02, 0.98)
"""Depths of the first and last colour: a few floaters or the sky would use up the colours otherwise."""
COVERED = 0.5
"""Alpha from which a pixel has a depth: below it, most of the light comes from elsewhere."""


@dataclass(frozen=True)
class DepthScale:
    """Scale from depth to values and colours, one for all pictures of a path; in units of the scene."""

    near: float
    """Depth shown in red."""
    shown: float
    """Depth shown in blue."""
    far: float
    """The largest depth that has a value of its own."""

    @staticmethod
    def from_renderings(peeks: Iterable[Rendering]) -> "DepthScale":
        """A scale that fits the depths in a few renderings."""
        depths = torch.cat([depth[covered] for depth, covered in map(visible_depth, peeks)])
        if len(depths) == 0:
            return DepthScale(1.0, 2.0, 4.0)
        near, shown = np.quantile(depths.numpy(), SHOWN_QUANTILES).tolist()
        return DepthScale(near, max(shown, near * 1.01), FAR_MARGIN * float(depths.max()))

    @property
    def units_per_value(self) -> float:
        """Units of the scene between neighbouring values."""
        return self.far / (BEYOND - 1)

    def describe(self) -> dict[str, Any]:
        """The JSON entries by which values become depth again."""
        return {
            "depth": "z-depth (along the optical axis) in units of the scene = value x units_per_value",
            "units_per_value": self.units_per_value,
            "nothing_there": NOTHING,
            "at_or_beyond": BEYOND,
        }

    def to_values(self, drawn: Rendering) -> UInt16[np.ndarray, "h w"]:
        """Depth of the first camera as values."""
        depth, covered = (part[0] for part in visible_depth(drawn))
        values = (depth / self.units_per_value).round().clamp(1, BEYOND).where(covered, float(NOTHING))
        return values.numpy().astype(np.uint16)

    def to_colours(self, drawn: Rendering) -> UInt8[np.ndarray, "h w 3"]:
        """Depth of the first camera as colours, linear in 1 / depth: near red, far blue, nothing black."""
        import cv2

        depth, covered = (part[0] for part in visible_depth(drawn))
        nearness = (1 / depth.clamp_min(1e-12) - 1 / self.shown) / (1 / self.near - 1 / self.shown)
        grey = to_eight_bit(nearness).numpy()
        colours = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
        return colours * covered.numpy()[..., None].astype(np.uint8)


def visible_depth(drawn: Rendering) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, "n h w"]]:
    """z-depth (the median where the engine has one), and which pixels have one."""
    depth = drawn.depth if drawn.depth_median is None else drawn.depth_median
    covered = (drawn.alpha >= COVERED) & (depth > 0)
    return depth.double().cpu(), covered.cpu()
