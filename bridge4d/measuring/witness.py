"""Ask a world model for the poses of each clip: a second witness beside structure from motion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bridge4d.measuring.clip_result import NO_REQUEST
from bridge4d.measuring.clip_task import ClipTask, clip_seed, read_task
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import fingerprint, fingerprint_scenes, pick_options
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import DamagedFileError, read_object, write_json
from bridge4d.runs.typed_json import misfit
from bridge4d.stages.options import ModelChoice
from eval.results.measure import ClipResult, PoseWitness
from eval.results.reading import clean, from_json, to_json
from eval.trajectories import trajectory_errors
from recon.camera_files.rigid import inverse_rigid
from recon.compute.progress import note, track
from recon.errors import BridgeError
from worldgen.model import RecoversPoses
from worldgen.registry import check_model, recovers_poses, warn_early

VERSION = 1
FILE = "witness.json"


def check_witness(options: MeasureOptions) -> None:
    """Refuse a witness that cannot be asked: now, not after the clips were measured.

    Raises:
        BridgeError: an unknown model, one that tells no poses, or weights without a model.
        MissingDependencyError: its packages are not installed.
    """
    if options.witness is None:
        if options.witness_weights is not None:
            raise BridgeError(
                "--witness-weights needs --witness: it names the weights of the model that tells poses"
            )
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


def read_witnesses(run: Path) -> dict[str, PoseWitness]:
    """What a run stored of its witness, by the name of the clip.

    Raises:
        DamagedFileError: a file that is not what was written.
    """
    found = {}
    for file in sorted((run / "witness").glob(f"[!.]*/{FILE}")):
        stored = clean(read_object(file, "clip", "witness"))
        if why := misfit(stored["witness"], PoseWitness):
            raise DamagedFileError(file, why)
        found[str(stored["clip"])] = from_json(PoseWitness, stored["witness"])
    return found


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
        found = _compare(task, witness.model, str(choice.model))
        write_json(folder / FILE, {"clip": task.source.name, "witness": to_json(found)})

    done = run.stage(
        f"witness/{task.source.file_name}",
        work,
        version=VERSION,
        depends_on=_sampling_of(task) | choice.model_key,
        reads=lambda: fingerprint(task.fingerprint_files(), fingerprint_scenes(choice.model_files)),
    )
    return from_json(PoseWitness, read_object(done.folder / FILE, "witness")["witness"])


def _sampling_of(task: ClipTask) -> dict[str, Any]:
    """What decides which pictures and requested cameras a witness is held against; not what else is measured of them."""
    names = ("max_side", "every", "frames", "count_rule", "convention", "camera_format", "seed")
    return pick_options(task.options, *names) | task.source_key()


def _compare(task: ClipTask, model: RecoversPoses, name: str) -> PoseWitness:
    """What the model makes of a clip, beside what was asked for."""
    clip = read_task(task, max_side=task.options.max_side).clip
    requested = clip.cameras
    if requested is None:
        return PoseWitness(name, undefined_because=NO_REQUEST)
    generator = torch.Generator().manual_seed(clip_seed(task.options.seed, task.source.name))
    try:
        poses = model.recover_poses(replace(clip, cameras=None), generator=generator)  # blind, as COLMAP is
        found = replace(requested, cam_from_world=inverse_rigid(poses.detach().cpu().double())).validate()
    except BridgeError as error:  # of one clip; the others are asked all the same
        return PoseWitness(name, undefined_because=str(error))
    errors = trajectory_errors(found, torch.ones(len(clip), dtype=torch.bool), requested)
    rotation, position = errors["rotation_deg"], errors["position_share"]
    return PoseWitness(
        name, rotation.value, position.value, rotation.undefined_because or position.undefined_because
    )
