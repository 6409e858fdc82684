"""How small a difference a comparison could have found, had there been one."""

import math
from collections.abc import Callable, Sequence
from functools import cache

from eval.results.measure import Comparison
from eval.stats.difference_tests import FISHER, MCNEMAR
from eval.stats.power import POWER, fisher_power, mcnemar_power, t_power
from eval.stats.sample_sizes import discordant_shares

STEPS = 20
"""Halvings of the range of a difference: 20 leave a millionth of it."""

MAX_SHIFT = 100.0
"""Largest difference of means that is looked for, in standard errors; only tests of three values at a level of 0.1% need more."""


def detectable_difference(c: Comparison, level: float) -> float | None:
    """Smallest true difference that the test of a comparison finds at `level` with a power of 80%; None where no difference is found.

    Of rates it is the one from the control's rate towards the side with more room, below it where it is a half or more.
    In pairs of zeros and ones the two are as correlated as those that were measured, as far as the rates allow. Of means
    it follows from the spread that was measured, by the power of the t-test.
    """
    if c.p_smallest is None or c.p_smallest >= level or c.mean_control is None:
        return None
    if c.test.startswith((FISHER, MCNEMAR)):
        return _detectable_rate(c, c.mean_control, level)
    if not c.spread:
        return None
    n, m = c.n, c.n_control
    error = c.spread * math.sqrt(1 / n if c.paired else 1 / n + 1 / m)
    shift = _detectable_shift(n - 1 if c.paired else n + m - 2, level)
    return None if shift is None else shift * error


@cache
def _detectable_shift(df: int, level: float) -> float | None:
    """Smallest difference that a t-test finds, in standard errors: 2.8 for many values, more for few."""
    return _smallest(lambda shift: t_power(shift, df, level) >= POWER, MAX_SHIFT)


def _detectable_rate(c: Comparison, rate: float, level: float) -> float | None:
    room = max(rate, 1 - rate)
    towards = -1 if rate >= 0.5 else 1

    def found(difference: float) -> bool:
        """Whether the test finds a difference of that size."""
        other = min(max(rate + towards * difference, 0.0), 1.0)
        if not c.test.startswith(MCNEMAR):
            return fisher_power(c.n, c.n_control, other, rate, level) >= POWER
        return mcnemar_power(c.n, *_discordant_near(other, rate, c.correlation or 0.0), level) >= POWER

    return _smallest(found, room)


def _discordant_near(rate_a: float, rate_b: float, correlation: float) -> tuple[float, float]:
    """`discordant_shares` at the correlation nearest to the given one that these rates allow."""
    spread = math.sqrt(rate_a * (1 - rate_a) * rate_b * (1 - rate_b))
    if spread > 0:
        most = (min(rate_a, rate_b) - rate_a * rate_b) / spread
        least = (max(0.0, rate_a + rate_b - 1) - rate_a * rate_b) / spread
        correlation = min(max(correlation, least), most)
    shares = discordant_shares(rate_a, rate_b, correlation)
    assert shares is not None
    return shares


def _smallest(found: Callable[[float], bool], most: float) -> float | None:
    """Where `found` becomes true between 0 and `most`, which it stays; None where it does not."""
    if not found(most):
        return None
    low, high = 0.0, most
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def pooled_spread(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Standard deviation within two sets of values, of one that both are taken to have; None for fewer than three values."""
    if len(a) + len(b) < 3:
        return None
    squares = sum(_squares(x) for x in (a, b))
    return math.sqrt(squares / (len(a) + len(b) - 2))


def paired_spread(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Standard deviation of the differences of pairs; None for fewer than two."""
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return math.sqrt(_squares(differences) / (len(differences) - 1)) if len(differences) > 1 else None


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's correlation of pairs (of zeros and ones: phi); None where one side does not vary."""
    spread = math.sqrt(_squares(a) * _squares(b))
    if not spread:
        return None
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    return math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / spread


def _squares(x: Sequence[float]) -> float:
    """Sum of squared distances from the mean."""
    mean = math.fsum(x) / len(x)
    return math.fsum((v - mean) ** 2 for v in x)
