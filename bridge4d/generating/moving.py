"""Views of a capture that moves, along a path through space and time."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.generating.options import GenerateOptions
from bridge4d.generating.path import POINT_OPACITY
from bridge4d.generating.write import DEFAULT_FRAMES, GenerateResult, write_views
from bridge4d.moving import stages
from bridge4d.moving.options import MovingOptions
from bridge4d.moving.run import check_folders, find_cameras
from bridge4d.moving.views import GENERATE as STREAM
from bridge4d.moving.views import VERSION, describe_scene
from bridge4d.rendering.paths import CameraPath, camera_file, camera_path, with_size
from bridge4d.runs import store, stored_arrays
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import GENERATE, MOVING, kind_of
from bridge4d.runs.stages import StageRecord, read_stage
from bridge4d.scenes import LoadedScene, SceneView
from bridge4d.stages.views import ask_model
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.errors import BridgeError
from recon.gaussians import from_points
from recon.points import PointCloud
from recon.scenefiles.formats.motion_tensors import load_sequence
from recon.sequence import GaussianSequence
from recon.splats.moving.start import find_points, frames_by_time
from worldgen.registry import chooses_cameras, describe

POINTS = "points"
"""Stage with points at one moment of a capture, by which paths find what is looked at."""
STAGES = ("capture", "cameras", "surfaces", "splats")
"""Of a run of `reconstruct_moving` that are read."""


@dataclass(frozen=True)
class Takes:
    """What cameras filmed, without the one that judges, and what is known of the place."""

    clip: Clip
    posed: bool
    """Whether the cameras came along, so that files of cameras lie in their frame."""
    points: PointCloud
    sequence: GaussianSequence | None
    times_s: Float[Tensor, "t"]
    """Of the first camera, which are those of a scene."""
    made: tuple[StageRecord, ...]


def generate_moving(capture: Path, out: Path, options: GenerateOptions, *, command: str) -> GenerateResult:
    """Ask a world model for views along a path, each at its time; as `bridge4d.generating.generate.generate`.

    Raises:
        BridgeError: bad input, a run that has not ended, or a time outside the capture's.
    """
    if chooses_cameras(options.model):
        raise BridgeError(
            f"{options.model} chooses its cameras itself and cannot be asked at times; choose another --model"
        )
    with open_run(out, kind=GENERATE) as run:
        takes = _read_run(capture) if kind_of(capture) == MOVING else _read_capture(run, capture, options)
        path = _plan_path(capture, takes, options)
        times = choose_times(takes.times_s, len(path.cameras), options.at)
        made = _ask(run, takes, path, times, options)
        about = {
            "capture": str(capture),
            "photos": list(takes.clip.names),
            "world_model": describe(options.model, options.model_options),
            "model_options": options_to_json(options)["model_options"],
            "times_s": times.tolist(),
        }
        clip = replace(store.load_clip(made.folder), times_s=times)
        return write_views(run, path, clip, about, options, command)


def choose_times(filmed_s: Float[Tensor, "t"], count: int, at: float | None) -> Float[Tensor, "n"]:
    """When each view is seen: evenly from the first frame to the last, or all at one time.

    Raises:
        BridgeError: a time at which nobody filmed.
    """
    first, last = float(filmed_s[0]), float(filmed_s[-1])
    if at is None:
        return torch.linspace(first, last, count, dtype=torch.float64)
    if not first - 1e-6 <= at <= last + 1e-6:
        raise BridgeError(f"expected --at from {first:g} to {last:g} seconds, got {at:g}")
    return torch.full((count,), min(max(at, first), last), dtype=torch.float64)


def _read_run(folder: Path) -> Takes:
    """From the stages of a reconstruction.

    Raises:
        BridgeError: one of them is not done.
    """
    made = []
    for name in STAGES:
        found = read_stage(name, folder / name)
        if found is None:
            raise BridgeError(
                f"{folder} is a run that has not ended: {name} is missing; start its command again to go on"
            )
        made.append(found[0])
    captured, cameras, surfaces, scene = (record.folder for record in made)
    rows, _ = stages.split_rows(captured)
    return Takes(
        stages.load_moments(captured, cameras)[rows],
        stages.load_capture(captured)[1]["posed"],
        stages.load_points(surfaces)[0],
        load_sequence(scene / stages.SCENE),
        stages.load_times(captured, cameras),
        tuple(made),
    )


def _read_capture(run: Run, capture: Path, options: GenerateOptions) -> Takes:
    """From frames, by stages of this run."""
    check_folders(capture, run.folder)
    reading = MovingOptions(
        max_side=options.max_side,
        fps=options.filmed_fps,
        max_frames=options.max_frames,
        allow_outside=options.allow_outside,
        seed=options.seed,
    )
    captured, cameras = find_cameras(run, capture, reading)
    rows, _ = stages.split_rows(captured.folder)
    clip = stages.load_moments(captured.folder, cameras.folder)[rows]

    def find(folder: Path) -> None:
        moments = frames_by_time(clip)
        middle = clip[moments[len(moments) // 2][1]]
        nothing = torch.zeros(middle.images.shape[:3], dtype=torch.bool)
        generator = make_generator(options.seed, stages.SURFACES)
        cloud, _ = find_points(middle, nothing, count=options.max_surface_points, generator=generator)
        folder.mkdir(parents=True, exist_ok=True)
        stored_arrays.save_points(cloud, folder / "points.npz")

    points = run.stage(
        POINTS,
        find,
        version=stages.VERSION,
        depends_on=pick_options(options, "max_gaussians", "seed"),
        earlier={one.name: one.fingerprint for one in (captured, cameras)},
    )
    posed = stages.load_capture(captured.folder)[1]["posed"]
    cloud = stored_arrays.load_points(points.folder / "points.npz")
    times = stages.load_times(captured.folder, cameras.folder)
    return Takes(clip, posed, cloud, None, times, (captured, cameras, points))


def _plan_path(capture: Path, takes: Takes, options: GenerateOptions) -> CameraPath:
    """The path that is asked for, among the cameras of the capture."""
    clip, file = takes.clip, camera_file(options.path)
    if file is not None and not takes.posed:
        raise BridgeError(
            f"{file} lies in a frame of its own, and COLMAP made another of {capture}; give a transforms.json in that frame"
        )
    moments = frames_by_time(clip)
    rig = clip[moments[len(moments) // 2][1]]
    cameras = rig.require_cameras()
    views = tuple(SceneView(name, "photo", cameras[i], Path(name)) for i, name in enumerate(rig.names))
    points = from_points(takes.points.xyz.float(), takes.points.rgb, sh_degree=0, opacity=POINT_OPACITY)
    scene = LoadedScene(capture, capture, points, views=views, points=takes.points)
    rendering = options.rendering
    if file is None and rendering.frames is None:
        rendering = replace(rendering, frames=DEFAULT_FRAMES)
    path = camera_path(scene, rendering)
    sized = with_size(path.cameras, width=clip.width, height=clip.height)
    return replace(path, cameras=sized.validate())


def _ask(
    run: Run, takes: Takes, path: CameraPath, times: Float[Tensor, "n"], options: GenerateOptions
) -> StageRecord:
    def work(folder: Path) -> None:
        model = options.load_model(run.folder)
        known = describe_scene(model, takes.clip, takes.points, takes.sequence, options.metres_per_unit)
        clip = ask_model(
            takes.clip,
            known,
            model=model,
            targets=path.cameras,
            times_s=times,
            prompt=options.prompt,
            generator=make_generator(options.seed, STREAM),
        )
        store.save_clip(clip, folder)

    return run.stage(
        "generated/path",
        work,
        version=VERSION,
        depends_on={
            **pick_options(options, "prompt", "seed"),
            **options.model_key,
            "path": store.cameras_to_json(path.cameras),
            "times_s": times.tolist(),
        },
        earlier={one.name: one.fingerprint for one in takes.made},
        reads=lambda: fingerprint_scenes([*options.scene_files, *options.model_files]),
    )
