"""Does COLMAP find the cameras of a world model's frames where they were asked for?

    python -m benchmarks.view_recovery --models warp,bridge [--contexts 3 6 9] [--limit 4 --side 256] [--raw]

Every capture with reference cameras takes part; the context is chosen as `benchmarks.view_quality` chooses it, and the
models get photos and cameras, with ``--points`` also the points that COLMAP triangulates between the context photos, as
the closed loop gives them. Four paths are asked for:

- *targets*: the cameras of all other photos. The photos themselves, recovered in the same way, are the *real* ceiling;
- *interpolated*: a smooth path through all contexts, along the shortest chain, never at a context itself;
- *sideways*: the same path, every camera moved to its right by `--sideways` of the scene's depth;
- *orbit*: the outermost context carried around what it looks at, away from the others, by up to `--beyond-deg`.

Each is recovered blind, from pixels and intrinsics:

- *register*: each frame by itself against the context photos' frozen model (`recon.sfm.register`, as the loop does);
- *joint*: contexts and frames together (`recon.sfm.reconstruct`), aligned on the contexts where three or more are
  in the model, else on everything that is (the row of a frame says which);
- *alone*: the frames without any photo, as ``bridge4d measure`` recovers a clip whose lens is known, all pairs
  matched; aligned on the frames themselves;
- *photos* (``--protocols``): as *register*, against all photos instead of the contexts: what the real scene says of a
  frame, free of how far the contexts lie apart. It has no real ceiling, for it would find each photo in itself.

*recovered*: registered frames of those asked for, with Wilson's 95% interval, too narrow where frames of a clip fail
together. Errors are of the registered frames: rotation; distance of the centres as a share of the contexts' extent;
angle between the directions in which the nearest context sees the recovered and the requested centre, undefined nearer
than 1% of the extent. Started again it continues; the rows of all frames are in `recovery.json`.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.recovery_paths import between, beyond, focus, moved_right
from benchmarks.recovery_table import ERRORS, REAL, Row, for_scale, published, summarise, table, verdicts
from benchmarks.views_common import Task, ViewArguments, code, context_depth, model_code, seen_from, tasks
from bridge4d import store
from bridge4d.run import Run, StageRecord, open_run, read_json, write_json
from eval.poses import align_poses, direction_angle_deg, pose_errors, scene_extent
from eval.rules import PRIMARY
from recon.cameras import Cameras, project
from recon.clip import Clip
from recon.errors import BridgeError, RecoveryStatus
from recon.sfm import Anchor, SfmOptions, build_anchor, reconstruct, register
from recon.sfm.recipes import Recoverer
from worldgen.model import Request
from worldgen.registry import MODELS, load_model
from worldgen.rollout import rollout

RAW, TARGETS = "raw", "targets"
NEAR = 0.01
"""Share of the extent within which a direction says nothing."""
ENOUGH_POINTS = 50
ALIGNED = 3
"""Contexts that are enough to align on."""


@dataclass(frozen=True)
class Arguments(ViewArguments):
    models: str = "warp,bridge"
    """Names of world models, separated by commas; one that is not there is passed over with a word."""
    contexts: tuple[int, ...] = (6,)
    out: Path = Path("runs/view_recovery")
    paths: tuple[str, ...] = (TARGETS, "interpolated", "sideways", "orbit")
    protocols: tuple[str, ...] = ("register", "joint", "alone")
    frames: int = 12
    """Of each path."""
    sideways: float = 0.1
    """Share of the scene's depth."""
    beyond_deg: float = 15.0
    points: bool = False
    """Give the models the points of the contexts, too."""
    raw: bool = False
    """The raw warp takes part as well: holes black."""


@dataclass(frozen=True)
class Found:
    """What a protocol says of n frames, in the world of the reference cameras."""

    registered: Bool[Tensor, "n"]
    cameras: Cameras | None
    """Of the registered frames; None where they cannot be brought into that world, or there are none."""
    why: tuple[str, ...]
    """Of frames that are not registered."""
    aligned_on: str
    """'anchor', 'contexts', 'all', 'frames', or 'nothing'."""


def main(arguments: Arguments) -> None:
    rows: list[Row] = []
    scenes: list[dict[str, Any]] = []
    names = [name.strip() for name in arguments.models.split(",") if name.strip()]
    for name in [name for name in names if name not in MODELS]:
        print(f"the model {name!r} is not there: passed over", flush=True)
        names.remove(name)
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            scene = Scene(run, task)
            scenes.append(scene.about())
            rows += task_rows(run, task, scene, names, arguments)
        summary = summarise(rows)
        report = {
            "options": {key: str(value) for key, value in asdict(arguments).items()},
            "machine": describe_machine(torch.get_num_threads()),
            "scenes": scenes, "summary": summary, "published": for_scale(), "frames": rows,
        }  # fmt: skip
        write_json(run.folder / "recovery.json", report)
        write_json(run.folder / "run.json", {"stages": [record.name for record in run.records.values()]})
    print(f"{table(summary)}\n\n{verdicts(summary)}\n\n{published()}\n\n{run.folder / 'recovery.json'}")


class Scene:
    """What the context photos' own structure from motion says, for paths and for registration."""

    def __init__(self, run: Run, task: Task) -> None:
        self.run, self.task = run, task
        self.contexts = task.context.posed()
        extent = scene_extent(self.contexts)
        if extent is None:
            raise BridgeError(f"expected contexts from different places in {task.capture}, got one place")
        self.extent = extent
        self._anchors: dict[str, Anchor] = {}

    def anchor(self, of: str = "contexts") -> Anchor:
        """Frozen model of the contexts, or of all 'photos'; its folder is scratch."""
        if of not in self._anchors:
            photos = self.task.context
            if of == "photos":
                photos = Clip.concatenate([photos, self.task.targets])
            self._anchors[of] = build_anchor(
                photos, scratch(self.run, f"anchor-{of}"), options=sfm(self.task)
            )
        return self._anchors[of]

    def depth(self) -> float:
        """Median depth of the contexts' points in their frames; where these are few, of the place that all contexts look
        at; where they look at none, of their multi-view depth."""
        points = self.anchor().points
        if len(points) >= ENOUGH_POINTS:
            px, z = project(points.xyz.double(), self.contexts)
            size = torch.tensor([self.contexts.width, self.contexts.height])
            return z[(z > 0) & (px >= 0).all(-1) & (px < size).all(-1)].median().item()
        depths = ((focus(self.contexts) - self.contexts.centers) * self.contexts.forward).sum(1)
        if depths.min() > 0:
            return depths.median().item()
        return context_depth(self.run, self.task).depth.median().item()

    def about(self) -> dict[str, Any]:
        anchor = self.anchor()
        return {
            "capture": self.task.capture, "contexts": list(self.task.context.names), "extent": self.extent,
            "depth": self.depth(), "points": len(anchor.points), "anchor": anchor.status.value,
        }  # fmt: skip


def task_rows(run: Run, task: Task, scene: Scene, names: Sequence[str], arguments: Arguments) -> list[Row]:
    rows: list[Row] = []
    for path in arguments.paths:
        asked = cameras_of(path, task, scene, arguments)
        models = [*names, *([RAW] if arguments.raw else []), *([REAL] if path == TARGETS else [])]
        for model in models:
            record = frames_of(run, task, scene, model, path, asked, arguments)
            for protocol in arguments.protocols:
                if (model, protocol) != (REAL, "photos"):
                    rows += recovered_rows(run, task, scene, record, (model, path, protocol), asked)
                    last = [row for row in rows if row["protocol"] == protocol][-len(asked) :]
                    done = sum(row["registered"] for row in last)
                    print(f"{task.name} {path} {model} {protocol}: {done}/{len(asked)}", flush=True)
    return rows


def cameras_of(path: str, task: Task, scene: Scene, arguments: Arguments) -> Cameras:
    contexts = task.context.posed()
    match path:
        case "targets":
            return task.targets.posed()
        case "interpolated":
            return between(contexts, arguments.frames)
        case "sideways":
            return moved_right(between(contexts, arguments.frames), arguments.sideways * scene.depth())
        case "orbit":
            return beyond(contexts, scene.depth(), arguments.beyond_deg, arguments.frames)
    raise BridgeError(f"expected the paths targets, interpolated, sideways, orbit, got {path!r}")


def frames_of(
    run: Run, task: Task, scene: Scene, model: str, path: str, asked: Cameras, arguments: Arguments
) -> StageRecord:
    """PNGs and cameras of a path: what a model makes of it in one call, the raw warp, or the photos."""

    def work(folder: Path) -> None:
        if model == REAL:
            store.save_clip(Clip(task.targets.images, asked), folder)
        elif model == RAW:
            seen = seen_from(run, task, asked)
            store.save_clip(Clip(seen.colour, asked, confidence=seen.confidence), folder)
        else:
            points = scene.anchor().points if arguments.points else None
            generator = torch.Generator().manual_seed(zlib.crc32(f"{task.seed} {task.name} {path}".encode()))
            answer = rollout(
                load_model(model, points=points), Request(task.context, asked), generator=generator
            )
            store.save_clip(answer, folder)

    depends = [task.identity, store.cameras_to_json(asked)]
    if model != REAL:
        depends += [model_code("warp" if model == RAW else model), arguments.points and model != RAW]
    return run.stage(f"frames/{task.name}/{model}/{path}", work, depends_on=depends)


def recovered_rows(
    run: Run, task: Task, scene: Scene, frames: StageRecord, what: tuple[str, str, str], asked: Cameras
) -> list[Row]:
    """One row a frame; kept."""
    model, path, protocol = what

    def work(folder: Path) -> None:
        clip = store.load_clip(frames.folder)
        found = PROTOCOLS[protocol](scene, clip, asked)
        about = {
            "capture": task.capture, "contexts": len(task.context), "model": model, "path": path, "protocol": protocol,
        }  # fmt: skip
        write_json(folder / "rows.json", [about | row for row in frame_rows(found, asked, scene)])

    if protocol not in PROTOCOLS:
        raise BridgeError(f"expected the protocols {', '.join(PROTOCOLS)}, got {protocol!r}")
    depends = [frames.fingerprint, code("recon/sfm", "eval/poses.py", "benchmarks/view_recovery.py")]
    record = run.stage(f"recovered/{task.name}/{model}/{path}/{protocol}", work, depends_on=depends)
    return read_json(record.folder / "rows.json")


def sfm(task: Task) -> SfmOptions:
    return SfmOptions(seed=task.seed, threads=torch.get_num_threads())


def scratch(run: Run, name: str) -> Path:
    return run.folder / ".work" / name


def bare(clip: Clip, prefix: str) -> Clip:
    """Pixels alone."""
    return Clip(clip.images, names=tuple(f"{prefix}{i:05d}" for i in range(len(clip))))


def by_registration(scene: Scene, clip: Clip, asked: Cameras, *, anchor: str = "contexts") -> Found:
    found = register(
        scene.anchor(anchor), bare(clip, "frame"), K=asked.K, folder=scratch(scene.run, "register"),
        options=sfm(scene.task),
    )  # fmt: skip
    why = tuple("" if s is RecoveryStatus.OK else s.value for s in found.status_of)
    recovery = found.recovery
    return Found(
        recovery.registered, recovery.cameras, why, "anchor" if recovery.cameras is not None else "nothing"
    )


def by_joint_reconstruction(scene: Scene, clip: Clip, asked: Cameras) -> Found:
    contexts = scene.contexts
    K = torch.cat([contexts.K, asked.K])
    if (K / K[0] - 1).nan_to_num(0).abs().max() > 1e-3:
        raise BridgeError(f"expected one lens in {scene.task.capture} for the joint protocol, got several")
    together = Clip.concatenate([bare(scene.task.context, "context"), bare(clip, "frame")])
    folder = scratch(scene.run, "joint")
    recovery = reconstruct(together, folder, options=sfm(scene.task), K=K[0]).recovery
    given = len(contexts)
    registered = recovery.registered[given:]
    why = missing(registered, recovery.status)
    if recovery.cameras is None or not registered.any():
        return Found(registered, None, why, "nothing")
    all_asked = Cameras.concatenate([contexts, asked])[recovery.registered.nonzero()[:, 0]]
    first = int(recovery.registered[:given].sum())
    rows = slice(0, first) if first >= ALIGNED else slice(None)
    world = align_poses(recovery.cameras[rows], all_asked[rows])
    if world is None:
        return Found(registered, None, why, "nothing")
    return Found(
        registered, world.cameras(recovery.cameras[first:]), why, "contexts" if first >= ALIGNED else "all"
    )


def alone(scene: Scene, clip: Clip, asked: Cameras) -> Found:
    recoverer = Recoverer(bare(clip, "frame"), scratch(scene.run, "alone"), K=asked.K)
    recipe = replace(PRIMARY, intrinsics="fixed", pairing="exhaustive", seed=scene.task.seed)
    recovery = recoverer.recover(recipe)
    why = missing(recovery.registered, recovery.status)
    if recovery.cameras is None:
        return Found(recovery.registered, None, why, "nothing")
    world = align_poses(recovery.cameras, asked[recovery.registered.nonzero()[:, 0]])
    if world is None:
        return Found(recovery.registered, None, why, "nothing")
    return Found(recovery.registered, world.cameras(recovery.cameras), why, "frames")


def missing(registered: Bool[Tensor, "n"], status: RecoveryStatus) -> tuple[str, ...]:
    left = RecoveryStatus.PARTIAL.value if status is RecoveryStatus.OK else status.value
    return tuple("" if is_in else left for is_in in registered.tolist())


PROTOCOLS: dict[str, Callable[[Scene, Clip, Cameras], Found]] = {
    "register": by_registration,
    "joint": by_joint_reconstruction,
    "alone": alone,
    "photos": lambda scene, clip, asked: by_registration(scene, clip, asked, anchor="photos"),
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
            values = (pose.rotation_deg[slot], pose.position_share[slot], direction[slot])
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


def finite(value: Tensor) -> float | None:
    return round(float(value), 6) if torch.isfinite(value) else None


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
