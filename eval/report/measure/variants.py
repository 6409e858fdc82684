"""What overlays and odd frames change: rates with and without them, in sentences.

All take a report that went through `complete_measure`.
"""

from eval.report.measure.sentences import percent_words
from eval.results.measure import TRIMMED, UNMASKED, MeasureReport, Model, Rate
from recon.words import count_noun

WORDS = {
    UNMASKED: ("an overlay, whose features are left out", "with them"),
    TRIMMED: ("odd frames (blank, repeated, after a cut), which count", "without them"),
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
