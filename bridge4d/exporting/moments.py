"""Which moments of a moving scene are exported, and how fast they play."""

from dataclasses import replace

import torch

from bridge4d.exporting.options import ExportOptions
from recon.errors import BridgeError
from recon.sequence import GaussianFrames


def choose_moments(moving: GaussianFrames, options: ExportOptions) -> GaussianFrames:
    """The frames of `--frames`, at the pace of `--fps`.

    Raises:
        BridgeError: frames that are not there.
    """
    if options.frames is not None:
        first, last = map(int, options.frames.split("-"))
        if first > last or last >= len(moving):
            raise BridgeError(f"expected --frames between 0 and {len(moving) - 1}, got {options.frames}")
        times = moving.times_s[first : last + 1]
        moving = replace(moving, times_s=times - times[0], frames=moving.frames[first : last + 1])
    if options.fps is not None:
        moving = replace(moving, times_s=torch.arange(len(moving), dtype=torch.float64) / options.fps)
    return moving
