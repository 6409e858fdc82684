"""Refuse options with which no clip can be measured, before any clip is read."""

from collections.abc import Callable
from typing import TypeVar

from bridge4d.measuring.measure_options import MeasureOptions
from recon.camera_files import Convention, check_format
from recon.clips.pairing import Sampling
from recon.errors import BridgeError

T = TypeVar("T")

MIN_SIDE_PX = 32
"""Least `max_side`: in smaller frames no kind of features is found."""
MIN_FRAMES = 3
"""Least `frames`: two cameras have a baseline but no path."""
MAX_SEED = 2**31 - 1001
"""Largest seed: COLMAP takes 32 signed bits, of which 1,000 are left for repeated trials, which count up from the seed."""


def check_options(options: MeasureOptions) -> None:
    """Refuse numbers out of range and unknown conventions once, rather than for every clip.

    Raises:
        BridgeError: the first unusable option, with its range.
    """
    Sampling(options.every, options.frames)
    if options.frames is not None and options.frames < MIN_FRAMES:
        raise BridgeError(
            f"expected --frames of {MIN_FRAMES} or more, got {options.frames}: fewer make no path"
        )
    if options.convention is not None:
        _check_flag("--convention", Convention.parse, options.convention)
    _check_flag("--camera-format", check_format, options.camera_format)
    least = {"trials": 1, "max_side": MIN_SIDE_PX, "max_features": 1, "workers": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise BridgeError(f"expected --{name.replace('_', '-')} of {bound} or more, got {value}")
    if not 0 <= options.seed <= MAX_SEED:
        raise BridgeError(f"expected --seed from 0 to {MAX_SEED}, got {options.seed}")
    if not options.seconds_limit > 0:
        raise BridgeError(f"expected --seconds-limit above 0, got {options.seconds_limit:g}")


def _check_flag(flag: str, check: Callable[[T], object], value: T) -> None:
    """Run a check of a value, and name the option in its error."""
    try:
        check(value)
    except BridgeError as error:
        raise BridgeError(f"{flag}: {error}") from error
