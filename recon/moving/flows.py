"""Dense flows from each frame of a clip to others before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from recon.pictures.eight_bit import to_eight_bit

STEPS = (1, 2, 4)
"""Frames between the pictures that are compared, either way: what is slow shows over four, what is fast is still found over one."""
RETURN_PX, RETURN_SHARE = 0.7, 0.05
"""Most by which the way there and back may miss its start: so much, and this share of the way."""


@dataclass(frozen=True)
class FlowsFrom:
    """Where what a frame shows lies in k others, in pixels with integer centres as OpenCV counts them."""

    others: tuple[int, ...]
    flow: Float[np.ndarray, "k h w 2"]
    """Relative to each pixel."""
    known: Bool[np.ndarray, "k h w"]
    """Whether the way back leads to the start: what is covered or outside in the other is not known."""
    of: int
    """The frame."""

    def nearest(self) -> dict[int, tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]]:
        """Flow to each of the frames next to this one, and where it is known."""
        return {
            j: (self.flow[row], self.known[row]) for row, j in enumerate(self.others) if abs(j - self.of) == 1
        }


class FlowTable:
    """Flows between frames, each calculated once."""

    def __init__(self, images: Float[Tensor, "n h w 3"], *, steps: Sequence[int] = STEPS) -> None:
        """Keep the grey pictures.

        Args:
            images: sRGB in [0, 1].
            steps: frames between those that are compared.
        """
        import cv2

        self._grey = [cv2.cvtColor(to_eight_bit(one).numpy(), cv2.COLOR_RGB2GRAY) for one in images]
        self._steps = steps
        self._kept: dict[tuple[int, int], np.ndarray] = {}
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def of_frame(self, i: int) -> FlowsFrom:
        """All flows from one frame; call in ascending order, for flows that are done with are dropped."""
        n = len(self._grey)
        others = [j for step in self._steps for j in (i - step, i + step) if 0 <= j < n]
        there = np.stack([self._flow(i, j) for j in others])
        known = np.stack([_comes_back(flow, self._flow(j, i)) for j, flow in zip(others, there, strict=True)])
        self._kept = {pair: flow for pair, flow in self._kept.items() if max(pair) > i}
        return FlowsFrom(tuple(others), there, known, i)

    def _flow(self, a: int, b: int) -> np.ndarray:
        if (a, b) not in self._kept:
            self._kept[a, b] = self._search.calc(self._grey[a], self._grey[b], None)  # type: ignore[call-overload]
        return self._kept[a, b]


def _comes_back(
    there: Float[np.ndarray, "h w 2"], back: Float[np.ndarray, "h w 2"]
) -> Bool[np.ndarray, "h w"]:
    import cv2

    h, w = there.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    u, v = x + there[..., 0], y + there[..., 1]
    returned = cv2.remap(back, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (u >= -0.5) & (u <= w - 0.5) & (v >= -0.5) & (v <= h - 0.5)
    most = RETURN_PX + RETURN_SHARE * np.linalg.norm(there, axis=-1)
    return inside & (np.linalg.norm(there + returned, axis=-1) < most)
