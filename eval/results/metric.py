"""A measured quantity that knows what it is a measure of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One figure per item, with everything a report needs to show it honestly."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    """One per item; None where it is undefined, which is neither good nor bad."""
    expected: int
    """How many items should have given a value."""
    higher_is_better: bool
    interval95: tuple[float, float] | None = None
    undefined_because: str = ""

    @property
    def defined(self) -> tuple[float, ...]:
        return tuple(v for v in self.values if v is not None)

    @property
    def mean(self) -> float | None:
        return math.fsum(self.defined) / len(self.defined) if self.defined else None

    @property
    def worst(self) -> float | None:
        pick = min if self.higher_is_better else max
        return pick(self.defined) if self.defined else None

    @staticmethod
    def of(name: str, unit: str, values: Sequence[float | None], *, higher_is_better: bool) -> "Metric":
        """NaN counts as undefined."""
        clean = tuple(None if v is None or math.isnan(v) else float(v) for v in values)
        return Metric(name, unit, clean, len(clean), higher_is_better)
