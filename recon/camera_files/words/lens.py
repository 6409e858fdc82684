"""Keys of a camera file that are about the lens and are not read."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

DISTORTION = re.compile(
    r"(?-i:D)|dist|.*distort.*|dist_?coeffs?|(.*_)?coeff(s|icients?)?|(.*_)?(radial|tangential)(_.*)?|[kps][1-9]|xi|omega",
    re.IGNORECASE,
)
"""Names of distortion coefficients; OpenCV's samples save theirs as ``dist`` and ``D``."""
LENS_WORDS = re.compile(
    r".*(skew|lens|fov|focal|camera_?angle|principal|fisheye|intrinsic|camera_?matri|calib|aspect|sensor|shutter).*"
    r"|f_?l?_?[xy]|c_?[xy]|cam_?k|(?-i:Ks?)|k_?mat(rix)?|mtx",
    re.IGNORECASE,
)
"""Names of anything else about the lens."""
MAX_NAMED_KEYS = 8
"""Keys that a note lists at most, so that it stays one line."""


def find_lens_keys(held: Mapping[str, Any], known: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Find unread keys of distortion, and unread keys of anything else about the lens.

    Keys whose values are zero or empty are left out.

    Args:
        held: values of JSON or arrays, by key.
        known: whether a key is read, or not needed.
    """
    left = [k for k in held if not known(k) and (DISTORTION.fullmatch(k) or LENS_WORDS.fullmatch(k))]
    left = [k for k in left if _says_something(held[k])]
    bent = [k for k in left if DISTORTION.fullmatch(k)]
    return bent, [k for k in left if k not in bent]


def note_unread(names: Iterable[str], file_name: str) -> tuple[str, ...]:
    """A note that a file holds keys which are not read; none without keys."""
    listed = list(names)[:MAX_NAMED_KEYS]
    return (f"{file_name} also holds {', '.join(listed)}, which is not read",) if listed else ()


def as_array(value: Any) -> np.ndarray:
    """Numbers as a float64 array; empty for anything else."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


def _says_something(value: Any) -> bool:
    numbers = value if isinstance(value, np.ndarray) else as_array(value)
    return bool(np.any(numbers)) if numbers.size else bool(value) and not isinstance(value, np.ndarray)
