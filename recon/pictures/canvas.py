"""Pictures of several sizes on one canvas: each fills a box of it, and confidence is 0 around."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip, PictureSet
from recon.pictures.lazy import LazyPictures

Pixels = TypeVar("Pixels", Tensor, np.ndarray)
"""Of the shape [h, w, c]."""


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

    def crop(self, canvas: Pixels) -> Pixels:
        """The picture alone, as a view of its canvas."""
        return canvas[self.rows, self.columns]

    def place(self, K: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
        """Intrinsics for the canvas from those of the picture."""
        moved = K.clone()
        moved[:2, 2] += self.corner.to(K.dtype)
        return moved


HALF = 0.5
"""Confidence from which a pixel at the edge of a picture that was resized with its canvas counts as the picture's: nearest rounding."""


def find_boxes(clip: PictureSet) -> tuple[Box, ...]:
    """The box of each picture: the smallest with all pixels of confidence; the whole canvas where there are none."""
    whole = Box(0, 0, clip.width, clip.height)
    if clip.confidence is None:
        return (whole,) * len(clip)
    return tuple(_find_box(sure >= HALF) or whole for sure in clip.confidence)


def crop_clip(clip: Clip, i: int) -> Clip:
    """One picture of a clip, without its canvas and with its camera."""
    box = find_boxes(clip[i])[0]
    cameras = None if clip.cameras is None else crop_camera(clip.cameras[i], box)
    part = clip[i]
    images = part.images[:, box.rows, box.columns].contiguous()
    return replace(part, images=images, cameras=cameras, confidence=None)


def crop_camera(camera: Cameras, box: Box) -> Cameras:
    """The camera of a picture from that of its canvas."""
    K = camera.K.clone()
    K[:, :2, 2] -= box.corner.to(K.dtype)
    return Cameras(camera.cam_from_world, K, box.width, box.height)


def _find_box(filled: Tensor) -> Box | None:
    rows, columns = filled.any(1).nonzero()[:, 0], filled.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def share_canvas(sizes: Iterable[tuple[int, int]]) -> tuple[int, int, int]:
    """The long side of the largest picture, and the (width, height) that hold all pictures once they have it."""
    sizes = list(sizes)
    side = max(max(size) for size in sizes)
    scaled = [scale_to_side(*size, side) for size in sizes]
    return side, max(w for w, _ in scaled), max(h for _, h in scaled)


def scale_to_side(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) at a long side of `side` pixels."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def center_box(width: int, height: int, *, canvas_width: int, canvas_height: int) -> Box:
    """The box of a picture in the middle of a canvas."""
    return Box((canvas_width - width) // 2, (canvas_height - height) // 2, width, height)


def pad_picture(pixels: Shaped[np.ndarray, "h w c"], box: Box, *, width: int, height: int) -> np.ndarray:
    """Fill a canvas with a picture in its box and, around it, with the picture's outermost pixels.

    Resampling across the edge then mixes in no foreign colour.
    """
    right, bottom = width - box.left - box.width, height - box.top - box.height
    return np.pad(pixels, ((box.top, bottom), (box.left, right), (0, 0)), mode="edge")


def boxes_of(confidence: Float[Tensor, "n h w"] | LazyPictures) -> tuple[Box, ...] | None:
    """The boxes that `confidence_of` makes this confidence of; None where no boxes do."""
    height, width = confidence.shape[1:]
    found = []
    for i in range(len(confidence)):
        sure = confidence[i]
        box = _find_box(sure > 0)
        if box is None or not torch.equal(fill_box(box, width=width, height=height), sure):
            return None
        found.append(box)
    return tuple(found)


def confidence_of(boxes: Sequence[Box], *, width: int, height: int) -> Float[Tensor, "n h w"] | None:
    """1 inside the boxes and 0 around; None where every box is the whole canvas."""
    if all(box == Box(0, 0, width, height) for box in boxes):
        return None
    return torch.stack([fill_box(box, width=width, height=height) for box in boxes])


def fill_box(box: Box, *, width: int, height: int) -> Float[Tensor, "h w"]:
    """1 inside a box of a canvas and 0 around."""
    sure = torch.zeros(height, width)
    sure[box.rows, box.columns] = 1
    return sure
