"""What the clips of a model say together: rates and means with intervals, and comparisons with a control.

Clips are the unit: intervals and tests are over clips (or groups of them), never over frames or pairs of frames.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.intervals import (
    bootstrap_difference95,
    bootstrap_mean95,
    newcombe95,
    newcombe_paired95,
    wilson95,
)
from eval.report.measure_schema import Comparison, ErrorFigure, ErrorValue, Figure, Rate

EXACT = 1 << 14
"""Up to so many arrangements are enumerated by a permutation test."""
DRAWN = 4999
"""Of more arrangements, so many are drawn: a p-value of 5% is then known to about ±0.6%."""

Clip = tuple[str, float | None]
"""A clip's group ('' for none) and its value (None where it has none)."""


def rate(shares: Sequence[float | None], reasons: Sequence[str]) -> Rate:
    """How often a rule was met: the mean of the clips' shares in [0, 1] with Wilson's interval at n clips.

    A failed clip is a share of 0, not None; None is a clip that the rule could not be asked of, which
    `reasons` (one a clip, '' where there is a share) counts.
    """
    asked = _defined(shares)
    n = len(asked)
    interval = wilson95(math.fsum(asked), n)
    return Rate(
        rate=math.fsum(asked) / n if n else None,
        interval95=None if interval is None else list(interval),
        n=n,
        undefined=_count(shares, reasons),
    )


def figure(values: Sequence[float | None], reasons: Sequence[str], *, generator: torch.Generator) -> Figure:
    """Mean, median and the percentile bootstrap of the mean over the clips that have a value."""
    x = _defined(values)
    interval = bootstrap_mean95(x, generator=generator)
    return Figure(
        mean=math.fsum(x) / len(x) if x else None,
        median=torch.tensor(x, dtype=torch.float64).quantile(0.5).item() if x else None,
        interval95=None if interval is None else list(interval),
        n=len(x),
        undefined=_count(values, reasons),
    )


def error_figure(
    errors: Sequence[ErrorValue], *, worst_in_words: str, generator: torch.Generator
) -> ErrorFigure:
    """A pose error over the clips of a model, twice: over those that have a value, and over all that could
    have one, where a clip without a value counts as its `worst`. A clip without either (no request, or a
    request that defines no such error) is in neither."""
    values = [error["value"] for error in errors]
    reasons = [error["undefined_because"] for error in errors]
    filled = [error["worst"] if error["value"] is None else error["value"] for error in errors]
    return ErrorFigure(
        survivors=figure(values, reasons, generator=generator),
        failures_as_worst=figure(filled, reasons, generator=generator),
        worst=worst_in_words,
    )


def compare(
    model: Sequence[Clip],
    control: Sequence[Clip],
    *,
    binary: bool,
    higher_is_better: bool,
    generator: torch.Generator,
) -> Comparison:
    """One metric of a model against the control; clips without a value are left out beforehand.

    Paired where at least two groups (of a non-empty name) have values on both sides and these groups hold at
    least half of the clips of each side: several clips of a group are averaged first, and groups without a
    partner are left out and counted in `test`. Else the sides are two independent samples. Clips of one scene
    are not independent, so there too the clips of a group (of a non-empty name) are averaged first and count
    once, which `test` says ('groups averaged'); clips without a group are samples by themselves. `n` and
    `n_control` count samples: pairs, or groups and clips without one.

    `binary` asks for tests of zeros and ones: McNemar's exact test (paired) or Fisher's (not paired),
    Newcombe's interval of the difference of rates, Cohen's h. Where a value lies between, an average of
    trials or of a group for instance, it is compared as a number: a permutation test of the difference of
    means (flips of signs where paired; exact up to `EXACT` arrangements, else `DRAWN` of them), its bootstrap
    interval, and the matched-pairs rank-biserial correlation (Kerby 2014) or Cliff's delta, both in [−1, 1]
    and positive where the model's values are larger. Tests are two-sided.

    Neither is better where the interval holds zero, nor where the test does not reject at 5%: a bootstrap
    interval of a handful of clips is too narrow to be believed alone. `corrected` judges several tests together.
    """
    ours = [(group, value) for group, value in model if value is not None]
    theirs = [(group, value) for group, value in control if value is not None]
    pairs = _pairs(ours, theirs)
    if pairs is None:
        a, b = _samples(ours), _samples(theirs)
        remark = " (groups averaged)" if len(a) < len(ours) or len(b) < len(theirs) else ""
    else:
        a, b, remark = pairs.ours, pairs.theirs, pairs.left_out
    for side, x, clips in (("model", a, ours), ("control", b, theirs)):
        if len(x) < 2:
            what = "groups" if len(x) < len(clips) else "clips"
            return _undefined(a, b, f"fewer than two {what} of the {side} have a value")
    zeros_and_ones = binary and set(a) | set(b) <= {0.0, 1.0}
    judge = _JUDGES[zeros_and_ones, pairs is not None]
    found = judge(a, b, generator)
    difference = _mean(a) - _mean(b)
    return Comparison(
        test=found.test + remark,
        paired=pairs is not None,
        n=len(a),
        n_control=len(b),
        mean=_mean(a),
        mean_control=_mean(b),
        difference=difference,
        interval95=list(found.interval),
        effect_size=found.effect_size,
        effect_size_name=found.effect_size_name,
        p_value=found.p_value,
        p_holm=found.p_value,
        better=_better(found.p_value, found.interval, higher_is_better),
        undefined_because="",
    )


def corrected(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The comparisons with p values of one family of tests (Holm, A simple sequentially rejective procedure, 1979).

    The smallest of m p values is multiplied by m, the next by m − 1 and so on, none becoming smaller than the one before:
    the chance that any of them is below 5% without a difference is at most 5%. What does not hold then is undecided.
    """
    tested = {name: c["p_value"] for name, c in comparisons.items() if c["p_value"] is not None}
    holm: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(tested, key=lambda name: tested[name])):
        largest = max(largest, min(1.0, (len(tested) - rank) * tested[name]))
        holm[name] = largest
    return {
        name: Comparison(
            **{
                **c,
                "p_holm": holm.get(name),
                "better": c["better"] if _rejects(holm.get(name)) else "undecided",
            }
        )
        for name, c in comparisons.items()
    }


def _better(p: float, interval: tuple[float, float], higher_is_better: bool) -> str:
    low, high = interval
    if not _rejects(p) or low <= 0 <= high:
        return "undecided"
    return "model" if (low > 0) == higher_is_better else "control"


def _rejects(p: float | None) -> bool:
    return p is not None and p < 0.05


@dataclass(frozen=True)
class _Pairs:
    ours: list[float]
    theirs: list[float]
    left_out: str


@dataclass(frozen=True)
class _Found:
    test: str
    interval: tuple[float, float]
    p_value: float
    effect_size: float
    effect_size_name: str


def _pairs(ours: Sequence[tuple[str, float]], theirs: Sequence[tuple[str, float]]) -> _Pairs | None:
    """Means of the groups that both sides have, in the order of the model's clips."""
    a, b = _by_group(ours), _by_group(theirs)
    shared = [group for group in a if group in b]
    lost_ours = len(ours) - sum(len(a[group]) for group in shared)
    lost_theirs = len(theirs) - sum(len(b[group]) for group in shared)
    if len(shared) < 2 or 2 * lost_ours > len(ours) or 2 * lost_theirs > len(theirs):
        return None
    words = f" ({lost_ours} clips of the model and {lost_theirs} of the control without a partner left out)"
    return _Pairs(
        [_mean(a[group]) for group in shared],
        [_mean(b[group]) for group in shared],
        words if lost_ours or lost_theirs else "",
    )


def _samples(clips: Sequence[tuple[str, float]]) -> list[float]:
    """The mean of each group, then every clip without a group."""
    return [
        *(_mean(values) for values in _by_group(clips).values()),
        *(value for group, value in clips if not group),
    ]


def _by_group(clips: Sequence[tuple[str, float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for group, value in clips:
        if group:
            groups.setdefault(group, []).append(value)
    return groups


def _mcnemar(a: list[float], b: list[float], generator: torch.Generator) -> _Found:
    from scipy.stats import binomtest

    both = sum(x == y == 1 for x, y in zip(a, b, strict=True))
    only_a = sum(x > y for x, y in zip(a, b, strict=True))
    only_b = sum(x < y for x, y in zip(a, b, strict=True))
    interval = newcombe_paired95(both, only_a, only_b, len(a) - both - only_a - only_b)
    assert interval is not None
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return _Found("McNemar, exact", interval, p, _cohen_h(a, b), "Cohen's h")


def _fisher(a: list[float], b: list[float], generator: torch.Generator) -> _Found:
    from scipy.stats import fisher_exact

    i, j = round(sum(a)), round(sum(b))
    interval = newcombe95(i, len(a), j, len(b))
    assert interval is not None
    test = fisher_exact([[i, len(a) - i], [j, len(b) - j]])
    p = test.pvalue  # type: ignore[attr-defined]  # scipy's annotation hides the result
    return _Found("Fisher, exact", interval, float(p), _cohen_h(a, b), "Cohen's h")


def _paired_permutation(a: list[float], b: list[float], generator: torch.Generator) -> _Found:
    from scipy.stats import rankdata

    x = torch.tensor(a, dtype=torch.float64) - torch.tensor(b, dtype=torch.float64)
    interval = bootstrap_mean95(x.tolist(), generator=generator)
    assert interval is not None
    moved = x[x != 0]
    ranks = torch.as_tensor(rankdata(moved.abs().numpy()), dtype=torch.float64)
    biserial = (ranks * moved.sign()).sum().item() / ranks.sum().item() if len(moved) else 0.0
    # a difference of zero stays zero under a flip, so only the others are arranged
    exact = 2 ** len(moved) <= EXACT
    # one pair is as far from zero under either sign; scipy refuses samples of one
    p = _permutation_p([moved], "samples", exact, generator) if len(moved) >= 2 else 1.0
    test = f"paired permutation, {'exact' if exact else 'sampled'}"
    return _Found(test, interval, p, biserial, "matched-pairs rank-biserial")


def _unpaired_permutation(a: list[float], b: list[float], generator: torch.Generator) -> _Found:
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    interval = bootstrap_difference95(a, b, generator=generator)
    assert interval is not None
    ascending = y.sort().values
    below = torch.searchsorted(ascending, x)
    above = len(y) - torch.searchsorted(ascending, x, right=True)
    delta = (below - above).sum().item() / (len(x) * len(y))
    exact = math.comb(len(a) + len(b), len(a)) <= EXACT
    p = _permutation_p([x, y], "independent", exact, generator)
    return _Found(
        f"unpaired permutation, {'exact' if exact else 'sampled'}", interval, p, delta, "Cliff's delta"
    )


_JUDGES: dict[tuple[bool, bool], Callable[[list[float], list[float], torch.Generator], _Found]] = {
    (True, True): _mcnemar,
    (True, False): _fisher,
    (False, True): _paired_permutation,
    (False, False): _unpaired_permutation,
}
"""By whether all values are 0 or 1, and whether they are paired."""


def _permutation_p(
    samples: list[Float[Tensor, "_"]], kind: str, exact: bool, generator: torch.Generator
) -> float:
    """Two-sided p-value of a mean (flips of signs) or of a difference of means: twice the smaller tail.

    scipy enumerates the arrangements where it may draw as many as there are.
    """
    from scipy.stats import permutation_test

    def statistic(*x, axis: int):
        return x[0].mean(axis) - (x[1].mean(axis) if len(x) == 2 else 0)

    seed = int(torch.randint(2**31, (1,), generator=generator))
    found = permutation_test(
        [x.numpy() for x in samples],
        statistic,
        permutation_type=kind,  # type: ignore[arg-type]
        vectorized=True,
        n_resamples=EXACT if exact else DRAWN,
        batch=max(1, (1 << 22) // sum(len(x) for x in samples)),
        rng=seed,
    )
    return float(found.pvalue)


def _cohen_h(a: list[float], b: list[float]) -> float:
    """Difference of rates on the arcsine scale (Cohen 1988), in [−π, π]."""
    return 2 * math.asin(math.sqrt(_mean(a))) - 2 * math.asin(math.sqrt(_mean(b)))


def _undefined(a: list[float], b: list[float], because: str) -> Comparison:
    return Comparison(
        test="none",
        paired=False,
        n=len(a),
        n_control=len(b),
        mean=_mean(a) if a else None,
        mean_control=_mean(b) if b else None,
        difference=None,
        interval95=None,
        effect_size=None,
        effect_size_name="",
        p_value=None,
        p_holm=None,
        better="undecided",
        undefined_because=because,
    )


def _mean(x: Sequence[float]) -> float:
    return math.fsum(x) / len(x)


def _defined(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _count(values: Sequence[float | None], reasons: Sequence[str]) -> dict[str, int]:
    """Why how many have no value; the most frequent reason first."""
    missing = (because for value, because in zip(values, reasons, strict=True) if value is None)
    return dict(Counter(missing).most_common())
