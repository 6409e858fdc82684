"""How world models were asked for their clips, and which poses of the clips to hand to Gaussian splatting.

All take a report that went through `complete_measure`.
"""

from collections.abc import Sequence
from statistics import median

from eval.results.measure import ClipResult, MeasureReport, Model
from recon.words import count_noun

ROTATION = "rotation_deg"
"""The error that is told of a witness."""
MAX_MODELS = 6
"""Models that get a sentence in the headline's place; report.json has all."""
WORDS = {
    "requested": "the requested cameras fit the pixels better",
    "recovered": "the recovered cameras fit the pixels better",
    "either": "neither requested nor recovered cameras are clearly better",
}


def asked_sentences(r: MeasureReport) -> list[str]:
    """How the clips of each model were asked for; empty where the clips were found."""
    said = []
    for name, asked in r.asked.items():
        if name not in r.models:
            continue
        scale = (
            ""
            if asked.metres_per_unit is None
            else f"; a unit is {asked.metres_per_unit:.3g} m ({asked.scale_from})"
        )
        licence = f"; licence: {asked.license}" if asked.license else ""
        said.append(
            f"{name} was asked for {count_noun(asked.clips, 'clip')} along {count_noun(asked.paths, 'path')} from {asked.photos}"
            f"{scale}{licence}."
        )
    return said


def pose_choice_sentences(r: MeasureReport) -> list[str]:
    """'Poses of a for splatting: the recovered cameras fit the pixels better in 6 of 9 clips …'; empty where nothing was compared."""
    return [
        _choices(name, model) for name, model in list(r.models.items())[:MAX_MODELS] if model.pose_choices
    ]


def _choices(name: str, model: Model) -> str:
    counts = model.pose_choices
    compared = sum(counts.values())
    ordered = sorted(counts, key=lambda poses: -counts[poses])
    first = f"{WORDS.get(ordered[0], ordered[0])} in {counts[ordered[0]]} of {count_noun(compared, 'clip')}"
    parts = [first, *(f"{WORDS.get(poses, poses)} in {counts[poses]}" for poses in ordered[1:])]
    return f"Poses of {name} for splatting: {', '.join(parts)}. {_advice(counts, compared)}"


def _advice(counts: dict[str, int], compared: int) -> str:
    recovered, requested = counts.get("recovered", 0), counts.get("requested", 0)
    if recovered > requested and recovered * 2 >= compared:
        return "Hand over the recovered ones."
    if requested > recovered and requested * 2 >= compared:
        return "Hand over the requested ones."
    if recovered or requested:
        return "Choose clip by clip, as clips.csv says."
    return "Hand over the requested ones: they need no structure from motion."


def pose_choice_words(clip: ClipResult) -> str:
    """What a clip's own lines say; '' where nothing was compared."""
    choice = clip.pose_choice
    return f"{WORDS[choice.poses].capitalize()}: {choice.because}." if choice.poses in WORDS else ""


def witness_sentences(r: MeasureReport) -> list[str]:
    """What a witness makes of each model's clips, beside what COLMAP recovers; empty where none was asked."""
    said = []
    for name in list(r.models)[:MAX_MODELS]:
        clips = [clip for clip in r.clips if clip.model == name and clip.name in r.witnesses]
        if not clips:
            continue
        first = r.witnesses[clips[0].name]
        theirs = _known([r.witnesses[clip.name].rotation_deg for clip in clips])
        ours = _known([clip.errors[ROTATION].value for clip in clips if ROTATION in clip.errors])
        if theirs:
            said.append(
                f"Poses of {name}, median rotation error: {_median(theirs, len(clips), first.model)}, "
                f"{_median(ours, len(clips), 'COLMAP')}."
            )
        else:
            said.append(f"Poses of {name} by {first.model}: {first.undefined_because}.")
    return said


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _median(errors: list[float], clips: int, who: str) -> str:
    """'1.65° by COLMAP in 17 of 20 clips'."""
    counted = f"{len(errors)} of {count_noun(clips, 'clip')}"
    return f"{median(errors):.2f}° by {who} in {counted}" if errors else f"none by {who}"
