"""Which pictures are matched with which."""

from typing import Literal

Pairing = Literal["auto", "exhaustive", "sequential"]
OVERLAP = 10
"""Frames of a video that follow each other and are all matched; COLMAP's default."""


def choose_pairs(count: int, *, sequential: bool) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, ascending: all of them, or those of a video."""
    return sequential_pairs(count) if sequential else all_pairs(count)


def all_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs each picture with each."""
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def sequential_pairs(count: int, *, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """Pairs each frame with the next `overlap` frames, and beyond them those at distances of powers of two (COLMAP's quadratic overlap)."""
    return [(a, b) for a, b in all_pairs(count) if b - a <= overlap or (b - a) & (b - a - 1) == 0]
