"""From frames of several cameras to a scene that moves, judged by a camera that was held out."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge4d.moving import judge, stages
from bridge4d.moving.options import MovingOptions
from bridge4d.moving.report import summarise, write_report
from bridge4d.runs.fingerprints import fingerprint_files, options_to_json, pick_options
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import MOVING
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import write_json
from recon.bounded import is_inside
from recon.compute.progress import note
from recon.errors import CaptureError, RunFolderError
from recon.scenefiles.formats.motion_tensors import load_sequence
from recon.scenefiles.formats.spacetime import write_spacetime

VERSION = 2
SPACETIME = ".spacetime.ply"
"""Ending of the same scene for viewers that play SpacetimeGaussians."""


@dataclass(frozen=True)
class MovingResult:
    """Where everything is, and what the report says."""

    run: Path
    scene: Path
    """The moving scene, as `recon.scenefiles.formats.motion_tensors` reads it."""
    report: dict[str, Any]

    @property
    def report_html(self) -> Path:
        return self.run / "report.html"


def reconstruct_moving(
    photos: Path | str, out: Path | str, options: MovingOptions | None = None, *, command: str | None = None
) -> MovingResult:
    """Reconstruct what several cameras filmed at the same times, or go on where an earlier call stopped.

    Args:
        photos: a folder for each camera with its frames, a video for each, or a ``transforms.json`` whose frames have a ``time``.
        out: the run folder; created where it is absent.
        options: see `MovingOptions`.
        command: what the report shows as the way to repeat the run.

    Raises:
        BridgeError: bad input, in one sentence.

    Example:
        >>> reconstruct_moving("takes", "runs/dance").scene
    """
    photos, out, options = Path(photos), Path(out), options or MovingOptions()
    check_folders(photos, out)
    with open_run(out, kind=MOVING) as run:
        made = run_stages(run, photos, options)
        kept = run.stage(
            "exports",
            lambda folder: export_scenes(folder, {stages.SCENE: made.scene.folder}),
            version=VERSION,
            earlier={"splats": made.scene.fingerprint},
        )
        report = summarise_run(run, photos, made, command)
        write_results(run, report, made.judged.folder, options, command)
    return MovingResult(out, kept.folder / stages.SCENE, report)


@dataclass(frozen=True)
class MovingStages:
    """What the stages of a reconstruction left in a run."""

    captured: StageRecord
    cameras: StageRecord
    masks: StageRecord
    surfaces: StageRecord
    scene: StageRecord
    judged: StageRecord

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of all but the judgement, for stages that read them."""
        parts = (self.captured, self.cameras, self.masks, self.surfaces, self.scene)
        return {part.name: part.fingerprint for part in parts}


def check_folders(photos: Path, out: Path) -> None:
    """Refuse frames that are not there, and a run among them.

    Raises:
        CaptureError, RunFolderError: names the folder.
    """
    if not photos.exists():
        raise CaptureError(f"expected frames of several cameras at {photos}, there is nothing")
    if is_inside(photos if photos.is_dir() else photos.parent, out):
        raise RunFolderError(
            f"expected --out outside of the frames, which are watched for changes, got {out} in {photos}; choose another folder"
        )


def find_cameras(run: Run, photos: Path, options: MovingOptions) -> tuple[StageRecord, StageRecord]:
    """The first two stages: read the frames, and give each its camera."""
    captured = run.stage(
        "capture",
        lambda folder: stages.read_cameras(photos, folder, options),
        version=stages.VERSION,
        depends_on=pick_options(options, "max_side", "fps", "max_frames", "allow_outside"),
        reads=lambda: fingerprint_files(photos),
    )
    cameras = run.stage(
        "cameras",
        lambda folder: stages.find_rig(captured.folder, folder, options),
        version=stages.VERSION,
        depends_on=pick_options(options, "seed", "sync"),
        earlier={"capture": captured.fingerprint},
    )
    return captured, cameras


def run_stages(run: Run, photos: Path, options: MovingOptions) -> MovingStages:
    """From frames to a scene that was judged; every step is a stage of the run."""
    captured, cameras = find_cameras(run, photos, options)
    before = {"capture": captured.fingerprint, "cameras": cameras.fingerprint}
    masks = run.stage(
        "masks",
        lambda folder: stages.find_masks(captured.folder, cameras.folder, folder),
        version=stages.VERSION,
        earlier=before,
    )
    before |= {"masks": masks.fingerprint}
    surfaces = run.stage(
        "surfaces",
        lambda folder: stages.find_surfaces(captured.folder, cameras.folder, masks.folder, folder, options),
        version=stages.VERSION,
        depends_on=pick_options(options, "seed", "max_gaussians"),
        earlier=before,
    )
    scene = run.stage(
        "splats",
        lambda folder: stages.fit_scene(
            captured.folder, cameras.folder, masks.folder, surfaces.folder, folder, options
        ),
        version=stages.VERSION,
        depends_on=options_to_json(options.sequence) | pick_options(options, "seed", "max_gaussians"),
        earlier=before | {"surfaces": surfaces.fingerprint},
    )
    judged = run.stage(
        "eval",
        lambda folder: judge.judge_scene(captured.folder, cameras.folder, masks.folder, scene.folder, folder),
        version=judge.VERSION,
        earlier=before | {"splats": scene.fingerprint},
    )
    return MovingStages(captured, cameras, masks, surfaces, scene, judged)


def summarise_run(run: Run, photos: Path, made: MovingStages, command: str | None) -> dict[str, Any]:
    """The report of the captured frames alone."""
    return summarise(
        photos,
        run.records,
        made.captured.folder,
        made.cameras.folder,
        made.scene.folder,
        made.judged.folder,
        command,
    )


def write_results(
    run: Run, report: dict[str, Any], judged: Path, options: MovingOptions, command: str | None
) -> None:
    """The report of a run, as JSON and as a page, and what was asked."""
    with run.file("report.json") as beside:
        write_json(beside, report)
    with run.file("report.html") as beside:
        write_report(report, judged, beside)
    with run.file("run.json") as beside:
        write_json(beside, {"kind": MOVING, "asked": options_to_json(options), "command": command})


def export_scenes(out: Path, scenes: Mapping[str, Path]) -> None:
    """Copy the scenes of these folders to files of these names, and write each as SpacetimeGaussians beside it."""
    out.mkdir(parents=True, exist_ok=True)
    for name, scene in scenes.items():
        shutil.copyfile(scene / stages.SCENE, out / name)
        played = Path(name).with_suffix(SPACETIME)
        for lost in write_spacetime(load_sequence(scene / stages.SCENE), out / played).notes:
            note(f"{played}: {lost}")
