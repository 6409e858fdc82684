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
  in the model, else on everything that is (the row of a frame says which). Of several models the largest counts;
- *alone*: the frames without any photo, as ``bridge4d measure`` recovers a clip whose lens is known, all pairs
  matched; aligned on the frames themselves;
- *photos*: as *register*, against all photos of the capture (a target is not shown the photo taken there): what the
  real scene says of a frame, free of how far the contexts lie apart.

*recovered*: registered frames of those asked for, with Wilson's 95% interval, too narrow where frames of a clip fail
together. Errors are of the registered frames: rotation; distance of the centres as a share of the contexts' extent;
angle between the directions in which the nearest context sees the recovered and the requested centre, undefined nearer
than 1% of the extent; where scale and shift cannot be aligned (a path recovered the wrong way round), rotations alone
are judged. Started again it continues; the rows of all frames are in `recovery.json`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.machine import describe_machine
from benchmarks.recovery_paths import between, beyond, moved_right
from benchmarks.recovery_protocols import PROTOCOLS, TARGETS, Photos, Scene, frame_rows
from benchmarks.recovery_table import REAL, Row, for_scale, published, summarise, table, verdicts
from benchmarks.views_common import Task, ViewArguments, code, context_points, model_code, seen_from, tasks
from bridge4d import store
from bridge4d.run import Run, StageRecord, open_run, read_json, write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout

RAW = "raw"


@dataclass(frozen=True)
class Arguments(ViewArguments):
    models: str = "warp,bridge"
    """Names of world models, separated by commas; one that is not there is passed over with a word."""
    contexts: tuple[int, ...] = (6,)
    out: Path = Path("runs/view_recovery")
    paths: tuple[str, ...] = (TARGETS, "interpolated", "sideways", "orbit")
    protocols: tuple[str, ...] = ("register", "joint", "alone", "photos")
    frames: int = 12
    """Of each path."""
    sideways: float = 0.1
    """Share of the scene's depth."""
    beyond_deg: float = 15.0
    raw: bool = False
    """The raw warp takes part as well: holes black."""


def main(arguments: Arguments) -> None:
    rows: list[Row] = []
    scenes: list[dict[str, Any]] = []
    every: dict[str, Photos] = {}
    names, passed_over = loadable(arguments.models)
    for name, reason in passed_over.items():
        print(f"the model {name!r} is passed over: {reason}", flush=True)
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            photos = every.setdefault(task.capture, Photos(run, task, arguments.captures, arguments.side))
            scene = Scene(run, task, photos)
            scenes.append(scene.about())
            rows += task_rows(run, task, scene, names, arguments)
        summary = summarise(rows)
        report = {
            "options": {key: str(value) for key, value in asdict(arguments).items()},
            "machine": describe_machine(torch.get_num_threads()),
            "passed_over": passed_over, "scenes": scenes, "summary": summary, "published": for_scale(), "frames": rows,
        }  # fmt: skip
        write_json(run.folder / "recovery.json", report)
        write_json(run.folder / "run.json", {"stages": [record.name for record in run.records.values()]})
    print(f"{table(summary)}\n\n{verdicts(summary)}\n\n{published()}\n\n{run.folder / 'recovery.json'}")


def loadable(models: str) -> tuple[list[str], dict[str, str]]:
    """Of names separated by commas those that can be loaded, and why the others cannot."""
    names, passed_over = [], {}
    for name in dict.fromkeys(name.strip() for name in models.split(",") if name.strip()):
        try:
            load_model(name)
            names.append(name)
        except BridgeError as error:
            passed_over[name] = str(error)
    return names, passed_over


def task_rows(run: Run, task: Task, scene: Scene, names: Sequence[str], arguments: Arguments) -> list[Row]:
    rows: list[Row] = []
    for path in arguments.paths:
        asked = cameras_of(path, task, scene, arguments)
        models = [*names, *([RAW] if arguments.raw else []), *([REAL] if path == TARGETS else [])]
        for model in models:
            record = frames_of(run, task, model, path, asked)
            for protocol in arguments.protocols:
                rows += recovered_rows(run, task, scene, record, (model, path, protocol), asked)
                done = sum(row["registered"] for row in rows[-len(asked) :])
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


def frames_of(run: Run, task: Task, model: str, path: str, asked: Cameras) -> StageRecord:
    """PNGs and cameras of a path: what a model makes of it in one call, the raw warp, or the photos."""

    def work(folder: Path) -> None:
        if model == REAL:
            store.save_clip(Clip(task.targets.images, asked), folder)
        elif model == RAW:
            seen = seen_from(run, task, asked)
            store.save_clip(Clip(seen.colour, asked, confidence=seen.confidence), folder)
        else:
            points = context_points(run, task)
            generator = torch.Generator().manual_seed(zlib.crc32(f"{task.seed} {task.name} {path}".encode()))
            answer = rollout(
                load_model(model, points=points), Request(task.context, asked), generator=generator
            )
            store.save_clip(answer, folder)

    depends = [task.identity, store.cameras_to_json(asked)]
    if model != REAL:
        depends.append(model_code("warp" if model == RAW else model))
    return run.stage(f"frames/{task.name}/{model}/{path}", work, depends_on=depends)


def recovered_rows(
    run: Run, task: Task, scene: Scene, frames: StageRecord, what: tuple[str, str, str], asked: Cameras
) -> list[Row]:
    """One row a frame; kept."""
    model, path, protocol = what

    def work(folder: Path) -> None:
        clip = store.load_clip(frames.folder)
        found = PROTOCOLS[protocol](scene, clip, asked, path)
        about = {
            "capture": task.capture, "contexts": len(task.context), "model": model, "path": path, "protocol": protocol,
        }  # fmt: skip
        write_json(folder / "rows.json", [about | row for row in frame_rows(found, asked, scene)])

    if protocol not in PROTOCOLS:
        raise BridgeError(f"expected the protocols {', '.join(PROTOCOLS)}, got {protocol!r}")
    depends = [frames.fingerprint, code("recon/sfm", "eval/poses.py", "benchmarks/recovery_protocols.py")]
    record = run.stage(f"recovered/{task.name}/{model}/{path}/{protocol}", work, depends_on=depends)
    return read_json(record.folder / "rows.json")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
