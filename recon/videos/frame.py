"""Pixels of a video frame: deinterlaced, with square pixels, turned by its container."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Shaped

from recon.pictures.images import shrink
from recon.pictures.shape import Layout, PictureShape, orient_pixels

ORIENTATION_OF = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
"""EXIF orientation for the signs of a display matrix, which maps a row (x, y)."""
BOTTOM_FIRST = (3, 4)
"""FFmpeg's AVFieldOrder of streams that show the odd lines first: bb and tb."""
INTERLACED = "interlaced: of each frame the field that was taken first is used, the lines of the other are interpolated"
"""Note on deinterlacing, after the name of a video and 'is'."""


@dataclass(frozen=True)
class VideoFrame:
    """A decoded frame, with the properties of its stream."""

    frame: Any
    """An `av.VideoFrame`."""
    pixel_aspect: float = 1.0
    """Width over height of a pixel."""
    bottom_first: bool = False
    """Whether the odd lines of an interlaced frame were taken before the even ones."""
    notes: dict[str, None] = field(default_factory=dict)
    """Remarks for a person, as keys; all frames of a stream share it."""

    @cached_property
    def shape(self) -> PictureShape:
        """Stored size, orientation and pixel aspect."""
        return PictureShape(self.frame.width, self.frame.height, _orientation(self.frame), self.pixel_aspect)

    def pixels(self, layout: Layout = "shown") -> Shaped[np.ndarray, "h w 3"]:
        """RGB with square pixels, turned where `layout` is 'shown'; uint8, or float32 for deep grey video."""
        rgb = _rgb(self.frame)
        if self.frame.interlaced_frame:
            self.notes[INTERLACED] = None
            rgb = _first_field(rgb, bottom=self.bottom_first)
        width, height = self.shape.square
        if (width, height) != (self.frame.width, self.frame.height):
            self.notes[self.shape.squared_words] = None
            rgb = shrink(rgb, width, height)
        return orient_pixels(rgb, self.shape.orientation) if layout == "shown" else np.ascontiguousarray(rgb)


def _rgb(frame) -> Shaped[np.ndarray, "h w 3"]:
    """Convert to RGB; deep grey (machine vision, thermal) keeps its bits, for it may use a small part of them."""
    if frame.format.name.startswith("gray") and frame.format.components[0].bits > 8:
        grey = frame.to_ndarray(format="gray16le").astype(np.float32) / 65535
        return np.repeat(grey[..., None], 3, axis=2)
    return frame.to_ndarray(format="rgb24")


def _first_field(rgb: Shaped[np.ndarray, "h w 3"], *, bottom: bool) -> Shaped[np.ndarray, "h w 3"]:
    """Keep the lines of one field, and interpolate those of the other between their neighbours."""
    first = int(bottom)
    out = rgb.copy()
    lines = np.arange(1 - first, len(rgb), 2)
    above, below = lines - 1, lines + 1
    above[above < 0] = below[above < 0]
    below[below >= len(rgb)] = above[below >= len(rgb)]
    mean = (rgb[above].astype(np.float32) + rgb[below]) / 2
    out[lines] = mean if rgb.dtype != np.uint8 else np.round(mean).astype(np.uint8)
    return out


def _orientation(frame) -> int:
    """EXIF orientation of a frame."""
    data = next((bytes(side) for side in frame.side_data if side.type.name == "DISPLAYMATRIX"), b"")
    if len(data) == 36:
        a, b, _, c, d, *_ = np.sign(np.frombuffer(data, "<i4")).tolist()
        found = ORIENTATION_OF.get((a, b, c, d))
        if found is not None:
            return found
    return {0: 1, 1: 8, 2: 3, 3: 6}[round(frame.rotation / 90) % 4]
