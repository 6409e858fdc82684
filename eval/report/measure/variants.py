"""What overlays, odd frames and what moves change: rates with and without them, in sentences.

All take a report that went through `complete_measure`.
"""

from eval.report.measure.sentences import key_consistency, percent_words
from eval.report.numbers import plain
from eval.results.measure import (
    STILL,
    TRIMMED,
    UNMASKED,
    Figure,
    MeasureReport,
    MetricInfo,
    Model,
    Rate,
)
from recon.words import count_noun

STILL_ERRORS = ("rotation_deg", "position_share")
"""Errors that are told without what moves; the page has all."""
WORDS = {
    UNMASKED: ("an overlay, whose features are left out", "with them"),
    TRIMMED: ("odd frames (blank, repeated, after a cut), which count", "without them"),
    STILL: ("something that moves, which is part of what counts", "without it"),
}


def variant_sentences(r: MeasureReport) -> list[str]:
    """'2 of 9 clips of a have an overlay, …: share@90 89%, with them 67%'; nothing for models without."""
    return [
        sentence
        for name, model in r.models.items()
        for variant, words in WORDS.items()
        for sentence in [_sentence(name, model, variant, words, list(r.rules))]
        if sentence
    ]


def moving_sentences(r: MeasureReport) -> list[str]:
    """'In a, 26% of the picture moves …: rotation error 0.72°, without it 0.06° …'; nothing for models in which nothing does."""
    return [_moving_sentence(r, name, model) for name, model in r.models.items() if model.still.clips]


def _moving_sentence(r: MeasureReport, name: str, model: Model) -> str:
    share = model.still.moving_share
    figures = [
        (r.errors[key], model.errors[key].survivors, model.still.errors[key].survivors)
        for key in STILL_ERRORS
        if {key} <= {*r.errors} & {*model.errors} & {*model.still.errors}
    ]
    key = key_consistency(r)
    if key is not None and {key} <= {*model.consistency} & {*model.still.consistency}:
        figures.append((r.consistency[key], model.consistency[key], model.still.consistency[key]))
    told = [
        f"{info.title} {_mean(whole, info)}, without what moves {_mean(rest, info)}"
        for info, whole, rest in figures
        if whole.mean is not None and rest.mean is not None
    ]
    said = f"In {name}, {plain(100 * (share.mean or 0.0), 0)}% of the picture moves on average"
    return f"{said}: {'; '.join(told)}." if told else f"{said}."


def _mean(figure: Figure, info: MetricInfo) -> str:
    assert figure.mean is not None
    unit = f" {info.unit}" if info.unit else ""
    return f"{plain(figure.mean, info.digits)}{unit} ({figure.n})"


def _sentence(name: str, model: Model, variant: str, words: tuple[str, str], rules: list[str]) -> str:
    found = model.variants.get(variant)
    if found is None or not found.clips:
        return ""
    what, otherwise = words
    pairs = [(rule, model.rules.get(rule, Rate()), found.rules.get(rule, Rate())) for rule in rules]
    changed = [
        f"{rule} {percent_words(counted.rate, counted.n)}, {otherwise} {percent_words(other.rate, other.n)}"
        for rule, counted, other in pairs
        if (counted.rate, counted.n) != (other.rate, other.n)
    ]
    said = f"{found.clips} of {count_noun(model.n, 'clip')} of {name} {'has' if found.clips == 1 else 'have'} {what}"
    return f"{said}: {'; '.join(changed)}." if changed else f"{said}; no rate changes {otherwise}."
