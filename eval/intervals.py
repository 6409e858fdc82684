"""How sure a figure is: 95% intervals of means and of rates."""

import math
from collections.abc import Sequence

import torch

_Z95 = 1.959963984540054


def bootstrap_mean95(
    values: Sequence[float], *, generator: torch.Generator, resamples: int = 10_000
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of a mean (Efron 1979), of paired gains for instance.

    None for fewer than two values: one view says nothing about the spread. With a handful of values it is
    known to be too narrow; it is a floor of the uncertainty, not a promise.
    """
    n = len(values)
    if n < 2:
        return None
    x = torch.tensor(values, dtype=torch.float64)
    picks = torch.randint(n, (resamples, n), generator=generator)
    low, high = torch.quantile(x[picks].mean(1), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def wilson95(successes: int, n: int) -> tuple[float, float] | None:
    """Wilson's score interval of a rate (Wilson 1927): sane at 0 and at n, unlike the normal one. None for n = 0."""
    if n == 0:
        return None
    p, z2 = successes / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
