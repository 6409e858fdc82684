"""What a camera file says of itself in words is obeyed, or refused or noted where it contradicts how it is read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recon.camera_files.words.poses import contradictions
from recon.camera_files.words.units import metres_per_unit, stated_counts
from recon.errors import CameraError
from recon.words import counted

LONGEST_LINE, MOST_LINES = 500, 200
"""Characters of a line, and lines from either end of a file, that are heard: a comment behind each of 10,000 poses says
nothing of all, and patterns take time."""


@dataclass(frozen=True)
class Heard:
    metres_per_unit: float = 1.0
    """1 where the file does not say."""
    unit: str = ""
    """The words that say it; '' for metres and where there are none."""
    plain_notes: tuple[str, ...] = ()
    """What is to be said of the rest."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Of a request, whose lengths become metres."""
        if not self.unit:
            return self.plain_notes
        said = f"the camera file says {self.unit!r} of its lengths; they are turned into metres"
        return (said, *self.plain_notes)


def hear(lines: Sequence[str], convention: str, count: int, where: str, *, weigh: bool = True) -> Heard:
    """What comments or keys say of the poses beside them.

    Args:
        lines: a statement each.
        convention: how the poses are read: 'world_from_cam/opencv' and the like.
        count: how many there are.
        where: the file, for sentences.
        weigh: False for what may speak of other things, such as a description: a contradiction is noted, not refused.

    Raises:
        CameraError: another direction, other axes or two units.
    """
    lines = [line[:LONGEST_LINE] for line in dict.fromkeys((*lines[:MOST_LINES], *lines[-MOST_LINES:]))]
    direction, axes = convention.split("/")
    notes = []
    for odd in contradictions(lines, direction, axes):
        if odd.certain and weigh:
            raise CameraError(
                f"{where}: it says {odd.words}, which is {odd.meaning}, but it is read as {convention}; say format "
                "'matrices' and the right convention for a file of matrices, or convert it"
            )
        notes.append(
            f"the camera file says {odd.words}, which may mean {odd.meaning}; it is read as {convention}"
        )
    factor, words = metres_per_unit(lines, where)
    counts = stated_counts(lines)
    if counts and count not in counts:
        notes.append(
            f"the camera file states {counted(counts[0], 'camera')} and holds {count}; was it cut off?"
        )
    return Heard(factor, words if factor != 1 else "", tuple(notes))


ABOUT_POSES = re.compile(
    r".*(convention|coord|axes|axis|handed|units?).*|(pose|matrix|matrices|extrinsics?)_?(type|format|kind)|direction|type",
    re.IGNORECASE,
)
"""Keys of JSON whose values say how poses are meant."""
IN_PASSING = re.compile(r".*(comment|desc|note|remark|about|info|readme|doc).*", re.IGNORECASE)
"""Keys whose values are written for people."""
COUNTS = re.compile(
    r"(n|num|number|total|count)_?(of_?)?(frames|poses|cameras|images|views)|(frame|pose|camera|image|view)s?_?count|count",
    re.IGNORECASE,
)
GROUPS = re.compile(r"_?(meta(data)?|header|info|about)", re.IGNORECASE)


def hear_json(data: Mapping[str, Any], convention: str, count: int, where: str) -> Heard:
    """The same of the keys of JSON, or of the names of arrays; keys that tell where something comes from are passed over.

    Raises:
        CameraError: as `hear`.
    """
    pairs = list(_pairs(data))
    stated = [(k, v) for k, v in pairs if isinstance(v, str) and ABOUT_POSES.fullmatch(k)]
    strong = [f"{_words(k)}: {v}" for k, v in stated]
    strong += [f"frames: {v}" for k, v in pairs if COUNTS.fullmatch(k) and _is_count(v)]
    weak = [v for k, v in pairs if isinstance(v, str) and IN_PASSING.fullmatch(k) and (k, v) not in stated]
    heard = hear(strong, convention, count, where)
    passing = hear(weak, convention, count, where, weigh=False)
    if heard.unit and passing.unit and heard.metres_per_unit != passing.metres_per_unit:
        raise CameraError(
            f"{where}: it says {heard.unit!r} and {passing.unit!r} of its lengths; keep the one that is right"
        )
    unit = heard if heard.unit else passing
    return replace(unit, plain_notes=tuple(dict.fromkeys((*heard.plain_notes, *passing.plain_notes))))


def _pairs(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and GROUPS.fullmatch(key):
            yield from ((k, v) for k, v in value.items() if not isinstance(v, dict))
        else:
            yield key, value


def _words(key: str) -> str:
    """'units' for 'length_units'."""
    return re.sub(r"[_-]+", " ", key)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
