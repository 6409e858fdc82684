"""The units of length and time that a camera file states in words."""

import re
from collections.abc import Sequence

from recon.errors import CameraError

METRES = {
    r"millimet(?:er|re)s?|mm": 1e-3,
    r"centimet(?:er|re)s?|cm": 1e-2,
    r"decimet(?:er|re)s?|dm": 1e-1,
    r"met(?:er|re)s?|m": 1.0,
    r"kilomet(?:er|re)s?|km": 1e3,
    r"inch(?:es)?": 0.0254,
    r"feet|foot|ft": 0.3048,
}
"""Metres in each unit of length, by a pattern of its names."""
UNIT = rf"(?P<unit>{'|'.join(METRES)})\b(?!\s*(?:/|per\b))"
"""A unit of length that is not part of a speed."""
PLACE = r"[tpc]?_?[xyz]|pos\w*|trans\w*|loc\w*|cent(?:er|re)s?"
"""Names of coordinates, which may carry a unit."""
UNITS = (
    re.compile(rf"\bin\s+{UNIT}", re.IGNORECASE),
    re.compile(
        rf"\b(?:units?(?:\s+of\s+length)?|lengths?|distances?|{PLACE})\s*(?:is|are|=|:)?\s*(?:in\s+)?[\[(]?\s*{UNIT}",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?:{PLACE})_{UNIT}", re.IGNORECASE),
)
"""Statements of a unit: 'in cm', 'units: cm', 'x_cm'."""
WORTH = re.compile(
    rf"\b1\s+unit\s*(?:is|=|:|equals)\s*(?P<count>[0-9]+(?:\.[0-9]+)?)?\s*{UNIT}", re.IGNORECASE
)
"""Statements such as '1 unit = 2.5 m'."""
OF_OTHER_THINGS = re.compile(
    r"\b(?:focal|lens|sensor|pixel|film|depth|time|speed|baseline|aperture|error|noise|accura|calibrat|checkerboard)",
    re.IGNORECASE,
)
"""Words of clauses whose units are those of lenses, times or calibration boards."""
CLAUSE = re.compile(r"[,;]|\.(?:\s|$)")
"""Ends of a clause; a point inside a number is none."""

SECONDS = {
    r"nanosec(?:ond)?s?|ns|nsec": 1e-9,
    r"microsec(?:ond)?s?|us|µs|usec": 1e-6,
    r"millisec(?:ond)?s?|ms|msec": 1e-3,
    r"sec(?:ond)?s?|s": 1.0,
}
"""Seconds in each unit of time, by a pattern of its names."""
CLOCK = re.compile(
    rf"(?:time|stamp)s?\s*(?:(?:is|are)\s+)?(?:in\s+|[\[(_:=]\s*)(?P<unit>{'|'.join(SECONDS)})\b",
    re.IGNORECASE,
)
"""Statements of the unit of times: 'timestamp [ns]', 'time in ms'."""


def metres_per_unit(lines: Sequence[str], where: str) -> tuple[float, str]:
    """Metres in the file's unit of length, and the words that state it; 1 and '' by default.

    Raises:
        CameraError: two units, or one of no length.
    """
    found: dict[float, str] = {}
    for line in lines:
        for clause in CLAUSE.split(line):
            if OF_OTHER_THINGS.search(clause):
                continue
            worth = WORTH.search(clause)
            if worth is not None:
                found.setdefault(float(worth["count"] or 1) * _size(METRES, worth["unit"]), worth[0])
                continue
            for pattern in UNITS:
                for match in pattern.finditer(clause):
                    found.setdefault(_size(METRES, match["unit"]), match[0].strip())
    if len(found) > 1:
        raise CameraError(
            f"{where}: it says {' and '.join(map(repr, found.values()))} of its lengths; keep the unit that is right"
        )
    factor, words = next(iter(found.items()), (1.0, ""))
    if not factor > 0:
        raise CameraError(f"{where}: it says {words!r} of its lengths, expected a unit longer than nothing")
    return factor, words


def seconds_per_tick(lines: Sequence[str]) -> float | None:
    """Seconds in the unit of a file's times; None where it is not stated."""
    match = next((m for line in lines if (m := CLOCK.search(line)) is not None), None)
    return None if match is None else _size(SECONDS, match["unit"])


def _size(units: dict[str, float], word: str) -> float:
    return next(size for words, size in units.items() if re.fullmatch(words, word, re.IGNORECASE))
