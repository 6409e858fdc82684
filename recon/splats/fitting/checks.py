"""Checks of the pictures, options and losses of a training."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from recon.clip import Clip
from recon.errors import BridgeError, CaptureError, ReconstructionError
from recon.splats.density import Density
from recon.splats.fitting.options import MOST_DROPOUT, FitOptions
from recon.splats.render import resolve
from recon.splats.sh import MAX_DEGREE


def trains_compiled(device: torch.device) -> bool:
    """Whether the compiled engine trains on this device."""
    return resolve("auto", device) == "cpu"


def check_fit(clip: Clip, options: FitOptions, device: torch.device) -> None:
    """Check the pictures and options of a training.

    Raises:
        ReconstructionError: no images.
        CaptureError: images that are not RGB, or a confidence of another shape.
        BridgeError: options out of range, or `prune_screen` where the compiled engine trains.
    """
    _check_pictures(clip)
    _check_ranges(options)
    _check_times(options)
    density = options.density
    if isinstance(density, Density) and density.prune_screen is not None and trains_compiled(device):
        raise BridgeError(
            f"expected prune_screen to be None, got {density.prune_screen}: training by the compiled engine does not "
            "report radii on the screen; prune by prune_above instead"
        )


def _check_pictures(clip: Clip) -> None:
    if len(clip) == 0:
        raise ReconstructionError("expected at least one image to train on, got none")
    shape = tuple(clip.images.shape)
    if shape[3] != 3:
        raise CaptureError(
            f"expected images of n x h x w x 3, red, green and blue, got {_sides(shape)}; convert them to sRGB"
        )
    if clip.confidence is not None and tuple(clip.confidence.shape) != shape[:3]:
        raise CaptureError(
            f"expected a confidence for each pixel, {_sides(shape[:3])}, got {_sides(clip.confidence.shape)}"
        )


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _check_ranges(options: FitOptions) -> None:
    if options.iterations < 1 or options.cap < 1:
        raise BridgeError(
            f"expected at least one iteration and room for one Gaussian, got {options.iterations} and {options.cap}"
        )
    if options.cpu_seconds is not None and not options.cpu_seconds > 0:
        raise BridgeError(f"expected some CPU-seconds to train for, got {options.cpu_seconds}")
    if not 0 <= options.sh_degree <= MAX_DEGREE:
        raise BridgeError(f"expected sh_degree from 0 to {MAX_DEGREE}, got {options.sh_degree}")
    if not 0 <= options.lambda_dssim <= 1:
        raise BridgeError(f"expected lambda_dssim from 0 to 1, got {options.lambda_dssim}")
    if not 0 <= options.dropout <= MOST_DROPOUT:
        raise BridgeError(f"expected dropout from 0 to {MOST_DROPOUT}, got {options.dropout}")
    if len(options.background) != 3:
        raise BridgeError(f"expected a background of three numbers, got {options.background}")


def _check_times(options: FitOptions) -> None:
    """Fractions of the training; comparisons are such that NaN fails."""
    intervals = {
        "sh_degree_every": options.sh_degree_every,
        f"{type(options.density).__name__}.every": options.density.every,
    }
    if isinstance(options.density, Density) and options.density.opacity_reset is not None:
        intervals["Density.opacity_reset"] = options.density.opacity_reset
    for name, interval in intervals.items():
        if not interval > 0:
            raise BridgeError(f"expected {name} to be a part of the training above 0, got {interval}")
    if not all(earlier < later for earlier, later in pairwise((0, *options.doublings, 1))):
        raise BridgeError(f"expected doublings that increase between 0 and 1, got {options.doublings}")


def check_loss(loss: float, iteration: int) -> None:
    """Refuse a training that diverged.

    Raises:
        ReconstructionError: the loss is NaN.
    """
    if math.isnan(loss):
        raise ReconstructionError(
            f"the training diverged (loss is not a number after {iteration} iterations); "
            "look for NaN in the images or lower the learning rates"
        )


def check_frequency(often: Tensor, n: int) -> None:
    """Check the frequencies of n images: [n], or p rows [p,n].

    Raises:
        BridgeError: another shape, a negative or infinite number, or a row of zeros.
    """
    fits = often.ndim in (1, 2) and often.shape[-1] == n and often.numel() > 0
    if not fits or not bool(((often >= 0) & often.isfinite()).all() & (often.sum(-1) > 0).all()):
        got = f"from {often.min():g} to {often.max():g}" if fits else f"of shape {tuple(often.shape)}"
        raise BridgeError(
            f"expected how often to train on each of {n} images, none below 0 or infinite, at least one above 0 at "
            f"any time, got frequencies {got}"
        )
