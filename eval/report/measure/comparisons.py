"""What a comparison with the control says in words: which two numbers, over what, and why they are not the table's.

All take a comparison that went through `complete_measure`, and the names of the model and of the control.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from eval.report.numbers import p_words, plain
from eval.results.measure import Comparison
from eval.stats.power import POWER
from eval.stats.undecided import rejects
from recon.words import count_noun

MAX_NAMED_CLIPS = 3
"""Clips left out that a sentence names; report.json names more."""


class SampleCounts(NamedTuple):
    """The fields of a comparison that it has twice, for the model or for the control."""

    n: int
    unit: str
    clips: int
    mean: float | None
    mean_of_clips: float | None
    left_out: int
    left_out_names: list[str]


def _pick_counts(c: Comparison, *, control: bool) -> SampleCounts:
    """The fields of the model, or of the control."""
    end = "_control" if control else ""
    return SampleCounts(**{name: getattr(c, name + end) for name in SampleCounts._fields})


def samples_words(c: Comparison, *, control: bool = False) -> str:
    """'4 groups of 5 clips', or '10 clips' where each clip counts by itself."""
    side = _pick_counts(c, control=control)
    if not side.unit:
        return f"n {side.n}"
    if side.unit == "clips":
        return count_noun(side.n, "clip")
    return f"{count_noun(side.n, side.unit.removesuffix('s'))} of {count_noun(side.clips, 'clip')}"


def both_samples_words(c: Comparison) -> str:
    """'4 groups of 5 clips against 10 clips', or '4 pairs of groups, 5 clips against 4'."""
    if c.paired:
        clips = f", {count_noun(c.clips, 'clip')} against {c.clips_control}" if c.clips else ""
        return f"{count_noun(c.n, 'pair')} of groups{clips}"
    return f"{samples_words(c)} against {samples_words(c, control=True)}"


def digits_beside_zero(values: Sequence[float], digits: int) -> int:
    """So many that no value beside zero is printed as zero: an interval that leaves zero out must look so."""
    most = digits + 3
    while digits < most and any(v != 0 and float(f"{v:.{digits}f}") == 0 for v in values):
        digits += 1
    return digits


def unlike_table(c: Comparison, model: str, control: str, written: Callable[[float], str]) -> list[str]:
    """Sentences where a side's number is not the one that stands in a table of all clips, and why."""
    said = []
    for side, name, other in (
        (_pick_counts(c, control=False), model, control),
        (_pick_counts(c, control=True), control, model),
    ):
        whole, used = side.mean_of_clips, side.mean
        if whole is None or used is None or abs(whole - used) < 1e-9:  # rounding of sums
            continue
        lost, clips = side.left_out, side.clips
        why = []
        if lost:
            names = ", ".join(side.left_out_names[:MAX_NAMED_CLIPS])
            more = f" and {lost - MAX_NAMED_CLIPS} more" if lost > MAX_NAMED_CLIPS and names else ""
            listed = f" ({names}{more})" if names else ""
            group = "group is" if lost == 1 else "groups are"
            why.append(
                f"{lost} of them {'is' if lost == 1 else 'are'} left out, whose {group} not among {other}'s{listed}"
            )
        if side.n < clips:
            why.append("clips of one group count once, as their mean")
        said.append(
            f"The table has {written(whole)} for {name}, over {count_noun(clips + lost, 'clip')}; here it is "
            f"{written(used)}, because {' and '.join(why) or 'clips weigh differently'}."
        )
    return said


def unpaired_words(c: Comparison) -> list[str]:
    """Why clips that have groups are not compared in pairs; nothing where they are."""
    return [f"Not compared in pairs: {c.why_unpaired}."] if c.why_unpaired and not c.paired else []


def test_words(c: Comparison) -> str:
    """'Fisher, exact, p = 0.29, corrected for 46 comparisons p = 0.71'; empty where nothing was tested."""
    if c.p_value is None:
        return ""
    said = [c.test.partition(" (")[0], p_words(c.p_value)]
    if c.p_holm is not None:
        many = f"{c.tests} comparisons" if c.tests > 1 else "many comparisons"
        said += [f"corrected for {many} {p_words(c.p_holm)}"] if c.tests != 1 else []
    return ", ".join(filter(None, said))


def detectable_words(c: Comparison, written: Callable[[float], str]) -> str:
    """'the smallest difference these clips could show is 31 points (80% power; 45 points corrected for 45 comparisons)'.

    Empty where nothing was tested, where all values are equal, and where the test never rejects so few, which
    `why_undecided` says.

    Args:
        written: a difference in words.
    """
    if not _knows_detectable(c):
        return ""
    these = f"these {'pairs' if c.paired else 'groups' if c.unit == 'groups' else 'clips'}"
    if c.detectable is None:
        return f"{these} could show no difference from the control ({POWER:.0%} power)"
    many = (
        f"; {_written(c.detectable_corrected, written)} corrected for {c.tests} comparisons"
        if c.tests > 1
        else ""
    )
    return f"the smallest difference {these} could show is {written(c.detectable)} ({POWER:.0%} power{many})"


def detectable_brief(c: Comparison, written: Callable[[float], str]) -> str:
    """'could show 31 points, corrected 45 points', for a cell of a table; empty as `detectable_words`."""
    if not _knows_detectable(c):
        return ""
    corrected = c.tests > 1 and c.detectable is not None
    return f"could show {_written(c.detectable, written)}" + (
        f", corrected {_written(c.detectable_corrected, written)}" if corrected else ""
    )


def _knows_detectable(c: Comparison) -> bool:
    return (
        c.p_value is not None
        and c.spread is not None
        and rejects(c.p_smallest)
        and (c.detectable is not None or c.spread > 0)
    )


def _written(difference: float | None, written: Callable[[float], str]) -> str:
    return "none" if difference is None else written(difference)


def cap_detectable(c: Comparison, most: float) -> Comparison:
    """Without detectable differences that are larger than any there can be, of shares for instance 1."""
    kept = [v if v is not None and v <= most else None for v in (c.detectable, c.detectable_corrected)]
    return replace(c, detectable=kept[0], detectable_corrected=kept[1])


def against_control(c: Comparison, model: str, control: str, rule: str) -> str:
    """One model's rate under a rule against the control's, in words no stronger than the test."""
    difference, interval = c.difference, c.interval95
    if difference is None:
        reason = c.undefined_because
        return f"{model} and {control} could not be compared under {rule}{': ' + reason if reason else ''}."

    def percent(share: float) -> str:
        """A share in whole per cent."""
        return f"{plain(100 * share, 0)}%"

    rates = ""
    if c.mean is not None and c.mean_control is not None:
        rates = f", {percent(c.mean)} against {percent(c.mean_control)}"
    how = [f"over {both_samples_words(c)}"]
    if interval:
        digits = digits_beside_zero([100 * v for v in interval], 0)
        low, high = (plain(100 * v, digits, sign=True) for v in interval)
        note = f", {c.interval_note}" if c.interval_note else ""
        how.append(f"95% interval {low} to {high}{note}")
    else:
        how.append("too few for an interval")
    how += filter(None, [test_words(c)])
    said = f"{model} minus {control}, {rule}: {plain(100 * difference, 0, sign=True)} points{rates} ({'; '.join(how)})."
    return " ".join(
        [said, _outcome_words(c, model, control, rule), *unlike_table(c, model, control, percent)]
    )


def _outcome_words(c: Comparison, model: str, control: str, rule: str) -> str:
    if c.better == "undecided":
        why = c.why_undecided or "these clips do not settle whether there is a difference"
        could = detectable_words(cap_detectable(c, 1.0), lambda share: f"{plain(100 * share, 0)} points")
        return f"Undecided: {why}{'; ' if could else ''}{could}."
    more = "more" if c.better == "model" else "less"
    return f"{model} meets {rule} {more} often than {control}."
