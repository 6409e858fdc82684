"""Decoded pixels that wait to be used: in memory, or in files of a folder."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True)
class KeptPixels:
    """Pixels of one picture, wherever they are."""

    shape: tuple[int, ...]
    """(h, w, 3)."""
    dtype: np.dtype
    held: Path | Shaped[np.ndarray, "h w 3"]
    """A file of the bare values, or the pixels themselves."""

    def read(self) -> Shaped[np.ndarray, "h w 3"]:
        """The pixels; those of a file are read anew each time."""
        if isinstance(self.held, Path):
            return np.fromfile(self.held, self.dtype).reshape(self.shape)
        return self.held


class PixelStore:
    """Keeps pixels in files of a folder, which outlive it, or in memory where there is none."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._numbers = count()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def keep(self, pixels: Shaped[np.ndarray, "h w 3"]) -> KeptPixels:
        """Take the pixels of one more picture."""
        held: Path | np.ndarray = pixels
        if self.folder is not None:
            held = self.folder / f"{next(self._numbers)}.raw"
            pixels.tofile(held)
        return KeptPixels(pixels.shape, pixels.dtype, held)

    def replace(self, kept: KeptPixels, pixels: Shaped[np.ndarray, "h w 3"]) -> KeptPixels:
        """Take other pixels in the place of those of a picture, which are removed."""
        if isinstance(kept.held, Path):
            kept.held.unlink()
        return self.keep(pixels)
