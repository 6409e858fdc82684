"""The stages before the first round: read the capture, hold photos out, recover cameras, estimate depth."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bridge4d.runs import store
from bridge4d.runs.fingerprints import (
    fingerprint,
    fingerprint_files,
    options_to_json,
    pick_options,
)
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.scenes import load_scene
from bridge4d.stages import capture, depth, heldout, scale, sfm
from bridge4d.stages.options import CaptureOptions, ModelChoice
from bridge4d.stages.scale import SceneScale, find_scale
from bridge4d.stages.views import describe_scene
from eval.judging.protocols import Protocol
from recon.clip import Clip
from recon.compute.pretrained import network_key
from recon.compute.progress import note
from recon.depth.monocular import check_metric_depth
from recon.errors import BridgeError
from recon.scene import Scene
from recon.sfm.features.describe import require as require_features
from recon.sim3 import Sim3
from worldgen.registry import check_model, warn_early


@dataclass(frozen=True)
class PreparedPhotos:
    """Training photos with cameras and depth, as far as they could be found, in the stages of a run."""

    captured: StageRecord
    cameras: StageRecord
    surfaces: StageRecord | None
    """None where too few photos could be registered; then there is nothing to train on."""
    max_side: int
    """Long side in pixels of what is trained, generated and judged."""
    choice: ModelChoice | None = None
    """States the length of a unit, or how it is learnt."""
    learnt: StageRecord | None = None
    """The stage that learnt the length of a unit, where that was asked for."""

    @cached_property
    def about(self) -> dict[str, Any]:
        """What ``capture.json``, ``sfm.json`` and, where there is one, ``depth.json`` say."""
        found: dict[str, Any] = {**capture.load_record(self.captured.folder)}
        found["sfm"] = sfm.load_record(self.cameras.folder)
        if self.surfaces is not None:
            found["depth"] = depth.load_record(self.surfaces.folder)
        return found

    @cached_property
    def scale(self) -> SceneScale:
        """How long a unit of the scene is, the same throughout the run."""
        if self.photos is None:
            return {"metres_per_unit": None, "scale_from": "unknown"}
        choice = self.choice
        return find_scale(
            self.photos,
            self.cameras.folder,
            None if choice is None else choice.metres_per_unit,
            learnt=None if self.learnt is None else self.learnt.folder,
            network=None if choice is None else choice.metric_depth,
        )

    @cached_property
    def known(self) -> Scene:
        """All that world models may know of the place."""
        assert self.photos is not None
        assert self.surfaces is not None
        return describe_scene(
            self.photos, self.cameras.folder, self.surfaces.folder, self.scale, self.given_from_scene
        )

    @property
    def scale_fingerprint(self) -> dict[str, str]:
        """What a stage depends on that asks a model; nothing where the scale was not learnt."""
        return {} if self.learnt is None else {self.learnt.name: self.learnt.fingerprint}

    @property
    def protocol(self) -> Protocol:
        return Protocol(self.about["protocol"])

    @property
    def given_from_scene(self) -> Sim3 | None:
        """From the frame of the work to that of the cameras that came with the capture; None where COLMAP made them."""
        if self.protocol is not Protocol.KNOWN_POSES:
            return None
        return store.similarity_from_json(self.about.get("capture_from_scene"))

    @cached_property
    def photos(self) -> Clip | None:
        """Training photos with cameras at working resolution; None where too few could be registered."""
        return None if self.surfaces is None else sfm.load_photos(self.cameras.folder, self.max_side)


def check_asked(options: CaptureOptions) -> None:
    """Refuse, before the long work, what cannot be read or run here.

    Raises:
        BridgeError: the world model, its options, the features or a scene file cannot be used.
    """
    if isinstance(options, ModelChoice):
        check_choice(options)
    if options.features != "auto":
        require_features(options.features)
    for file in options.scene_files:
        load_scene(file)


def check_choice(choice: ModelChoice) -> None:
    """Refuse a world model that cannot run here, and say what else it lacks, before the long work.

    Raises:
        BridgeError: the world model, its options or the network of depth cannot be used.
    """
    check_model(choice.model, choice.model_options)
    if said := warn_early(choice.model, choice.model_options):
        note(said)
    if choice.metric_depth is not None:
        check_metric_depth(choice.metric_depth)


def prepare_photos(
    run: Run,
    photos: Path,
    options: CaptureOptions,
    *,
    cameras_in_frame: Path | None = None,
    choice: ModelChoice | None = None,
) -> PreparedPhotos:
    """Read a capture and recover its cameras and depth; every step is a stage of the run.

    Args:
        photos: a folder of photos, a video, a COLMAP model or a folder with a `transforms.json`.
        cameras_in_frame: a file of cameras in the capture's frame, which COLMAP would not make again.
        choice: states the length of a unit, or how it is learnt, where `options` are none of a world model.

    Raises:
        BridgeError: unreadable photos, or too few of them.
    """
    if not photos.exists():
        raise BridgeError(f"expected a folder of photos, a video or a capture at {photos}, there is nothing")
    captured = run.stage(
        "capture",
        lambda folder: capture.read_photos(photos, folder, options),
        version=capture.VERSION,
        depends_on=pick_options(options, "views", "protocol", "sfm_side", "video_frames", "allow_outside")
        | {"scene files in the capture's frame": bool(options.scene_files)},
        reads=lambda: capture.fingerprint_capture(photos, options),
    )
    record = capture.load_record(captured.folder)
    protocol = Protocol(record["protocol"])
    _refuse_other_frame(protocol, [*options.scene_files, *([cameras_in_frame] if cameras_in_frame else [])])
    came_along = protocol is Protocol.KNOWN_POSES
    note(
        f"{record['usable']} photos: {len(record['training'])} train, {len(record['heldout'])} judge; protocol "
        + ("known-poses: cameras came along" if came_along else "from-scratch")
    )
    cameras = run.stage(
        "sfm",
        lambda folder: sfm.recover_cameras(captured.folder, folder, options.recipe, options.rungs),
        version=sfm.VERSION,
        depends_on={"protocol": protocol.value, "rungs": [rung.name for rung in options.rungs]}
        | ({"geometry": program.key} if (program := options.geometry_program) else {})
        | options_to_json(options.recipe),
        # of what was read nothing but this: other held-out photos change no scene
        earlier={
            "capture": fingerprint(
                fingerprint_files(captured.folder / "training"),
                *_training_lenses(record),
                record["places"],
                record["ordered"],
            )
        },
    )
    enough = sfm.load_record(cameras.folder)["registered"] >= sfm.LEAST_PHOTOS
    surfaces = estimate_depth(run, cameras, options) if enough else None
    choice = options if isinstance(options, ModelChoice) else choice
    learnt = _learn_scale(run, cameras, options, choice) if enough and choice is not None else None
    return PreparedPhotos(captured, cameras, surfaces, options.max_side, choice, learnt)


def _learn_scale(
    run: Run, cameras: StageRecord, options: CaptureOptions, choice: ModelChoice
) -> StageRecord | None:
    network = choice.metric_depth
    if network is None or choice.metres_per_unit is not None:
        return None
    return run.stage(
        "scale",
        lambda folder: scale.learn_scale(cameras.folder, folder, network=network, max_side=options.max_side),
        version=scale.VERSION,
        depends_on=network_key(network) | {"max_side": options.max_side},
        earlier={"sfm": cameras.fingerprint},
    )


def _training_lenses(record: capture.CaptureRecord) -> list[tuple[float | None, list[str]]]:
    """Focal length by EXIF and training photos of each lens."""
    training = set(record["training"])
    return [
        (lens["focal_prior_px"], trained)
        for lens in record["lenses"]
        if (trained := [name for name in lens["photos"] if name in training])
    ]


def estimate_depth(
    run: Run, cameras: StageRecord, options: CaptureOptions, *, name: str = "depth"
) -> StageRecord:
    """Depth of posed photos, as the stage `name` of the run."""
    return run.stage(
        name,
        lambda folder: depth.estimate_depth(
            cameras.folder,
            folder,
            max_side=options.max_side,
            max_points=options.max_surface_points,
            seed=options.seed,
        ),
        version=depth.VERSION,
        depends_on=pick_options(options, "max_side", "max_gaussians", "seed"),
        earlier={"sfm": cameras.fingerprint},
    )


def prepare_heldout(run: Run, prepared: PreparedPhotos, options: CaptureOptions) -> Clip | None:
    """Held-out photos with cameras, at working resolution, for judging and nothing else.

    With known poses they come with the capture; from scratch each is registered against the frozen model.
    None where no held-out photo could be registered.
    """
    source = prepared.captured.folder / "heldout"
    if prepared.protocol is Protocol.KNOWN_POSES:
        return store.load_clip(source, options.max_side)
    done = run.stage(
        "heldout",
        lambda folder: heldout.register_heldout(
            prepared.captured.folder, prepared.cameras.folder, folder, options.recipe
        ),
        version=heldout.VERSION,
        depends_on=pick_options(options, "seed"),
        earlier={
            "sfm": prepared.cameras.fingerprint,
            "capture": fingerprint(fingerprint_files(source), prepared.about["lenses"]),
        },
    )
    if not (done.folder / "photos").exists():
        return None
    return store.load_clip(done.folder / "photos", options.max_side)


def _refuse_other_frame(protocol: Protocol, in_frame: list[Path]) -> None:
    if in_frame and protocol is Protocol.FROM_SCRATCH:
        raise BridgeError(
            f"{in_frame[0]} lies in a frame of its own and COLMAP will make another; give a capture with cameras in "
            "that frame (a transforms.json or a COLMAP model) and --protocol known-poses"
        )
