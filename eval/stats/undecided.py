"""Why a comparison decides nothing, where its interval, its p value and its corrected p value seem to disagree."""

from eval.report.numbers import p_words
from eval.results.measure import Comparison

LEVEL = 0.05
"""Level of the tests: the share of true null hypotheses that they reject. Doubled, twice as many false differences."""


def rejects(p: float | None) -> bool:
    """Whether a p value rejects at `LEVEL`; None does not."""
    return p is not None and p < LEVEL


def explain_undecided(c: Comparison) -> str:
    """Why a comparison is undecided, as half a sentence; '' where one is better, or nothing was compared."""
    p, interval, smallest = c.p_value, c.interval95, c.p_smallest
    if c.better != "undecided" or p is None or interval is None:
        return ""
    low, high = interval
    about = "" if low <= 0 <= high else f"; {_about_interval(c)}"
    if not rejects(p) and smallest is not None and not rejects(smallest):
        return (
            "too few to tell from chance, however far apart they lie: the test cannot give less than "
            f"{p_words(smallest)}{about}"
        )
    if not rejects(p):
        return (
            f"the test does not reject{about}"
            if about
            else "the interval holds zero, and the test does not reject"
        )
    if not rejects(c.p_holm):
        said = f"alone it would count, but not as one of {c.tests} comparisons (Holm's correction)"
        if smallest is not None and smallest * c.tests >= LEVEL:
            said += (
                f"; with so few the test cannot give less than {p_words(smallest)}, and that is not enough"
            )
        return said
    return "the test rejects, but the interval holds zero"


def _about_interval(c: Comparison) -> str:
    """Why an interval without zero is not believed where the test does not reject."""
    if c.interval_note:
        return f"that the interval leaves zero out says little, for it is {c.interval_note}"
    return "the interval leaves zero out, but the exact test is the more cautious of the two, and decides"
