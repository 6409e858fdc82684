"""Measure one clip in a worker: from files to a stage of the run with ``result.json`` and a strip of frames."""

import hashlib
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from bridge4d.measuring.clip_agreement import agreement_figures
from bridge4d.measuring.clip_figures import (
    NOT_RECOVERED,
    check_readings,
    consistency_figures,
    draw_trajectory,
    error_values,
    thorough_figures,
    to_values,
)
from bridge4d.measuring.clip_judgement import judge_path
from bridge4d.measuring.clip_movers import WithoutMovers, judge_without_movers
from bridge4d.measuring.clip_recovery import ClipRecovery, recover_sifted
from bridge4d.measuring.clip_result import NO_REQUEST, name_result
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import fingerprint, fingerprint_list
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import write_json
from eval.geometry.measured import Measured
from eval.geometry.motion import MotionKind
from eval.judging.pose_choice import choose_poses
from eval.paths.conventions import describe_check
from eval.pictures.strip import write_strip
from eval.results.measure import MISLED, STILL, ClipResult, PoseChoice
from eval.results.reading import to_json
from recon.clips.files_read import list_camera_files, list_frame_files
from recon.clips.pairing import Sampling
from recon.clips.read import ReadClip, read_clip
from recon.clips.source import ClipSource
from recon.compute.timing import add_elapsed
from recon.moving import MovingMasks

CLIP_VERSION = 8
"""Version of the stage of a clip; raised when the figures of the same clip, or their format, change."""
RESULT, STRIP = "result.json", "strip.jpg"
"""Files of a clip's stage."""
SMALL_PX = 32
"""Long side of frames that are read for their cameras alone; smaller saves nothing, larger costs memory."""
WITHOUT_EFFECT = {
    "workers",
    "executor",
    "seconds_limit",
    "cameras",
    "control",
    "published",
    "witness",
    "witness_weights",
}
"""Options that do not change what is measured of a clip."""
SOURCE_WITHOUT_EFFECT = ("model", "group", "prompt", "path", "cameras", "within")
"""Fields of a `ClipSource` that say what a clip is called or where it lies, which changes none of its figures."""


@dataclass(frozen=True)
class ClipTask:
    """All that a worker needs to measure a clip; picklable."""

    source: ClipSource
    options: MeasureOptions
    run: Path
    """The run folder, absolute: workers have a working directory of their own."""
    versions: dict[str, str]
    """Versions of the libraries that decide the figures; a stage of other ones is redone."""

    @property
    def stage(self) -> str:
        """The clip's name as a stage of the run."""
        return f"clips/{self.source.file_name}"

    @property
    def folder(self) -> Path:
        """Where the stage lies."""
        return self.run / self.stage

    def depends_on(self) -> dict[str, Any]:
        """Options and statements on the clip that decide its figures, beside the files that are read."""
        options = {k: v for k, v in asdict(self.options).items() if k not in WITHOUT_EFFECT}
        return options | self.source_key()

    def source_key(self) -> dict[str, str]:
        """Statements on the clip that decide its figures."""
        return {
            f"{k} of the clip": str(v)
            for k, v in asdict(self.source).items()
            if k not in SOURCE_WITHOUT_EFFECT
        }

    def fingerprint_files(self) -> str:
        """Fingerprint of the pictures and camera files that are read, wherever they lie.

        Raises:
            CaptureError: a folder among them cannot be read.
        """
        source = self.source
        return fingerprint(
            fingerprint_list(list_frame_files(source), source.path),
            fingerprint_list(list_camera_files(source), source.cameras or source.path),
        )


@dataclass(frozen=True)
class StageOutcome:
    """Whether a clip was measured now or before, and why again."""

    kept: bool
    """Whether it was measured before."""
    set_aside: tuple[Path, ...] = ()
    """Where foreign files that lay in its place were moved."""
    redone: str = ""
    """Why it was measured again; '' where it was not."""


def measure_clip(task: ClipTask) -> StageOutcome:
    """Measure a clip into its folder, a stage of the run, unless that was done before.

    The caller of the workers holds the lock of the run.

    Raises:
        BridgeError: the clip or its cameras cannot be read, or changed while they were.
    """
    torch.set_num_threads(1)
    run, measured = Run(task.run), False

    def work(folder: Path) -> None:
        """Measure into a fresh folder."""
        nonlocal measured
        measured = True
        write_json(folder / RESULT, {"result": to_json(_measure(task, folder))})

    run.stage(
        task.stage,
        work,
        version=CLIP_VERSION,
        depends_on=task.depends_on(),
        reads=task.fingerprint_files,
        libraries=task.versions,
    )
    return StageOutcome(not measured, tuple(run.set_aside), run.redone.get(task.stage, ""))


def are_intrinsics_known(task: ClipTask) -> bool:
    """Whether the requested cameras state a lens that measuring would use; nothing is measured.

    Raises:
        BridgeError: the clip or its cameras cannot be read.
    """
    return read_task(task, max_side=SMALL_PX).intrinsics_known


def read_task(task: ClipTask, *, max_side: int | None) -> ReadClip:
    """Read the frames and cameras of a clip as the options sample them."""
    options = task.options
    return read_clip(
        task.source,
        sampling=Sampling(options.every, options.frames),
        max_side=max_side,
        count_rule=options.count_rule,
        convention=options.convention,
        format=options.camera_format,
        allow_outside=options.allow_outside,
    )


def _measure(task: ClipTask, folder: Path) -> ClipResult:
    """Recover the poses of a clip, judge them, and compute its figures; writes a strip of frames."""
    seconds: dict[str, float] = {}
    options = task.options
    with add_elapsed(seconds, "reading"):
        read = read_task(task, max_side=options.max_side)
    clip, requested = read.clip, read.clip.cameras
    generator = torch.Generator().manual_seed(clip_seed(options.seed, task.source.name))
    work = folder / "work"
    sifted = recover_sifted(read, options, work, generator=generator, seconds=seconds)
    counted = sifted.counted
    motion, recovery = counted.motion, counted.recovery
    judged = judge_path(sifted, requested, generator=generator)
    recovered = judged.recovered
    figures = _compute_figures(
        counted, recovered, read, options.metrics, work, generator=generator, seconds=seconds
    )
    values = to_values(figures)
    with add_elapsed(seconds, "readings"):  # last: what it draws leaves the figures as they were
        readings = check_readings(counted.matches, recovery, recovered, read, generator)
    without = WithoutMovers()
    if options.movers:
        without = judge_without_movers(sifted, judged, read, options, generator=generator, seconds=seconds)
    shutil.rmtree(work, ignore_errors=True)
    write_strip(clip, folder / STRIP, masked=_join_masks(sifted.overlay, without.masks))
    return replace(
        _describe_clip(task.source, read),
        lens="requested" if counted.recipe.intrinsics == "fixed" else "unknown",
        registered=int(recovery.registered.sum()),
        model_sizes=list(recovery.model_sizes),
        recovered=recovered,
        status=recovery.status.value,
        verdicts=counted.verdicts,
        variants=sifted.variants | ({STILL: without.verdicts} if without.verdicts else {}),
        still=without.still,
        errors=error_values(recovery, recovered, requested, judged.check),
        consistency=values,
        pose_choice=choose_poses(values) if requested is not None else PoseChoice("", NO_REQUEST),
        motion=motion.kind.value,
        motion_because=motion.because,
        readings=readings,
        causes=[*([MISLED] if without.misled else []), *judged.causes],
        notes=[*read.notes, *counted.notes, *judged.notes, *filter(None, [describe_check(readings)])],
        trajectory=draw_trajectory(recovery, requested, marked=judged.marked),
        seconds={name: round(s, 3) for name, s in seconds.items()},
    )


def _join_masks(
    overlay: Bool[Tensor, "h w"] | None, movers: MovingMasks | None
) -> Bool[Tensor, "*n h w"] | None:
    """What is tinted in the strip."""
    if movers is None or overlay is None:
        return overlay if movers is None else movers.moving
    return movers.moving | overlay


def _compute_figures(
    counted: ClipRecovery,
    recovered: bool,
    read: ReadClip,
    metrics: str,
    folder: Path,
    *,
    generator: torch.Generator,
    seconds: dict[str, float],
) -> dict[str, Measured]:
    """Every metric of `list_metrics`.

    Args:
        folder: for scratch.
        seconds: takes the wall time of each part.
    """
    if metrics == "none":
        return {}
    matches, motion, recovery = counted.matches, counted.motion, counted.recovery
    with add_elapsed(seconds, "consistency"):
        figures = consistency_figures(matches, motion, recovery, recovered, read, generator)
    if metrics != "all":
        return figures
    with add_elapsed(seconds, "regions and splats"):
        figures |= thorough_figures(matches, motion, recovery, recovered, read, folder, generator)
    still = "" if motion.kind is MotionKind.GENERAL else motion.kind.value
    return figures | agreement_figures(
        counted,
        read.clip.cameras if read.intrinsics_known else None,
        undefined_because=still if recovered else NOT_RECOVERED,
    )


def _describe_clip(source: ClipSource, read: ReadClip) -> ClipResult:
    """The result so far: names, sizes, and where the strip lies."""
    return replace(
        name_result(source),
        frames=len(read.clip),
        width=read.clip.width,
        height=read.clip.height,
        has_request=read.clip.cameras is not None,
        strip=f"clips/{source.file_name}/{STRIP}",
    )


def clip_seed(seed: int, name: str) -> int:
    """The seed of a clip, the same in any order and any process; 48 bits, which torch takes without loss."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big")
