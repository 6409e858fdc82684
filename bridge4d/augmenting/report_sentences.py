"""What the report of a run says in words: why a scene is kept, and what a reader should know."""

from collections.abc import Sequence
from itertools import zip_longest

from bridge4d.augmenting.options import Keep
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.rounds import PlayedRounds, RoundResult
from bridge4d.stages.scores import Score

FEW_JUDGES = 6
"""Below so many held-out photos a bootstrap interval is known to be too narrow."""


def explain_choice(prepared: PreparedPhotos, played: PlayedRounds, keep: Keep) -> str:
    """Why the scene `played.kept` is kept, as part of a sentence."""
    rounds, decisions = played.rounds, played.decisions
    if prepared.surfaces is None:
        return f"COLMAP could not reconstruct the training photos: {prepared.about['sfm']['status']}"
    if not rounds:
        return "no round was asked for"
    if rounds[0].nothing_because:
        return f"no novel view could be planned: {rounds[0].nothing_because}"
    if all(one.accepted is None for one in rounds):
        return "no generated frame passed the gate"
    if keep != "decide":
        return f"it was asked for with --keep {keep}"
    # where a later round was refused, what spoke for the kept one
    return decisions[max(played.kept, 1) - 1]["why"]


def list_warnings(
    about: dict,
    scores: list[Score],
    *,
    compared: bool,
    from_points: bool,
    made_before: bool,
    own_cameras: bool,
    rounds: Sequence[RoundResult] = (),
) -> list[str]:
    """What a reader should know.

    Args:
        compared: whether a scene with generated frames is compared with that of the photos alone.
        from_points: whether fits start from points rather than from a scene given.
        made_before: whether frames were made before, as a scene file or a clip, and judged by left-out photos.
        own_cameras: whether frames were asked for from cameras that had been recovered from these frames.
    """
    warnings = [*about.get("notes", []), *(f"{item['name']}: {item['reason']}" for item in about["skipped"])]
    warnings += _explain_metres(about["sfm"])
    if about["sfm"]["registered"] >= 2 and about["sfm"]["points"] == 0:
        warnings.append(
            "no point could be triangulated from the training photos: no generated frame can be checked"
        )
    depth = about.get("depth")
    if depth is not None and depth["surface_points"] == 0 and from_points:
        reason = depth["failed"] or "they agree on no surface"
        warnings.append(
            f"no depth could be found from the training photos ({reason}): every scene, the photos-only one too, was "
            f"fitted from {depth['sfm_points']} triangulated points alone and may be blurred or empty between these"
        )
    warnings += _explain_left_out(about["sfm"], len(about["training"]))
    unseen = _list_unknown_lenses(about) if about["sfm"]["registered"] >= 2 else []
    if unseen:
        warnings.append(
            f"held out, and not judged, because no registered training photo was taken through the same lens: {', '.join(unseen)}"
        )
    if made_before:
        warnings.append(
            "the world model shows a scene or a clip that was made before: if from these photos, it knew those that were left out to "
            "decide, and the decision says little"
        )
    if own_cameras:
        warnings.append(
            "the cameras of the clip were recovered from its own frames: that they agree with those recovered again says nothing, and "
            "frames that could not be registered were not asked for"
        )
    warnings += [
        f"the frames of round {one.number} do not follow the requested cameras, but would if {one.misread}: check in which "
        "convention the world model takes its cameras"
        for one in rounds
        if one.misread
    ]
    judged = len(scores[0].names) if scores else 0
    if judged < len(about["heldout"]):
        warnings.append(f"{judged} of {len(about['heldout'])} held-out photos could be registered and judged")
    if compared and 1 < judged < FEW_JUDGES:  # of a single one there is no interval
        warnings.append(
            f"only {judged} held-out photos: the interval spans no more than what these showed and is too narrow"
        )
    return warnings


def _explain_left_out(said: dict, training: int) -> list[str]:
    """A sentence for each reason why training photos have no camera: which, and what to do."""
    names_of: dict[tuple[str, str], list[str]] = {}
    for one in said["left_out"]:
        names_of.setdefault((one["reason"], one["advice"]), []).append(one["name"])
    return [
        f"{len(names)} of {training} training photos could not be registered ({reason}): {', '.join(names)}. {advice}"
        for (reason, advice), names in names_of.items()
    ]


def _explain_metres(said: dict) -> list[str]:
    found = said.get("georeference")
    if found is None:
        return []
    off = found["residual_m"]
    return [
        f"the scene is upright and in metres by the {found['source']}, which lie {off['median']:.2f} m from where it has them (median; "
        f"{off['largest']:.2f} m at most)"
    ]


def _list_unknown_lenses(about: dict) -> list[str]:
    """Held-out photos whose lens was not found."""
    heldout = set(about["heldout"])
    # those of held-out photos alone come last, and structure from motion knows nothing of them
    pairs = zip_longest(about.get("lenses", ()), about["sfm"].get("lenses", ()))
    return [name for lens, found in pairs if found is None for name in lens["photos"] if name in heldout]
