"""Does COLMAP find the cameras of a world model's frames where they were asked for?

    python -m benchmarks.view_recovery --models warp,bridge [--contexts 3 6 9] [--limit 4 --side 256] [--raw]

Every capture with reference cameras takes part; the context is chosen as `benchmarks.view_quality` chooses it, and the
models get photos and cameras, with ``--points`` also the points that COLMAP triangulates between the context photos, as
the closed loop gives them. Four paths are asked for:

- *targets*: the cameras of all other photos. The photos themselves, recovered in the same way, are the *real* ceiling;
- *interpolated*: the middles of equal steps of a smooth path through all contexts, along the shortest chain; for most
  counts none of them is a context (of 6 frames through five contexts two are);
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

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.output import command, write_record
from benchmarks.recovery_protocols import (
    ALL_PHOTOS,
    PROTOCOLS,
    TARGETS,
    Photos,
    Row,
    Scene,
    frame_rows,
    protocol_code,
)  # fmt: skip
from benchmarks.recovery_table import REAL, for_scale, published, summarise, table, verdicts
from benchmarks.source_hash import sources
from benchmarks.view_context import context_points, point_code, seen_from
from benchmarks.view_models import ask_once, how_made
from benchmarks.view_paths import between, beyond, moved_right
from benchmarks.view_tasks import Task, ViewArguments, tasks
from bridge4d.runs import store
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_json, write_json
from eval.results.reading import to_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import WorldModel
from worldgen.registry import check_model, load_model

RAW = "raw"


@dataclass(frozen=True)
class Arguments(ViewArguments):
    models: str = "warp,bridge"
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
    for name in arguments.model_names:
        check_model(name)  # what is unknown or cannot run is refused before hours of work, not behind them
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            photos = every.setdefault(task.capture, Photos(run, task, arguments.captures, arguments.side))
            scene = Scene(run, task, photos)
            scenes.append(scene.about)
            rows += task_rows(run, task, scene, arguments)
    summary = summarise(rows)
    told = {"scenes": scenes, "summary": summary, "published": to_json(for_scale()), "frames": rows}
    written = write_record(arguments, "recovery", **told)
    print(f"{table(summary)}\n\n{verdicts(summary)}\n\n{published()}\n\nwritten: {written}")


def task_rows(run: Run, task: Task, scene: Scene, arguments: Arguments) -> list[Row]:
    load = cache(load_model)  # a model keeps the depth of the context from path to path
    rows: list[Row] = []
    for path in arguments.paths:
        asked = cameras_of(path, task, scene, arguments)
        models = [
            *arguments.model_names,
            *([RAW] if arguments.raw else []),
            *([REAL] if path == TARGETS else []),
        ]
        for model in models:
            record = frames_of(run, task, model, path, asked, load)
            for protocol in arguments.protocols:
                rows += recovered_rows(run, task, scene, record, (model, path, protocol), asked)
                done = sum(row["registered"] for row in rows[-len(asked) :])
                print(f"{task.name} {path} {model} {protocol}: {done}/{len(asked)}", flush=True)
    return rows


def cameras_of(path: str, task: Task, scene: Scene, arguments: Arguments) -> Cameras:
    contexts = task.context.require_cameras()
    match path:
        case "targets":
            return task.targets.require_cameras()
        case "interpolated":
            return between(contexts, arguments.frames)
        case "sideways":
            return moved_right(between(contexts, arguments.frames), arguments.sideways * scene.depth())
        case "orbit":
            return beyond(contexts, scene.depth(), arguments.beyond_deg, arguments.frames)
    raise BridgeError(f"expected the paths targets, interpolated, sideways, orbit, got {path!r}")


def frames_of(
    run: Run, task: Task, model: str, path: str, asked: Cameras, load: Callable[[str], WorldModel]
) -> StageRecord:
    """PNGs and cameras of a path: what a model makes of it in one call, the raw warp, or the photos."""

    def work(folder: Path) -> None:
        if model == REAL:
            store.save_clip(Clip(task.targets.images, asked), folder)
        elif model == RAW:
            seen = seen_from(run, task, asked)
            store.save_clip(Clip(seen.colour, asked, confidence=seen.confidence), folder)
        else:
            store.save_clip(
                ask_once(task, load(model), context_points(run, task), asked, f"{task.name} {path}"), folder
            )

    depends = [task.identity, store.cameras_to_json(asked), sources("bridge4d.runs.store")]
    if model == RAW:
        depends += [point_code(task), sources("benchmarks.view_context")]
    elif model != REAL:
        depends += how_made(task, model)
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
    depends = [frames.fingerprint, protocol_code()]
    if protocol == ALL_PHOTOS:
        depends.append(scene.photos.identity)
    record = run.stage(f"recovered/{task.name}/{model}/{path}/{protocol}", work, depends_on=depends)
    return read_json(record.folder / "rows.json")


if __name__ == "__main__":
    command(main, Arguments, __doc__)
