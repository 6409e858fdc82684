"""Does a world model keep one world along a path? Flicker and epipolar errors of a clip through the photos given.

    python -m benchmarks.view_rollout --models warp,bridge [--contexts 6] [--frames 60] [--timing]

The path runs through the context cameras (chosen as in view_quality) in the order of a short tour, positions on a
natural cubic spline. All frames come from one request. Flicker is the mean absolute colour difference between a frame
and the next one warped to it through depth that is not the model's: that of the context photos, fused at every frame
(after Lai et al. 2018, see eval.flicker); *compared* is the share of pixels for which this is possible. Where that
depth is wrong, what the true scene would give is above zero too, so figures compare between models on one path only.
*gradient* is the mean luma gradient, for a blurred clip hardly flickers. Sampson errors are those of SIFT matches
under the requested cameras: per pair the median over all matches, then the mean over pairs, of consecutive frames and
of frames an eighth and a quarter of the clip apart. --timing adds seconds a frame at 256x384 and 512x768.
"""

import math
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.views_common import (
    Table,
    Task,
    ViewArguments,
    contact_sheet,
    context_points,
    evenly,
    mean,
    model_code,
    number,
    seen_from,
    sources,
    tasks,
)
from bridge4d.run import Run, open_run, read_json, write_json
from eval.consistency import pair_fundamentals, sampson_between
from eval.flicker import flicker
from eval.measured import Measured
from eval.pairs import neighbours, pairs_apart
from eval.sharpness import gradient_magnitude
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.sfm.sift import sift_matches
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout
from worldgen.trajectories import interpolate

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
    results: list[Result] = []
    with open_run(arguments.out) as run:
        for task in tasks(replace(arguments, limit=1)):  # targets have no part in it
            for name in arguments.model_names:
                results.append(measure(run, task, name, arguments))
                print(f"{task.name}: {name}, flicker {number(results[-1]['flicker'], '{:.4f}')}", flush=True)
    record = {
        "arguments": asdict(arguments) | {"captures": arguments.captures.name, "out": arguments.out.name},
        "machine": describe_machine(torch.get_num_threads()),
        "results": results,
    }
    write_json(arguments.out / "view_rollout.json", record)
    print(f"\n{table(results, timing=arguments.timing)}\n")
    print(f"written: {arguments.out / 'view_rollout.json'}, contact sheets in {arguments.out / 'sheets'}")


def measure(run: Run, task: Task, name: str, arguments: Arguments) -> Result:
    """Generates the clip, judges it, and keeps the figures and a contact sheet; times are taken apart."""
    path = path_through(task.context.posed(), arguments.frames)

    def work(folder: Path) -> None:
        clip, seconds = generate(run, task, name, path)
        depth = seen_from(run, task, path).depth
        write_json(folder / "rollout.json", judge(clip, depth) | {"s_a_frame": seconds / len(path)})
        small = clip.limited(160)
        rows = [list(small.images[i : i + SHEET_COLUMNS]) for i in range(0, len(small), SHEET_COLUMNS)]
        contact_sheet(rows[:SHEET_ROWS], folder / "sheet.png", titles=[f"{task.name} {name}"])

    own = sources("benchmarks.view_rollout", "worldgen.warp")
    depends = [task.given, task.seed, arguments.frames, own, model_code(name)]
    record = run.stage(f"rollout/{task.name}/{name}", work, depends_on=depends)
    sheet = arguments.out / "sheets" / f"rollout-{task.name}-{name}.png"
    sheet.parent.mkdir(exist_ok=True)
    sheet.write_bytes((record.folder / "sheet.png").read_bytes())
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
            depends_on=[*depends, arguments.timed_frames, torch.get_num_threads()],
        )
        result |= {"timing": read_json(kept.folder / "timing.json")}
    return result


def generate(run: Run, task: Task, name: str, path: Cameras) -> tuple[Clip, float]:
    """The whole path, and the seconds it took with the context's depth."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{task.seed} rollout {task.name}".encode()))
    model = load_model(name, points=context_points(run, task))
    started = time.perf_counter()
    clip = rollout(model, Request(task.context, path), generator=generator)
    return clip, time.perf_counter() - started


def path_through(keys: Cameras, frames: int) -> Cameras:
    """A smooth path through all key cameras: from each to the nearest that is left, begun where that is shortest."""
    centers = keys.centers.double()
    apart = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
    tours = [tour_from(start, apart) for start in range(len(keys))]
    lengths = [sum(apart[a, b].item() for a, b in pairwise(t)) for t in tours]
    return interpolate(keys[tours[lengths.index(min(lengths))]], count=frames, smooth=True)


def tour_from(start: int, apart: Float[Tensor, "n n"]) -> list[int]:
    """All indices, each followed by the nearest of those that are left."""
    tour = [start]
    while len(tour) < len(apart):
        distance = apart[tour[-1]].clone()
        distance[tour] = torch.inf
        tour.append(int(distance.argmin()))
    return tour


def judge(clip: Clip, depth: Float[Tensor, "n h w"]) -> Result:
    """Flicker, and Sampson errors of consecutive and of distant frames under the requested cameras."""
    cameras = clip.posed()
    n = len(clip)
    gaps = {1, max(1, round(n / 8)), max(1, round(n / 4))}
    pairs = [(a, a + gap) for a in range(n) for gap in sorted(gaps) if a + gap < n]
    matches = sift_matches(clip, pairs)
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
    """Seconds of single frames in the middle of the path, the context prepared: pictures are stretched to the size."""
    out: dict[str, Any] = {"threads": torch.get_num_threads()}
    for height, width in SIZES:
        model = load_model(name, points=context_points(run, task))
        context = task.context.resized(width=width, height=height)
        targets = path.resized(width=width, height=height)
        picks = evenly(len(targets), frames + 1)
        wall, cpu = [], []
        for i in picks:
            generator = torch.Generator().manual_seed(task.seed)
            started, spent = time.perf_counter(), time.process_time()
            rollout(model, Request(context, targets[i]), generator=generator)
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
        "s a frame",
    ]
    out = Table([*columns, *(f"s at {size}" for size in sizes)])
    for r in results:
        times = [number(r["timing"][size]["wall_s"], "{:.3f}") for size in sizes]
        sampson = [number(r[f"sampson_{kind}_px"]["value"]) for kind in ("consecutive", "distant")]
        out.add(
            r["capture"], r["contexts"], r["model"], number(r["flicker"], "{:.4f}"), number(r["compared"], "{:.0%}"),
            number(r["gradient"], "{:.4f}"), *sampson, number(r["matches"], "{:.0f}"), number(r["s_a_frame"]), *times,
        )  # fmt: skip
    return out


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except BridgeError as error:
        raise SystemExit(str(error)) from None
