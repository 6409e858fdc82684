"""The ways in which the cameras of frames are recovered, each blind, and what each says of a frame."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.source_hash import sources
from benchmarks.view_paths import focus
from benchmarks.view_tasks import Task
from bridge4d.runs.fingerprints import fingerprint_files
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import read_json, write_json
from eval.judging.rules import PRIMARY
from eval.poses import align_poses, direction_angle_deg, mean_turn, pose_errors, scene_extent
from recon.cameras import Cameras, project
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.errors import BridgeError, RecoveryStatus
from recon.sfm import PHOTOS, Anchor, Recipe, Recoverer, build_anchor, reconstruct, register
from recon.sim3 import Sim3

Row = dict[str, Any]
"""One frame: capture, contexts, model, path, protocol, frame, registered, why, aligned_on, and `ERRORS`."""
ERRORS = ("rotation_deg", "position_share", "direction_deg")
"""None in a row where the frame is not registered, or the error is undefined."""
TARGETS = "targets"
"""The path at which there are real photos."""
ALL_PHOTOS = "photos"
"""The protocol that needs more of a capture than a task holds."""
NEAR = 0.01
"""Share of the extent within which a direction says nothing."""
ENOUGH_POINTS = 50
ALIGNED = 3
"""Contexts that are enough to align on."""


@dataclass(frozen=True)
class Found:
    """What a protocol says of n frames, in the world of the reference cameras."""

    registered: Bool[Tensor, "n"]
    cameras: Cameras | None
    """Of the registered frames; None where there are none."""
    placed: bool
    """Whether the centres mean something; where no scale and shift align a path, rotations alone do."""
    why: tuple[str, ...]
    """Of frames that are not registered."""
    aligned_on: str
    """'anchor', 'contexts', 'all', 'frames'; '' where there are none."""

    @staticmethod
    def none(n: int, status: RecoveryStatus) -> "Found":
        return Found(torch.zeros(n, dtype=torch.bool), None, False, (status.value,) * n, "")


def aligned(found: Cameras, on: Cameras, asked: Cameras) -> tuple[Cameras, bool]:
    """`found` in the world of `asked` by `on`, the cameras that were found where `asked` were asked for, as
    `eval.poses.align_poses` has it. False, and only turned, where centres cannot be aligned: of one camera, for
    instance, or of a path that runs the other way."""
    world = align_poses(on, asked)
    if world is not None:
        return world.cameras(found), True
    return replace(Sim3.identity(), rotation=mean_turn(on, asked)).cameras(found), False


class Scene:
    """What the photos' own structure from motion says, for paths and for registration."""

    def __init__(self, run: Run, task: Task, photos: "Photos") -> None:
        self.run, self.task, self.photos = run, task, photos
        self.contexts = task.context.require_cameras()
        extent = scene_extent(self.contexts)
        if extent is None:
            raise BridgeError(f"expected contexts from different places in {task.capture}, got one place")
        self.extent = extent

    @cached_property
    def anchor(self) -> Anchor:
        """Frozen model of the contexts; made when it is asked for."""
        return build_anchor(self.task.context, scratch(self.run, "anchor"), recipe=recipe(self.task))

    def depth(self) -> float:
        """Of the scene. It places cameras and is never told to a model.

        Raises:
            BridgeError: neither points nor cameras say.
        """
        depth = self.about["depth"]
        if depth is None:
            raise BridgeError(
                f"expected contexts of {self.task.capture} that look at one place, or {ENOUGH_POINTS} points in the "
                "frames of its photos, got neither; ask for other contexts, or for --paths targets alone"
            )
        return depth

    def median_depth(self) -> float | None:
        """Of the contexts' points in their frames; where these are few, of the place that all contexts look at; where
        they look at none, of the points of all photos; None where these are few too."""
        middle = (focus(self.contexts) - self.contexts.centers) * self.contexts.forward
        if len(self.anchor.points) < ENOUGH_POINTS and middle.sum(1).min() > 0:
            return middle.sum(1).median().item()
        anchor = self.anchor if len(self.anchor.points) >= ENOUGH_POINTS else self.photos.anchor
        px, z = project(anchor.points.xyz.double(), anchor.cameras)
        size = torch.tensor([self.contexts.width, self.contexts.height])
        seen = z[(z > 0) & (px >= 0).all(-1) & (px < size).all(-1)]
        return seen.median().item() if len(seen) >= ENOUGH_POINTS else None

    @cached_property
    def about(self) -> dict[str, Any]:
        """For the record; kept, so that a run that is done needs no model of the contexts."""

        def work(folder: Path) -> None:
            about = {
                "capture": self.task.capture, "contexts": list(self.task.context.names), "extent": self.extent,
                "depth": self.median_depth(), "points": len(self.anchor.points), "anchor": self.anchor.status.value,
            }  # fmt: skip
            write_json(folder / "scene.json", about)

        depends = [self.task.given, self.task.seed, self.photos.identity, protocol_code()]
        record = self.run.stage(f"scene/{self.task.name}", work, depends_on=depends)
        return read_json(record.folder / "scene.json")


class Photos:
    """All photos of one capture, as a frozen model; made when it is asked for."""

    def __init__(self, run: Run, task: Task, captures: Path, side: int) -> None:
        self.folder = scratch(run, f"anchor-{task.capture}")
        self.capture, self.side, self.recipe = captures / task.capture, side, recipe(task)

    @cached_property
    def identity(self) -> list[Any]:
        """For stages that depend on it."""
        return [fingerprint_files(self.capture), self.side]

    @cached_property
    def anchor(self) -> Anchor:
        clip = read_capture(self.capture, max_side=self.side).clip
        return build_anchor(clip, self.folder, recipe=self.recipe)

    def without(self, name: str) -> Anchor:
        """The same model with one photo out of sight; the points are still those of all photos."""
        whole = self.anchor
        rest = [i for i, photo in enumerate(whole.names) if photo != name]
        return replace(
            whole, names=tuple(whole.names[i] for i in rest), cameras=whole.cameras[rest],
            point_of_feature=tuple(whole.point_of_feature[i] for i in rest),
            features=tuple(whole.features[i] for i in rest),
        )  # fmt: skip


def protocol_code() -> list[Any]:
    """What decides where frames are found beside the frames, for stages that depend on it."""
    return [sources("benchmarks.recovery_protocols", "bridge4d.runs.store"), torch.get_num_threads()]


def recipe(task: Task) -> Recipe:
    return replace(PHOTOS, seed=task.seed)


def scratch(run: Run, name: str) -> Path:
    return run.folder / ".work" / name


def bare(clip: Clip, prefix: str) -> Clip:
    """Pixels alone."""
    return Clip(clip.images, names=tuple(f"{prefix}{i:05d}" for i in range(len(clip))))


def by_registration(scene: Scene, clip: Clip, asked: Cameras, path: str) -> Found:
    return registered_in(scene.anchor, scene, clip, asked)


def by_all_photos(scene: Scene, clip: Clip, asked: Cameras, path: str) -> Found:
    """A frame at the camera of a photo is shown all photos but that one."""
    if path != TARGETS:
        return registered_in(scene.photos.anchor, scene, clip, asked)
    each = [
        registered_in(scene.photos.without(name), scene, clip[i], asked[i])
        for i, name in enumerate(scene.task.targets.names)
    ]
    there = [found.cameras for found in each if found.cameras is not None]
    return Found(
        torch.cat([found.registered for found in each]), Cameras.concatenate(there) if there else None, bool(there),
        tuple(found.why[0] for found in each), "anchor" if there else "",
    )  # fmt: skip


def registered_in(anchor: Anchor, scene: Scene, clip: Clip, asked: Cameras) -> Found:
    folder = scratch(scene.run, "register")
    found = register(anchor, bare(clip, "frame"), K=asked.K, folder=folder, recipe=recipe(scene.task))
    why = tuple("" if s is RecoveryStatus.OK else s.value for s in found.status_of)
    there = found.recovery.cameras is not None
    return Found(found.recovery.registered, found.recovery.cameras, there, why, "anchor" if there else "")


def by_joint_reconstruction(scene: Scene, clip: Clip, asked: Cameras, path: str) -> Found:
    contexts = scene.contexts
    K = torch.cat([contexts.K, asked.K])
    if (K / K[0] - 1).nan_to_num(0).abs().max() > 1e-3:
        raise BridgeError(f"expected one lens in {scene.task.capture} for the joint protocol, got several")
    together = Clip.concatenate([bare(scene.task.context, "context"), bare(clip, "frame")])
    folder = scratch(scene.run, "joint")
    recovery = reconstruct(together, folder, recipe=recipe(scene.task), K=K[0]).recovery
    given = len(contexts)
    registered = recovery.registered[given:]
    if recovery.cameras is None or not registered.any():
        return Found.none(len(asked), recovery.status)
    all_asked = Cameras.concatenate([contexts, asked])[recovery.registered.nonzero()[:, 0]]
    first = int(recovery.registered[:given].sum())
    on = slice(0, first) if first >= ALIGNED else slice(None)
    cameras, placed = aligned(recovery.cameras[first:], recovery.cameras[on], all_asked[on])
    why = missing(registered, recovery.status)
    return Found(registered, cameras, placed, why, "contexts" if first >= ALIGNED else "all")


def alone(scene: Scene, clip: Clip, asked: Cameras, path: str) -> Found:
    recoverer = Recoverer(bare(clip, "frame"), scratch(scene.run, "alone"), K=asked.K)
    recipe = replace(PRIMARY, intrinsics="fixed", pairing="exhaustive", seed=scene.task.seed)
    recovery = recoverer.recover(recipe)
    if recovery.cameras is None:
        return Found.none(len(asked), recovery.status)
    reference = asked[recovery.registered.nonzero()[:, 0]]
    cameras, placed = aligned(recovery.cameras, recovery.cameras, reference)
    why = missing(recovery.registered, recovery.status)
    return Found(recovery.registered, cameras, placed, why, "frames")


def missing(registered: Bool[Tensor, "n"], status: RecoveryStatus) -> tuple[str, ...]:
    left = RecoveryStatus.PARTIAL.value if status is RecoveryStatus.OK else status.value
    return tuple("" if is_in else left for is_in in registered.tolist())


PROTOCOLS: dict[str, Callable[[Scene, Clip, Cameras, str], Found]] = {
    "register": by_registration,
    "joint": by_joint_reconstruction,
    "alone": alone,
    ALL_PHOTOS: by_all_photos,
}


def frame_rows(found: Found, asked: Cameras, scene: Scene) -> list[Row]:
    """Every frame with its errors; None where it is not registered or an error is undefined."""
    errors: dict[int, dict[str, float | None]] = {}
    if found.cameras is not None:
        picks = found.registered.nonzero()[:, 0].tolist()
        reference = asked[picks]
        pose = pose_errors(found.cameras, reference, extent=scene.extent)
        direction = from_nearest(found.cameras, reference, scene.contexts, NEAR * scene.extent)
        for slot, index in enumerate(picks):
            centers = (pose.position_share[slot], direction[slot]) if found.placed else (None, None)
            values = (pose.rotation_deg[slot], *centers)
            errors[index] = dict(zip(ERRORS, map(finite, values), strict=True))
    return [
        {"frame": i, "registered": registered, "why": found.why[i], "aligned_on": found.aligned_on}
        | errors.get(i, dict.fromkeys(ERRORS))
        for i, registered in enumerate(found.registered.tolist())
    ]


def from_nearest(found: Cameras, asked: Cameras, contexts: Cameras, near: float) -> Float[Tensor, "n"]:
    """Angle at the nearest context's centre between where a camera was found and where it was asked for, degrees."""
    distance = (asked.centers[:, None] - contexts.centers[None]).norm(dim=-1)
    origin = contexts.centers[distance.argmin(1)]
    angle = direction_angle_deg(found.centers - origin, asked.centers - origin)
    return torch.where(distance.min(1).values < near, torch.nan, angle)


def finite(value: Tensor | None) -> float | None:
    return round(float(value), 6) if value is not None and torch.isfinite(value) else None
