"""Windows of time of the Gaussians of a moving scene, for formats that store each Gaussian once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.sequence import GaussianFrames

LAST_FRAME_S = 0.1
"""Seconds that the only frame of a scene is shown."""
MAX_EQUAL_DIFFERENCE = 1e-6
"""Largest difference of equal values of two frames: a thousandth of the finest step of the format. Doubled, slow motion would
stop."""


@dataclass(frozen=True)
class WindowedGaussians:
    """Gaussians, each with the window of time in which it is shown."""

    scene: Gaussians
    begin: Tensor
    end: Tensor
    """Seconds since the first frame, of each Gaussian."""
    row: Tensor
    """Row in its frame."""


def frame_ends(moving: GaussianFrames) -> Tensor:
    """End of each frame in seconds since the first one begins; the last lasts as long as most."""
    times = moving.times_s - moving.times_s[0]
    step = float(times.diff().median()) if len(times) > 1 else LAST_FRAME_S
    return torch.cat([times[1:], times[-1:] + step])


def merge_frames(moving: GaussianFrames, ends: Tensor) -> WindowedGaussians:
    """Gather the Gaussians of all frames; those that do not change from frame to frame are stored once.

    Raises:
        SceneFileError: frames whose colours have different degrees.
    """
    scenes: list[Gaussians] = []
    begins, rows = [], []
    stays: list[Tensor] = []
    current: Tensor | None = None  # of each row of the last frame, where it is stored
    last: Gaussians | None = None
    stored = 0
    for index in range(len(moving)):
        frame = moving.frames[index]
        fresh = torch.ones(len(frame), dtype=torch.bool)
        if moving.identity and last is not None:
            fresh = _find_changed(last, frame)
        place = (
            torch.zeros(len(frame), dtype=torch.long)
            if current is None or len(current) != len(frame)
            else current
        )
        place = place.clone()
        place[fresh] = stored + torch.arange(int(fresh.sum()))
        stored += int(fresh.sum())
        scenes.append(frame[fresh])
        start = 0.0 if index == 0 else float(ends[index - 1])
        begins.append(torch.full((int(fresh.sum()),), start, dtype=torch.float64))
        rows.append(fresh.nonzero()[:, 0])
        stays.append(place)
        current, last = place, frame
    end = torch.zeros(stored, dtype=torch.float64)
    for index, place in enumerate(stays):
        end[place] = float(ends[index])
    degrees = {scene.sh.shape[1] for scene in scenes}
    if len(degrees) > 1:
        raise SceneFileError(
            "expected frames whose colours are of one degree, got several; cut them with --sh-degree"
        )
    parts = {name: torch.cat([s.tensors()[name] for s in scenes]) for name in scenes[0].tensors()}
    return WindowedGaussians(Gaussians(**parts), torch.cat(begins), end, torch.cat(rows))


def _find_changed(before: Gaussians, after: Gaussians) -> Tensor:
    """Mask of the rows that differ by more than `MAX_EQUAL_DIFFERENCE`."""
    if len(before) != len(after):
        return torch.ones(len(after), dtype=torch.bool)
    differs = torch.zeros(len(after), dtype=torch.bool)
    for name, value in after.tensors().items():
        differs |= (
            ((value - before.tensors()[name]).abs() > MAX_EQUAL_DIFFERENCE).flatten(1).any(1)
            if value.ndim > 1
            else ((value - before.tensors()[name]).abs() > MAX_EQUAL_DIFFERENCE)
        )
    return differs
