"""Words of a lens that a camera file holds and that its reader does not know."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

DISTORTION = re.compile(
    r"(?-i:D)|dist|.*distort.*|dist_?coeffs?|(.*_)?coeff(s|icients?)?|(.*_)?(radial|tangential)(_.*)?|[kps][1-9]|xi|omega",
    re.IGNORECASE,
)
"""Names of what bends a picture; OpenCV's samples save theirs as ``dist`` and ``D``."""
LENS_WORDS = re.compile(
    r".*(skew|lens|fov|focal|camera_?angle|principal|fisheye|intrinsic|camera_?matri|calib|aspect|sensor|shutter).*"
    r"|f_?l?_?[xy]|c_?[xy]|cam_?k|(?-i:Ks?)|k_?mat(rix)?|mtx",
    re.IGNORECASE,
)
"""Names of what else says something of the lens."""
MOST_NAMED = 8
"""Of what a note lists."""


def words_of_a_lens(held: Mapping[str, Any], known: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Names of what bends a picture, and of what else tells of its lens; zeros and what is empty say nothing.

    Args:
        held: of JSON, or arrays by their names.
        known: whether a name is read, or says nothing that is needed.
    """
    left = [k for k in held if not known(k) and (DISTORTION.fullmatch(k) or LENS_WORDS.fullmatch(k))]
    left = [k for k in left if _says_something(held[k])]
    bent = [k for k in left if DISTORTION.fullmatch(k)]
    return bent, [k for k in left if k not in bent]


def not_read(names: Iterable[str], file_name: str) -> tuple[str, ...]:
    """A note of them; none where there are none."""
    listed = list(names)[:MOST_NAMED]
    return (f"{file_name} also holds {', '.join(listed)}, which is not read",) if listed else ()


def as_array(value: Any) -> np.ndarray:
    """Of numbers; empty where it is something else."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


def _says_something(value: Any) -> bool:
    numbers = value if isinstance(value, np.ndarray) else as_array(value)
    return bool(np.any(numbers)) if numbers.size else bool(value) and not isinstance(value, np.ndarray)
