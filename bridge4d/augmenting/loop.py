"""The closed loop: photos → splats → novel views → blind recovery → gate → better splats, proven on held-out photos."""

import logging
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path

from bridge4d.augmenting.build_report import build_report
from bridge4d.augmenting.delivery import deliver_scene
from bridge4d.augmenting.options import AugmentOptions, ReconstructOptions
from bridge4d.augmenting.prepare import PreparedPhotos, check_asked, prepare_heldout, prepare_photos
from bridge4d.augmenting.rounds import RoundResult, play_round
from bridge4d.augmenting.training import fit_baseline, fit_scene, settle_training
from bridge4d.runs import store
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import AUGMENT
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages import export, sfm
from bridge4d.stages.scores import VERSION as SCORE_VERSION
from bridge4d.stages.scores import Score, load_score, score_scene
from eval.pictures import perceptual
from eval.report import write_augment_report
from eval.results.augment import AUGMENTED, BASELINE, PHOTOS_ONLY, AugmentReport
from eval.results.reading import to_json
from recon.clip import Clip
from recon.compute.files import remove_empty
from recon.errors import RunFolderError
from recon.pictures.canvas import find_boxes

log = logging.getLogger(__name__)

HELDOUT_PICTURES_VERSION = 2
"""Of the stage ``eval/heldout``; raised when what it writes of the same input changes."""


@dataclass(frozen=True)
class AugmentResult:
    """Where everything is, and what the report says."""

    report: AugmentReport = field(repr=False)
    run: Path
    scene: Path | None
    """PLY of the kept scene; None where nothing could be reconstructed."""

    @property
    def report_html(self) -> Path:
        return self.run / "report.html"


def augment(
    photos: Path | str, out: Path | str, options: AugmentOptions | None = None, *, command: str | None = None
) -> AugmentResult:
    """Runs the loop, or continues it where an earlier call with the same arguments stopped.

    Args:
        photos: a folder of photos, a video, a COLMAP model or a folder with a `transforms.json`.
        out: the run folder; created where it is absent.
        options: see `AugmentOptions`.
        command: what the report shows as the way to repeat the run.

    Raises:
        BridgeError: bad input, in one sentence. Photos that COLMAP can make nothing of are no bad input: the
            result then has no scene and its report says why.
    """
    return _run(Path(photos), Path(out), options or AugmentOptions(), command, generates=True)


def reconstruct_scene(
    photos: Path | str,
    out: Path | str,
    options: ReconstructOptions | None = None,
    *,
    command: str | None = None,
) -> AugmentResult:
    """Photos → cameras → splats, judged on the held-out photos: the loop without a world model.

    The run is one of `augment`, which continues it in the same folder where its options are the same.

    Args:
        photos: as of `augment`.
        out: the run folder.
        options: see `ReconstructOptions`.
        command: what the report shows as the way to repeat the run.

    Raises:
        BridgeError: as `augment`.

    Example:
        >>> reconstruct_scene("photos", "runs/kitchen").scene
    """
    options = options or ReconstructOptions()
    asked = {field.name: getattr(options, field.name) for field in fields(ReconstructOptions)}
    return _run(Path(photos), Path(out), AugmentOptions(**asked, rounds=0), command, generates=False)


def _run(
    photos: Path, out: Path, options: AugmentOptions, command: str | None, *, generates: bool
) -> AugmentResult:
    check_asked(options)
    with open_run(out, kind=AUGMENT) as run:
        if not generates:
            _refuse_augmented(run)
        prepared = prepare_photos(run, photos, options)
        if prepared.surfaces is None:
            return _finish(run, prepared, None, [], [], [], None, options, options, command, generates)
        settled = settle_training(run, prepared, options)
        base = fit_scene(run, PHOTOS_ONLY, prepared, settled)
        heldout = prepare_heldout(run, prepared, options)
        baseline = _score_baseline(run, prepared, heldout, settled, options.iterations)
        rounds, scores = _play_rounds(run, prepared, base, heldout, settled)
        return _finish(
            run,
            prepared,
            heldout,
            [base, *(r.scene for r in rounds)],
            rounds,
            scores,
            baseline,
            options,
            settled,
            command,
            generates,
        )


def _refuse_augmented(run: Run) -> None:
    """Refuse to put a scene of photos alone in the place of an augmented one.

    Raises:
        RunFolderError: the run's report is one of `augment` with rounds.
    """
    try:
        report = read_object(run.folder / "report.json")
    except (OSError, ValueError):
        return
    if report.get("rounds"):
        raise RunFolderError(
            f"{run.folder} holds what bridge4d augment made; choose another --out for a reconstruction, or start augment "
            "again with --rounds 0"
        )


def _play_rounds(
    run: Run, prepared: PreparedPhotos, base: StageRecord, heldout: Clip | None, options: AugmentOptions
) -> tuple[list[RoundResult], list[Score]]:
    """Rounds until one brings no gain on the held-out photos; scores are of the base and of every round."""
    if heldout is None:
        return [], []  # nothing could prove a gain
    scores = [_score(run, PHOTOS_ONLY, base, heldout)]
    rounds: list[RoundResult] = []
    scene = base
    for number in range(1, options.rounds + 1):
        played = play_round(run, number, prepared, scene, rounds, options)
        rounds.append(played)
        if played.accepted is None:
            scores.append(scores[-1])
            break
        scores.append(_score(run, f"round-{number}", played.scene, heldout))
        if scores[-1].mean_psnr <= scores[-2].mean_psnr:
            break
        scene = played.scene
    return rounds, scores


def _finish(
    run: Run,
    prepared: PreparedPhotos,
    heldout: Clip | None,
    scenes: list[StageRecord],
    rounds: list[RoundResult],
    scores: list[Score],
    baseline: Score | None,
    options: AugmentOptions,
    settled: AugmentOptions,
    command: str | None,
    generates: bool,
) -> AugmentResult:
    """Choose the scene to keep, deliver and export it, write both reports and, last, `run.json`.

    `settled` are the options with the length of training that was chosen.
    """
    best = best_round(scores)
    shown = shown_round(rounds, best)
    if heldout is not None and scores:
        _heldout_pictures(run, heldout, shown)
    exports, delivered = None, None
    if scenes:
        scene, exported = scenes[best], prepared
        if heldout is not None and options.views is None:
            exported, scene = deliver_scene(run, prepared, rounds[:best], settled)
            delivered = sfm.load_record(exported.cameras.folder)["registered"]
        exports = _export(run, exported, scene, options.max_side)
    report = build_report(
        run,
        prepared,
        rounds,
        scores,
        options,
        baseline=baseline,
        delivered=delivered,
        best=best,
        shown=shown,
        exports=exports,
        generates=generates,
        command=command,
    )
    with run.file("report.json") as file:
        write_json(file, to_json(report))
    with run.file("report.html") as file:
        write_augment_report(report, run.folder, file)
    _clear_scratch(run.folder / ".work")
    about = {
        "kind": AUGMENT,
        "asked": {"photos": prepared.about["path"], "options": options_to_json(options)},
        "command": report.command,
        "versions": report.versions,
        "seed": options.seed,
        "stages": {name: record.fingerprint for name, record in run.records.items()},
    }
    with run.file("run.json") as file:
        write_json(file, about)
    return AugmentResult(report, run.folder, exports and exports.folder / "scene.ply")


def _export(run: Run, prepared: PreparedPhotos, scene: StageRecord, max_side: int) -> StageRecord:
    """The kept scene, as a stage of the run."""
    surfaces = prepared.surfaces
    assert surfaces is not None
    return run.stage(
        "exports",
        lambda folder: export.export_scene(
            scene.folder, prepared.captured.folder, prepared.cameras.folder, folder, max_side=max_side
        ),
        version=export.VERSION,
        earlier={scene.name: scene.fingerprint, "depth": surfaces.fingerprint},
    )


def _clear_scratch(folder: Path) -> None:
    """Removes what COLMAP worked in; what else lies there is not the run's."""
    for scratch in (folder / "anchor", *folder.glob("register-*")):
        shutil.rmtree(scratch, ignore_errors=True)
    remove_empty([folder])


def best_round(scores: list[Score]) -> int:
    """The index of the scene to keep: 0 is photos only, which also wins ties and the lack of proof."""
    if not scores:
        return 0
    means = [score.mean_psnr for score in scores]
    return max(range(len(means)), key=lambda i: (means[i], -i))


def shown_round(rounds: list[RoundResult], best: int) -> int | None:
    """Whose scene the report compares with the photos alone: the kept one, else the first that a round made; None where
    no generated frame entered any."""
    if best > 0:
        return best
    return next((played.number for played in rounds if played.accepted is not None), None)


def _score(run: Run, name: str, scene: StageRecord, heldout: Clip) -> Score:
    """Of a scene on the held-out photos, as a stage of the run."""
    done = run.stage(
        f"eval/{name}",
        lambda folder: score_scene(scene.folder, heldout, folder),
        version=SCORE_VERSION,
        depends_on={"perceptual metric": str(perceptual.load())[:40]},
        earlier={f"splats/{name}": scene.fingerprint, "heldout": store.clip_fingerprint(heldout)},
    )
    return load_score(done.folder)


def _score_baseline(
    run: Run, prepared: PreparedPhotos, heldout: Clip | None, options: AugmentOptions, iterations: int | None
) -> Score | None:
    """The trainer before on the held-out photos; None where it is not asked for, or nothing could judge it."""
    if not options.baseline or heldout is None:
        return None
    return _score(run, BASELINE, fit_baseline(run, prepared, options, iterations), heldout)


def _heldout_pictures(run: Run, heldout: Clip, shown: int | None) -> None:
    scenes = {PHOTOS_ONLY: run.records[f"eval/{PHOTOS_ONLY}"]}
    if shown is not None:
        scenes[AUGMENTED] = run.records[f"eval/round-{shown}"]

    def work(folder: Path) -> None:
        boxes = find_boxes(heldout)
        for i, name in enumerate(heldout.names):
            stem = Path(name).stem
            store.save_picture(boxes[i].crop(heldout.images[i]), folder / f"{stem}_truth.png")
            for label, scene in scenes.items():
                shutil.copyfile(scene.folder / f"{stem}.png", folder / f"{stem}_{label}.png")

    run.stage(
        "eval/heldout",
        work,
        version=HELDOUT_PICTURES_VERSION,
        earlier={"heldout": store.clip_fingerprint(heldout)}
        | {scene.name: scene.fingerprint for scene in scenes.values()},
    )
