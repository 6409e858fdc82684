"""Which frames of a video judge, settled before any frame is looked at."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.videos.read import video_shape


@dataclass(frozen=True)
class Runs:
    """A video in runs of equally many frames, of which some are kept for judging before any frame is looked at: what they
    show must not decide which others are taken."""

    judged: tuple[range, ...]
    """Numbers of the frames of each run that is kept."""
    others: int
    """How many runs are not."""

    @staticmethod
    def of(path: Path, count: int | None, hold_out: Callable[[Sequence[str]], Collection[str]]) -> "Runs":
        """`count` runs, one for each frame where that is None; `hold_out` is asked by the names of their middle frames."""
        frames = video_shape(path).packets
        count = frames if count is None else min(count, frames)
        runs = [range(i * frames // count, (i + 1) * frames // count) for i in range(count)]
        names = [frame_name(run[len(run) // 2]) for run in runs]
        due = set(hold_out(names))
        judged = tuple(run for run, name in zip(runs, names, strict=True) if name in due)
        return Runs(judged, count - len(judged))

    @property
    def frames(self) -> set[int]:
        return {i for run in self.judged for i in run}

    def choose(self, sharpness: Sequence[float], training: int) -> list[int]:
        """The sharpest frame of the middle half of a run, away from the frames beside it, in as many of the runs as so many
        training frames are due."""
        middles = [run[len(run) // 4 : len(run) - len(run) // 4] for run in self.judged]
        there = [inside for middle in middles if (inside := [i for i in middle if i < len(sharpness)])]
        if not there:
            return []
        count = min(len(there), -(-training * len(self.judged) // max(1, self.others)))
        kept = np.unique(np.linspace(0, len(there) - 1, max(1, count)).round().astype(int))
        return [max(there[k], key=lambda i: sharpness[i]) for k in kept]


def frame_name(frame: int) -> str:
    return f"{frame:05d}"
