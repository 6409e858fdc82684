"""Does a world model keep one world along a path? Flicker and epipolar errors of a clip through the photos given.

    python -m benchmarks.view_rollout --models warp,bridge [--contexts 6] [--frames 60] [--timing]

The path runs through the context cameras (chosen as in view_quality) in the order of a short tour, positions on a
natural cubic spline. All frames come from one request. Flicker is the mean absolute colour difference between a frame
and the next one warped to it through depth that is not the model's: that of the context photos, fused at every frame
(after Lai et al. 2018, see eval.pictures.flicker); *compared* is the share of pixels for which this is possible. Where that
depth is wrong, what the true scene would give is above zero too, so figures compare between models on one path only.
*gradient* is the mean luma gradient, for a blurred clip hardly flickers. Sampson errors are those of SIFT matches
under the requested cameras: per pair the median over all matches, then the mean over pairs, of consecutive frames and
of frames an eighth and a quarter of the clip apart. --timing adds seconds a frame at 256x384 and 512x768.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.output import Table, command, contact_sheet, mean, number, publish_sheet, write_record
from benchmarks.source_hash import sources
from benchmarks.view_context import context_points, seen_from
from benchmarks.view_models import ask_once, how_made
from benchmarks.view_paths import through
from benchmarks.view_tasks import Task, ViewArguments, evenly, tasks
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.store import cameras_to_json, load_clip, save_clip
from bridge4d.runs.stored_json import read_json, write_json
from eval.geometry.consistency import pair_fundamentals, sampson_between
from eval.geometry.measured import Measured
from eval.geometry.pairs import neighbours, pairs_apart
from eval.pictures.flicker import flicker
from eval.pictures.sharpness import gradient_magnitude
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.scene import Scene
from recon.sfm.features.describe import describe, match_pairs
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout

SIZES = ((256, 384), (512, 768))
"""Height and width at which time is taken."""
SHEET_COLUMNS, SHEET_ROWS = 10, 6


@dataclass(frozen=True)
class Arguments(ViewArguments):
    contexts: tuple[int, ...] = (6,)
    """Numbers of photos given."""
    frames: int = 60
    timing: bool = False
    """Also take the time of single frames at two sizes."""
    timed_frames: int = 3
    """At each size, after one that is not counted."""


Result = dict[str, Any]
"""Of one model on one path."""


def main(arguments: Arguments) -> None:
    if arguments.frames < 3:
        raise BridgeError(f"expected --frames of at least 3, got {arguments.frames}")
    results: list[Result] = []
    with open_run(arguments.out) as run:
        for task in tasks(replace(arguments, limit=1)):  # targets have no part in it
            for name in arguments.model_names:
                results.append(measure(run, task, name, arguments))
                print(f"{task.name}: {name}, flicker {number(results[-1]['flicker'], '{:.4f}')}", flush=True)
    written = write_record(arguments, "view_rollout", results=results)
    print(f"\n{table(results, timing=arguments.timing)}\n")
    print(f"written: {written}, contact sheets in {arguments.out / 'sheets'}")


def measure(run: Run, task: Task, name: str, arguments: Arguments) -> Result:
    """Generates the clip, judges it, and keeps all of it and a contact sheet; times are taken apart."""
    path = through(task.context.require_cameras(), arguments.frames)

    def generate(folder: Path) -> None:
        model, points = load_model(name), context_points(run, task)
        save_clip(ask_once(task, model, points, path, f"rollout {task.name}"), folder)

    def work(folder: Path) -> None:
        clip = load_clip(made.folder)
        write_json(folder / "rollout.json", judge(clip, seen_from(run, task, path).depth))
        small = clip.limit_size(160)
        rows = [list(small.images[i : i + SHEET_COLUMNS]) for i in range(0, len(small), SHEET_COLUMNS)]
        contact_sheet(rows[:SHEET_ROWS], folder / "sheet.png", titles=[f"{task.name} {name}"])

    asked = [task.given, task.seed, cameras_to_json(path), *how_made(task, name)]
    made = run.stage(f"rollout-clip/{task.name}/{name}", generate, depends_on=asked)
    own = sources("benchmarks.view_rollout", "worldgen.models.warp")
    record = run.stage(f"rollout/{task.name}/{name}", work, depends_on=[made.fingerprint, own])
    publish_sheet(record, arguments.out, f"rollout-{task.name}-{name}")
    about = {
        "capture": task.capture,
        "contexts": len(task.context),
        "frames": arguments.frames,
        "model": name,
    }
    result = about | read_json(record.folder / "rollout.json")
    if arguments.timing:
        kept = run.stage(
            f"timing/{task.name}/{name}",
            lambda folder: write_json(
                folder / "timing.json", timing(run, task, name, path, arguments.timed_frames)
            ),
            depends_on=[*asked, own, arguments.timed_frames, torch.get_num_threads()],
        )
        result |= {"timing": read_json(kept.folder / "timing.json")}
    return result


def judge(clip: Clip, depth: Float[Tensor, "n h w"]) -> Result:
    """Flicker, and Sampson errors of consecutive and of distant frames under the requested cameras."""
    cameras = clip.require_cameras()
    n = len(clip)
    gaps = {1, max(1, round(n / 8)), max(1, round(n / 4))}
    pairs = [(a, a + gap) for a in range(n) for gap in sorted(gaps) if a + gap < n]
    matches = match_pairs(describe(clip, "opencv", max_features=2048), "opencv", pairs)
    F = pair_fundamentals(cameras, pairs)
    found = flicker(clip, depth)
    near, far = (
        sampson_between(matches, chosen, F) for chosen in (neighbours(matches), pairs_apart(matches))
    )
    return {
        "flicker": found.mean,
        "warping_mse": mean([x for x in found.mean_square.tolist() if not math.isnan(x)]),
        "compared": mean(found.share.tolist()),
        "gradient": gradient_magnitude(clip.images).mean().item(),
        "sampson_consecutive_px": as_json(near),
        "sampson_distant_px": as_json(far),
        "matches": mean([float(len(rows)) for rows in matches.indices]),
    }


def as_json(measured: Measured) -> dict[str, Any]:
    return {"value": measured.value, "undefined_because": measured.undefined_because, "pairs": measured.count}


def timing(run: Run, task: Task, name: str, path: Cameras, frames: int) -> dict[str, Any]:
    """Seconds of single frames inside the path, the context prepared by a first call: pictures are stretched to the
    size."""
    out: dict[str, Any] = {"threads": torch.get_num_threads()}
    for height, width in SIZES:
        model, known = load_model(name), Scene(points=context_points(run, task))
        context = task.context.resize(width=width, height=height)
        targets = path.resize(width=width, height=height)
        inner = evenly(len(targets), frames + 2)[1:-1]  # both ends of the path are photos
        wall, cpu = [], []
        for i in [inner[0], *inner]:
            generator = torch.Generator().manual_seed(task.seed)
            started, spent = time.perf_counter(), time.process_time()
            rollout(model, Request(context, targets[i], scene=known), generator=generator)
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - spent)
        size = f"{height}x{width}"
        out[size] = {"first_s": wall[0], "wall_s": mean(wall[1:]), "cpu_s": mean(cpu[1:])}
    return out


def table(results: Sequence[Result], *, timing: bool) -> Table:
    sizes = [f"{h}x{w}" for h, w in SIZES] if timing else []
    columns = [
        "capture",
        "given",
        "model",
        "flicker",
        "compared",
        "gradient",
        "Sampson px",
        "distant px",
        "matches",
    ]
    out = Table([*columns, *(f"s at {size}" for size in sizes)])
    for r in results:
        times = [number(r["timing"][size]["wall_s"], "{:.3f}") for size in sizes]
        sampson = [number(r[f"sampson_{kind}_px"]["value"]) for kind in ("consecutive", "distant")]
        out.add(
            r["capture"], r["contexts"], r["model"], number(r["flicker"], "{:.4f}"), number(r["compared"], "{:.0%}"),
            number(r["gradient"], "{:.4f}"), *sampson, number(r["matches"], "{:.0f}"), *times,
        )  # fmt: skip
    return out


if __name__ == "__main__":
    command(main, Arguments, __doc__)
