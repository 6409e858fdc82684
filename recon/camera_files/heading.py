"""What a table of cameras says of itself: names of columns, which way its poses go, how many there are."""

import re
from collections.abc import Sequence

from recon.errors import CameraError

TUM_ORDER = ("t", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
TIMES = re.compile(r"(time|stamp|sec|ts$|t$|ns$).*")
ORIENTATION = re.compile(
    r"(q|quat|quaternion|rot|rotation|orientation)([_.\-].*)?|.*[_.\-](q|quat|rot|orientation)"
)
POSITION = re.compile(
    r"(|t|p|c|pos|position|trans|translation|loc|location|center)([_.\-].*)?|.*[_.\-](t|p|position)"
)
DIRECTIONS = {
    "world_from_cam": re.compile(
        r"\b(c2w|cam(era)?[ _-]?(to|2)[ _-]?world|world[ _]from[ _]cam(era)?|t_?wc)\b", re.IGNORECASE
    ),
    "cam_from_world": re.compile(
        r"\b(w2c|world[ _-]?(to|2)[ _-]?cam(era)?|cam(era)?[ _]from[ _]world|t_?cw|extrinsics?)\b",
        re.IGNORECASE,
    ),
}
AXES = {
    "opengl": re.compile(r"\b(opengl|blender)\b", re.IGNORECASE),
    "opencv": re.compile(r"\b(opencv|colmap)\b", re.IGNORECASE),
}
COUNT = re.compile(
    r"\b(?:number of |num[_ ])?(?:frames|poses|cameras|images)\s*[:=]\s*([0-9]{1,9})\b"
    r"|^([0-9]{1,9}) (?:frames|poses|cameras|images)$",
    re.IGNORECASE,
)
LEAST_NAMED = 4
"""So many names of coordinates make a line a heading of columns rather than a sentence."""


def column_order(headings: Sequence[str], columns: int, where: str) -> tuple[int, ...] | None:
    """Which column of a trajectory holds each of `TUM_ORDER`; None where no heading names columns.

    Raises:
        CameraError: a heading that names columns, but not these.
    """
    for line in headings:
        words = column_names(line)
        roles = [_role(word) for word in words]
        named = [role for role in roles if role is not None and role != "t"]
        if len(named) < LEAST_NAMED:
            continue
        if len(roles) != columns or sorted(r or "" for r in roles) != sorted(TUM_ORDER):
            raise CameraError(
                f"{where}: its heading names the columns {' '.join(words)[:120]!r}, expected names for {columns} of them: "
                f"{' '.join(TUM_ORDER)}, in any order; mend or remove the heading"
            )
        return tuple(roles.index(role) for role in TUM_ORDER)
    return None


def check_rows(headings: Sequence[str], where: str) -> None:
    """Refuses a heading that names the twelve numbers of poses in another order than row by row.

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


def check_direction(headings: Sequence[str], convention: str, where: str) -> None:
    """Refuses a heading that says that poses go another way, or along other axes, than they are read.

    Raises:
        CameraError: it does.
    """
    direction, axes = convention.split("/")
    text = "\n".join(line for line in headings if "://" not in line)
    for words, wanted in ((DIRECTIONS, direction), (AXES, axes)):
        said = {name: match for name, pattern in words.items() if (match := pattern.search(text)) is not None}
        if said and wanted not in said:
            other, match = next(iter(said.items()))
            raise CameraError(
                f"{where}: its heading says {match[0]!r}, which is {other}, but it is read as {convention}; say format "
                "'matrices' and the right convention for a file of matrices, or convert it"
            )


def stated_count(headings: Sequence[str]) -> int | None:
    """How many cameras a heading says that there are."""
    for line in headings:
        found = COUNT.search(line.strip(" #"))
        if found:
            return int(found[1] or found[2])
    return None


def column_names(line: str) -> list[str]:
    """The words of a heading without their units."""
    plain = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", line.strip().lstrip("#%/ "))
    words = re.split(r"[,;\t]", plain) if re.search(r"[,;\t]", plain) else plain.split()
    return [word.strip(" :\"'") for word in words if word.strip(" :\"'")]


def _role(word: str) -> str | None:
    """'t', 'tx' … 'qw', or None for another word."""
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
