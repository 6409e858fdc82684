"""Shape of a picture as stored and as shown; the numbers of camera files may be for either."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Shaped

Layout = Literal["stored", "shown"]
"""stored: the pixels of the file as they are, as COLMAP, nerfstudio and instant-ngp read photos; shown: turned by its EXIF or
container, with square pixels, as every viewer shows it."""
TURNED_SIDEWAYS = 5
"""EXIF orientations from here on swap width and height."""
MAX_PIXEL_ASPECT = 4.0
"""Largest pixel aspect; anamorphic video has up to 2, and a larger number is damage."""
SQUARE_PIXEL_TOLERANCE = 0.01
"""Largest difference from 1 of the aspect of square pixels: scanners round densities apart (2833 and 2835 an inch), and no
format has pixels between 1 and 16:15."""


@dataclass(frozen=True)
class PictureShape:
    """Stored size, orientation and pixel aspect of a photo or of a video's frames."""

    width: int
    """Pixels as stored."""
    height: int
    orientation: int = 1
    """EXIF orientation: 1 is upright, 3 upside down, 6 and 8 lie on a side, the others are mirrored."""
    pixel_aspect: float = 1.0
    """Width over height of a pixel as it is shown."""

    def size(self, layout: Layout) -> tuple[int, int]:
        """(width, height) in a layout."""
        if layout == "stored":
            return self.width, self.height
        width, height = self.square
        return (height, width) if self.orientation >= TURNED_SIDEWAYS else (width, height)

    @property
    def square(self) -> tuple[int, int]:
        """(width, height) with square pixels, before turning: the shorter side of a pixel is stretched."""
        if self.pixel_aspect >= 1:
            return max(1, round(self.width * self.pixel_aspect)), self.height
        return self.width, max(1, round(self.height / self.pixel_aspect))

    @property
    def plain(self) -> bool:
        """Whether both layouts are the same picture."""
        return self.orientation == 1 and self.square == (self.width, self.height)

    @property
    def words(self) -> str:
        """Clause on orientation and pixel aspect, for a note on several pictures."""
        parts = []
        if self.orientation != 1:
            turn = {3: "a turn of 180°", 6: "a turn of 90°", 8: "a turn of 270°"}.get(
                self.orientation, "a mirrored picture"
            )
            parts.append(f"their EXIF asks for {turn}")
        if self.square != (self.width, self.height):
            parts.append(f"their pixels are {self.pixel_aspect:.4g} times as wide as high")
        return " and ".join(parts)

    @property
    def squared_words(self) -> str:
        """Clause on how pixels that are not square are shown, for a note; '' for square ones."""
        if self.square == (self.width, self.height):
            return ""
        width, height = self.size("shown")
        return (
            f"made of pixels {self.pixel_aspect:.4g} times as wide as high: shown as {width}x{height}, "
            f"stored as {self.width}x{self.height}"
        )


def clean_aspect(width: float, height: float) -> float:
    """Width over height of a pixel; 1 where it is nearly square or out of range."""
    aspect = width / height if width > 0 and height > 0 else 1.0
    sound = 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT and abs(aspect - 1) > SQUARE_PIXEL_TOLERANCE
    return aspect if sound else 1.0


def orient_pixels(pixels: Shaped[np.ndarray, "h w c"], orientation: int) -> Shaped[np.ndarray, "h2 w2 c"]:
    """Turn and mirror stored pixels by an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
