"""Depth as numbers and as colours."""

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
"""Depth pictures reach so many times as far as a few small renderings show: things far away may be smaller than their
pixels."""
NOTHING, BEYOND = 0, 65535
"""Values of a depth picture with a meaning of their own."""
COVERED = 0.5
"""Coverage from which on a pixel has a depth: what barely covers it says nothing."""


@dataclass(frozen=True)
class DepthScale:
    """How depth becomes values and colours, alike for all pictures of a path; units of the scene."""

    near: float
    """Red."""
    shown: float
    """Blue."""
    far: float
    """The largest depth that has a value of its own."""

    @staticmethod
    def of(peeks: Iterable[Rendering]) -> "DepthScale":
        """Fit for what some renderings show."""
        depths = torch.cat([depth[covered] for depth, covered in map(surface, peeks)])
        if len(depths) == 0:
            return DepthScale(1.0, 2.0, 4.0)
        near, shown = np.quantile(depths.numpy(), [0.02, 0.98]).tolist()
        return DepthScale(near, max(shown, near * 1.01), FAR_MARGIN * float(depths.max()))

    @property
    def units_per_value(self) -> float:
        return self.far / (BEYOND - 1)

    def about(self) -> dict[str, Any]:
        """What a reader of the pictures must know."""
        return {
            "depth": "z-depth (along the optical axis) in units of the scene = value x units_per_value",
            "units_per_value": self.units_per_value,
            "nothing_there": NOTHING,
            "at_or_beyond": BEYOND,
        }

    def values(self, drawn: Rendering) -> UInt16[np.ndarray, "h w"]:
        """Of the first camera."""
        depth, covered = (part[0] for part in surface(drawn))
        values = (depth / self.units_per_value).round().clamp(1, BEYOND).where(covered, float(NOTHING))
        return values.numpy().astype(np.uint16)

    def colours(self, drawn: Rendering) -> UInt8[np.ndarray, "h w 3"]:
        """Of the first camera: near is red, far is blue, even in 1 / depth; black where nothing is."""
        import cv2

        depth, covered = (part[0] for part in surface(drawn))
        nearness = (1 / depth.clamp_min(1e-12) - 1 / self.shown) / (1 / self.near - 1 / self.shown)
        grey = to_eight_bit(nearness).numpy()
        colours = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
        return colours * covered.numpy()[..., None].astype(np.uint8)


def surface(drawn: Rendering) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, "n h w"]]:
    """z-depth, median where there is one, and where it means something."""
    depth = drawn.depth if drawn.depth_median is None else drawn.depth_median
    covered = (drawn.alpha >= COVERED) & (depth > 0)
    return depth.double().cpu(), covered.cpu()
