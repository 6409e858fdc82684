"""What the report of an augmentation shows that is made for it alone: an orbit, and the scene at generated views."""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.paths import camera_path
from bridge4d.rendering.render_path import render_path
from bridge4d.runs import store
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_json, write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.scenes import load_scene
from eval.results.augment import PHOTOS_ONLY, GeneratedFrame, JudgedFrame, Orbit
from eval.results.reading import from_json
from recon.compute.progress import note, track
from recon.errors import BridgeError
from recon.scenefiles import read_scene
from recon.splats.render import draw_views

ORBIT_VERSION, REQUESTED_VERSION = 1, 1
"""Of the stages ``eval/orbit`` and ``eval/requested``; raised when what they write of the same input changes."""
ORBIT = RenderOptions(path="orbit", fps=20.0, max_side=480, crf=26)
ORBIT_BYTES = 700_000
"""Of a video in the report, where there may be two; of a room at this size one has about half."""
FALLING_QUALITY = (26, 31, 36)
"""Values of --crf that are tried until the videos fit, all alike."""


class BesideRecord(TypedDict):
    """What stands beside a generated frame, as `GeneratedFrame` has it; a value of ``requested.json``."""

    scene_picture: str
    confidence: str | None
    confidence_mean: float | None


def draw_orbit(
    run: Run, exports: StageRecord, photos_only: StageRecord, *, augmented: bool, max_side: int
) -> Orbit | None:
    """Videos of the kept scene and, where that is another, of the photos-only one; None where none can be made.

    Args:
        augmented: whether the kept scene is another than that of the photos alone.
        max_side: of the pictures that the scenes were fitted to; a larger orbit would show no more.
    """
    try:
        return _orbit(run, exports, photos_only, augmented, max_side)
    except BridgeError as error:  # FFmpeg built without x264, for instance: a run is worth more than its film
        note(f"the report has no orbit: {error}")
        return None


def draw_beside(run: Run, exports: StageRecord, frames: list[JudgedFrame]) -> list[GeneratedFrame]:
    """Generated frames with what the kept scene shows there and how sure the model was."""
    if not frames:
        return []
    rounds = sorted({frame.round for frame in frames if frame.round is not None})
    generated = [run.records[f"generated/round-{number}"] for number in rounds]
    beside = _at_requested_poses(run, exports, generated)
    return [GeneratedFrame(**vars(frame), **beside[frame.name]) for frame in frames]


def _orbit(run: Run, exports: StageRecord, photos_only: StageRecord, augmented: bool, max_side: int) -> Orbit:
    orbit = replace(ORBIT, max_side=min(ORBIT.max_side, max_side))
    scenes = {"kept": exports.folder / "scene.ply"}
    if augmented:
        scenes[PHOTOS_ONLY] = photos_only.folder / "scene.ply"

    def work(folder: Path) -> None:
        scene = load_scene(run.folder)
        path = camera_path(scene, orbit)
        for crf in FALLING_QUALITY:
            options = replace(orbit, crf=crf)
            done = [
                render_path(
                    replace(scene, gaussians=read_scene(file).gaussians),
                    folder / f"{name}.mp4",
                    options,
                    cameras=path.cameras,
                ).to_json()
                for name, file in scenes.items()
            ]
            if all(one["bytes"][0] <= ORBIT_BYTES for one in done):
                break
        shape = {key: done[0][key] for key in ("frames", "fps", "seconds", "width", "height")}
        write_json(folder / "orbit.json", {"path": path.about, **shape})

    done = run.stage(
        "eval/orbit",
        work,
        version=ORBIT_VERSION,
        depends_on={"augmented": augmented} | options_to_json(orbit),
        earlier={stage.name: stage.fingerprint for stage in (exports, photos_only)},
    )
    videos = {name: f"eval/orbit/{name}.mp4" if name in scenes else None for name in ("kept", PHOTOS_ONLY)}
    return replace(from_json(Orbit, read_json(done.folder / "orbit.json")), **videos)


def _at_requested_poses(
    run: Run, exports: StageRecord, generated: list[StageRecord]
) -> dict[str, BesideRecord]:
    """By the name of a frame: picture of the kept scene at the requested pose, confidence and its mean."""

    def work(folder: Path) -> None:
        gaussians = read_scene(exports.folder / "scene.ply").gaussians
        rows: dict[str, BesideRecord] = {}
        for stage in generated:
            clip = store.load_clip(stage.folder)
            for i, name in enumerate(track(clip.names, "rendering the requested views")):
                drawn = draw_views(gaussians, clip.require_cameras()[i])
                store.save_picture(drawn.images[0], folder / f"{name}.png")
                sure = clip.confidence
                rows[name] = {
                    "scene_picture": f"eval/requested/{name}.png",
                    "confidence": None if sure is None else f"{stage.name}/{name}.confidence.png",
                    "confidence_mean": None if sure is None else round(float(sure[i].mean()), 4),
                }
        write_json(folder / "requested.json", rows)

    done = run.stage(
        "eval/requested",
        work,
        version=REQUESTED_VERSION,
        earlier={stage.name: stage.fingerprint for stage in (exports, *generated)},
    )
    return read_typed(done.folder / "requested.json", dict[str, BesideRecord])
