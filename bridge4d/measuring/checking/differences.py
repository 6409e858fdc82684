"""Where two JSON values differ."""

import math
from dataclasses import dataclass
from typing import Any

CLOSE = 1e-9
"""Relative difference up to which numbers agree: sums on another processor differ by 1e-15, printed digits by 1e-4."""
NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    where: str
    """Path from the root of the report, keys with dots between them."""
    stated: Any
    recomputed: Any


def find_differences(stated: Any, recomputed: Any, where: str) -> tuple[int, list[Difference]]:
    """How many values were compared, and which differ; what one side lacks counts as one."""
    if isinstance(stated, dict) and isinstance(recomputed, dict):
        parts = [
            (stated.get(key, NOTHING), recomputed.get(key, NOTHING), f"{where}.{key}")
            for key in dict.fromkeys([*recomputed, *stated])
        ]
    elif isinstance(stated, list) and isinstance(recomputed, list) and len(stated) == len(recomputed):
        parts = [(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(stated, recomputed, strict=True))]
    else:
        return 1, [] if _agree(stated, recomputed) else [Difference(where, stated, recomputed)]
    found = [find_differences(*part) for part in parts]
    return sum(count for count, _ in found), [one for _, unlike in found for one in unlike]


def _agree(a: Any, b: Any) -> bool:
    if (
        isinstance(a, bool)
        or isinstance(b, bool)
        or not isinstance(a, int | float)
        or not isinstance(b, int | float)
    ):
        return type(a) is type(b) and a == b
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-12)
