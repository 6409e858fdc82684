"""Views of a capture along a path, as a world model sees them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge4d.augmenting.prepare import PreparedPhotos, check_asked, prepare_photos
from bridge4d.augmenting.rounds import GENERATE as STREAM
from bridge4d.generating.moving import generate_moving
from bridge4d.generating.options import GenerateOptions
from bridge4d.generating.path import plan_path
from bridge4d.generating.write import DEFAULT_FRAMES, GenerateResult, write_views
from bridge4d.rendering.paths import CameraPath, camera_file
from bridge4d.runs import store
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import GENERATE, MOVING, kind_of
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import views
from bridge4d.stages.views import ask_model
from recon.camera_files import read_path
from recon.compute.seeds import make_generator
from recon.errors import BridgeError
from worldgen.model import ChoosesCameras
from worldgen.plan import plan_times
from worldgen.registry import chooses_cameras, describe

RECOVERED = "the cameras were recovered from these very frames: measured against them, pose errors are small by construction"


def generate(
    capture: Path | str, out: Path | str, options: GenerateOptions | None = None, *, command: str = ""
) -> GenerateResult:
    """Asks a world model for views of a capture along a path, and writes them as a video and as frames with cameras.

    Args:
        capture: a folder of photos, a video, a COLMAP model or a folder with a `transforms.json`; with `options.moving` what several cameras
            filmed, or the run of `reconstruct_moving`.
        out: the run folder; start again with the same one to continue.
        options: see `GenerateOptions`.
        command: what `generate.json` says as the way to repeat the run.

    Raises:
        BridgeError: bad input, or photos that COLMAP can make nothing of.

    Example:
        >>> generate("photos", "runs/around", GenerateOptions(path="spiral")).video
    """
    options = options or GenerateOptions()
    # what cannot be made is refused before the long work
    check_asked(options)
    if not options.moving and kind_of(Path(capture)) == MOVING:
        raise BridgeError(f"{capture} is a run of reconstruct --moving; give --moving as well")
    if options.moving:
        return generate_moving(Path(capture), Path(out), options, command=command)
    rendering, file = options.rendering, camera_file(options.path)
    if file is not None:  # at any size: what is wrong with it is said
        read_path(file, width=640, height=480, convention=rendering.convention)
    with open_run(Path(out), kind=GENERATE) as run:
        prepared = prepare_photos(run, Path(capture), options, cameras_in_frame=file)
        if prepared.surfaces is None:
            raise BridgeError(
                f"COLMAP could not recover cameras from the photos of {capture}: {prepared.about['sfm']['status']}; take photos "
                "that overlap more, or give a capture with cameras"
            )
        path = _choose_path(run, prepared, options)
        made = _ask(run, prepared, path, options)
        similarity = store.similarity_from_json(prepared.about.get("capture_from_scene"))
        clip = store.load_clip(made.folder)
        cameras = similarity.cameras(clip.require_cameras())
        about = _made_of(prepared, options)
        return write_views(run, path, replace(clip, cameras=cameras, times_s=None), about, options, command)


def _choose_path(run: Run, prepared: PreparedPhotos, options: GenerateOptions) -> CameraPath:
    """The path that is asked for, or that of a model that chooses its cameras itself."""
    if chooses_cameras(options.model):
        model = options.load_model(run.folder)
        assert isinstance(model, ChoosesCameras)
        assert prepared.photos is not None
        cameras = model.choose_targets(prepared.photos, prepared.known, count=options.frames)
        notes = (RECOVERED,) if options.asks_recovered_cameras else ()
        return CameraPath(cameras, f"the cameras of {options.model}", loops=False, notes=notes)
    rendering = options.rendering
    if camera_file(options.path) is None and rendering.frames is None:
        rendering = replace(rendering, frames=DEFAULT_FRAMES)
    return plan_path(prepared, rendering)


def _ask(run: Run, prepared: PreparedPhotos, path: CameraPath, options: GenerateOptions) -> StageRecord:
    photos, surfaces = prepared.photos, prepared.surfaces
    assert photos is not None
    assert surfaces is not None

    def work(folder: Path) -> None:
        model = options.load_model(run.folder)
        clip = ask_model(
            photos,
            prepared.known,
            model=model,
            targets=path.cameras,
            times_s=plan_times(path.cameras, photos) if model.spec.takes_times else None,
            prompt=options.prompt,
            generator=make_generator(options.seed, STREAM, 0),
        )
        store.save_clip(clip, folder)

    return run.stage(
        "generated/path",
        work,
        version=views.VERSION,
        depends_on={
            **pick_options(options, "prompt", "seed"),
            **options.model_key,
            "path": store.cameras_to_json(path.cameras),
        },
        earlier={"depth": surfaces.fingerprint, **prepared.scale_fingerprint},
        reads=lambda: fingerprint_scenes([*options.scene_files, *options.model_files]),
    )


def _made_of(prepared: PreparedPhotos, options: GenerateOptions) -> dict[str, Any]:
    photos = prepared.photos
    assert photos is not None
    return {
        "capture": prepared.about["path"],
        "photos": list(prepared.about["training"]),
        "world_model": describe(options.model, options.model_options) | prepared.scale,
        "model_options": options_to_json(options)["model_options"],
    }
