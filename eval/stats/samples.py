"""What is compared with what: clips, groups of clips, or pairs of groups, and which clips that leaves out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_NAMES = 12
"""Clips that are named where some are left out; the count is of all. A list of thousands would be read by nobody, and
stands once for every metric."""


class ClipValue(NamedTuple):
    """A clip's value of one metric."""

    group: str
    """'' for a clip without a group."""
    value: float | None
    """None where it has none."""
    name: str = ""


@dataclass(frozen=True)
class Side:
    """The samples of the model or of the control."""

    values: list[float]
    unit: str
    """What a sample is: 'clips', 'groups', or 'groups and single clips'."""
    clips: int
    """Clips in these samples."""
    mean_of_clips: float | None
    """Over every clip with a value, those left out as well: what stands in a table of all clips."""
    left_out: list[str]
    """Names of clips that have a value and are in no sample."""


@dataclass(frozen=True)
class Samples:
    model: Side
    control: Side
    paired: bool
    why_unpaired: str
    """'' where they are paired, or where no clip has a group."""


def samples_of(model: Sequence[ClipValue], control: Sequence[ClipValue]) -> Samples:
    """Pairs of groups where enough clips have a partner, else two independent sets; clips without a value left out.

    Paired where at least two groups (of a non-empty name) have values on both sides and these groups hold at least half
    of the clips of each side: groups without a partner are left out. Else every clip counts, those of one group once
    together, as their mean: clips of one scene are not independent.
    """
    ours = [clip for clip in model if clip.value is not None]
    theirs = [clip for clip in control if clip.value is not None]
    shared = {clip.group for clip in theirs if clip.group} & {clip.group for clip in ours}
    why = _explain_unpaired(ours, theirs, shared)
    if why is not None:
        return Samples(_whole(ours), _whole(theirs), False, why)
    order = list(dict.fromkeys(clip.group for clip in ours if clip.group in shared))
    return Samples(_of_groups(ours, order), _of_groups(theirs, order), True, "")


def mean(x: Sequence[float]) -> float:
    return math.fsum(x) / len(x)


def _explain_unpaired(ours: Sequence[ClipValue], theirs: Sequence[ClipValue], shared: set[str]) -> str | None:
    """Why clips cannot be compared in pairs: '' where none has a group, None where they can."""
    if not any(clip.group for clip in (*ours, *theirs)):
        return ""
    if len(shared) < 2:
        return f"{'one group is' if shared else 'no group is'} on both sides"
    for clips, whose, other in ((ours, "the model", "the control"), (theirs, "the control", "the model")):
        lost = sum(clip.group not in shared for clip in clips)
        if 2 * lost > len(clips):
            return f"{lost} of {len(clips)} clips of {whose} are in no group of {other}"
    return None


def _whole(clips: Sequence[ClipValue]) -> Side:
    """The mean of each group, then every clip without a group."""
    groups = _by_group(clips)
    single = [_value(clip) for clip in clips if not clip.group]
    grouped = [values for values in groups.values() if len(values) > 1]
    unit = "clips" if not grouped else "groups and single clips" if single else "groups"
    return Side([*map(mean, groups.values()), *single], unit, len(clips), _mean_of(clips), [])


def _of_groups(clips: Sequence[ClipValue], order: Sequence[str]) -> Side:
    groups = _by_group(clips)
    paired = set(order)
    left_out = [clip.name for clip in clips if clip.group not in paired]
    values = [mean(groups[group]) for group in order]
    return Side(values, "groups", len(clips) - len(left_out), _mean_of(clips), left_out)


def _by_group(clips: Sequence[ClipValue]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for clip in clips:
        if clip.group:
            groups.setdefault(clip.group, []).append(_value(clip))
    return groups


def _mean_of(clips: Sequence[ClipValue]) -> float | None:
    return mean([_value(clip) for clip in clips]) if clips else None


def _value(clip: ClipValue) -> float:
    assert clip.value is not None
    return clip.value
