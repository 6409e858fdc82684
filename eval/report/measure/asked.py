"""How world models were asked for their clips, and which poses of the clips to hand to Gaussian splatting.

All take a report that went through `complete_measure`.
"""

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
        who = r.witnesses[clips[0].name].model
        told = [(r.witnesses[clip.name].rotation_deg, _rotation_error(clip)) for clip in clips]
        both = [(theirs, ours) for theirs, ours in told if theirs is not None and ours is not None]
        alone = sum(theirs is not None and ours is None for theirs, ours in told)
        counted = f"{len(both)} of {count_noun(len(clips), 'clip')}"
        more = f", which alone has poses of {alone} more" if alone else ""
        if both:
            by_who, by_colmap = (median(errors) for errors in zip(*both, strict=True))
            said.append(
                f"Poses of {name}, median rotation error over {counted} that both tell: {by_colmap:.2f}° by COLMAP, {by_who:.2f}° by "
                f"{who}{more}."
            )
        elif alone:
            said.append(f"Poses of {name}: COLMAP has none of any clip, {who} of {alone} of {len(clips)}.")
        else:
            said.append(f"Poses of {name} by {who}: {r.witnesses[clips[0].name].undefined_because}.")
    return said


def _rotation_error(clip: ClipResult) -> float | None:
    return clip.errors[ROTATION].value if ROTATION in clip.errors else None
