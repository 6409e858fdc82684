"""The closed loop: photos → splats → novel views → blind recovery → gate → better splats, proven on held-out photos."""

import logging
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path

from bridge4d.augmenting.build_report import build_report
from bridge4d.augmenting.delivery import deliver_scene
from bridge4d.augmenting.judge import Judged, judge_scenes, shown_round, store_heldout_pictures
from bridge4d.augmenting.options import AugmentOptions, ReconstructOptions
from bridge4d.augmenting.prepare import PreparedPhotos, check_asked, prepare_photos
from bridge4d.augmenting.rounds import PlayedRounds, play_rounds
from bridge4d.augmenting.training import fit_scene, settle_training
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import AUGMENT
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages import export, sfm
from eval.pictures.latents import check_encoder
from eval.report import write_augment_report
from eval.results.augment import PHOTOS_ONLY, AugmentReport
from eval.results.reading import to_json
from recon.compute.files import remove_empty
from recon.errors import BridgeError, RunFolderError

log = logging.getLogger(__name__)


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
    if options.baselines == "own-renderings":
        raise BridgeError(
            "expected --baselines trainer, all or none of a reconstruction, got own-renderings: it generates nothing whose place "
            "renderings could take"
        )
    asked = {field.name: getattr(options, field.name) for field in fields(ReconstructOptions)}
    return _run(Path(photos), Path(out), AugmentOptions(**asked, rounds=0), command, generates=False)


def _run(
    photos: Path, out: Path, options: AugmentOptions, command: str | None, *, generates: bool
) -> AugmentResult:
    check_asked(options)
    if isinstance(options, AugmentOptions) and options.latents is not None:
        check_encoder(options.latents)
    with open_run(out, kind=AUGMENT) as run:
        if not generates:
            _refuse_augmented(run)
        prepared = prepare_photos(run, photos, options)
        if prepared.surfaces is None:
            return _finish(run, prepared, [], PlayedRounds(), None, options, options, command, generates)
        settled = settle_training(run, prepared, options)
        base = fit_scene(run, PHOTOS_ONLY, prepared, settled)
        played = play_rounds(run, prepared, base, settled)
        # only now, when all scenes are made and one is chosen, do held-out photos come in
        judged = judge_scenes(run, prepared, base, played, settled, options.iterations)
        scenes = [base, *(one.scene for one in played.rounds)]
        return _finish(run, prepared, scenes, played, judged, options, settled, command, generates)


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


def _finish(
    run: Run,
    prepared: PreparedPhotos,
    scenes: list[StageRecord],
    played: PlayedRounds,
    judged: Judged | None,
    options: AugmentOptions,
    settled: AugmentOptions,
    command: str | None,
    generates: bool,
) -> AugmentResult:
    """Deliver and export the kept scene, write both reports and, last, `run.json`.

    `settled` are the options with the length of training that was chosen.
    """
    shown = shown_round(played.rounds, played.kept)
    if judged is not None:
        store_heldout_pictures(run, judged.heldout, shown)
    exports, delivered = None, None
    if scenes:
        scene, exported = scenes[played.kept], prepared
        if judged is not None and options.views is None:
            exported, scene = deliver_scene(run, prepared, played.rounds[: played.kept], settled)
            delivered = sfm.load_record(exported.cameras.folder)["registered"]
        exports = _export(run, exported, scene, options.max_side)
    report = build_report(
        run,
        prepared,
        played,
        judged,
        options,
        delivered=delivered,
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
