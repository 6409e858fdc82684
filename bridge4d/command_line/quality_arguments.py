"""`--quality`: a name for the options that decide how large and how long scenes are trained."""

from collections.abc import Sequence
from typing import Annotated

import tyro

from bridge4d.augmenting.options import QUALITIES, Quality, quality_options
from recon.errors import BridgeError, did_you_mean

FLAG = "--quality"
QualityFlag = Annotated[
    Quality,
    tyro.conf.arg(
        help="Sets --max-side, --sfm-side, --max-gaussians, --longest and --baselines, where they are not given. draft: 480 px, 50,000 Gaussians, "
        "at most 800 steps. standard: up to 1600 px, 1,000,000 Gaussians and 30,000 steps on a GPU, 300,000 and 3,000 on a CPU. "
        "high: up to 2400 px, 3,000,000 and 30,000 on a GPU, 1,000,000 and 7,000 on a CPU. Both bring no baselines."
    ),
]
"""The flag itself, for commands that have it."""


def expand_quality(given: Sequence[str]) -> list[str]:
    """A command line with the options of its quality before all others, so that what is stated itself wins.

    Raises:
        BridgeError: a quality that there is not.
    """
    named = None
    for word, following in zip(given, [*given[1:], ""], strict=True):
        if word == FLAG:
            named = following
        elif word.startswith(f"{FLAG}="):
            named = word.partition("=")[2]
    if named is None:
        return list(given)
    if named not in QUALITIES:
        near = did_you_mean(named, list(QUALITIES))
        raise BridgeError(f"expected {FLAG} {', '.join(QUALITIES)}, got {named!r}{near}")
    options = quality_options(named)
    flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [*flags, *given]
