"""What a person means by a scene: a run folder, a splat file, a folder of frames."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.run_folder import AUGMENT, GENERATE, MEASURE, MOVING, kind_of
from bridge4d.runs.run_json import FitSaid, FrameSaid, ReportSaid
from bridge4d.runs.stages import STAGE_FILE
from bridge4d.runs.stored_json import DamagedFileError
from bridge4d.runs.typed_json import read_typed, understood
from recon.cameras import Cameras
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import Gaussians, concatenate
from recon.pictures.canvas import Box, crop_camera
from recon.points import PointCloud
from recon.scenefiles import Axes, RenderMode, SceneFile, read_scene
from recon.sequence import GaussianFrames
from recon.splats.start import Backdrop

Picture = TypeVar("Picture", Tensor, np.ndarray)
PHOTO, HELDOUT, GENERATED = "photo", "heldout", "generated"
STEPS = ("capture", "sfm", "depth", "splats/photos_only", "exports")
"""Stages that every run with a scene has, in their order."""
PHOTOS_SCENE = "splats/photos_only/scene.ply"
"""The scene of the photos alone, which a run fits before it generates anything."""


@dataclass(frozen=True)
class SceneView:
    """A picture of a run, with the camera it has in the run's scene."""

    name: str
    role: Literal["photo", "heldout", "generated"]
    camera: Cameras
    """One, at the size of the picture."""
    picture: Path
    accepted: bool | None = None
    """Of a generated frame: whether it passed the gate."""
    reason: str = ""
    """Of a refused frame: why."""
    confidence: Path | None = None
    """16-bit grey, where the world model stated one."""
    round: int | None = None
    """Of a generated frame: the round that made it, from 1."""
    box: Box | None = None
    """Part of the picture that the photo fills; None for all of it."""

    @property
    def own_camera(self) -> Cameras:
        """The camera of the photo without its canvas."""
        return self.camera if self.box is None else crop_camera(self.camera, self.box)

    def crop(self, pixels: Picture) -> Picture:
        """The photo without its canvas, out of pixels [h, w, c] of `picture`."""
        return pixels if self.box is None else self.box.crop(pixels)


@dataclass(frozen=True)
class LoadedScene:
    """A splat scene in the project's axes, and what is known around it."""

    source: Path
    """What was given: a run folder or a file."""
    file: Path
    """The file that was read."""
    gaussians: Gaussians
    """Of a moving scene the first moment."""
    moving: GaussianFrames | None = None
    stored: GaussianFrames | None = None
    """`moving` as the file has it, with what is not a number in it."""
    render_mode: RenderMode = "default"
    notes: tuple[str, ...] = ()
    views: tuple[SceneView, ...] = ()
    """Photos, held-out photos and generated frames of a run; empty for a file."""
    points: PointCloud | None = None
    """Triangulated points of a run."""
    versions: tuple[tuple[str, Path], ...] = ()
    """(label, file): every scene of a run, photos only first."""
    in_backdrop: Bool[Tensor, "g"] | None = None
    """Which Gaussians are the background shell; None where nobody knows."""
    dropped: int = 0
    """Gaussians of the file that were not numbers and are left out."""
    parts: tuple[tuple[Path, Path], ...] = ()
    """(source, file) of each, where several scenes were merged."""

    @property
    def is_run(self) -> bool:
        """Whether it came from a run folder rather than a file."""
        return self.source != self.file

    def check_moment(self, time_s: float | None) -> None:
        """Refuse a moment that the scene has not; None is no moment.

        Raises:
            BridgeError: it stands still, or moves at another time.
        """
        if time_s is None:
            return
        if self.moving is None:
            raise BridgeError(f"--at is for scenes that move, and {self.source} does not; leave it out")
        first = float(self.moving.times_s[0])
        last = first + self.moving.duration_s
        if not first - 1e-6 <= time_s <= last:
            raise BridgeError(f"expected --at from {first:g} to {last:g} seconds, got {time_s:g}")

    def cameras(self, role: Literal["photo", "heldout", "generated"] = "photo") -> Cameras | None:
        """The cameras of one role; None where there are none. All pictures of a role have one size."""
        chosen = [view.camera for view in self.views if view.role == role]
        return Cameras.concatenate(chosen) if chosen else None


def load_scene(path: Path | str, *, axes: Axes | None = None) -> LoadedScene:
    """Read a run folder (the scene it kept), a splat file, or a folder that is one scene.

    Args:
        path: what was given.
        axes: of a file that does not say; None: what its format means by habit.

    Raises:
        SceneFileError: nothing there that can be read as a scene.
    """
    path = Path(path)
    if not path.exists() and "#" not in path.name:
        raise SceneFileError(f"expected a scene at {path}, found nothing")
    if not is_run(path):
        return scene_from_file(path, read_scene(path, axes=axes))
    if axes is not None:
        raise SceneFileError(f"{path} is a run folder, whose axes are known; leave the axes of the input out")
    kept = find_kept_scene(path)
    found = read_scene(kept)
    points = path / "sfm" / "points.npz"
    return replace(
        scene_from_file(kept, found),
        source=path,
        views=(*_read_views(path, PHOTO), *_read_views(path, HELDOUT), *_read_generated(path)),
        points=stored_arrays.load_points(points) if points.is_file() else None,
        versions=_list_versions(path),
        in_backdrop=None if (shell := _read_backdrop(path)) is None else shell.rows(found.gaussians),
    )


def scene_from_file(path: Path, found: SceneFile) -> LoadedScene:
    """What was read from a file that is no run's."""
    return LoadedScene(
        source=path,
        file=path,
        gaussians=found.gaussians,
        moving=found.moving,
        stored=found.stored,
        render_mode=found.render_mode,
        notes=found.notes,
        dropped=found.dropped,
    )


def find_kept_scene(run: Path) -> Path:
    """The file of the scene that a run kept.

    Raises:
        SceneFileError: it kept none.
    """
    for name in ("scene.ply", "scene.safetensors"):
        if (kept := run / "exports" / name).is_file():
            return kept
    if kind_of(run) == MEASURE:
        raise SceneFileError(f"{run} is a run of bridge4d measure, which makes no scene; give another folder")
    if kind_of(run) == GENERATE:
        raise SceneFileError(
            f"{run} is a run of bridge4d generate, which makes views and no scene; bridge4d reconstruct makes one"
        )
    if (run / "run.json").is_file():
        raise SceneFileError(
            f"{run} is a run that ended without a scene: its report.html says why; mend that and start its command again"
        )
    done = [name for name in STEPS if (run / name / STAGE_FILE).is_file()]
    missing = [name for name in STEPS if name not in done]
    fitted = run / PHOTOS_SCENE
    raise SceneFileError(
        f"{run} is a run that has not ended: {f'{_list_stages(done)} done' if done else 'nothing is done'}, {_list_stages(missing)} "
        "missing; start its command again to go on"
        + (f", or give {fitted}, the scene of the photos alone" if fitted.is_file() else "")
    )


def _list_stages(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def merge_scenes(parts: Sequence[LoadedScene]) -> LoadedScene:
    """Several scenes in the one frame that they share; cameras and points are those of the first run among them.

    Raises:
        SceneFileError: one of several moves.
    """
    if len(parts) == 1:
        return parts[0]
    if any(part.moving for part in parts):
        raise SceneFileError(
            "moving scenes cannot be merged; choose a moment of each first (bridge4d export --at)"
        )
    notes = [f"{part.source.name}: {note}" for part in parts for note in part.notes]
    modes = {part.render_mode for part in parts}
    if len(modes) > 1:
        notes.append(
            f"the scenes were trained for different rendering ({', '.join(sorted(modes))}); that of {parts[0].source.name} counts"
        )
    shells = [part.in_backdrop for part in parts]
    unknown = [torch.zeros(len(part.gaussians), dtype=torch.bool) for part in parts]
    known = [u if s is None else s for s, u in zip(shells, unknown, strict=True)]
    base = next((part for part in parts if part.views), parts[0])
    return replace(
        base,
        render_mode=parts[0].render_mode,
        gaussians=concatenate([part.gaussians for part in parts]),
        notes=tuple(notes),
        in_backdrop=None if all(s is None for s in shells) else torch.cat(known),
        dropped=sum(part.dropped for part in parts),
        parts=tuple((part.source, part.file) for part in parts),
    )


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, ended or not."""
    if not path.is_dir():
        return False
    ended = (path / "run.json").is_file() or (path / "exports" / "scene.ply").is_file()
    return ended or kind_of(path) in (AUGMENT, MEASURE, GENERATE, MOVING)


def _read_views(run: Path, role: Literal["photo", "heldout"]) -> list[SceneView]:
    # held-out photos of the known-poses protocol keep the cameras they came with
    places = ("sfm/photos",) if role == PHOTO else ("heldout/photos", "capture/heldout")
    for place in places:
        if (run / place / "clip.json").is_file():
            return _read_pictures(run / place, role)
    return []


def _read_pictures(folder: Path, role: Literal["photo", "heldout", "generated"]) -> list[SceneView]:
    about, cameras = store.read_clip_json(folder)
    if cameras is None:
        return []
    with understood(folder / "clip.json", "its cameras are none"):
        cameras.validate(about["names"])
    if lost := [file for file in about["files"] if not os.path.isfile(folder / file)]:
        raise DamagedFileError(folder / "clip.json", f"its picture {lost[0]} is not there")
    boxes = store.read_boxes(about, folder) or [None] * len(cameras)
    return [
        SceneView(name, role, cameras[i], folder / file, box=boxes[i])
        for i, (name, file) in enumerate(zip(about["names"], about["files"], strict=True))
    ]


def _read_generated(run: Path) -> list[SceneView]:
    views = []
    for folder in sorted((run / "generated").glob("round-*"), key=_round_number):
        verdicts = run / "recovery" / folder.name / "frames.json"
        if not (folder / "clip.json").is_file() or not verdicts.is_file():
            continue
        rows: list[FrameSaid] = read_typed(verdicts, list[FrameSaid])
        said = {row["name"]: row for row in rows}
        for view in _read_pictures(folder, GENERATED):
            row = said.get(view.name)
            if row is None:
                continue
            sure = view.picture.with_name(f"{view.picture.stem}.confidence.png")
            views.append(
                SceneView(
                    view.name,
                    GENERATED,
                    view.camera,
                    view.picture,
                    accepted=row["accepted"],
                    reason=row["reason"],
                    confidence=sure if sure.is_file() else None,
                    round=_round_number(folder),
                )
            )
    return views


def _list_versions(run: Path) -> tuple[tuple[str, Path], ...]:
    found = [("photos only", run / "splats" / "photos_only" / "scene.ply")]
    rounds = sorted((run / "splats").glob("round-*"), key=_round_number)
    found += [(f"round {_round_number(folder)}", folder / "scene.ply") for folder in rounds]
    return tuple((label, file) for label, file in found if file.is_file())


def _read_backdrop(run: Path) -> Backdrop | None:
    """As the fit of the kept scene noted it."""
    report = run / "report.json"
    if not report.is_file():
        return None
    about: ReportSaid = read_typed(report, ReportSaid)
    kept = about.get("kept_round")
    fit = run / "splats" / (f"round-{kept}" if kept else "photos_only") / "fit.json"
    fitted: FitSaid = read_typed(fit, FitSaid) if fit.is_file() else {}
    said = fitted.get("backdrop")
    if said is None:
        return None
    if len(said["center"]) != 3:
        raise DamagedFileError(fit, "center is no point")
    x, y, z = said["center"]
    return Backdrop((x, y, z), said["radius"])


def _round_number(folder: Path) -> int:
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0
