"""One round of the loop: plan novel cameras, generate, recover blind, gate, fit again.

Everything here is handed the training photos and what was made of them; never a held-out photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bridge4d.augmenting.decide import Trials
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.training import fit_scene
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import frames, latents, views
from bridge4d.stages.decide import DecisionRecord
from eval.results.augment import JudgedFrame
from recon.clip import Clip
from recon.compute.pretrained import network_key
from recon.compute.seeds import make_generator

PLAN, GENERATE = 2, 3
"""Numbers of the streams of random numbers; never reused for another piece of work, here or in `training`."""


@dataclass(frozen=True)
class RoundResult:
    """What one round brought."""

    number: int
    scene: StageRecord
    """The fit on photos and everything accepted so far."""
    frames: list[JudgedFrame]
    """All generated ones, as the gate judged them."""
    accepted: Clip | None
    """Accepted frames with the cameras and weights with which they enter the fit."""
    checked: StageRecord | None = None
    """The stage that judged the frames, where some were accepted."""
    compared: StageRecord | None = None
    """The stage that compared the frames with the moved photos by features, where that was asked for."""
    misread: str = ""
    """Of frames that do not follow their request, how it would have to be meant so that they do; '' where nothing is known."""
    nothing_because: str = ""
    """Why no view could be planned; '' where some were."""


@dataclass
class PlayedRounds:
    """The rounds of a run, and which scene is kept."""

    rounds: list[RoundResult] = field(default_factory=list)
    decisions: list[DecisionRecord] = field(default_factory=list)
    """Of the first rounds; none where the decision was asked for, or no frame entered a scene."""
    kept: int = 0
    """The round whose scene is kept; 0: that of the photos alone."""


def play_rounds(
    run: Run, prepared: PreparedPhotos, base: StageRecord, options: AugmentOptions
) -> PlayedRounds:
    """Rounds until one is not kept; `base` is the scene of the photos alone.

    Training photos that are left out in turn decide, unless `options.keep` does.
    """
    played, scene = PlayedRounds(), base
    trials = Trials(run, prepared, options)
    for number in range(1, options.rounds + 1):
        one = play_round(run, number, prepared, scene, played.rounds, options)
        played.rounds.append(one)
        if one.accepted is None:
            break
        if options.keep == "decide":
            played.decisions.append(trials.decide(number))
            if not played.decisions[-1]["keep"]:
                break
        if options.keep != "photos":
            played.kept = number
        scene = one.scene
    return played


def play_round(
    run: Run,
    number: int,
    prepared: PreparedPhotos,
    before: StageRecord,
    earlier: Sequence[RoundResult],
    options: AugmentOptions,
) -> RoundResult:
    """Plan against the scene `before`, and fit anew with what this and the earlier rounds accepted."""
    generated = _generate(run, number, prepared, before, earlier, options)
    if reason := views.why_nothing(generated.folder):
        return RoundResult(number, before, [], None, nothing_because=reason)
    checked = _check(run, number, prepared, generated, options)
    compared = _compare(run, number, prepared, generated, options)
    rows = frames.load_rows(checked.folder)
    accepted = frames.accepted_frames(
        generated.folder,
        checked.folder,
        frame_poses=options.frame_poses,
        weight=options.generated_weight,
        weigh_by_confidence=options.weigh_by_confidence,
    )
    misread = frames.load_misreading(checked.folder)
    if accepted is None:
        return RoundResult(number, before, rows, None, compared=compared, misread=misread)
    played = RoundResult(number, before, rows, accepted, checked=checked, compared=compared, misread=misread)
    scene = fit_with_frames(run, f"round-{number}", prepared, [*earlier, played], options)
    return replace(played, scene=scene)


def fit_with_frames(
    run: Run, name: str, prepared: PreparedPhotos, rounds: Sequence[RoundResult], options: AugmentOptions
) -> StageRecord:
    """Splats from photos and the frames that the rounds accepted."""
    return fit_scene(
        run,
        name,
        prepared,
        options,
        extra=_accepted(rounds),
        depends_on=pick_options(
            options,
            "generated_share",
            "generated_weight",
            "generated_from",
            "generated_until",
            "weigh_by_confidence",
            "frame_poses",
        ),
        earlier=_fingerprints_of_checks(rounds),
    )


def _accepted(rounds: Sequence[RoundResult]) -> list[Clip]:
    return [played.accepted for played in rounds if played.accepted is not None]


def _fingerprints_of_checks(rounds: Sequence[RoundResult]) -> dict[str, str]:
    """Of the stages that say which frames were accepted, by their names."""
    checks = [played.checked for played in rounds if played.checked is not None]
    return {checked.name: checked.fingerprint for checked in checks}


def _generate(
    run: Run,
    number: int,
    prepared: PreparedPhotos,
    before: StageRecord,
    earlier: Sequence[RoundResult],
    options: AugmentOptions,
) -> StageRecord:
    surfaces = prepared.surfaces
    assert surfaces is not None
    return run.stage(
        f"generated/round-{number}",
        lambda folder: views.plan_and_generate(
            before.folder,
            prepared.cameras.folder,
            surfaces.folder,
            folder,
            model=options.load_model(run.folder),
            count=options.novel,
            part=number,
            support=options.support,
            max_side=options.max_side,
            scale=prepared.scale,
            show_scene=number >= views.FIRST_SHOWN,
            given_from_scene=prepared.given_from_scene,
            accepted=_accepted(earlier),
            names=f"r{number}-",
            planning=make_generator(options.seed, PLAN, number),
            generating=make_generator(options.seed, GENERATE, number),
        ),
        version=views.VERSION,
        depends_on=pick_options(options, "novel", "support", "seed") | options.model_key,
        earlier={
            before.name: before.fingerprint,
            **_fingerprints_of_checks(earlier),
            **prepared.scale_fingerprint,
        },
        reads=lambda: fingerprint_scenes([*options.scene_files, *options.model_files]),
    )


def _check(
    run: Run, number: int, prepared: PreparedPhotos, generated: StageRecord, options: AugmentOptions
) -> StageRecord:
    surfaces = prepared.surfaces
    assert surfaces is not None
    return run.stage(
        f"recovery/round-{number}",
        lambda folder: frames.check_frames(
            generated.folder,
            prepared.cameras.folder,
            folder,
            scratch=run.folder / ".work" / f"register-{number}",
            recipe=options.recipe,
            max_side=options.max_side,
            gate_options=options.gate,
            frame_poses=options.frame_poses,
            number=number,
            pictures=generated.name,
            surfaces=surfaces.folder if options.check_content else None,
        ),
        version=frames.VERSION,
        depends_on=pick_options(options, "frame_poses", "check_content", "seed")
        | options_to_json(options.gate),
        earlier={generated.name: generated.fingerprint, surfaces.name: surfaces.fingerprint},
    )


def _compare(
    run: Run, number: int, prepared: PreparedPhotos, generated: StageRecord, options: AugmentOptions
) -> StageRecord | None:
    encoder, surfaces = options.latents, prepared.surfaces
    assert surfaces is not None
    if encoder is None:
        return None
    return run.stage(
        f"latents/round-{number}",
        lambda folder: latents.compare_latents(
            generated.folder,
            prepared.cameras.folder,
            surfaces.folder,
            folder,
            encoder=encoder,
            max_side=options.max_side,
            seed=options.seed,
        ),
        version=latents.VERSION,
        depends_on=pick_options(options, "seed") | network_key(encoder),
        earlier={generated.name: generated.fingerprint, surfaces.name: surfaces.fingerprint},
    )
