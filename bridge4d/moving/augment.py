"""The loop for scenes that move: views of a world model between the cameras, checked, and a second training with them.

Beside it a third training has the first scene's own renderings in their place, and the camera that was held out judges all three.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge4d.augmenting.prepare import check_choice
from bridge4d.moving import judge, stages, views
from bridge4d.moving.options import AugmentMovingOptions
from bridge4d.moving.report import AUGMENTED, OWN, describe_views
from bridge4d.moving.run import VERSION as EXPORTS
from bridge4d.moving.run import (
    MovingResult,
    MovingStages,
    check_folders,
    export_scenes,
    run_stages,
    summarise_run,
    write_results,
)
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import MOVING
from bridge4d.runs.stages import StageRecord
from recon.clip import Clip
from recon.compute.progress import note
from recon.errors import BridgeError
from worldgen.registry import chooses_cameras

SCENE, WORK = "augmented.safetensors", ".work"
"""File of the scene with generated frames, and the scratch folder of COLMAP."""


def augment_moving(
    photos: Path | str,
    out: Path | str,
    options: AugmentMovingOptions | None = None,
    *,
    command: str | None = None,
) -> MovingResult:
    """Reconstruct what moves, and again with views that a world model generates and the gate accepts.

    A run folder of `reconstruct_moving` with the same options is continued. Its scene stays what the captured frames alone give;
    ``exports/augmented.safetensors`` is the one with generated frames, and the report says which shows the held-out camera better.

    Args:
        photos: as of `bridge4d.moving.run.reconstruct_moving`.
        out: the run folder; created where it is absent.
        options: see `AugmentMovingOptions`.
        command: what the report shows as the way to repeat the run.

    Raises:
        BridgeError: bad input, in one sentence.

    Example:
        >>> augment_moving("takes", "runs/dance", AugmentMovingOptions(model="warp")).report["augmented"]["psnr"]
    """
    photos, out, options = Path(photos), Path(out), options or AugmentMovingOptions()
    if chooses_cameras(options.model):
        raise BridgeError(
            f"{options.model} chooses its cameras itself and cannot be asked at the times of a moving scene; choose another --model"
        )
    check_choice(options)
    check_folders(photos, out)
    with open_run(out, kind=MOVING) as run:
        made = run_stages(run, photos, options)
        generated, checked = _ask(run, made, options)
        shutil.rmtree(run.folder / WORK, ignore_errors=True)
        scenes = _fit(run, made, generated, checked, options)
        compared = _compare(run, made, scenes) if scenes else None
        files = {stages.SCENE: made.scene.folder}
        if scenes:
            files[SCENE] = scenes[AUGMENTED].folder
        kept = run.stage(
            "exports",
            lambda folder: export_scenes(folder, files),
            version=EXPORTS,
            earlier={one.name: one.fingerprint for one in (made.scene, *scenes.values())},
        )
        report = _report(run, photos, made, checked, compared, options, command)
        write_results(run, report, made.judged.folder, options, command)
    return MovingResult(out, kept.folder / stages.SCENE, report)


def _ask(run: Run, made: MovingStages, options: AugmentMovingOptions) -> tuple[StageRecord, StageRecord]:
    """Views of the world model, and what the gate says of each."""
    generated = run.stage(
        "generated/round-1",
        lambda folder: views.generate_views(
            made.captured.folder,
            made.cameras.folder,
            made.surfaces.folder,
            made.scene.folder,
            folder,
            model=options.load_model(run.folder),
            options=options,
        ),
        version=views.VERSION,
        depends_on=pick_options(options, "novel_cameras", "support", "seed") | options.model_key,
        earlier=made.fingerprints,
        reads=lambda: fingerprint_scenes([*options.model_scenes, *options.model_files]),
    )
    checked = run.stage(
        "recovery/round-1",
        lambda folder: views.check_views(
            made.captured.folder,
            made.cameras.folder,
            generated.folder,
            folder,
            scratch=run.folder / WORK,
            pictures=generated.name,
            options=options,
        ),
        version=views.VERSION,
        depends_on=pick_options(options, "frame_poses", "seed") | options_to_json(options.gate),
        earlier={generated.name: generated.fingerprint},
    )
    return generated, checked


def _fit(
    run: Run,
    made: MovingStages,
    generated: StageRecord,
    checked: StageRecord,
    options: AugmentMovingOptions,
) -> dict[str, StageRecord]:
    """The scene with the accepted frames and that with own renderings in their place; none where none was accepted."""
    accepted = views.load_accepted(generated.folder, checked.folder, options)
    if accepted is None:
        note("no generated frame was accepted; the scene of the captured frames stays as it is")
        return {}
    frames, moving = accepted
    shown: dict[str, Callable[[], Clip]] = {
        AUGMENTED: lambda: frames,
        OWN: lambda: views.draw_own(made.scene.folder, frames, options.generated_weight),
    }
    asked = pick_options(
        options,
        *(
            "seed",
            "max_gaussians",
            "generated_weight",
            "generated_share",
            "weigh_by_confidence",
            "frame_poses",
        ),
    )
    return {
        name: run.stage(
            name,
            lambda folder, show=show: views.fit_with_views(
                made.captured.folder,
                made.cameras.folder,
                made.masks.folder,
                made.surfaces.folder,
                (show(), moving),
                folder,
                options,
            ),
            version=views.VERSION,
            depends_on=options_to_json(options.sequence) | asked,
            earlier=made.fingerprints | {checked.name: checked.fingerprint},
        )
        for name, show in shown.items()
    }


def _compare(run: Run, made: MovingStages, scenes: dict[str, StageRecord]) -> StageRecord:
    return run.stage(
        "compared",
        lambda folder: judge.judge_moving(
            made.captured.folder,
            made.cameras.folder,
            made.masks.folder,
            {name: scene.folder for name, scene in scenes.items()},
            folder,
        ),
        version=judge.VERSION,
        earlier={one.name: one.fingerprint for one in (made.masks, *scenes.values())},
    )


def _report(
    run: Run,
    photos: Path,
    made: MovingStages,
    checked: StageRecord,
    compared: StageRecord | None,
    options: AugmentMovingOptions,
    command: str | None,
) -> dict[str, Any]:
    report = summarise_run(run, photos, made, command)
    scores = None if compared is None else judge.load_scores(compared.folder)
    said = describe_views(str(options.model), views.frames.load_rows(checked.folder), report, scores)
    return report | {"task": "augment --moving", "augmented": said}
