"""What a measure report says in words; the page, the table and the terminal say the same.

All take a report that went through `complete_measure`.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from eval.report.measure.causes import misread_sentences
from eval.report.measure.comparisons import against_control, unpaired_words
from eval.report.numbers import plain
from eval.results.measure import FOLLOWS, MeasureReport, Rate
from recon.words import count_noun

MIN_CERTAIN_CLIPS = 10
"""Below so many clips a rate is said to be uncertain: at a rate of a half Wilson's interval is then wider than 40
points."""


def primary_rule(r: MeasureReport) -> str | None:
    """The rule that orders the leaderboard: the first."""
    return next(iter(r.rules), None)


def key_consistency(r: MeasureReport) -> str | None:
    """The consistency metric that stands in the leaderboard: Sampson's where there is one."""
    return next((key for key in r.consistency if "sampson" in key.lower()), next(iter(r.consistency), None))


def control_of(r: MeasureReport) -> str | None:
    """The name of the control; None where no model is one."""
    named = r.control.model
    if named in r.models:
        return named
    return next((name for name, model in r.models.items() if model.control), None)


def percent_words(share: float | None, n: int = 0) -> str:
    """'80%'. As many digits as the clips are worth, and never 100% or 0% for what is not quite so."""
    if share is None:
        return "–"
    digits = 0 if n < 200 else 1
    while digits < 4 and 0 < share < 1 and float(plain(100 * share, digits)) in (0.0, 100.0):
        digits += 1
    return plain(100 * share, digits) + "%"


def bracket(interval: Sequence[float] | None, n: int = 0) -> str:
    """'[38, 96]', in per cent; empty where there is none."""
    if not interval:
        return ""
    digits = 0 if n < 200 else 1
    return f"[{plain(100 * interval[0], digits)}, {plain(100 * interval[1], digits)}]"


def rate_words(rate: Rate, whose: str = "") -> str:
    """'4 of 5 clips of a (80% [38, 96])'; a rule that averages over trials has no whole number of successes."""
    share, n = rate.rate, rate.n
    if share is None or not n:
        return "no clip that the rule could be asked of"
    percent, interval = percent_words(share, n), bracket(rate.interval95, n)
    clips = " ".join(filter(None, [count_noun(n, "clip"), whose and f"of {whose}"]))
    successes = share * n
    if abs(successes - round(successes)) < 1e-6:
        return f"{round(successes)} of {clips} ({' '.join(filter(None, [percent, interval]))})"
    return f"{percent} of {clips}" + (f" ({interval})" if interval else "")


def first_sentence(text: str) -> str:
    """With its full stop; the rest is for the report."""
    text = re.split(r"(?<=[.!?])\s", text.strip())[0]
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def certainty(r: MeasureReport) -> list[str]:
    """What these clips settle and what they do not, a sentence each."""
    rule = primary_rule(r)
    if rule is None:
        return []
    control = control_of(r)
    if control is None:
        return list(filter(None, [_resolution(r, rule), _order(r, rule)]))
    said = []
    for name, comparisons in r.control.comparisons.items():
        asked = [key for key in dict.fromkeys((rule, FOLLOWS)) if f"rule:{key}" in comparisons]
        found = [comparisons[f"rule:{key}"] for key in asked]
        words = [against_control(c, name, control, key) for c, key in zip(found, asked, strict=True)]
        unpaired = dict.fromkeys(sentence for c in found for sentence in unpaired_words(c))
        said += [*words[:-1], *(" ".join([last, *unpaired]) for last in words[-1:])]
    return [*said, *filter(None, [_order(r, rule)])]


def _resolution(r: MeasureReport, rule: str) -> str:
    """How far a rate may be from the truth, where there is no control to compare it with."""
    halves = [
        f"{name} ±{plain(50 * (rate.interval95[1] - rate.interval95[0]), 0)} points"
        for name, rate in ((name, m.rules.get(rule, Rate())) for name, m in r.models.items())
        if rate.interval95
    ]
    if not halves:
        return ""
    return f"There is no control to compare with. Rates are known to within half of Wilson's interval: {some(halves)}."


def _order(r: MeasureReport, rule: str) -> str:
    """Whether the leaderboard's order could be chance."""
    rates = [
        (rate.rate, name, rate.interval95)
        for name, rate in ((name, m.rules.get(rule, Rate())) for name, m in r.models.items())
        if name != control_of(r) and rate.rate is not None and rate.interval95
    ]
    rates.sort(key=lambda row: -row[0])
    overlapping = [(a, b) for (_, a, above), (_, b, below) in pairwise(rates) if below[1] >= above[0]]
    if not overlapping:
        return ""
    if len(overlapping) == len(rates) - 1 > 1:
        return "Neighbours in the leaderboard have overlapping intervals throughout: its order may be chance."
    return " ".join(
        f"The intervals of {a} and {b} overlap, so their order may be chance." for a, b in overlapping[:3]
    )


def protocol_words(r: MeasureReport) -> str:
    """By which protocol was measured, and what was not by it; '' in reports from before there was one."""
    if not r.protocol:
        return ""
    return (
        f"Measured by the {r.protocol}"
        + (f", except for {', '.join(r.departures)}" if r.departures else "")
        + "."
    )


def warnings(r: MeasureReport) -> list[str]:
    """What a reader must know before believing a figure."""
    rule, control = primary_rule(r), control_of(r)
    said = [*misread_sentences(r), *(str(sentence) for sentence in r.grouping)]
    note = r.control.note
    if r.models and control is None:
        said.append(
            "There is no control of real clips. How often the pipeline itself fails is unknown, so a failure "
            "here need not be the generator's." + (f" {note}" if note else "")
        )
    elif control is not None and rule is not None:
        rate = r.models[control].rules.get(rule, Rate())
        if rate.rate is not None and rate.rate < 0.9:
            said.append(
                f"The control itself meets {rule} at a rate of only {percent_words(rate.rate, rate.n)}: part of "
                "every model's failures is the pipeline's own."
            )
    if note and control is not None:
        said.append(note)
    few = [f"{name} ({m.n})" for name, m in r.models.items() if 0 < m.n < MIN_CERTAIN_CLIPS]
    if few:
        said.append(f"Fewer than {MIN_CERTAIN_CLIPS} clips, so the figures are coarse: {some(few)}.")
    failed = [f"{name} ({m.failed})" for name, m in r.models.items() if m.failed]
    if failed:
        said.append(f"Clips that could not be measured at all, and are in no rate: {some(failed)}.")
    for why, names in _rules_without_rate(r).items():
        rules = f"Rule {names[0]}" if len(names) == 1 else f"Rules {', '.join(names)}"
        said.append(f"{rules} could be asked of no clip{why}.")
    return said


def _rules_without_rate(r: MeasureReport) -> dict[str, list[str]]:
    """Rules without a rate for any model, by why."""
    found: dict[str, list[str]] = {}
    for rule in r.rules:
        rates = [m.rules[rule] for m in r.models.values() if rule in m.rules]
        if rates and all(rate.rate is None for rate in rates):
            reasons = dict.fromkeys(reason for rate in rates for reason in rate.undefined)
            found.setdefault(f": {some(list(reasons))}" if reasons else "", []).append(rule)
    return found


def undefined_words(undefined: Mapping[str, Any]) -> str:
    """'3 × no requested cameras; 1 × static'."""
    return "; ".join(f"{n} × {reason}" for reason, n in undefined.items() if n)


def some(names: Sequence[str], most: int = 6) -> str:
    """The first few names; how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
