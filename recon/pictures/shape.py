"""What a picture is as its file holds it, and as it is shown; camera files may count in either."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Shaped

Layout = Literal["stored", "shown"]
"""stored: the pixels of the file as they are, as COLMAP, nerfstudio and instant-ngp read photos; shown: turned as
its EXIF or its container asks, and with square pixels, as every viewer shows it."""
TURNED_SIDEWAYS = 5
"""EXIF orientations from here on swap width and height."""
WIDEST_PIXEL = 4.0
"""Width over height; anamorphic video has up to 2. Beyond, the number is damage."""
SQUARE_WITHIN = 0.01
"""Pixels this near to square are square: densities of scanners are rounded apart (2833 and 2835 an inch), and no format has
pixels between 1 and 16:15."""


@dataclass(frozen=True)
class PictureShape:
    """Stored size, turn and shape of the pixels of a photo or of a video's frames."""

    width: int
    """As stored."""
    height: int
    orientation: int = 1
    """As EXIF counts: 1 is upright, 3 upside down, 6 and 8 lie on a side, the others are mirrored."""
    pixel_aspect: float = 1.0
    """Width over height of a pixel as it is shown."""

    def size(self, layout: Layout) -> tuple[int, int]:
        """(width, height) in that layout."""
        if layout == "stored":
            return self.width, self.height
        width, height = self.square
        return (height, width) if self.orientation >= TURNED_SIDEWAYS else (width, height)

    @property
    def square(self) -> tuple[int, int]:
        """(width, height) once the pixels are square, not turned yet: the shorter side of a pixel is stretched."""
        if self.pixel_aspect >= 1:
            return max(1, round(self.width * self.pixel_aspect)), self.height
        return self.width, max(1, round(self.height / self.pixel_aspect))

    @property
    def plain(self) -> bool:
        """Whether both layouts are the same picture."""
        return self.orientation == 1 and self.square == (self.width, self.height)

    @property
    def words(self) -> str:
        """What is asked for beside the pixels, for a note of several pictures."""
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
        """What becomes of pixels that are not square when they are shown, for a note; '' of square ones."""
        if self.square == (self.width, self.height):
            return ""
        width, height = self.size("shown")
        return (
            f"made of pixels {self.pixel_aspect:.4g} times as wide as high: shown as {width}x{height}, "
            f"stored as {self.width}x{self.height}"
        )


def clean_aspect(width: float, height: float) -> float:
    """Width over height of a pixel; 1 where that is nearly square, or not sound."""
    aspect = width / height if width > 0 and height > 0 else 1.0
    sound = 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL and abs(aspect - 1) > SQUARE_WITHIN
    return aspect if sound else 1.0


def orient_pixels(pixels: Shaped[np.ndarray, "h w c"], orientation: int) -> Shaped[np.ndarray, "h2 w2 c"]:
    """Pixels as stored, turned and mirrored as an EXIF orientation asks."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
