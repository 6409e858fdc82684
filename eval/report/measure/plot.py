"""Where dots and whiskers go: figures as horizontal positions in per cent of a cell's width."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.results.measure import Comparison, Figure

MARGIN = 3.0
"""Per cent that stays free at both ends, so that a dot at the limit is whole."""


@dataclass(frozen=True)
class Axis:
    low: float
    high: float

    def x(self, value: float) -> float:
        """In per cent; what lies outside is drawn at the edge."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(MARGIN + (100 - 2 * MARGIN) * min(1.0, max(0.0, share)), 2)


SHARES = Axis(0.0, 1.0)


def metric_axis(figures: Sequence[Figure]) -> Axis:
    """One for all models of a metric, so that their whiskers can be compared: means and their intervals.

    From zero, unless all lie so far from it that their differences could not be seen.
    """
    shown = [v for f in figures for v in (f.mean, *(f.interval95 or ())) if v is not None]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    if 0 < high < 2 * low:
        pad = 0.1 * (high - low)
        return Axis(low - pad, high + pad)
    low, high = min(0.0, low), max(0.0, high)
    return Axis(low, high if high > low else low + 1.0)


def axis_about_zero(comparison: Comparison) -> Axis:
    """Symmetric, so that no difference is always in the middle."""
    shown = [comparison.difference, *(comparison.interval95 or ())]
    reach = max((abs(v) for v in shown if v is not None), default=0.0) * 1.15 or 1.0
    return Axis(-reach, reach)
