"""What a finished run has for a dataset: its photos and the generated frames that passed the gate, as they were used."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.run_json import OptionsSaid, ReportSaid, RunSaid
from bridge4d.runs.stored_json import DamagedFileError
from bridge4d.runs.typed_json import read_typed
from bridge4d.scenes import GENERATED, SceneView, is_run, load_scene
from bridge4d.stages.frames import CONTRADICTED, recovered_cameras
from recon.cameras import Cameras
from recon.errors import SceneFileError
from recon.points import PointCloud
from recon.sim3 import Sim3
from recon.tracks import Tracks


@dataclass(frozen=True)
class RunViews:
    run: Path
    """The run folder."""
    views: tuple[SceneView, ...]
    """Photos, held-out photos and accepted generated frames; these with the cameras with which they were trained on."""
    points: PointCloud
    """Triangulated from the photos."""
    asked: OptionsSaid
    """The options of the run."""
    kept_round: int
    """Whose scene the run kept; 0: that of the photos alone."""

    def with_role(self, role: Literal["photo", "heldout", "generated"]) -> list[SceneView]:
        """The pictures of one role."""
        return [view for view in self.views if view.role == role]

    def contradicted_file(self, view: SceneView) -> Path:
        """Picture of where photos contradict a generated frame; there is none where they do not, or were not asked."""
        return self.run / "recovery" / f"round-{view.round}" / CONTRADICTED / f"{view.name}.png"

    def loss_weight(self, confidence: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        """What a generated pixel weighs in the run's own loss, where a photo's pixel weighs 1."""
        sure = confidence if self.asked["weigh_by_confidence"] else np.ones_like(confidence)
        return sure * np.float32(self.asked["generated_weight"])


@dataclass(frozen=True)
class DatasetPicture:
    """A picture of the dataset."""

    view: SceneView
    file: str
    """Its name in `images`."""
    camera: Cameras
    """One, at the size of the file, in the frame of the dataset."""
    made: str
    """'copied', 'converted' or 'undistorted' from the original; 'stored': the picture that the run keeps."""

    @property
    def grey_file(self) -> str:
        """Name of what belongs to it in `masks` and `weights`."""
        return f"{Path(self.file).stem}.png"


def read_views(run: Path, *, generated: bool) -> RunViews:
    """Reads a finished run.

    Raises:
        SceneFileError: no run folder, or one without a scene.
    """
    if not is_run(run) or not (run / "run.json").is_file():
        raise SceneFileError(f"expected the folder of a finished run of bridge4d augment, got {run}")
    scene = load_scene(run)
    about: RunSaid = read_typed(run / "run.json", RunSaid)
    asked = about["asked"]["options"]
    if not 0 < asked["generated_weight"] <= 1:
        raise DamagedFileError(run / "run.json", "generated_weight is not above 0 and up to 1")
    views = [view for view in scene.views if view.role != GENERATED]
    if generated:
        # a folder may hold rounds of an earlier call with other options
        stages = about["stages"]
        accepted = [v for v in scene.views if v.accepted and f"recovery/round-{v.round}" in stages]
        views += [_use_trained_camera(run, view, asked["frame_poses"]) for view in accepted]
    if scene.points is None:
        raise SceneFileError(
            f"{run} has lost its points (sfm/points.npz is not there); start the command that made it again"
        )
    report: ReportSaid = read_typed(run / "report.json", ReportSaid)
    return RunViews(run, tuple(views), scene.points, asked, report.get("kept_round") or 0)


def read_tracks(views: RunViews, pictures: list[DatasetPicture]) -> Tracks:
    """Where the pictures see the points, in pixels of their files; empty for what the run holds no tracks of."""
    sources: dict[Path, tuple[Tracks, list[str]]] = {}
    parts = []
    for i, picture in enumerate(pictures):
        tracks_file, clip = _locate_tracks(views.run, picture.view)
        if not tracks_file.is_file():
            continue
        if tracks_file not in sources:
            sources[tracks_file] = (
                stored_arrays.load_tracks(tracks_file),
                store.read_clip_json(clip)[0]["names"],
            )
        tracks, names = sources[tracks_file]
        if picture.view.name not in names:
            raise DamagedFileError(clip / "clip.json", f"it does not name {picture.view.name!a}")
        seen = picture.view.own_camera
        scale = {"x": picture.camera.width / seen.width, "y": picture.camera.height / seen.height}
        own = tracks.of_image(names.index(picture.view.name)).moved_to(i)
        if picture.view.box is not None:
            own = replace(own, xy=own.xy - picture.view.box.corner)
        parts.append(own.resize(**scale))
    return Tracks.concatenate(parts)


def start_points(views: RunViews, world: Sim3) -> PointCloud:
    """What the run's own training started from: the triangulated points, and surfaces on which photos agree."""
    file = views.run / "depth" / "points.npz"
    points = stored_arrays.load_points(file) if file.is_file() else views.points
    return transform_points(points, world)


def transform_points(points: PointCloud, world: Sim3) -> PointCloud:
    """Points moved by a similarity."""
    return replace(points, xyz=world.points(points.xyz.double()))


def _use_trained_camera(run: Path, view: SceneView, poses: Literal["recovered", "requested"]) -> SceneView:
    if poses == "requested":
        return view
    folder = run / "recovery" / f"round-{view.round}"
    return replace(view, camera=recovered_cameras(view.camera, (view.name,), folder))


def _locate_tracks(run: Path, view: SceneView) -> tuple[Path, Path]:
    """The file of tracks in which a picture has its rows, and the clip that numbers them."""
    if view.role == "photo":
        return run / "sfm" / "tracks.npz", run / "sfm" / "photos"
    if view.role == "heldout":
        return run / "heldout" / "tracks.npz", run / "capture" / "heldout"
    return (
        run / "recovery" / f"round-{view.round}" / "tracks.npz",
        run / "generated" / f"round-{view.round}",
    )
