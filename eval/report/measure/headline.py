"""The first sentences of a measure report: how often cameras were registered, and whether they are the right ones.

All take a report that went through `complete_measure`.
"""

from typing import NamedTuple

from eval.paths.fault import BROKEN, DISOBEDIENT
from eval.report.measure.sentences import control_of, first_sentence, percent_words, primary_rule, rate_words
from eval.results.measure import ASTRAY, FOLLOWS, TORN, ClipResult, MeasureReport, Rate, Verdict
from recon.words import count_noun

MAX_GRADED_MODELS = 6
"""Models whose AUC stands below the headline; the table of rules has all."""
DISOBEYS = {fault.value for fault in DISOBEDIENT}
"""Remarks on clips that do something else than was asked."""
INCONSISTENT = {*(fault.value for fault in BROKEN), TORN}
"""Remarks on clips whose recovered path is no one path."""
REGISTERING = ("share@90", "camco", "cosmos", "cami2v")
"""Rules that count the frames COLMAP registers and do not ask whether their poses are right."""


def lead(rule: str) -> str:
    """How a sentence begins that goes on with '4 of 5 clips of a'."""
    if rule in REGISTERING:
        return f"Cameras were registered ({rule}) in"
    return f"The requested path was followed ({rule}) in" if rule == FOLLOWS else f"{rule} was met by"


def headline(r: MeasureReport) -> str:
    """How often the leading rule was met, how many of those clips follow their request, beside the control."""
    rule, control = primary_rule(r), control_of(r)
    if not r.models:
        return "No clip was measured."
    if rule is None:
        return (
            f"{count_noun(sum(m.n for m in r.models.values()), 'clip')} measured; no success rule was asked."
        )
    rates = {name: m.rules[rule] for name, m in r.models.items() if rule in m.rules}
    rates = {name: rate for name, rate in rates.items() if rate.rate is not None and rate.n}
    if not rates:
        reasons = dict.fromkeys(why for m in r.models.values() for why in m.rules.get(rule, Rate()).undefined)
        return f"No clip could be judged by {rule}{': ' + '; '.join(reasons) if reasons else ''}."
    ordered = sorted(rates, key=lambda name: (name == control, -(rates[name].rate or 0.0)))
    others = [name for name in ordered if name != control]

    def rate_sentence(name: str, more: str = "") -> str:
        """A model's rate, and how many of these clips follow their request."""
        whose = f"{name}, the control" if name == control else name
        return rate_words(rates[name], whose) + more + following_words(r, name)

    if len(others) > 3:
        parts = [
            rate_sentence(others[0], ", at best"),
            f"{rate_sentence(others[-1], ', at worst')}, among {len(others)} models",
        ]
        parts += [rate_sentence(name) for name in ordered if name == control]
    else:
        parts = [rate_sentence(name) for name in ordered]
    if not others:
        parts[0] += "; no generated clip could be judged"
    listed = "; in ".join(parts) if lead(rule).endswith(" in") else "; by ".join(parts)
    return f"{lead(rule)} {listed}."


class Following(NamedTuple):
    """How many clips of a model that meet the leading rule follow their request."""

    follow: int
    """Those that follow their request."""
    asked: int
    """Those that were asked whether they do."""
    met: int


def following(r: MeasureReport, name: str) -> Following:
    """Count the clips of a model that meet the leading rule and follow their request."""
    rule = primary_rule(r)
    met = [
        clip.verdicts.get(FOLLOWS, Verdict()).success
        for clip in r.clips
        if clip.model == name and clip.verdicts.get(rule or "", Verdict()).success
    ]
    return Following(met.count(True), len(met) - met.count(None), len(met))


def following_words(r: MeasureReport, name: str) -> str:
    """', of which 3 follow the requested path'; empty where the rule says so itself, or nothing was asked."""
    if primary_rule(r) not in REGISTERING:
        return ""
    follow, asked, met = following(r, name)
    if not asked:
        return ""
    whole = "which" if asked == met else f"the {asked} with requested cameras"
    return f", of {whole} {follow or 'none'} {'follows' if follow <= 1 else 'follow'} the requested path"


def meaning(r: MeasureReport) -> list[str]:
    """What the headline's rules ask, so that 'registered' is not read as 'right'; and AUC, which grades it."""
    rule = primary_rule(r)
    if rule not in REGISTERING or not r.models:
        return []
    said = [f"{rule} asks how many frames COLMAP registers, not whether their poses are right"]
    if FOLLOWS in r.rules:
        said[0] += f"; {FOLLOWS} asks that: {first_sentence(r.rules[FOLLOWS].definition) or 'see below'}"
    elif any(model.requested for model in r.models.values()):
        said[0] += f"; {FOLLOWS} in --rules asks that"
    said[0] = said[0].removesuffix(".") + "."
    graded = [key for key in r.rules if key.startswith("auc@")]
    for name, model in list(r.models.items())[:MAX_GRADED_MODELS]:
        rates = [(key, model.rules.get(key, Rate())) for key in graded]
        shown = [f"{key} {percent_words(rate.rate, rate.n)}" for key, rate in rates if rate.rate is not None]
        if shown:
            said.append(f"{name}: {', '.join(shown)}.")
    return [said[0], " ".join(["Pose accuracy, 100% being exact:", *said[1:]])] if said[1:] else said


def clip_words(clip: ClipResult) -> str:
    """What became of a clip, without the name of a rule."""
    if clip.failed is not None:
        return "could not be measured"
    if not clip.recovered:
        return "not registered"
    follows = clip.verdicts.get(FOLLOWS, Verdict()).success
    disobeys = [cause for cause in clip.causes if cause in DISOBEYS]
    if disobeys:
        return f"registered, but {', '.join(disobeys)}"
    broken = [cause for cause in clip.causes if cause in INCONSISTENT]
    if broken:
        return f"registered, inconsistent: {', '.join(broken)}"
    if follows is False or ASTRAY in clip.causes:
        return f"registered, but {ASTRAY}"
    if follows:
        return "registered, follows the request"
    return (
        f"registered; {clip.verdicts[FOLLOWS].because}"
        if FOLLOWS in clip.verdicts and clip.verdicts[FOLLOWS].because
        else "registered; whether it follows the request was not asked"
        if clip.has_request
        else "registered; no request"
    )
