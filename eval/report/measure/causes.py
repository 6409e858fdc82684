"""What went wrong with the clips of each model: why some were not registered, what is wrong with those that were, misread cameras.

All take a report that went through `complete_measure`.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from eval.paths.conventions import find_agreed, name_readings
from eval.results.conventions import AS_STATED, OTHERWISE, ReadingCheck
from eval.results.measure import MeasureReport
from recon.camera_files.convention import CONVENTIONS
from recon.words import count_noun

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


def misread_sentences(r: MeasureReport) -> list[str]:
    """Which models' requested cameras fit their clips clearly better when they are read otherwise, and what to do."""
    said = []
    for model in r.models:
        checks = [clip.readings for clip in r.clips if clip.model == model]
        other = [check for check in checks if check.fit == OTHERWISE]
        if not other:
            continue
        told = other + [check for check in checks if check.fit == AS_STATED]
        agreed = find_agreed(checks)
        naming = [check for check in other if set(agreed) & set(check.named)]
        if not agreed:
            said.append(
                f"{len(other)} of {count_noun(len(told), 'clip')} of {model} {'fits' if len(other) == 1 else 'fit'} the requested "
                "cameras clearly better under another reading, and most do not: the notes of these clips say which."
            )
            continue
        best, stated = (median([px or 0.0 for px in values]) for values in _distances(naming))
        if model in r.asked:
            said.append(
                f"{model} probably follows another reading of its request: {len(naming)} of {count_noun(len(told), 'clip')} that can tell "
                f"{'fits' if len(naming) == 1 else 'fit'} clearly better if the cameras that it was asked for are {name_readings(agreed)} "
                f"({best:.1f} px off instead of {stated:.1f} px); look at how it reads poses."
            )
            continue
        said.append(
            f"The requested cameras of {model} were probably read wrongly: {len(naming)} of {count_noun(len(told), 'clip')} that "
            f"can tell {'fits' if len(naming) == 1 else 'fit'} clearly better if {name_readings(agreed)} ({best:.1f} px off "
            f"instead of {stated:.1f} px){_remedy(agreed, naming[0])}."
        )
    return said


def _distances(checks: Sequence[ReadingCheck]) -> tuple[list[float | None], list[float | None]]:
    return [check.best_px for check in checks], [check.stated_px for check in checks]


def _remedy(agreed: Sequence[str], check: ReadingCheck) -> str:
    """What to do about it, where a convention mends it, as the end of a sentence."""
    conventions = [name for name in agreed if name in map(str, CONVENTIONS)]
    if not conventions:
        return ""
    options = " or ".join(f"--convention {name}" for name in conventions)
    if check.format in ("", "matrices"):
        return f"; give {options}"
    if check.format == "kitti":  # lines of 12 numbers are matrices, too
        return f"; give --camera-format matrices {options}"
    return f"; the format {check.format} is {check.convention}: write the poses of its files so"
