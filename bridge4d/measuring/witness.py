"""Ask a world model for the poses of each clip: a second witness beside structure from motion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from bridge4d.measuring.clip_task import ClipTask, clip_seed, read_task
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import fingerprint, fingerprint_scenes
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages.options import ModelChoice
from eval.results.measure import ClipResult, PoseWitness
from eval.results.reading import from_json, to_json
from eval.trajectories import trajectory_errors
from recon.compute.progress import note, track
from recon.errors import BridgeError
from worldgen.model import RecoversPoses
from worldgen.registry import check_model, recovers_poses, warn_early

VERSION = 1
NO_REQUEST = "no requested cameras"
FILE = "witness.json"


def check_witness(options: MeasureOptions) -> None:
    """Refuse a witness that cannot be asked: now, not after the clips were measured.

    Raises:
        BridgeError: an unknown model, one that tells no poses, or weights without a model.
        MissingDependencyError: its packages are not installed.
    """
    if options.witness is None:
        if options.witness_weights is not None:
            raise BridgeError("expected --witness beside --witness-weights: whose weights are they?")
        return
    choice = _choice_of(options)
    if not recovers_poses(choice.model):
        raise BridgeError(
            f"expected --witness to be a model that tells the poses of a video (recover_poses), got {choice.model}; cosmos3 does, and so "
            "may one of your own"
        )
    check_model(choice.model, choice.model_options)
    if said := warn_early(choice.model, choice.model_options):
        note(said)


def ask_witness(
    run: Run, tasks: Sequence[ClipTask], results: Sequence[ClipResult], options: MeasureOptions
) -> dict[str, PoseWitness]:
    """What the witness makes of each clip that could be read, by name; each is a stage of the run.

    Clips are asked for one after another in this process, because one model fills a GPU.

    Raises:
        BridgeError: as `load_model`.
    """
    if options.witness is None:
        return {}
    witness = _Witness(_choice_of(options), run.folder)
    readable = [task for task, result in zip(tasks, results, strict=True) if result.failed is None]
    return {
        task.source.name: _ask(run, task, witness)
        for task in track(readable, f"poses by {options.witness}", len(readable))
    }


@dataclass(frozen=True)
class _Witness:
    choice: ModelChoice
    folder: Path

    @cached_property
    def model(self) -> RecoversPoses:
        """Loaded where a clip has to be asked for: a finished run loads nothing."""
        model = self.choice.load_model(self.folder)
        assert isinstance(model, RecoversPoses)
        return model


def _choice_of(options: MeasureOptions) -> ModelChoice:
    weights = options.witness_weights
    return ModelChoice(
        model=str(options.witness), model_options={} if weights is None else {"weights": weights}
    )


def _ask(run: Run, task: ClipTask, witness: _Witness) -> PoseWitness:
    choice = witness.choice

    def work(folder: Path) -> None:
        write_json(folder / FILE, {"witness": to_json(_compare(task, witness.model, str(choice.model)))})

    done = run.stage(
        f"witness/{task.source.file_name}",
        work,
        version=VERSION,
        depends_on=task.depends_on() | choice.model_key,
        reads=lambda: fingerprint(task.fingerprint_files(), fingerprint_scenes(choice.model_files)),
    )
    return from_json(PoseWitness, read_object(done.folder / FILE, "witness")["witness"])


def _compare(task: ClipTask, model: RecoversPoses, name: str) -> PoseWitness:
    """What the model makes of a clip, beside what was asked for."""
    clip = read_task(task, max_side=task.options.max_side).clip
    requested = clip.cameras
    if requested is None:
        return PoseWitness(name, undefined_because=NO_REQUEST)
    generator = torch.Generator().manual_seed(clip_seed(task.options.seed, task.source.name))
    poses = model.recover_poses(replace(clip, cameras=None), generator=generator)  # blind, as COLMAP is
    found = replace(requested, cam_from_world=torch.linalg.inv(poses.double()))
    errors = trajectory_errors(found, torch.ones(len(clip), dtype=torch.bool), requested)
    rotation, position = errors["rotation_deg"], errors["position_share"]
    return PoseWitness(
        name, rotation.value, position.value, rotation.undefined_because or position.undefined_because
    )
