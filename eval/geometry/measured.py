"""One figure of one clip, or the reason why it has none."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A finite figure, or None and why; figures that are not finite become None."""

    value: float | None
    """None where it is undefined, which is neither good nor bad and never enters a mean."""
    undefined_because: str = ""
    """A few words for a table: 'static', 'rotation only', 'no requested cameras' …; empty where it is defined."""
    count: int = 0
    """Items (pairs, points, frames) that the figure was taken over."""

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
        if self.value is None and not self.undefined_because:
            object.__setattr__(self, "undefined_because", "not finite")

    @staticmethod
    def no_value(because: str) -> "Measured":
        """An undefined figure, with a few words for a table."""
        return Measured(None, because)
