"""Try generated frames on training photos that are left out: what a scene shows of these with the frames and without.

In a trial the other training photos stand for all: depth is estimated from them, points are those that two of them see, the world
model gets nothing but them, and frames are checked against them. What is shared with the run is what both scenes of a trial share
alike: the photos' cameras and the places of points, which structure from motion found with the left-out photos too, and the length
and dropout of the training.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import depth, frames, sfm, views
from bridge4d.stages.scale import SceneScale
from bridge4d.stages.splats import SCENE_FILE, FrameShare, fit_splats
from eval.judging.gate import FramePoses, GateOptions
from eval.results.augment import JudgedFrame
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.scenefiles import read_scene
from recon.sfm.recipes import Recipe
from recon.sim3 import Sim3
from recon.splats.fit import FitOptions
from recon.splats.fitting.small import CHOICE_SIDE, LONGEST_COMPARED, measure_psnr, shrink_training
from worldgen.model import WorldModel

VERSION = 1
ROUND_VERSION = 2
"""Of the first round; `VERSION` is of what comes before rounds."""
LATER_VERSION = 3
"""Of rounds after the first, which are planned beside the frames that were accepted before."""
TRIAL_SIDE = 320
"""Long side in pixels at which a trial looks for depth and asks for views, at most: at 480 there are twice as many pixels to make; at
`CHOICE_SIDE`, to which they are shrunk for training, frames have few features left to be checked by."""
FIT, PLAN, GENERATE = 1, 2, 3
"""Numbers of the streams of random numbers of a trial; never reused for another piece of work here."""


class TrialRecord(TypedDict):
    """``trial.json``."""

    left_out: list[str]
    """Names of the photos that are left out."""
    psnr: list[float]
    """Of each of them in the scene, dB."""
    requested: int
    """Frames that the world model was asked for in this round; 0 for the photos alone."""
    accepted: int
    """Those that passed the gate; where none did, the scene is the one before."""


@dataclass(frozen=True)
class TrialTraining:
    """How the scenes of a trial are trained, the same whatever enters them."""

    options: FitOptions
    """Of the run's scenes; in trials on small pictures Gaussians are fewer, and steps at most `LONGEST_COMPARED`."""
    max_side: int
    """Long side in pixels of the photos of the run's scenes."""
    max_points: int
    """Upper bound of the surface points that the run's scenes start from."""
    frame_share: FrameShare
    seed: int
    group: int
    """Number of the group that is left out, for the random numbers."""

    @property
    def views_side(self) -> int:
        """Long side in pixels at which depth is looked for and views are asked for."""
        return min(self.max_side, TRIAL_SIDE)

    @property
    def small_side(self) -> int:
        """Long side in pixels of the photos that a trial is trained on and judged by."""
        return min(self.max_side, CHOICE_SIDE)


def begin_trial(cameras: Path, out: Path, *, left_out: Sequence[int], training: TrialTraining) -> None:
    """Leave photos out, and train on the others alone.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent; gets ``sfm`` and ``depth`` as the stages of these names write them of the
            other photos, ``scene`` and ``trial.json``.
        left_out: indices of the photos.
    """
    sfm.leave_out(cameras, out / "sfm", left_out)
    depth.estimate_depth(
        out / "sfm",
        out / "depth",
        max_side=training.views_side,
        max_points=training.max_points,
        seed=training.seed,
    )
    _fit(out, out / "scene", [], training)
    photos = _load_left_out(cameras, out, training.small_side)
    write_json(out / "trial.json", _record(photos, out / "scene", requested=0, accepted=0))


@dataclass(frozen=True)
class TrialRound:
    """What is asked of a world model in a round of a trial, and how its frames are checked: as in the round of the run."""

    number: int
    model: WorldModel
    count: int
    support: float
    recipe: Recipe
    gate: GateOptions
    frame_poses: FramePoses
    weight: float
    weigh_by_confidence: bool
    check_content: bool
    scale: SceneScale
    """Of the run, so that the model is told the same length whoever is left out."""
    given_from_scene: Sim3 | None = None
    """From the frame of the work to that of the cameras that came with the capture."""


def play_trial_round(
    cameras: Path,
    begun: Path,
    earlier: Sequence[Path],
    out: Path,
    *,
    asked: TrialRound,
    training: TrialTraining,
) -> None:
    """Generate from the photos that are not left out, check blind, and train on these and all frames accepted so far.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        begun: what `begin_trial` wrote.
        earlier: what this function wrote in the rounds before.
        out: an empty folder, made where it is absent; gets ``generated``, ``recovery``, ``trial.json`` and, where a frame was
            accepted, ``scene``.
    """
    out.mkdir(parents=True, exist_ok=True)
    scene = [folder for folder in (begun, *earlier) if (folder / "scene").is_dir()][-1] / "scene"
    _generate(scene, cameras, begun, earlier, out, asked, training)
    rows = [] if views.why_nothing(out / "generated") else _check(begun, out, asked, training)
    accepted = sum(row.accepted for row in rows)
    if accepted:
        scene = out / "scene"
        _fit(begun, scene, _load_accepted([*earlier, out], asked), training)
    photos = _load_left_out(cameras, begun, training.small_side)
    write_json(out / "trial.json", _record(photos, scene, requested=len(rows), accepted=accepted))


def _generate(
    scene: Path,
    cameras: Path,
    begun: Path,
    earlier: Sequence[Path],
    out: Path,
    asked: TrialRound,
    training: TrialTraining,
) -> None:
    views.plan_and_generate(
        scene,
        begun / "sfm",
        begun / "depth",
        out / "generated",
        model=asked.model,
        count=asked.count,
        part=asked.number,
        support=asked.support,
        max_side=training.views_side,
        scale=asked.scale,
        show_scene=asked.number >= views.FIRST_SHOWN,
        given_from_scene=asked.given_from_scene,
        every_photo=cameras,
        accepted=_load_accepted(earlier, asked),
        names=f"r{asked.number}-",
        planning=make_generator(training.seed, PLAN, training.group, asked.number),
        generating=make_generator(training.seed, GENERATE, training.group, asked.number),
    )


def _check(begun: Path, out: Path, asked: TrialRound, training: TrialTraining) -> list[JudgedFrame]:
    frames.check_frames(
        out / "generated",
        begun / "sfm",
        out / "recovery",
        scratch=out / ".register",
        recipe=asked.recipe,
        max_side=training.views_side,
        gate_options=asked.gate,
        frame_poses=asked.frame_poses,
        number=asked.number,
        pictures=f"decide/group-{training.group}-round-{asked.number}/generated",
        surfaces=begun / "depth" if asked.check_content else None,
    )
    shutil.rmtree(out / ".register", ignore_errors=True)
    return frames.load_rows(out / "recovery")


def _load_accepted(rounds: Sequence[Path], asked: TrialRound) -> list[Clip]:
    found = (
        frames.accepted_frames(
            folder / "generated",
            folder / "recovery",
            frame_poses=asked.frame_poses,
            weight=asked.weight,
            weigh_by_confidence=asked.weigh_by_confidence,
        )
        for folder in rounds
        if (folder / "recovery").is_dir()
    )
    return [clip for clip in found if clip is not None]


def _fit(begun: Path, out: Path, accepted: Sequence[Clip], training: TrialTraining) -> None:
    """Train on small pictures; the same start, steps and random numbers whatever enters."""
    start = depth.load_start_cloud(begun / "sfm", begun / "depth", training.max_points)
    small = shrink_training(sfm.load_photos(begun / "sfm", training.max_side), start, training.options)
    photos = sfm.load_photos(begun / "sfm", training.small_side)
    generator = make_generator(training.seed, FIT, training.group)
    fit_splats(
        begun / "sfm",
        begun / "depth",
        out,
        options=replace(
            training.options, cap=small.cap, iterations=min(training.options.iterations, LONGEST_COMPARED)
        ),
        max_side=training.small_side,
        start=small.start.draw(photos, range(len(photos)), generator),
        frames=[clip.resize(width=photos.width, height=photos.height) for clip in accepted],
        frame_share=training.frame_share,
        generator=generator,
    )


def _load_left_out(cameras: Path, begun: Path, side: int) -> Clip:
    """The left-out photos, as small as those that are trained on."""
    photos, rest = sfm.load_photos(cameras, side), sfm.load_record(begun / "sfm")["registered_names"]
    return photos[[i for i, name in enumerate(photos.names) if name not in rest]]


def _record(left_out: Clip, scene: Path, *, requested: int, accepted: int) -> TrialRecord:
    gaussians = read_scene(scene / SCENE_FILE).gaussians
    return TrialRecord(
        left_out=list(left_out.names),
        psnr=[round(measure_psnr(gaussians, left_out[i]), 4) for i in range(len(left_out))],
        requested=requested,
        accepted=accepted,
    )


def load_record(folder: Path) -> TrialRecord:
    """What `begin_trial` or `play_trial_round` found.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "trial.json", TrialRecord)
