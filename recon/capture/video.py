"""Captures from videos: sharp frames, evenly spread over the camera's motion."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped, UInt8

from recon.capture.capture import Capture
from recon.capture.copies import explain_twin, find_copied
from recon.capture.judging_runs import Runs, frame_name
from recon.clip import Clip
from recon.compute.progress import progress
from recon.errors import CaptureError
from recon.pictures.batch import check_batch, stack_pictures
from recon.pictures.images import fit_size, shrink
from recon.pictures.levels import find_levels
from recon.videos.read import iterate_frames, read_wanted_frames, shrink_to_side
from recon.words import count_noun

GREY_SIDE_PX = 320
"""Long side of the grey pictures on which motion and sharpness are measured."""
MIN_FLOW = 0.04
"""Flow between frames that are taken, as a share of the long side: closer ones add no parallax. Doubled, a slow video gives
half as many frames."""
MIN_CORNERS = 30
"""Tracked corners below which new ones are found: a median of fewer follows single mismatches."""


@dataclass(frozen=True)
class FrameStats:
    """Time, sharpness and motion of one frame of a video."""

    time_s: float
    sharpness: float
    """Variance of the Laplacian, in grey levels squared (Pech-Pacheco et al. 2000)."""
    travel: float
    """Motion of the picture since the first frame, in long sides: net flow, summed over short stretches."""


def read_video(
    path: Path,
    *,
    max_side: int | None = None,
    max_frames: int = 60,
    every_frame: bool = False,
    hold_out: Callable[[Sequence[str]], Collection[str]] | None = None,
) -> Capture:
    """Read the sharpest frames of a video, evenly spread over the motion of the picture.

    A video that breaks off gives the frames before the break, and `skipped` says where it ended.

    Args:
        max_side: pixels of a frame's long side at most.
        max_frames: frames at most.
        every_frame: take all frames, blurred ones too; `max_frames` does not apply.
        hold_out: chooses the frames that judge, out of `max_frames` evenly spread in time. They decide neither which
            others are taken nor the levels, and one that shows the same as another is left out.

    Raises:
        CaptureError: not a video, one without two frames that can be decoded, or more frames than memory holds.
    """
    runs = Runs.of(path, None if every_frame else max_frames, hold_out) if hold_out else Runs((), 0)
    survey = _survey(path, runs.frames)
    stats = survey.stats
    if len(stats) < 2:
        raise CaptureError(
            f"expected a video, but only {count_noun(len(stats), 'frame')} of {path} can be decoded {survey.ended}".rstrip()
        )
    training, judged = _choose_parts(stats, runs, None if every_frame else max_frames)
    picks = sorted([*training, *judged])
    check_batch({fit_size(*survey.size, max_side): len(picks)}, path.name)
    notes: dict[str, None] = {}
    pixels_of = {i: shrink_to_side(pixels, max_side) for i, pixels in read_wanted_frames(path, picks, notes)}
    training, judged = ([i for i in part if i in pixels_of] for part in (training, judged))
    levels = find_levels([pixels_of[i] for i in training])
    if levels is not None:
        pixels_of = {i: levels.stretch(pixels) for i, pixels in pixels_of.items()}
        notes[levels.note] = None
    skipped = [(path.name, survey.ended)] if survey.ended else []
    skipped += _remove_twins(pixels_of, training, judged)
    clip = Clip(
        stack_pictures(tuple(pixels_of.values()), path.name),
        times_s=torch.tensor([stats[i].time_s for i in pixels_of], dtype=torch.float64),
        names=tuple(frame_name(i) for i in pixels_of),
    )
    return Capture(
        clip,
        (),
        tuple(skipped),
        ordered=True,
        kind="video",
        notes=(*_note_selection(path, len(picks), len(stats)), *(f"{path.name} is {note}" for note in notes)),
        heldout=tuple(frame_name(i) for i in judged if i in pixels_of),
        levels=levels,
    )


def _choose_parts(
    stats: Sequence[FrameStats], runs: Runs, max_frames: int | None
) -> tuple[list[int], list[int]]:
    """Choose the training and the held-out frames; None takes all training frames."""
    training = [i for i in range(len(stats)) if i not in runs.frames]
    if max_frames is not None and len(training) > 1:
        picks = choose_frames([stats[i] for i in training], max(2, max_frames - len(runs.judged)))
        training = [training[i] for i in picks]
    return training, runs.choose([s.sharpness for s in stats], len(training))


def _remove_twins(
    pixels_of: dict[int, np.ndarray], training: Sequence[int], judged: Sequence[int]
) -> list[tuple[str, str]]:
    """Remove held-out frames that show the same as another one from `pixels_of`; (name, reason) of each."""
    copied = find_copied([pixels_of[i] for i in judged], [pixels_of[i] for i in training])
    skipped = []
    for i, first in zip(judged, copied, strict=True):
        if first is not None:
            skipped.append((frame_name(i), explain_twin(frame_name([*training, *judged][first]))))
            del pixels_of[i]
    return skipped


def _note_selection(path: Path, count: int, whole: int) -> list[str]:
    if count == whole:
        return []
    return [f"{count} of the {whole} frames of {path.name} were taken, spread over its motion"]


@dataclass(frozen=True)
class _Survey:
    """Statistics of every frame of a video."""

    stats: list[FrameStats]
    size: tuple[int, int]
    """(width, height) of its first frame as shown."""
    ended: str
    """Where the video breaks off; '' if it does not."""


def choose_frames(stats: Sequence[FrameStats], max_frames: int) -> list[int]:
    """Choose the frames to keep: ascending indices, at least two.

    The travel of the picture is cut into equal stretches; each gives its sharpest frame of those at least half a stretch
    beyond the frame before.
    """
    travel = np.array([s.travel for s in stats])
    sharpness = np.array([s.sharpness for s in stats])
    stretches = int(np.clip(np.ceil(travel[-1] / MIN_FLOW), 2, max(2, max_frames)))
    edges = np.linspace(0, travel[-1], stretches + 1)
    edges[-1] += 1
    picks: list[int] = []
    for low, high in pairwise(edges):
        inside = np.flatnonzero((travel >= low) & (travel < high))
        if picks:
            inside = inside[travel[inside] >= travel[picks[-1]] + 0.5 * travel[-1] / stretches]
        if len(inside):
            picks.append(int(inside[np.argmax(sharpness[inside])]))
    if len(picks) < 2:
        picks = [0, len(stats) - 1]
    return picks


def _survey(path: Path, unseen: Collection[int] = ()) -> _Survey:
    """Measure every frame, one in memory at a time; `unseen` frames do not count for the motion."""
    trouble: list[str] = []
    stats: list[FrameStats] = []
    size = (0, 0)
    motion = _Motion()
    with progress(f"looking through {path.name}") as update:
        for index, time_s, pixels in _frames(path, trouble):
            size = size if stats else (pixels.shape[1], pixels.shape[0])
            grey = _grey(pixels)
            travel = motion.travel if index in unseen else motion.add(grey)
            stats.append(FrameStats(time_s, _sharpness(grey), travel))
            update(index + 1, "")
    return _Survey(stats, size, trouble[0] if trouble else "")


def _frames(path: Path, trouble: list[str]) -> Iterator[tuple[int, float, Shaped[np.ndarray, "h w 3"]]]:
    """(index, seconds since the first frame, RGB) of all frames in order, as a player would show them."""
    for index, time_s, frame in iterate_frames(path, trouble):
        yield index, time_s, frame.pixels()


def _grey(pixels: Shaped[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2"]:
    import cv2

    if pixels.dtype != np.uint8:
        pixels = (pixels.clip(0, 1) * 255).astype(np.uint8)
    scale = min(1.0, GREY_SIDE_PX / max(pixels.shape[:2]))
    small = shrink(pixels, max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _sharpness(grey: UInt8[np.ndarray, "h w"]) -> float:
    import cv2

    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


class _Motion:
    """Sum of the picture's motion, without trembling.

    Corners are tracked (pyramidal Lucas-Kanade) until they have moved half of `MIN_FLOW`; that net motion is added, and new
    corners are found.
    """

    def __init__(self) -> None:
        self.travel = 0.0
        self.booked = 0.0
        self.before: np.ndarray | None = None
        self.start = self.now = np.zeros((0, 1, 2), np.float32)

    def add(self, grey: UInt8[np.ndarray, "h w"]) -> float:
        """Track a frame; return the travel up to it, in long sides."""
        import cv2

        if self.before is not None and len(self.now):
            moved, found, _ = cv2.calcOpticalFlowPyrLK(self.before, grey, self.now, None)  # type: ignore[call-overload]
            good = found[:, 0] == 1
            self.start, self.now = self.start[good], moved[good]
            if len(self.now):
                net = float(np.median(np.linalg.norm(self.now - self.start, axis=-1))) / max(grey.shape)
                self.travel = max(self.travel, self.booked + net)
        lost = len(self.now) < MIN_CORNERS
        if self.before is None or lost or self.travel - self.booked > MIN_FLOW / 2:
            self.booked = self.travel
            corners = cv2.goodFeaturesToTrack(grey, 200, 0.01, 6)
            self.start = self.now = corners if corners is not None else np.zeros((0, 1, 2), np.float32)
        self.before = grey
        return self.travel
