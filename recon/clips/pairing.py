"""Pairs of the frames and cameras of a clip, and the choice of those that are measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recon.errors import CameraError, CaptureError
from recon.words import count_noun

CountRule = Literal["refuse", "first", "spread"]
"""Treatment of a clip whose frames and cameras differ in number: refuse it; cut both to the shorter; or take the longer at
evenly spaced places, both ends included."""
Pair = tuple[int, int | None]
"""Indices (frame, camera); None where no cameras were requested."""


@dataclass(frozen=True)
class Sampling:
    """Choice of the frames of a clip that are measured."""

    every: int = 1
    """Take every k-th frame."""
    frames: int | None = None
    """Then at most so many, evenly spread from first to last."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise CaptureError(f"expected to take every 1st, 2nd, … frame, got every {self.every}")
        if self.frames is not None and self.frames < 2:
            raise CaptureError(f"expected at least 2 frames a clip, got {self.frames}")

    def of(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Choose the pairs that are measured."""
        kept = list(pairs[:: self.every])
        if self.frames is None or len(kept) <= self.frames:
            return kept
        return [kept[i] for i in spread_indices(len(kept), self.frames)]


def spread_indices(n: int, count: int) -> list[int]:
    """`count` evenly spaced numbers of 0 … n-1, both ends included; 0 alone for a count of 1."""
    if count < 2:
        return [0][:count]
    steps = count - 1
    return [(2 * i * (n - 1) + steps) // (2 * steps) for i in range(count)]


def pair_frames(frames: int, cameras: int, rule: CountRule) -> list[Pair]:
    """Pair frames with cameras in order.

    Raises:
        CameraError: the numbers differ, and the rule is 'refuse'.
    """
    n = min(frames, cameras)
    if rule == "first" or frames == cameras:
        return [(i, i) for i in range(n)]
    if rule == "spread":
        return list(zip(spread_indices(frames, n), spread_indices(cameras, n), strict=True))
    raise CameraError(
        f"expected as many cameras as frames, got {count_noun(frames, 'frame')} and {count_noun(cameras, 'camera')}; give "
        "`--count-rule first` to cut both to the shorter, or `--count-rule spread` to take the longer at evenly "
        "spaced places from first to last"
    )
