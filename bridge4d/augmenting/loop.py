"""The closed loop: photos → splats → novel views → blind recovery → gate → better splats, proven on held-out photos."""

import logging
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from bridge4d.augmenting.build_report import build_report
from bridge4d.augmenting.ground import Ground, check_asked, lay_ground, options_key, register_heldout
from bridge4d.augmenting.judge import Score, judge
from bridge4d.augmenting.options import AugmentOptions, ReconstructOptions
from bridge4d.augmenting.rounds import PHOTOS_ONLY, RoundResult, fit_scene, play_round
from bridge4d.runs import store
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import AUGMENT
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_object, write_json
from eval.report import write_augment_report
from recon.clip import Clip
from recon.compute.files import remove_empty
from recon.errors import RunFolderError

log = logging.getLogger(__name__)

EXPORTS_VERSION, HELDOUT_PICTURES_VERSION = 1, 1
"""Of the stages ``exports`` and ``eval/heldout``; raised when what they write of the same input changes."""


@dataclass(frozen=True)
class AugmentResult:
    """Where everything is, and what the report says."""

    report: dict = field(repr=False)
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
    check_asked(options, options.model)
    with open_run(out, kind=AUGMENT) as run:
        if not generates:
            _refuse_augmented(run)
        ground = lay_ground(run, photos, options)
        if ground.photos is None:
            return _finish(run, ground, None, [], [], [], options, command, generates)
        base = fit_scene(run, PHOTOS_ONLY, ground, [], options)
        heldout = register_heldout(run, ground, options)
        rounds, scores = _loop(run, ground, base, heldout, options)
        return _finish(
            run,
            ground,
            heldout,
            [base, *(r.scene for r in rounds)],
            rounds,
            scores,
            options,
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


def _loop(
    run: Run, ground: Ground, base: StageRecord, heldout: Clip | None, options: AugmentOptions
) -> tuple[list[RoundResult], list[Score]]:
    """Rounds until one brings no gain on the held-out photos; scores are of the base and of every round."""
    if heldout is None:
        return [], []  # nothing could prove a gain
    scores = [judge(run, PHOTOS_ONLY, base.fingerprint, heldout)]
    rounds: list[RoundResult] = []
    scene = base
    for number in range(1, options.rounds + 1):
        played = play_round(run, number, ground, scene, rounds, options)
        rounds.append(played)
        if played.accepted is None:
            scores.append(scores[-1])
            break
        scores.append(judge(run, f"round-{number}", played.scene.fingerprint, heldout))
        if scores[-1].mean_psnr <= scores[-2].mean_psnr:
            break
        scene = played.scene
    return rounds, scores


def _finish(
    run: Run,
    ground: Ground,
    heldout: Clip | None,
    scenes: list[StageRecord],
    rounds: list[RoundResult],
    scores: list[Score],
    options: AugmentOptions,
    command: str | None,
    generates: bool,
) -> AugmentResult:
    """Chooses the scene to keep, exports it, writes both reports and, last, `run.json`."""
    best = best_round(scores)
    shown = shown_round(rounds, best)
    if heldout is not None and scores:
        _heldout_pictures(run, heldout, shown)
    exports = None
    if scenes:
        exports = run.stage(
            "exports",
            lambda folder: _export(scenes[best], ground, folder),
            version=EXPORTS_VERSION,
            earlier={scenes[best].name: scenes[best].fingerprint, "depth": ground.fingerprint},
        )
    report = build_report(
        run,
        ground,
        rounds,
        scores,
        options,
        best=best,
        shown=shown,
        exports=exports,
        generates=generates,
        command=command,
    )
    with run.file("report.json") as file:
        write_json(file, report)
    with run.file("report.html") as file:
        write_augment_report(report, run.folder, file)
    _clear_scratch(run.folder / ".work")
    about = {
        "kind": AUGMENT,
        "asked": {"photos": ground.about["path"], "options": options_key(options)},
        "command": report["command"],
        "versions": report["versions"],
        "seed": options.seed,
        "stages": {name: record.fingerprint for name, record in run.records.items()},
    }
    with run.file("run.json") as file:
        write_json(file, about)
    return AugmentResult(report, run.folder, exports and exports.folder / "scene.ply")


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


def _export(scene: StageRecord, ground: Ground, folder: Path) -> None:
    """Cameras and points in the capture's own frame; the scene too, where single precision can hold it there."""
    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.colmap.write import write_colmap
    from recon.scenefiles import read_scene, write_scene
    from recon.splats.similarity import transform_gaussians

    assert ground.photos is not None
    photos, points = ground.photos, ground.points
    moved = ground.about.get("capture_from_scene")
    world = store.similarity_from_json(moved)
    if moved is not None:
        photos = replace(photos, cameras=world.cameras(photos.require_cameras()))
        points = replace(points, xyz=world.points(points.xyz.double()))
    if moved is not None and ground.holds_scene:
        scene_there = transform_gaussians(read_scene(scene.folder / "scene.ply").gaussians, world)
        write_scene(scene_there, folder / "scene.ply")
    else:
        shutil.copyfile(scene.folder / "scene.ply", folder / "scene.ply")
    if moved is not None and not ground.holds_scene:
        write_json(folder / "capture_from_scene.json", moved)
    write_transforms(folder / "transforms.json", photos)
    names = [str(Path(name).with_suffix(".png")) for name in photos.names]  # as in transforms.json
    write_colmap(folder / "colmap", photos.require_cameras(), names, points, ground.tracks)


def _heldout_pictures(run: Run, heldout: Clip, shown: int | None) -> None:
    scenes = {PHOTOS_ONLY: run.records[f"eval/{PHOTOS_ONLY}"]}
    if shown is not None:
        scenes["augmented"] = run.records[f"eval/round-{shown}"]

    def work(folder: Path) -> None:
        for i, name in enumerate(heldout.names):
            stem = Path(name).stem
            store.save_picture(heldout.images[i], folder / f"{stem}_truth.png")
            for label, scene in scenes.items():
                shutil.copyfile(scene.folder / f"{stem}.png", folder / f"{stem}_{label}.png")

    run.stage(
        "eval/heldout",
        work,
        version=HELDOUT_PICTURES_VERSION,
        earlier={"heldout": store.clip_fingerprint(heldout)}
        | {scene.name: scene.fingerprint for scene in scenes.values()},
    )
