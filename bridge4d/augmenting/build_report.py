"""The report of a run of the loop, out of what its stages left."""

import platform
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from bridge4d.augmenting.heldout_report import describe_heldout
from bridge4d.augmenting.judge import Judged
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.report_pictures import draw_beside, draw_orbit
from bridge4d.augmenting.report_sentences import explain_choice, list_warnings
from bridge4d.augmenting.rounds import PlayedRounds, RoundResult
from bridge4d.runs import store
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import choose, latents, sfm
from bridge4d.stages.decide import DecisionRecord
from bridge4d.stages.scores import Score
from eval.results.augment import (
    AUGMENTED,
    PHOTOS_ONLY,
    AugmentReport,
    Capture,
    Decision,
    FrameCounts,
    Generated,
    GeneratedCamera,
    GeneratedFrame,
    JudgedFrame,
    Photos,
    Pose,
    PosedCamera,
    ReportedCameras,
    Round,
    Sfm,
    SkippedPhoto,
    Stage,
    Training,
    WorldModel,
)
from recon.cameras import Cameras
from worldgen.registry import describe

PACKAGES = ("bridge4d", "torch", "pycolmap", "gsplat", "kornia", "numba", "numpy", "opencv-python-headless")


def build_report(
    run: Run,
    prepared: PreparedPhotos,
    played: PlayedRounds,
    judged: Judged | None,
    options: AugmentOptions,
    *,
    shown: int | None,
    exports: StageRecord | None,
    delivered: int | None,
    generates: bool,
    command: str | None,
) -> AugmentReport:
    """What ``report.json`` holds; draws the pictures that it alone shows.

    Args:
        judged: what held-out photos say; None where none could be registered.
        shown: the round that is compared with the photos alone; None where no generated frame entered any.
        delivered: photos that the exported scene was trained on, held-out ones among them; None where it is that of the training photos.
        exports: the stage of that name; None where nothing could be reconstructed.
        generates: whether a world model was to be asked; False for `reconstruct_scene`.
        command: how to repeat the run; None for the call in Python.
    """
    about = prepared.about
    scores = [] if judged is None else judged.scores
    rows = [row for one in played.rounds for row in one.frames]
    frames, orbit = [GeneratedFrame(**vars(row)) for row in rows], None
    if exports is not None:
        photos_only = run.records[f"splats/{PHOTOS_ONLY}"]
        orbit = draw_orbit(run, exports, photos_only, augmented=played.kept > 0, max_side=options.max_side)
        frames = draw_beside(run, exports, rows)
    frames = _add_latents(frames, played.rounds)
    call = (
        f"bridge4d.augment({about['path']!r}, {str(run.folder)!r}, {options!r})"
        if generates
        else f"bridge4d.reconstruct_scene({about['path']!r}, {str(run.folder)!r})"
    )
    return AugmentReport(
        task="augment" if generates else "reconstruct",
        status="ok" if prepared.surfaces is not None else "no-reconstruction",
        protocol=prepared.protocol.value,
        capture=Capture(
            about["path"], about["kind"], about["pose_kind"], width=about["width"], height=about["height"]
        ),
        photos=_photos(about),
        sfm=_sfm(about["sfm"]),
        training=_training(run, options),
        heldout=describe_heldout(
            about["heldout"],
            scores,
            kept=played.kept,
            shown=shown,
            seed=options.seed,
            baseline=None if judged is None else judged.baseline,
            own_renderings=None if judged is None else judged.own_renderings,
        ),
        generated=_generated(frames),
        rounds=_rounds(played.rounds, scores),
        decisions=_decisions(played.decisions),
        kept=AUGMENTED if played.kept > 0 else PHOTOS_ONLY,
        kept_round=played.kept,
        delivered_photos=delivered,
        kept_because=explain_choice(prepared, played, options.keep)
        if generates or prepared.surfaces is None
        else "",
        world_model=_world_model(prepared, options) if generates else None,
        cameras=_cameras(run, prepared, frames),
        warnings=list_warnings(
            about,
            scores,
            compared=shown is not None,
            from_points=options.start is None,
            made_before=options.asks_what_was_made and bool(played.decisions),
            own_cameras=options.asks_recovered_cameras and bool(played.rounds),
            rounds=played.rounds,
        ),
        exports=_exports(run, exports),
        orbit=orbit,
        stages=[Stage(record.name, record.seconds, record.peak_mb) for record in run.records.values()],
        command=command or call,
        options=options_to_json(options),
        seed=options.seed,
        versions=_versions(),
    )


def _world_model(prepared: PreparedPhotos, options: AugmentOptions) -> WorldModel:
    about: dict[str, Any] = describe(options.model, options.model_options)
    if prepared.photos is None:
        return WorldModel(**about)
    return WorldModel(**about, **prepared.scale)


def _photos(about: dict) -> Photos:
    return Photos(
        given=about["given"],
        usable=about["usable"],
        training=len(about["training"]),
        registered=about["sfm"]["registered"],
        skipped=[SkippedPhoto(photo["name"], photo["reason"]) for photo in about["skipped"]],
        training_names=about["training"],
    )


def _sfm(said: dict) -> Sfm:
    return Sfm(
        status=said["status"],
        models=said["models"],
        points=said["points"],
        reprojection_error_px=said["reprojection_error_px"],
        seconds=said["seconds"],
    )


def _training(run: Run, options: AugmentOptions) -> Training | None:
    """How the scenes were trained, by choice or as it was asked for; None where there is no scene."""
    if f"splats/{PHOTOS_ONLY}" not in run.records:
        return None
    chosen = run.records.get("choose")
    if chosen is None:
        return Training(options.iterations or options.longest, options.dropout or 0.0, options.seeds)
    return Training(seeds=options.seeds, **choose.load_record(chosen.folder))


def _add_latents(frames: list[GeneratedFrame], rounds: list[RoundResult]) -> list[GeneratedFrame]:
    compared = [played.compared for played in rounds if played.compared is not None]
    found = {row["name"]: row for record in compared for row in latents.load_latents(record.folder)}
    return [
        replace(
            frame,
            latent_distance=found[frame.name]["distance"],
            latent_distance_untrained=found[frame.name]["untrained"],
        )
        if frame.name in found
        else frame
        for frame in frames
    ]


def _generated(frames: list[GeneratedFrame]) -> Generated:
    return Generated(
        **vars(_count(frames)),
        rotation_deg_median=_median(frame.rotation_deg for frame in frames),
        position_share_median=_median(frame.position_share for frame in frames),
        frames=frames,
    )


def _rounds(rounds: list[RoundResult], scores: list[Score]) -> list[Round]:
    found = []
    for i, played in enumerate(rounds, start=1):
        entered = bool(scores) and played.accepted is not None
        found.append(
            Round(
                **vars(_count(played.frames)),
                round=played.number,
                psnr=round(scores[i].mean_psnr, 4) if entered else None,
                gain=round(scores[i].mean_psnr - scores[0].mean_psnr, 4) if entered else None,
            )
        )
    return found


def _decisions(records: list[DecisionRecord]) -> list[Decision]:
    return [
        Decision(
            **record,
            round=i,
            gain=round(statistics.fmean(record["augmented"]) - statistics.fmean(record["before"]), 4)
            if record["left_out"]
            else None,
        )
        for i, record in enumerate(records, start=1)
    ]


def _count(frames: Iterable[JudgedFrame]) -> FrameCounts:
    frames = list(frames)
    return FrameCounts(
        requested=len(frames),
        recovered=sum(frame.registered for frame in frames),
        accepted=sum(frame.accepted for frame in frames),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 6) if known else None


def _cameras(run: Run, prepared: PreparedPhotos, frames: list[GeneratedFrame]) -> ReportedCameras:
    if prepared.surfaces is None:
        return ReportedCameras()
    photos = sfm.open_photos(prepared.cameras.folder)
    cameras = photos.require_cameras().limit_size(prepared.max_side)
    training = [PosedCamera(*pair) for pair in _poses(photos.names, cameras)]
    registered = "heldout" in run.records
    heldout = run.folder / "heldout" / "photos" if registered else run.folder / "capture" / "heldout"
    accepted = {frame.name: frame.accepted for frame in frames}
    rounds = sorted({frame.round for frame in frames if frame.round is not None})
    generated = [
        GeneratedCamera(name, pose, accepted[name])
        for number in rounds
        for name, pose in _stored_poses(run.folder / "generated" / f"round-{number}")
    ]
    return ReportedCameras(training, [PosedCamera(*pair) for pair in _stored_poses(heldout)], generated)


def _stored_poses(folder: Path) -> Iterator[tuple[str, Pose]]:
    """None of a clip that is not there or has no cameras."""
    if (folder / "clip.json").exists():
        about, cameras = store.read_clip_json(folder)
        if cameras is not None:
            yield from _poses(about["names"], cameras)


def _poses(names: Iterable[str], cameras: Cameras) -> Iterator[tuple[str, Pose]]:
    for name, matrix in zip(names, cameras.world_from_cam.tolist(), strict=True):
        yield name, cast(Pose, tuple(map(tuple, matrix)))


def _exports(run: Run, exports: StageRecord | None) -> dict[str, str]:
    if exports is None:
        return {}
    files = sorted(file for file in exports.folder.iterdir() if file.name != "stage.json")
    return {file.name: str(file.relative_to(run.folder)) for file in files}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
