"""Column names in the heading of a table of cameras."""

import re
from collections.abc import Sequence

from recon.errors import CameraError

TUM_ORDER = ("t", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
"""Columns of a trajectory in the order of TUM: time, position, quaternion (xyzw)."""
TIMES = re.compile(r"(time|stamp|sec|ts$|t$|ns$).*")
"""Names of a column of times."""
ORIENTATION = re.compile(
    r"(q|quat|quaternion|rot|rotation|orientation)([_.\-].*)?|.*[_.\-](q|quat|rot|orientation)"
)
"""Names before the letter of a quaternion's component."""
POSITION = re.compile(
    r"(|t|p|c|pos|position|trans|translation|loc|location|center)([_.\-].*)?|.*[_.\-](t|p|position)"
)
"""Names before the letter of a coordinate; '' for a bare x, y or z."""
MIN_NAMED_COORDINATES = 4
"""Names of coordinates that make a line a heading of columns, not a sentence; half of a pose's seven."""


def find_column_order(headings: Sequence[str], columns: int, where: str) -> tuple[int, ...] | None:
    """Find the column of each of `TUM_ORDER`; None where no heading names columns.

    Args:
        columns: numbers in a row.
        where: the file, for the error.

    Raises:
        CameraError: a heading that names columns, but not these.
    """
    for line in headings:
        words = column_names(line)
        roles = [_role(word) for word in words]
        named = [role for role in roles if role is not None and role != "t"]
        if len(named) < MIN_NAMED_COORDINATES:
            continue
        if len(roles) != columns or sorted(r or "" for r in roles) != sorted(TUM_ORDER):
            raise CameraError(
                f"{where}: its heading names the columns {' '.join(words)[:120]!r}, expected names for {columns} of them: "
                f"{' '.join(TUM_ORDER)}, in any order; mend or remove the heading"
            )
        return tuple(roles.index(role) for role in TUM_ORDER)
    return None


def check_row_order(headings: Sequence[str], where: str) -> None:
    """Refuse a heading that names the twelve numbers of a pose in another order than row by row.

    Raises:
        CameraError: the translation is not every fourth column.
    """
    for line in headings:
        words = column_names(line)
        if len(words) < 12:
            continue
        last = [_role(word) for word in words[-12:]]
        places = [i for i, role in enumerate(last) if role in ("tx", "ty", "tz")]
        if len(places) == 3 and places != [3, 7, 11]:
            raise CameraError(
                f"{where}: its heading names the columns {' '.join(words)[:120]!r}, expected poses row by row, with the "
                "translation as every fourth number; write it so"
            )


def column_names(line: str) -> list[str]:
    """Split a heading into names of columns, without their units."""
    plain = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", line.strip().lstrip("#%/ "))
    words = re.split(r"[,;\t]", plain) if re.search(r"[,;\t]", plain) else plain.split()
    return [word.strip(" :\"'") for word in words if word.strip(" :\"'")]


def _role(word: str) -> str | None:
    """Entry of `TUM_ORDER` that a column's name means; None for another word."""
    lower = word.lower().replace(" ", "_")
    if TIMES.fullmatch(lower):
        return "t"
    prefix, last = lower[:-1], lower[-1:]
    bare = prefix.rstrip("_.-")
    if last in "wxyz" and bare and ORIENTATION.fullmatch(bare):
        return f"q{last}"
    if last in "xyz" and POSITION.fullmatch(bare):
        return f"t{last}"
    return None
