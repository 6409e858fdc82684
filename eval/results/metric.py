"""A measured quantity with its name, unit and direction."""

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
    def defined_values(self) -> tuple[float, ...]:
        """The values that are not None."""
        return tuple(v for v in self.values if v is not None)

    @property
    def mean(self) -> float | None:
        """Mean of the defined values; None without any."""
        return math.fsum(self.defined_values) / len(self.defined_values) if self.defined_values else None

    @property
    def worst(self) -> float | None:
        """The worst defined value; None without any."""
        pick = min if self.higher_is_better else max
        return pick(self.defined_values) if self.defined_values else None

    @staticmethod
    def of(name: str, unit: str, values: Sequence[float | None], *, higher_is_better: bool) -> "Metric":
        """A metric from one value an item; NaN becomes None."""
        clean = tuple(None if v is None or math.isnan(v) else float(v) for v in values)
        return Metric(name, unit, clean, len(clean), higher_is_better)
