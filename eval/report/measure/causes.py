"""What went wrong with the clips of each model: why some were not registered, and what is wrong with those that were.

All take a report that went through `complete_measure`.
"""

from typing import NamedTuple

from eval.results.measure import MeasureReport

NOT_REGISTERED, REGISTERED_BUT = "not registered, because", "registered, but"


class ModelCauses(NamedTuple):
    """Causes of one model, with the number of clips of each, most first."""

    model: str
    causes: list[tuple[str, int]]
    """Of clips whose poses were not recovered."""
    remarks: list[tuple[str, int]]
    """Of clips that were registered nevertheless."""


def list_causes(r: MeasureReport) -> list[ModelCauses]:
    """Causes by model, in the order of the leaderboard; models without any are left out."""
    rows = [
        ModelCauses(name, _most_first(model.causes), _most_first(model.remarks))
        for name, model in r.models.items()
    ]
    return [row for row in rows if row.causes or row.remarks]


def _most_first(counted: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((cause, n) for cause, n in counted.items() if n), key=lambda item: -item[1])
