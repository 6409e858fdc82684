"""Tests of whether two sets of values differ, with the interval of the difference and the size of the effect.

Each takes values of the model and of the control, paired by place where the name says so, and is two-sided.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.stats.intervals import (
    bootstrap_difference95,
    bootstrap_mean95,
    newcombe95,
    newcombe_paired95,
    too_narrow,
)

MAX_ENUMERATED = 1 << 14
"""Most arrangements that a permutation test enumerates, a fraction of a second; beyond, it draws."""
DRAWN_ARRANGEMENTS = 4999
"""Arrangements drawn where they are too many to enumerate: a p-value of 5% is then known to about ±0.6%; twice as many
would give ±0.4%."""

MCNEMAR, FISHER = "McNemar, exact", "Fisher, exact"
"""Names of the tests of zeros and ones, as reports have them."""


@dataclass(frozen=True)
class Found:
    test: str
    interval: tuple[float, float]
    interval_note: str
    """A caution about the interval, for people; '' where there is none."""
    p_value: float
    p_smallest: float
    """Least p-value that the test can give for samples of this size."""
    effect_size: float
    effect_size_name: str


DifferenceTest = Callable[[list[float], list[float], torch.Generator], Found]


def choose_test(*, zeros_and_ones: bool, paired: bool) -> DifferenceTest:
    """Chooses the test of a difference by the kind of values."""
    if zeros_and_ones:
        return mcnemar if paired else fisher
    return paired_permutation if paired else unpaired_permutation


def mcnemar(a: list[float], b: list[float], generator: torch.Generator) -> Found:
    """McNemar's exact test, Newcombe's paired interval of the difference of rates, Cohen's h."""
    from scipy.stats import binomtest

    both = sum(x == y == 1 for x, y in zip(a, b, strict=True))
    only_a = sum(x > y for x, y in zip(a, b, strict=True))
    only_b = sum(x < y for x, y in zip(a, b, strict=True))
    interval = newcombe_paired95(both, only_a, only_b, len(a) - both - only_a - only_b)
    assert interval is not None
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return Found(MCNEMAR, interval, "", p, 2 * 0.5 ** len(a), _cohen_h(a, b), "Cohen's h")


def fisher(a: list[float], b: list[float], generator: torch.Generator) -> Found:
    """Fisher's exact test, Newcombe's interval of the difference of rates, Cohen's h."""
    i, j, n, m = round(sum(a)), round(sum(b)), len(a), len(b)
    interval = newcombe95(i, n, j, m)
    assert interval is not None
    p, smallest = _fisher_p(i, n, j, m), _fisher_p(n, n, 0, m)
    return Found(FISHER, interval, "", p, smallest, _cohen_h(a, b), "Cohen's h")


def paired_permutation(a: list[float], b: list[float], generator: torch.Generator) -> Found:
    """Flips of signs of the differences, their mean's bootstrap interval, the matched-pairs rank-biserial
    correlation (Kerby 2014)."""
    from scipy.stats import rankdata

    x = torch.tensor(a, dtype=torch.float64) - torch.tensor(b, dtype=torch.float64)
    interval = bootstrap_mean95(x.tolist(), generator=generator)
    assert interval is not None
    moved = x[x != 0]
    ranks = torch.as_tensor(rankdata(moved.abs().numpy()), dtype=torch.float64)
    biserial = (ranks * moved.sign()).sum().item() / ranks.sum().item() if len(moved) else 0.0
    # a difference of zero stays zero under a flip, so only the others are arranged
    exact = 2 ** len(moved) <= MAX_ENUMERATED
    # one pair is as far from zero under either sign; scipy refuses samples of one
    p = _permutation_p([moved], "samples", exact, generator) if len(moved) >= 2 else 1.0
    return Found(
        f"paired permutation, {'exact' if exact else 'sampled'}",
        interval,
        too_narrow(len(x)),
        p,
        _smallest_p(2 ** len(x)),
        biserial,
        "matched-pairs rank-biserial",
    )


def unpaired_permutation(a: list[float], b: list[float], generator: torch.Generator) -> Found:
    """All ways to deal the values to two sides, the bootstrap interval of the difference of means, Cliff's delta."""
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    interval = bootstrap_difference95(a, b, generator=generator)
    assert interval is not None
    ascending = y.sort().values
    below = torch.searchsorted(ascending, x)
    above = len(y) - torch.searchsorted(ascending, x, right=True)
    delta = (below - above).sum().item() / (len(x) * len(y))
    arrangements = math.comb(len(a) + len(b), len(a))
    exact = arrangements <= MAX_ENUMERATED
    p = _permutation_p([x, y], "independent", exact, generator)
    return Found(
        f"unpaired permutation, {'exact' if exact else 'sampled'}",
        interval,
        too_narrow(len(a), len(b)),
        p,
        _smallest_p(arrangements),
        delta,
        "Cliff's delta",
    )


def _permutation_p(
    samples: list[Float[Tensor, "_"]], kind: str, exact: bool, generator: torch.Generator
) -> float:
    """Two-sided p-value of a mean (flips of signs) or of a difference of means: twice the smaller tail.

    scipy enumerates the arrangements where it may draw as many as there are.
    """
    from scipy.stats import permutation_test

    def statistic(*x, axis: int):
        """Difference of the means."""
        return x[0].mean(axis) - (x[1].mean(axis) if len(x) == 2 else 0)

    seed = int(torch.randint(2**31, (1,), generator=generator))
    found = permutation_test(
        [x.numpy() for x in samples],
        statistic,
        permutation_type=kind,  # type: ignore[arg-type]
        vectorized=True,
        n_resamples=MAX_ENUMERATED if exact else DRAWN_ARRANGEMENTS,
        batch=max(1, (1 << 22) // sum(len(x) for x in samples)),
        rng=seed,
    )
    return float(found.pvalue)


def _smallest_p(arrangements: int) -> float:
    """Twice the share of the one arrangement that was found; drawn arrangements are one more, the one found."""
    return min(1.0, 2 / (arrangements if arrangements <= MAX_ENUMERATED else DRAWN_ARRANGEMENTS + 1))


def _fisher_p(i: int, n: int, j: int, m: int) -> float:
    from scipy.stats import fisher_exact

    test = fisher_exact([[i, n - i], [j, m - j]])
    return float(test.pvalue)  # type: ignore[attr-defined]  # scipy's annotation hides the result


def _cohen_h(a: list[float], b: list[float]) -> float:
    """Difference of rates on the arcsine scale (Cohen 1988), in [−π, π]."""
    rate_a, rate_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    return 2 * math.asin(math.sqrt(rate_a)) - 2 * math.asin(math.sqrt(rate_b))
