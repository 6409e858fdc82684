"""Trainings on small pictures, which tell cheaply how those at full size would show photos that they do not see."""

import math
from dataclasses import dataclass, replace

from recon.clip import Clip, PictureSet
from recon.gaussians import Gaussians
from recon.splats.fit import FitOptions
from recon.splats.fitting.start_cloud import StartCloud
from recon.splats.render import draw_views

CHOICE_SIDE = 240
"""Long side in pixels of the pictures on which trainings are compared: a step takes a third of the time of one at 480."""
LEAST_CAP = 2_000
"""Gaussians that a comparison may have however small its pictures are."""
LONGEST_COMPARED = 4_000
"""Iterations: the longest training that is compared on small pictures; longer ones would take hours on a CPU."""


@dataclass(frozen=True)
class SmallTraining:
    """Photos and what their training starts from, with Gaussians fewer in proportion to the pixels."""

    clip: Clip
    start: StartCloud
    cap: int
    """Most Gaussians."""


def shrink_training(
    clip: PictureSet, start: StartCloud, options: FitOptions, max_side: int = CHOICE_SIDE
) -> SmallTraining:
    """Shrink photos to a long side of `max_side` pixels, and points and Gaussians with their area."""
    small = clip.limit_size(max_side).load()
    share = small.width * small.height / (clip.width * clip.height)
    fewer = replace(start, surface_count=max(1, round(start.surface_count * share)))
    return SmallTraining(small, fewer, min(options.cap, max(LEAST_CAP, round(options.cap * share))))


def measure_psnr(scene: Gaussians, photo: Clip) -> float:
    """PSNR of a rendered photo over the pixels that it fills, dB."""
    drawn = draw_views(scene, photo.require_cameras()).images.double().clamp(0, 1)
    errors = (drawn - photo.images.double()).square().mean(-1)
    if photo.confidence is None:
        error = float(errors.mean())
    else:  # what lies around it on its canvas is no picture
        sure = photo.confidence.double()
        error = float((errors * sure).sum() / sure.sum().clamp_min(1e-9))
    return -10 * math.log10(max(error, 1e-10))  # 100 dB at most, as eval has it
