"""Views of a capture along a path, as a world model sees them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge4d.augmenting.ground import Ground, check_asked, lay_ground, options_key, options_of
from bridge4d.augmenting.rounds import GENERATED_VERSION, fingerprint_scenes, generator_for
from bridge4d.generating.options import GenerateOptions
from bridge4d.rendering.paths import CameraPath, camera_file, camera_path, with_size
from bridge4d.rendering.picture_files import written_any
from bridge4d.runs import store
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import GENERATE
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import write_json
from bridge4d.scenes import Scene as SplatScene
from bridge4d.scenes import SceneView
from recon.camera_files import read_path
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import from_points
from recon.pictures.eight_bit import to_eight_bit
from recon.scene import Scene
from worldgen.model import Request
from worldgen.registry import describe, load_model
from worldgen.rollout import rollout

DEFAULT_FRAMES = 48
"""Of a path of any length: two seconds at 24 a second; `bridge` takes a minute or two for them on a laptop."""
POINT_OPACITY = 0.9
"""Of the points that stand for the scene where a path asks how far away things are: nearly solid."""


@dataclass(frozen=True)
class GenerateResult:
    """Where everything is."""

    run: Path
    video: Path
    frames: Path
    """Folder of PNGs with a transforms.json."""
    path: str
    """Which path, for people."""
    count: int
    unseen_share: float | None
    """Mean share of the pixels to which the model gives a confidence below one half; None where it states none."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `bridge4d generate --json` prints them."""
        return {
            "run": str(self.run),
            "video": str(self.video),
            "frames": str(self.frames),
            "path": self.path,
            "count": self.count,
            "unseen_share": self.unseen_share,
            "notes": list(self.notes),
        }


def generate(
    capture: Path | str, out: Path | str, options: GenerateOptions | None = None, *, command: str = ""
) -> GenerateResult:
    """Asks a world model for views of a capture along a path, and writes them as a video and as frames with cameras.

    Args:
        capture: a folder of photos, a video, a COLMAP model or a folder with a `transforms.json`.
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
    check_asked(options, options.model)
    rendering, file = options.rendering, camera_file(options.path)
    if file is not None:  # at any size: what is wrong with it is said
        read_path(file, width=640, height=480, convention=rendering.convention)
    with open_run(Path(out), kind=GENERATE) as run:
        ground = lay_ground(run, Path(capture), options, in_its_frame=file)
        if ground.photos is None:
            raise BridgeError(
                f"COLMAP could not recover cameras from the photos of {capture}: {ground.about['sfm']['status']}; take photos "
                "that overlap more, or give a capture with cameras"
            )
        path = _plan_path(ground, options)
        made = _ask(run, ground, path, options)
        return _write(run, ground, path, store.load_clip(made.folder), options, command)


def _plan_path(ground: Ground, options: GenerateOptions) -> CameraPath:
    """At the size and in the frame in which the photos are worked on."""
    photos = ground.photos
    assert photos is not None
    cameras = photos.require_cameras()
    views = tuple(SceneView(name, "photo", cameras[i], Path(name)) for i, name in enumerate(photos.names))
    start = ground.start
    points = from_points(start.xyz.float(), start.rgb, sh_degree=0, opacity=POINT_OPACITY)
    capture = Path(ground.about["path"])
    scene = SplatScene(capture, capture, points, views=views, points=ground.points)
    is_file, rendering = camera_file(options.path) is not None, options.rendering
    if not is_file and options.frames is None:
        rendering = replace(rendering, frames=DEFAULT_FRAMES)
    path = camera_path(scene, rendering)
    asked = path.cameras
    if is_file and ground.about.get("capture_from_scene") is not None:
        asked = store.similarity_from_json(ground.about["capture_from_scene"]).inverse().cameras(asked)
    sized = with_size(asked, width=cameras.width, height=cameras.height)
    return replace(path, cameras=sized.validate())


def _ask(run: Run, ground: Ground, path: CameraPath, options: GenerateOptions) -> StageRecord:
    photos = ground.photos
    assert photos is not None

    def work(folder: Path) -> None:
        known = Scene(points=ground.points, depth=ground.depth())
        request = Request(photos, path.cameras, prompt=options.prompt, scene=known)
        views = rollout(load_model(options.model), request, generator=generator_for(options.seed, 3, 0))
        store.save_clip(views.clip, folder)

    return run.stage(
        "generated/path",
        work,
        version=GENERATED_VERSION,
        depends_on={
            **options_of(options, "model", "prompt", "seed"),
            "path": store.cameras_to_json(path.cameras),
        },
        earlier={"depth": ground.fingerprint},
        reads=lambda: fingerprint_scenes(options),
    )


def _write(
    run: Run, ground: Ground, path: CameraPath, clip: Clip, options: GenerateOptions, command: str
) -> GenerateResult:
    """The video, the frames with their cameras in the capture's frame, and what was made of what."""
    video, frames = run.folder / "views.mp4", run.folder / "frames"
    cameras = store.similarity_from_json(ground.about.get("capture_from_scene")).cameras(
        clip.require_cameras()
    )
    about = {"capture": ground.about["path"], "path": path.about, "model": options.model, "fps": options.fps}
    even = with_size(
        cameras, width=cameras.width // 2 * 2, height=cameras.height // 2 * 2
    )  # H.264 has pairs of pixels
    pictures = to_eight_bit(clip.images).numpy()
    with written_any(frames, cameras, shows="colour", about=about, fps=options.fps, crf=18) as add:
        for picture in pictures:
            add(picture)
    with (
        run.file(video.name) as file,
        written_any(file, even, shows="colour", about=about, fps=options.fps, crf=18) as add,
    ):
        for picture in pictures:
            add(picture[: even.height, : even.width])
    unsure = None if clip.confidence is None else round(float((clip.confidence < 0.5).float().mean()), 4)
    result = GenerateResult(run.folder, video, frames, path.about, len(clip), unsure, path.notes)
    with run.file("generate.json") as file:
        write_json(file, result.to_json() | _made_of(ground, options, command))
    write_json(
        run.folder / "run.json", {"kind": GENERATE, "command": command, "options": options_key(options)}
    )
    return result


def _made_of(ground: Ground, options: GenerateOptions, command: str) -> dict[str, Any]:
    return {
        "capture": ground.about["path"],
        "photos": list(ground.about["training"]),
        "world_model": describe(options.model),
        "command": command,
        "seed": options.seed,
    }
