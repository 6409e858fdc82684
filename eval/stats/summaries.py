"""Rates and means of the clips of a model, with intervals."""

import math
from collections import Counter
from collections.abc import Sequence

import torch

from eval.results.measure import ErrorFigure, ErrorValue, Figure, Rate
from eval.stats.intervals import bootstrap_mean95, too_narrow, wilson95


def summarise_rate(shares: Sequence[float | None], reasons: Sequence[str]) -> Rate:
    """Summarise how often a rule was met: the mean of the clips' shares in [0, 1] with Wilson's interval at n clips.

    A failed clip is a share of 0, not None; None is a clip that the rule could not be asked of, which
    `reasons` (one a clip, '' where there is a share) counts.
    """
    asked = _drop_undefined(shares)
    n = len(asked)
    interval = wilson95(math.fsum(asked), n)
    return Rate(
        rate=math.fsum(asked) / n if n else None,
        interval95=interval,
        n=n,
        undefined=_count(shares, reasons),
    )


def summarise_values(
    values: Sequence[float | None], reasons: Sequence[str], *, generator: torch.Generator
) -> Figure:
    """Mean, median and the bootstrap interval of the mean, over the clips that have a value."""
    x = _drop_undefined(values)
    interval = bootstrap_mean95(x, generator=generator)
    return Figure(
        mean=math.fsum(x) / len(x) if x else None,
        median=torch.tensor(x, dtype=torch.float64).quantile(0.5).item() if x else None,
        interval95=interval,
        interval_note="" if interval is None else too_narrow(len(x)),
        n=len(x),
        undefined=_count(values, reasons),
    )


def summarise_errors(
    errors: Sequence[ErrorValue], *, worst_in_words: str, generator: torch.Generator
) -> ErrorFigure:
    """A pose error over the clips of a model, twice: over those that have a value, and over all that could
    have one, where a clip without a value counts as its `worst`. A clip without either (no request, or a
    request that defines no such error) is in neither."""
    values = [error.value for error in errors]
    reasons = [error.undefined_because for error in errors]
    filled = [error.worst if error.value is None else error.value for error in errors]
    return ErrorFigure(
        survivors=summarise_values(values, reasons, generator=generator),
        failures_as_worst=summarise_values(filled, reasons, generator=generator),
        worst=worst_in_words,
    )


def _drop_undefined(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _count(values: Sequence[float | None], reasons: Sequence[str]) -> dict[str, int]:
    """Counts the reasons for undefined values, the most frequent first."""
    missing = (because for value, because in zip(values, reasons, strict=True) if value is None)
    return dict(Counter(missing).most_common())
