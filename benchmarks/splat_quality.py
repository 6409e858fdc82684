"""What a scene is worth after so much CPU time: our trainer beside a peer, on the same photos, points and machine.

    python -m benchmarks.splat_quality CAPTURE … [--budgets 10 20 30 60 240] [--separate] [--json]

Captures need reference cameras. Every 8th photo by name is held out and judges: PSNR of the clamped picture, mean over
photos. Points to start from are triangulated once from the training photos, with these cameras, and kept in the work
folder; that time is reported and not counted. Time is CPU-seconds of the training process, all threads together. Schedules
know their budget, so a look at a long run on its way (*one run*) says less for a short budget than a run of that
length (*separate*). The peer is the sketch that the engine grew from, where it lies beside the project.
"""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from tyro.conf import Positional

from benchmarks.curves import Curve, Look, plot, table
from benchmarks.machine import describe_machine
from benchmarks.peers import prototype
from benchmarks.turns import waiting_threads_sleep
from bridge4d.runs import stored_arrays
from bridge4d.runs.fingerprints import fingerprint_files
from bridge4d.runs.stored_json import read_json, write_json
from eval.judging import protocols
from eval.pictures import images
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from recon.splats.density import Density
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.mcmc import Mcmc
from recon.splats.render import render

OURS, PEER = "bridge4d", "prototype"
ONE_RUN, SEPARATE = "one run", "separate"


@dataclass(frozen=True)
class Arguments:
    captures: Positional[tuple[Path, ...]]
    """Folders with reference cameras (a transforms.json or a COLMAP model)."""
    max_side: int = 480
    """Long side of the pictures that scenes are trained on."""
    sfm_side: int = 1280
    """Long side of those that points are triangulated from."""
    holdout: int = 8
    """Every so manieth photo judges."""
    budgets: tuple[float, ...] = (10, 20, 30, 60, 240)
    """CPU-seconds at which the figures are given; the longest is the length of the one run."""
    separate: bool = False
    """Also train once for each budget."""
    cap: int = 100_000
    """The most Gaussians."""
    sh_degree: int = 3
    mcmc: bool = False
    """Our trainer grows the scene by MCMC instead of cloning and splitting."""
    doublings: tuple[float, ...] = ()
    """When the pictures of our trainer double in size, as fractions of the training."""
    seed: int = 0
    """Of our trainer; the peer's is fixed."""
    threads: int = os.cpu_count() or 1
    work: Path = Path("runs/splat-quality")
    """Keeps points and photos between calls, and the plot."""
    json: bool = False
    """Print nothing but JSON on stdout."""


@dataclass(frozen=True)
class Task:
    """A capture made ready."""

    name: str
    photos: Clip
    """By name."""
    training: Clip
    heldout: Clip
    points: PointCloud
    points_cpu_seconds: float
    """What triangulating them took when it was done."""
    folder: Path
    """Where the peer's files go."""


def main(arguments: Arguments) -> None:
    waiting_threads_sleep()
    torch.set_num_threads(arguments.threads)
    machine = describe_machine(arguments.threads)
    sketch: Path | None = None
    try:
        sketch = prototype.prepare(arguments.work / "prototype", holdout=arguments.holdout)
    except BridgeError as error:
        print(error, file=sys.stderr)
    curves, about = [], []
    for capture in arguments.captures:
        task = prepare(capture, arguments)
        about.append(describe(task))
        print(json.dumps(about[-1]), file=sys.stderr, flush=True)
        curves += measure(task, sketch, arguments)
    picture = arguments.work / "splat_quality.png"
    title = f"seed {arguments.seed}, at most {arguments.cap:,} Gaussians"
    plot(curves, picture, budgets=sorted(arguments.budgets), title=title)
    if arguments.json:
        record = {"captures": about, "curves": [asdict(c) for c in curves]}
        print(
            json.dumps(record | {"seed": arguments.seed, "machine": machine, "plot": str(picture)}, indent=2)
        )
        return
    print("\n".join(f"{key}: {value}" for key, value in machine.items()))
    print(f"seed: {arguments.seed}\nplot: {picture}\n")
    print(table(curves, sorted(arguments.budgets)))


def prepare(capture: Path, arguments: Arguments) -> Task:
    """Photos with reference cameras, split, and points from the training photos alone.

    Raises:
        BridgeError: it cannot be read, has too few photos or no cameras.
    """
    full = read_capture(capture, max_side=arguments.sfm_side, with_cameras=True).clip
    if full.cameras is None:
        raise BridgeError(
            f"expected reference cameras with {capture}, found none; give a capture with a transforms.json or a "
            "COLMAP model"
        )
    full = full[sorted(range(len(full)), key=full.names.__getitem__)]
    split = protocols.split_photos(full.names, every=arguments.holdout)
    training, heldout = (
        [full.names.index(name) for name in part] for part in (split.training, split.heldout)
    )
    key = f"{capture.name}-{fingerprint_files(capture)[:8]}-{arguments.sfm_side}-{arguments.holdout}"
    points, seconds = triangulated(full[training], arguments.work / key)
    photos = in_eight_bits(full.limit_size(arguments.max_side))
    folder = arguments.work / f"{key}-{arguments.max_side}"
    return Task(capture.name, photos, photos[training], photos[heldout], points, seconds, folder)


def triangulated(training: Clip, folder: Path) -> tuple[PointCloud, float]:
    """Points of posed photos, as the closed loop finds them, and the CPU-seconds that took; kept in `folder`."""
    if not (folder / "points.json").exists():
        started = time.process_time()
        points = build_anchor(training, folder / "anchor").points
        folder.mkdir(parents=True, exist_ok=True)
        stored_arrays.save_points(points, folder / "points.npz")
        write_json(folder / "points.json", {"cpu_seconds": time.process_time() - started})
    return stored_arrays.load_points(folder / "points.npz"), read_json(folder / "points.json")["cpu_seconds"]


def in_eight_bits(clip: Clip) -> Clip:
    """Pictures as a file would hold them, so that all trainers get the same."""
    return replace(clip, images=(clip.images * 255).round() / 255)


def measure(task: Task, sketch: Path | None, arguments: Arguments) -> list[Curve]:
    """All curves of one capture."""
    trainers = {OURS: lambda budget, every: train_ours(task, budget, every, arguments)}
    if sketch is not None:
        try:
            prototype.write_data(task.photos, task.points, task.folder)
            trainers[PEER] = lambda budget, every: prototype.train(
                sketch, task.folder, budget=budget, every=every, threads=arguments.threads, cap=arguments.cap
            )
        except BridgeError as error:
            print(f"{task.name}: {error}", file=sys.stderr)
    budgets = sorted(arguments.budgets)
    curves = []
    for name, train in trainers.items():
        whole = train(budgets[-1], common_step(budgets))
        curves.append(Curve(task.name, name, ONE_RUN, tuple(whole)))
        print(f"{task.name}: {name}, {ONE_RUN}: {whole[-1]}", file=sys.stderr, flush=True)
    if arguments.separate:
        for name, train in trainers.items():
            ends = [train(budget, budget)[-1] for budget in budgets[:-1]]
            whole = next(curve for curve in curves if curve.trainer == name)
            curves.append(Curve(task.name, name, SEPARATE, (*ends, whole.looks[-1])))
            print(f"{task.name}: {name}, {SEPARATE}: {ends}", file=sys.stderr, flush=True)
    return curves


def common_step(budgets: Sequence[float]) -> float:
    """The longest interval that all budgets are multiples of, to a tenth of a second."""
    return math.gcd(*(round(budget * 10) for budget in budgets)) / 10


def train_ours(task: Task, budget: float, every: float, arguments: Arguments) -> list[Look]:
    """Looks at our scene every so many CPU-seconds, the last at the end of the budget."""
    looks: list[Look] = []

    def watch(iteration: int, cpu_seconds: float, scene: Gaussians) -> None:
        looks.append(Look(cpu_seconds, heldout_psnr(scene, task.heldout), iteration, len(scene)))

    fitted = fit_gaussians(
        task.training,
        task.points,
        options=FitOptions(
            cpu_seconds=budget,
            sh_degree=arguments.sh_degree,
            cap=arguments.cap,
            density=Mcmc() if arguments.mcmc else Density(),
            doublings=arguments.doublings,
        ),
        generator=torch.Generator().manual_seed(arguments.seed),
        watch=watch,
        watch_at=[every * k for k in range(1, math.ceil(budget / every - 1e-6))],
    )
    watch(fitted.iterations, fitted.cpu_seconds, fitted.gaussians)
    return looks


def heldout_psnr(scene: Gaussians, heldout: Clip) -> float:
    """Mean over photos, dB."""
    with torch.no_grad():
        drawn = [render(scene, heldout.require_cameras()[i]).images.clamp(0, 1) for i in range(len(heldout))]
    return float(images.psnr(torch.cat(drawn), heldout.images).mean())


def describe(task: Task) -> dict[str, Any]:
    return {
        "capture": task.name,
        "training": len(task.training),
        "heldout": len(task.heldout),
        "width": task.photos.width,
        "height": task.photos.height,
        "points": len(task.points),
        "points_cpu_seconds": round(task.points_cpu_seconds, 1),
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except BridgeError as error:
        raise SystemExit(str(error)) from None
