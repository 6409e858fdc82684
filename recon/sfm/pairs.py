"""Choice of the pairs of pictures that are matched."""

from typing import Literal

Pairing = Literal["auto", "exhaustive", "sequential"]
"""'auto' decides by the number of pictures and whether they are a video; see `Recipe.is_sequential`."""
OVERLAP = 10
"""Next frames of a video that each frame is matched with; COLMAP's default. Time and matches grow in proportion."""


def choose_pairs(count: int, *, sequential: bool) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, ascending: all of them, or with `sequential` those of a video."""
    return sequential_pairs(count) if sequential else all_pairs(count)


def all_pairs(count: int) -> list[tuple[int, int]]:
    """Pair each picture with each other."""
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def sequential_pairs(count: int, *, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """Pair each frame with the next `overlap` frames, and beyond them at distances of powers of two.

    COLMAP calls the latter quadratic overlap.
    """
    return [(a, b) for a, b in all_pairs(count) if b - a <= overlap or (b - a) & (b - a - 1) == 0]
