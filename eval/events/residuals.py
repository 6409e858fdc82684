"""Does a fitted intensity describe its events? Time rescaling.

Where it does, the events expected from one event to the next are exponentially distributed with mean 1 and independent (Ogata,
Statistical models for earthquake occurrences and residual analysis for point processes, Journal of the American Statistical
Association 83, 1988; Brown, Barbieri, Ventura, Kass & Frank, The time-rescaling theorem and its application to neural spike train
data analysis, Neural Computation 14, 2002). Of places it says nothing: all of the picture is taken together.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.events.intensity import Intensity
from eval.events.window import Events

LEAST_GAPS = 5
"""Below so many the test could hardly reject anything: a choice."""


@dataclass(frozen=True)
class TimeTest:
    """Kolmogorov–Smirnov test of the rescaled gaps against the exponential distribution."""

    gaps: int
    distance: float | None = None
    """Largest distance between the distribution functions, in [0, 1]."""
    p_value: float | None = None
    """Chance of such a distance or more were the intensity true. For one that was fitted to the same events it is too high."""
    undefined: str = ""
    """Why there is no test; '' where there is one."""


def rescale_times(intensity: Intensity, events: Events) -> Float[Tensor, "n"]:
    """Events expected in the whole picture from the start of the window to the first event, and from each to the next one.

    What follows the last event is left out.
    """
    times = events.times_s.double()
    starts = torch.cat([torch.zeros(1, dtype=torch.float64), times])[:-1]
    gaps = intensity.background.between(starts, times).detach()
    excitation = intensity.excitation
    if excitation is None or not len(events):
        return gaps
    # What past events still set off falls by the same factor whichever they were, so that one sum carries them all.
    kept = torch.exp(-excitation.beta_per_s.detach() * (times - starts)).tolist()
    alpha, inside = excitation.alpha.item(), excitation.inside(events.xy, events.window).tolist()
    pending, triggered = 0.0, []
    for factor, share in zip(kept, inside, strict=True):
        triggered.append(alpha * (1 - factor) * pending)
        pending = factor * pending + share
    return gaps + torch.tensor(triggered, dtype=torch.float64)


def check_times(intensity: Intensity | None, events: Events) -> TimeTest:
    """Whether events come when the intensity says; undefined for fewer than five, and for a fit that is undefined."""
    from scipy.stats import kstest

    if intensity is None:
        return TimeTest(len(events), undefined="there is no fit")
    if len(events) < LEAST_GAPS:
        return TimeTest(len(events), undefined=f"{len(events)} events, {LEAST_GAPS} are needed")
    found = kstest(rescale_times(intensity, events).numpy(), "expon")
    return TimeTest(len(events), float(found.statistic), float(found.pvalue))
