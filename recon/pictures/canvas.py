"""Pictures of several sizes on one canvas: each fills a box of it, and confidence is 0 around."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.clip import Clip


class Box(NamedTuple):
    """The part of a canvas that a picture fills, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """Rows of the canvas."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the canvas."""
        return slice(self.left, self.left + self.width)

    @property
    def corner(self) -> Float[Tensor, "2"]:
        """Canvas pixels (x, y) of the box's top-left corner, float64: added to pixels of the picture it gives those of the canvas."""
        return torch.tensor([self.left, self.top], dtype=torch.float64)

    def crop(self, canvas: Float[Tensor, "h w c"]) -> Float[Tensor, "h2 w2 c"]:
        """The picture alone, as a view of its canvas."""
        return canvas[self.rows, self.columns]

    def place(self, K: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
        """Intrinsics for the canvas from those of the picture."""
        moved = K.clone()
        moved[:2, 2] += self.corner.to(K.dtype)
        return moved


def find_boxes(clip: Clip) -> tuple[Box, ...]:
    """The box of each picture: the smallest with all pixels of some confidence; the whole canvas where there are none."""
    whole = Box(0, 0, clip.width, clip.height)
    if clip.confidence is None:
        return (whole,) * len(clip)
    return tuple(_find_box(sure > 0) or whole for sure in clip.confidence)


def _find_box(filled: Tensor) -> Box | None:
    rows, columns = filled.any(1).nonzero()[:, 0], filled.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def center_box(width: int, height: int, *, canvas_width: int, canvas_height: int) -> Box:
    """The box of a picture in the middle of a canvas."""
    return Box((canvas_width - width) // 2, (canvas_height - height) // 2, width, height)


def pad_picture(pixels: Shaped[np.ndarray, "h w c"], box: Box, *, width: int, height: int) -> np.ndarray:
    """Fill a canvas with a picture in its box and, around it, with the picture's outermost pixels.

    Resampling across the edge then mixes in no foreign colour.
    """
    right, bottom = width - box.left - box.width, height - box.top - box.height
    return np.pad(pixels, ((box.top, bottom), (box.left, right), (0, 0)), mode="edge")


def confidence_of(boxes: Sequence[Box], *, width: int, height: int) -> Float[Tensor, "n h w"] | None:
    """1 inside the boxes and 0 around; None where every box is the whole canvas."""
    if all(box == Box(0, 0, width, height) for box in boxes):
        return None
    sure = torch.zeros(len(boxes), height, width)
    for i, box in enumerate(boxes):
        sure[i, box.rows, box.columns] = 1
    return sure
