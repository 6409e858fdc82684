"""Choose the samples of a comparison: clips, groups of clips, or pairs of groups."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_NAMES = 12
"""Most clips left out that a report names; it counts all. The list stands once for every metric, so that thousands of
names would swell report.json."""


class ClipValue(NamedTuple):
    """A clip's value of one metric."""

    group: str
    """'' for a clip without a group."""
    value: float | None
    """None where it has none."""
    name: str = ""


@dataclass(frozen=True)
class SampleSet:
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
    """The samples of both, and whether they are paired in order."""

    model: SampleSet
    control: SampleSet
    paired: bool
    why_unpaired: str
    """'' where they are paired, or where no clip has a group."""


def choose_samples(model: Sequence[ClipValue], control: Sequence[ClipValue]) -> Samples:
    """Pairs of groups where enough clips have a partner, else two independent sets; clips without a value drop out.

    Paired where at least two groups (of a non-empty name) have values on both sides and these groups hold at least half
    of the clips of each side: groups without a partner are left out. Else every clip counts, those of one group once
    together, as their mean: clips of one scene are not independent.
    """
    ours = [clip for clip in model if clip.value is not None]
    theirs = [clip for clip in control if clip.value is not None]
    shared = {clip.group for clip in theirs if clip.group} & {clip.group for clip in ours}
    why = _explain_unpaired(ours, theirs, shared)
    if why is not None:
        return Samples(_average_groups(ours), _average_groups(theirs), False, why)
    order = list(dict.fromkeys(clip.group for clip in ours if clip.group in shared))
    return Samples(_pair_groups(ours, order), _pair_groups(theirs, order), True, "")


def mean(x: Sequence[float]) -> float:
    """The mean, summed exactly so that the order of values does not matter."""
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


def _average_groups(clips: Sequence[ClipValue]) -> SampleSet:
    """The mean of each group, then every clip without a group."""
    groups = _collect_groups(clips)
    single = [_value(clip) for clip in clips if not clip.group]
    grouped = [values for values in groups.values() if len(values) > 1]
    unit = "clips" if not grouped else "groups and single clips" if single else "groups"
    return SampleSet([*map(mean, groups.values()), *single], unit, len(clips), _mean_value(clips), [])


def _pair_groups(clips: Sequence[ClipValue], order: Sequence[str]) -> SampleSet:
    groups = _collect_groups(clips)
    paired = set(order)
    left_out = [clip.name for clip in clips if clip.group not in paired]
    values = [mean(groups[group]) for group in order]
    return SampleSet(values, "groups", len(clips) - len(left_out), _mean_value(clips), left_out)


def _collect_groups(clips: Sequence[ClipValue]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for clip in clips:
        if clip.group:
            groups.setdefault(clip.group, []).append(_value(clip))
    return groups


def _mean_value(clips: Sequence[ClipValue]) -> float | None:
    return mean([_value(clip) for clip in clips]) if clips else None


def _value(clip: ClipValue) -> float:
    assert clip.value is not None
    return clip.value
