"""One clip, measured: what a worker does, from files to a stage of the run with ``result.json`` and a strip of frames."""

import hashlib
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.measuring.clip_result import NO_INTRINSICS, NO_REQUEST
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import fingerprint, fingerprint_list
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import write_json
from eval.geometry.consistency import consistency, recovered_consistency
from eval.geometry.measured import Measured
from eval.geometry.motion import Motion, MotionKind, classify_motion
from eval.geometry.regions import region_agreement
from eval.geometry.tracks import track_figures
from eval.geometry.view_synthesis import view_synthesis
from eval.judging.causes import failure_causes
from eval.judging.rules import PRIMARY, choose_rules, is_recovered, leave_unjudged, verdict
from eval.pictures.strip import write_strip
from eval.poses import align_poses
from eval.results.measure import ClipResult, ErrorValue, Trajectory, Value, Verdict
from eval.results.reading import to_json
from eval.trajectories import ERRORS, trajectory_errors
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.files_read import list_camera_files, list_frame_files
from recon.clips.read import ReadClip, Sampling, read_clip
from recon.clips.source import ClipSource
from recon.recovery import Recovery
from recon.sfm.matches import Matches
from recon.sfm.recipes import Recipe
from recon.sfm.recoverer import Recoverer

CLIP_VERSION = 1
"""Of the stage of a clip; raised when what is measured of the same clip, or how it is written, changes."""
RESULT, STRIP = "result.json", "strip.jpg"
NOT_RECOVERED = "poses not recovered"
SMALL_PX = 32
"""Longest side of frames that nobody looks at."""
SETTLED = {"workers", "executor", "seconds_limit", "cameras", "control", "published"}
"""Options that do not change what is measured of a clip."""
NOT_MEASURED = ("model", "group", "prompt", "path", "cameras", "within")
"""What is said of a clip, or where it lies, does not change it either."""


@dataclass(frozen=True)
class ClipTask:
    """Picklable: what a worker needs to know."""

    source: ClipSource
    options: MeasureOptions
    run: Path
    versions: dict[str, str]

    @property
    def stage(self) -> str:
        """Its name as a stage of the run."""
        return f"clips/{self.source.file_name}"

    @property
    def folder(self) -> Path:
        return self.run / self.stage

    def depends_on(self) -> dict[str, Any]:
        """What decides the result beside the files that are read: options, and what is said of the clip."""
        options = {k: v for k, v in asdict(self.options).items() if k not in SETTLED}
        source = {f"{k} of the clip": str(v) for k, v in asdict(self.source).items() if k not in NOT_MEASURED}
        return options | source

    def reads(self) -> str:
        """A fingerprint of the files that are read, pictures and cameras, wherever they lie.

        Raises:
            CaptureError: a folder of them may not be read.
        """
        source = self.source
        return fingerprint(
            fingerprint_list(list_frame_files(source), source.path),
            fingerprint_list(list_camera_files(source), source.cameras or source.path),
        )


@dataclass(frozen=True)
class Done:
    """What became of a clip that was measured."""

    kept: bool
    """It was measured before."""
    set_aside: tuple[Path, ...] = ()
    """Where what lay in its place was moved to, because files in it are not the run's."""
    redone: str = ""
    """Why it was measured again; '' where it was not."""


def measure_clip(task: ClipTask) -> Done:
    """Measures a clip into its folder, a stage of the run, unless that was done before.

    The run is held by whoever gives out the tasks.

    Raises:
        BridgeError: the clip or its cameras cannot be read, or changed meanwhile.
    """
    torch.set_num_threads(1)
    run, measured = Run(task.run), []

    def work(folder: Path) -> None:
        measured.append(task)
        write_json(folder / RESULT, {"result": to_json(_measure(task, folder))})

    run.stage(
        task.stage,
        work,
        version=CLIP_VERSION,
        depends_on=task.depends_on(),
        reads=task.reads,
        libraries=task.versions,
    )
    return Done(not measured, tuple(run.set_aside), run.redone.get(task.stage, ""))


def intrinsics_known(task: ClipTask) -> bool:
    """Whether the clip's requested cameras have a lens that measuring it would use; nothing is measured.

    Raises:
        BridgeError: the clip or its cameras cannot be read.
    """
    return _read(task, max_side=SMALL_PX).intrinsics_known


def _read(task: ClipTask, *, max_side: int | None) -> ReadClip:
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
    started = time.perf_counter()
    options = task.options
    read = _read(task, max_side=options.max_side)
    seconds = {"reading": time.perf_counter() - started}
    clip, requested = read.clip, read.clip.cameras
    generator = torch.Generator().manual_seed(_seed(options.seed, task.source.name))
    K = requested.K if requested is not None and read.intrinsics_known else None
    work = folder / "work"
    recoverer = Recoverer(clip, work, K=K, max_features=options.max_features)
    primary = _primary(options, known=K is not None)
    verdicts, recovery, notes = _judge(recoverer, primary, read, options)
    seconds |= recoverer.seconds

    started = time.perf_counter()
    matches = recoverer.matches(primary)
    motion = classify_motion(matches, generator=generator)
    recovered = is_recovered(recovery)
    found: dict[str, Measured] = {}
    if options.metrics != "none":
        found = _consistency(matches, motion, recovery, recovered, read, generator)
    seconds["consistency"] = time.perf_counter() - started
    if options.metrics == "all":
        started = time.perf_counter()
        found |= _thorough(matches, motion, recovery, recovered, clip, generator)
        seconds["regions and splats"] = time.perf_counter() - started
    shutil.rmtree(work, ignore_errors=True)
    write_strip(clip, folder / STRIP)
    return ClipResult(
        name=task.source.name,
        model=task.source.model,
        group=task.source.group,
        prompt=task.source.prompt,
        path=str(task.source.path),
        frames=len(clip),
        width=clip.width,
        height=clip.height,
        has_request=requested is not None,
        lens="requested" if primary.intrinsics == "fixed" else "unknown",
        registered=int(recovery.registered.sum()),
        model_sizes=list(recovery.model_sizes),
        recovered=recovered,
        status=recovery.status.value,
        verdicts=verdicts,
        errors=_errors(recovery, recovered, requested),
        consistency={
            k: Value(value=v.value, undefined_because=v.undefined_because, count=v.count)
            for k, v in found.items()
        },
        motion=motion.kind.value,
        motion_because=motion.because,
        causes=failure_causes(matches, motion, recovery, recovered=recovered, requested=requested),
        notes=[*read.notes, *notes],
        strip=f"clips/{task.source.file_name}/{STRIP}",
        trajectory=_trajectory(recovery, requested),
        failed=None,
        seconds={k: round(v, 3) for k, v in seconds.items()},
    )


def _primary(options: MeasureOptions, *, known: bool) -> Recipe:
    intrinsics = options.intrinsics
    if intrinsics in ("auto", "fixed"):
        intrinsics = "fixed" if known else "shared"
    return replace(
        PRIMARY,
        features=options.features,
        pairing=options.pairing,
        intrinsics=intrinsics,
        mapper=options.mapper,
        seed=options.seed,
    )


def _judge(
    recoverer: Recoverer, primary: Recipe, read: ReadClip, options: MeasureOptions
) -> tuple[dict[str, Verdict], Recovery, list[str]]:
    """Every rule's verdict, the recovery that all else is taken from, and what a person should know."""
    requested, notes = read.clip.cameras, []
    if options.intrinsics == "fixed" and recoverer.K is None:
        notes.append("no requested intrinsics to fix: one unknown lens instead")
    recovery = recoverer.recover(primary)
    verdicts = {}
    for rule in choose_rules(options.rules):
        if rule.needs_request and requested is None:
            verdicts[rule.name] = leave_unjudged(NO_REQUEST)
        elif rule.needs_intrinsics and recoverer.K is None:
            verdicts[rule.name] = leave_unjudged(NO_INTRINSICS)
        else:
            trials = [recoverer.recover(recipe) for recipe in rule.recipes(primary, options.trials)]
            verdicts[rule.name] = verdict(rule, trials, requested)
    return verdicts, recovery, notes


def _consistency(
    matches: Matches,
    motion: Motion,
    recovery: Recovery,
    recovered: bool,
    read: ReadClip,
    generator: torch.Generator,
) -> dict[str, Measured]:
    found = consistency(
        matches,
        motion,
        requested=read.clip.cameras,
        intrinsics_known=read.intrinsics_known,
        recovered=None,
        registered=recovery.registered,
        generator=generator,
    )
    if recovered:
        found |= recovered_consistency(
            undistorted(matches, recovery),
            motion,
            recovered=pinholes(recovery),
            registered=recovery.registered,
        )
    still = "" if motion.kind is MotionKind.GENERAL else motion.kind.value
    return found | track_figures(recovery, still if recovered else NOT_RECOVERED)


def pinholes(recovery: Recovery) -> Cameras:
    """The recovered cameras in which `undistorted` counts."""
    assert recovery.cameras is not None
    return replace(recovery.cameras, K=torch.stack([lens.raw_K for lens in recovery.lenses]))


def undistorted(matches: Matches, recovery: Recovery) -> Matches:
    """The same matches where the recovered pinholes see them; frames that were not registered stay as they are.

    Matches of features for which a strong distortion has no inverse, at the corners, are left out."""
    rows = (torch.cumsum(recovery.registered, 0) - 1).tolist()
    keypoints = tuple(
        recovery.lenses[rows[i]].undistort_points(xy) if registered else xy
        for i, (xy, registered) in enumerate(
            zip(matches.keypoints, recovery.registered.tolist(), strict=True)
        )
    )
    sound = [xy.isfinite().all(1) for xy in keypoints]
    indices = tuple(
        pair[sound[a][pair[:, 0]] & sound[b][pair[:, 1]]]
        for (a, b), pair in zip(matches.pairs, matches.indices, strict=True)
    )
    return replace(matches, keypoints=keypoints, indices=indices)


def _thorough(
    matches: Matches,
    motion: Motion,
    recovery: Recovery,
    recovered: bool,
    clip: Clip,
    generator: torch.Generator,
) -> dict[str, Measured]:
    """What takes seconds a clip: agreement of image regions, and splats."""
    why_not = "" if recovered else NOT_RECOVERED
    if motion.kind is not MotionKind.GENERAL:
        why_not = motion.kind.value
    K = posed = None
    if not why_not and recovery.cameras is not None:
        K = recovery.lenses[0].raw_K
        straight = undistorted(matches, recovery)
        lens = recovery.lenses[0]
        registered = clip[recovery.registered.nonzero()[:, 0]]
        posed = replace(lens.undistort(registered), cameras=recovery.cameras)
        same_lens = all(other == lens for other in recovery.lenses)
        if not same_lens:
            why_not = "a lens of its own for each frame"
        matches = straight
    found = region_agreement(matches, K, undefined_because=why_not, generator=generator)
    return found | view_synthesis(posed, recovery.points, undefined_because=why_not, generator=generator)


def _errors(recovery: Recovery, recovered: bool, requested: Cameras | None) -> dict[str, ErrorValue]:
    """A clip that was not recovered has no error, only what a failure counts as."""
    if requested is None:
        nothing = ErrorValue(value=None, worst=None, undefined_because=NO_REQUEST)
        return dict.fromkeys(ERRORS, nothing)
    cameras = recovery.cameras if recovered else None
    registered = recovery.registered if recovered else torch.zeros_like(recovery.registered)
    found = trajectory_errors(cameras, registered, requested)
    return {
        key: ErrorValue(value=e.value, worst=e.worst, undefined_because=e.undefined_because)
        for key, e in found.items()
    }


def _trajectory(recovery: Recovery, requested: Cameras | None) -> Trajectory | None:
    """For the picture in the report: the recovered path on the requested one."""
    found = recovery.cameras
    if found is None and requested is None:
        return None
    aligned = False
    if found is not None and requested is not None:
        similarity = align_poses(found, requested[recovery.registered])
        aligned = similarity is not None
        found = found if similarity is None else similarity.cameras(found)
    places: list[list[float] | None] = [None] * len(recovery.names)
    gazes: list[list[float] | None] = [None] * len(recovery.names)
    if found is not None:
        for row, i in enumerate(recovery.registered.nonzero()[:, 0].tolist()):
            places[i] = _short(found.centers[row])
            gazes[i] = _short(found.forward[row])
    return Trajectory(
        requested=None if requested is None else [_short(x) for x in requested.centers],
        requested_forward=None if requested is None else [_short(x) for x in requested.forward],
        recovered=places,
        recovered_forward=gazes,
        aligned=aligned,
    )


def _short(vector: Float[Tensor, "3"]) -> list[float]:
    return [float(f"{x:.6g}") for x in vector.tolist()]


def _seed(seed: int, name: str) -> int:
    """One stream a clip, whatever order and process it is measured in."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big")
