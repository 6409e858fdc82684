"""Choice of a video's held-out frames before any frame is decoded."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon.videos.read import video_shape


@dataclass(frozen=True)
class Runs:
    """Runs of equally many frames of a video, some of them held out for judging.

    They are chosen before any frame is decoded, so that their content cannot decide which others are taken.
    """

    judged: tuple[range, ...]
    """Frame numbers of each held-out run."""
    others: int
    """Number of runs that are not held out."""

    @staticmethod
    def of(path: Path, count: int | None, hold_out: Callable[[Sequence[str]], Collection[str]]) -> "Runs":
        """Cut a video into `count` runs (None: one a frame) and hold out those whose middle frames `hold_out` names."""
        frames = video_shape(path).packets
        count = frames if count is None else min(count, frames)
        runs = [range(i * frames // count, (i + 1) * frames // count) for i in range(count)]
        names = [frame_name(run[len(run) // 2]) for run in runs]
        due = set(hold_out(names))
        judged = tuple(run for run, name in zip(runs, names, strict=True) if name in due)
        return Runs(judged, count - len(judged))

    @property
    def frames(self) -> set[int]:
        """Numbers of all held-out frames."""
        return {i for run in self.judged for i in run}

    def choose(self, sharpness: Sequence[float], training: int) -> list[int]:
        """Choose the sharpest frame from the middle half of each run, away from the frames beside it.

        Args:
            sharpness: of every frame of the video.
            training: number of training frames; held-out ones are as many as their share of the runs.
        """
        middles = [run[len(run) // 4 : len(run) - len(run) // 4] for run in self.judged]
        there = [inside for middle in middles if (inside := [i for i in middle if i < len(sharpness)])]
        if not there:
            return []
        count = min(len(there), -(-training * len(self.judged) // max(1, self.others)))
        kept = np.unique(np.linspace(0, len(there) - 1, max(1, count)).round().astype(int))
        return [max(there[k], key=lambda i: sharpness[i]) for k in kept]


def frame_name(frame: int) -> str:
    """Name of a video's frame by its number."""
    return f"{frame:05d}"
