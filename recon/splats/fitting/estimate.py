"""Estimate of how long a training will take, from its first steps."""

from dataclasses import replace

import torch

from recon.clip import Clip
from recon.compute.progress import Silent, use_reporter
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.fit import FitOptions, fit_gaussians

TRIAL_STEPS = 4
"""The first is slower than the others; twice as many would take twice as long for a figure that is rough in any case."""
GROWTH = 1.15
"""Mean time of a step of a training over that of the trial, which has full pictures but only the Gaussians of the start: 1.15 and
1.10 in CPU time on lund_door (3 photos) and buddha (6) at 480 px, 400 steps to 50,000 Gaussians."""


def estimate_seconds(clip: Clip, points: PointCloud | Gaussians, options: FitOptions) -> float:
    """Seconds that `fit_gaussians` will take on this machine as it is now, to about a factor of two.

    Draws its random numbers apart, so that the training that follows stays the same.
    """
    trial = replace(options, iterations=TRIAL_STEPS, cpu_seconds=None, doublings=())
    pictures = clip[: min(len(clip), TRIAL_STEPS)]
    with use_reporter(Silent()):
        tried = fit_gaussians(pictures, points, options=trial, generator=torch.Generator().manual_seed(0))
    return GROWTH * options.iterations * tried.seconds / TRIAL_STEPS
