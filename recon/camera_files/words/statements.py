"""Statements of a camera file about itself: units are applied, contradictions refused or noted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recon.camera_files.words.counts import find_counts, note_truncation
from recon.camera_files.words.poses import find_contradictions
from recon.camera_files.words.units import metres_per_unit
from recon.errors import CameraError

MAX_LINE_CHARACTERS, MAX_LINES_AT_EITHER_END = 500, 200
"""Limits of what is searched for statements: comments behind each of 10,000 poses say nothing of the whole, and the patterns'
time grows with both."""


@dataclass(frozen=True)
class Statements:
    """What a camera file states about itself in words."""

    metres_per_unit: float = 1.0
    """1 where the file does not say."""
    unit: str = ""
    """The words that state the unit; '' for metres and where there are none."""
    plain_notes: tuple[str, ...] = ()
    """Notes on everything but the unit."""

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes, for a reader that converts the lengths to metres."""
        if not self.unit:
            return self.plain_notes
        said = f"the camera file says {self.unit!r} of its lengths; they are turned into metres"
        return (said, *self.plain_notes)


def interpret_lines(
    lines: Sequence[str], convention: str, count: int, where: str, *, weigh: bool = True
) -> Statements:
    """Interpret comments or keys beside poses: their convention, unit and number.

    Args:
        lines: one statement each.
        convention: convention that the poses are read by: 'world_from_cam/opencv' and the like.
        count: number of poses.
        where: the file, for messages.
        weigh: False for text that may be about other things, such as a description: a contradiction is then noted,
            not refused.

    Raises:
        CameraError: another direction, other axes or two units.
    """
    lines = [
        line[:MAX_LINE_CHARACTERS]
        for line in dict.fromkeys((*lines[:MAX_LINES_AT_EITHER_END], *lines[-MAX_LINES_AT_EITHER_END:]))
    ]
    direction, axes = convention.split("/")
    notes = []
    for odd in find_contradictions(lines, direction, axes):
        if odd.certain and weigh:
            raise CameraError(
                f"{where}: it says {odd.words}, which is {odd.meaning}, but it is read as {convention}; say format "
                "'matrices' and the right convention for a file of matrices, or convert it"
            )
        notes.append(
            f"the camera file says {odd.words}, which may mean {odd.meaning}; it is read as {convention}"
        )
    factor, words = metres_per_unit(lines, where)
    notes += note_truncation("the camera file", find_counts(lines), count, "camera")
    return Statements(factor, words if factor != 1 else "", tuple(notes))


ABOUT_POSES = re.compile(
    r".*(convention|coord|axes|axis|handed|units?).*|(pose|matrix|matrices|extrinsics?)_?(type|format|kind)|direction|type",
    re.IGNORECASE,
)
"""Keys of JSON whose values state the convention of poses; contradictions in them are refused."""
IN_PASSING = re.compile(r".*(comment|desc|note|remark|about|info|readme|doc).*", re.IGNORECASE)
"""Keys whose values are prose for people; contradictions in them are noted."""
COUNTS = re.compile(
    r"(n|num|number|total|count)_?(of_?)?(frames|poses|cameras|images|views)|(frame|pose|camera|image|view)s?_?count|count",
    re.IGNORECASE,
)
"""Keys whose values state the number of cameras."""
GROUPS = re.compile(r"_?(meta(data)?|header|info|about)", re.IGNORECASE)
"""Keys of objects whose own keys are searched as well."""


def interpret_keys(data: Mapping[str, Any], convention: str, count: int, where: str) -> Statements:
    """Interpret keys of JSON or names of arrays as `interpret_lines` does; keys about origin are ignored.

    Raises:
        CameraError: as `interpret_lines`.
    """
    pairs = list(_pairs(data))
    stated = [(k, v) for k, v in pairs if isinstance(v, str) and ABOUT_POSES.fullmatch(k)]
    strong = [f"{_words(k)}: {v}" for k, v in stated]
    strong += [f"frames: {v}" for k, v in pairs if COUNTS.fullmatch(k) and _is_count(v)]
    weak = [v for k, v in pairs if isinstance(v, str) and IN_PASSING.fullmatch(k) and (k, v) not in stated]
    statements = interpret_lines(strong, convention, count, where)
    passing = interpret_lines(weak, convention, count, where, weigh=False)
    if statements.unit and passing.unit and statements.metres_per_unit != passing.metres_per_unit:
        raise CameraError(
            f"{where}: it says {statements.unit!r} and {passing.unit!r} of its lengths; keep the one that is right"
        )
    unit = statements if statements.unit else passing
    return replace(unit, plain_notes=tuple(dict.fromkeys((*statements.plain_notes, *passing.plain_notes))))


def _pairs(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and GROUPS.fullmatch(key):
            yield from ((k, v) for k, v in value.items() if not isinstance(v, dict))
        else:
            yield key, value


def _words(key: str) -> str:
    """Key as words: 'length units' for 'length_units'."""
    return re.sub(r"[_-]+", " ", key)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
