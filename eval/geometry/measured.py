"""One figure of one clip, which may be undefined but then says why."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    value: float | None
    """None where it is undefined, which is neither good nor bad and never enters a mean."""
    undefined_because: str = ""
    """A few words for a table: 'static', 'rotation only', 'no requested cameras' …; empty where it is defined."""
    count: int = 0
    """Over how many items (pairs, points, frames) it was taken."""

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
        if self.value is None and not self.undefined_because:
            object.__setattr__(self, "undefined_because", "not finite")

    @staticmethod
    def undefined(because: str) -> "Measured":
        return Measured(None, because)
