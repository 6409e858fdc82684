"""How many clips a comparison needs to find a difference, and how many a rate needs to be known."""

import math
from collections.abc import Callable

from eval.stats.intervals import wilson95
from eval.stats.power import POWER, fisher_power, mcnemar_power

MAX_CLIPS = 1_000_000
"""Largest size that is looked for."""
STEADY = 5
"""Sizes in a row that must reach the power: that of exact tests falls a little here and there as clips are added."""


def clips_for_half_width(rate: float, half_width: float) -> int:
    """Fewest clips whose Wilson interval at `rate` reaches no further than so much to either side, on average of both."""
    return _fewest(lambda n: wilson_half_width(rate, n) <= half_width)


def wilson_half_width(rate: float, n: int) -> float:
    """Half the width of Wilson's 95% interval of a rate over n clips."""
    interval = wilson95(rate * n, n)
    assert interval is not None
    return (interval[1] - interval[0]) / 2


def clips_for_rates(rate_a: float, rate_b: float, level: float, power: float = POWER) -> int:
    """Fewest clips of each side with which Fisher's exact test finds two rates to differ."""
    return _fewest_steady(lambda n: fisher_power(n, n, rate_a, rate_b, level) >= power)


def pairs_for_rates(only_a: float, only_b: float, level: float, power: float = POWER) -> int:
    """Fewest pairs with which McNemar's exact test finds two rates to differ (see `mcnemar_power`)."""
    return _fewest_steady(lambda n: mcnemar_power(n, only_a, only_b, level) >= power)


def discordant_shares(rate_a: float, rate_b: float, correlation: float) -> tuple[float, float] | None:
    """Shares of the pairs in which only a, or only b, meets the rule; None where no pairs have these rates and correlation.

    Args:
        correlation: Of the zeros and ones of a pair; 0 where a pair is no more alike than any two clips.
    """
    both = rate_a * rate_b + correlation * math.sqrt(rate_a * (1 - rate_a) * rate_b * (1 - rate_b))
    only_a, only_b, neither = rate_a - both, rate_b - both, 1 - rate_a - rate_b + both
    if min(both, only_a, only_b, neither) < -1e-12:  # rounding of sums
        return None
    return max(only_a, 0.0), max(only_b, 0.0)


def _fewest(enough: Callable[[int], bool]) -> int:
    """The size at which `enough` becomes true, which stays true from there."""
    high = 1
    while not enough(high) and high < MAX_CLIPS:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _fewest_steady(enough: Callable[[int], bool]) -> int:
    """As `_fewest`, where `enough` may flicker: the first of `STEADY` sizes in a row."""
    n, run = max(1, _fewest(enough) - 2 * STEADY), 0
    while run < STEADY:
        n, run = (n, run + 1) if enough(n + run) else (n + run + 1, 0)
    return n
