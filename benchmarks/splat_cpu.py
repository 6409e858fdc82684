"""What an iteration of training costs on the CPU: the engine beside its peers, in turns, on the same scene.

    python -m benchmarks.splat_cpu [--json] [--iterations 30] [--threads 2] [--sizes 50000@512x512 …]

An iteration is whole: draw with colour of degree 3, compare (L1 and SSIM), derive, Adam. Peers are a rasteriser in plain
torch and, where it lies beside the project, the sketch that the engine grew from. CPU time counts all threads; it
says more than wall time on a machine that others use too. Figures are medians over iterations after a warm-up; `best`
is the mean of the fastest quarter.
"""

import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.garden import SH_DEGREE, Training, garden, noisy_training
from benchmarks.machine import describe_machine
from benchmarks.peers import prototype, torch_tiles
from benchmarks.turns import Contestant, Step, Summary, Turn, take_turns, waiting_threads_sleep
from recon.errors import BridgeError
from recon.splats.engines.screen import Style

FLOOR_WALL_MS = {(10_000, 256, 256): 1.3, (50_000, 512, 512): 8.0, (100_000, 800, 600): 17.0}
"""By (Gaussians, width, height): derived, not measured; what an iteration takes at the least on two idle cores."""
ENGINE, PROTOTYPE, TORCH = "engine", "prototype", "torch"
ENGINE_LIMIT_S = 120.0
STYLE = Style(background=torch.zeros(3), sh_degree=SH_DEGREE)
SAME_PICTURE = 1e-2
"""Losses of contestants that draw the same picture differ by less, relatively."""


@dataclass(frozen=True)
class Size:
    gaussians: int
    width: int
    height: int

    @staticmethod
    def parse(text: str) -> "Size":
        """From ``50000@512x512``."""
        match = re.fullmatch(r"(\d+)@(\d+)x(\d+)", text)
        if match is None or "0" in match.groups():
            raise BridgeError(f"expected a size as 50000@512x512 (Gaussians@WIDTHxHEIGHT), got {text!r}")
        return Size(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.gaussians}@{self.width}x{self.height}"


COLUMNS = {
    "Gaussians": "gaussians",
    "width": "width",
    "height": "height",
    "CPU ms": "cpu_ms",
    "best": "cpu_ms_best",
    "wall ms": "wall_ms",
    "wall / CPU": "wall_over_cpu",
    "prototype CPU ms": "prototype_cpu_ms",
    "CPU / prototype's": "cpu_over_prototype",
    "torch CPU ms": "torch_cpu_ms",
    "torch wall ms": "torch_wall_ms",
    "floor wall ms": "floor_wall_ms",
}

ALL_SIZES = tuple(
    f"{gaussians}@{size}"
    for gaussians in (10_000, 50_000, 100_000)
    for size in ("256x256", "512x512", "800x600")
)


@dataclass(frozen=True)
class Arguments:
    iterations: int = 30
    """Timed iterations of the engine and the prototype."""
    torch_iterations: int = 3
    """Timed iterations of the torch peer; 0 leaves it out."""
    torch_limit_s: float = 30.0
    """Where one of its iterations takes longer, the torch peer is given up."""
    sizes: tuple[str, ...] = ALL_SIZES
    """As GAUSSIANS@WIDTHxHEIGHT."""
    threads: int = os.cpu_count() or 1
    seed: int = 0
    json: bool = False
    """Print nothing but JSON on stdout."""


def main(arguments: Arguments) -> None:
    from recon.splats.native.library import description

    sizes = [Size.parse(text) for text in arguments.sizes]
    waiting_threads_sleep()
    torch.set_num_threads(arguments.threads)
    machine = describe_machine(arguments.threads) | {"engine": description()}
    with tempfile.TemporaryDirectory() as folder:
        sketch: Path | None = None
        try:
            sketch = prototype.prepare(Path(folder) / "prototype")
        except BridgeError as error:
            print(error, file=sys.stderr)
        rows = []
        for size in sizes:
            rows.append(measure(size, sketch, Path(folder), arguments))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({"iterations": rows, "machine": machine}, indent=2))
    else:
        print("\n".join(f"{key}: {value}" for key, value in machine.items()), end="\n\n")
        print(table(rows))


def measure(size: Size, sketch: Path | None, folder: Path, arguments: Arguments) -> dict[str, Any]:
    """One row: all contestants at one size."""
    generator = torch.Generator().manual_seed(arguments.seed)
    scene, cameras, source = garden(size.gaussians, width=size.width, height=size.height, generator=generator)
    file, threads = folder / "training.pt", arguments.threads
    noisy_training(scene, cameras, generator).save(file)
    with ExitStack() as processes:
        contestants = [processes.enter_context(Contestant(ENGINE, engine_step, file, threads))]
        if sketch is not None:
            rival = Contestant(PROTOTYPE, prototype.build_step, sketch, file, threads)
            contestants.append(processes.enter_context(rival))
        turns = take_turns(
            contestants, warm_up=len(cameras), iterations=arguments.iterations, limit_s=ENGINE_LIMIT_S
        )
    if arguments.torch_iterations:
        with Contestant(TORCH, torch_step, file, threads) as peer:
            count, limit_s = arguments.torch_iterations, arguments.torch_limit_s
            turns |= take_turns([peer], warm_up=1, iterations=count, limit_s=limit_s)
    check_same_picture(turns, len(cameras))
    given_up = arguments.torch_iterations and not turns[TORCH]
    note = f"an iteration takes more than {arguments.torch_limit_s:g} s" if given_up else None
    return row(size, source, turns) | {"torch_note": note}


def engine_step(training_file: Path, threads: int) -> Step:
    """Full iterations of the native engine, for `benchmarks.turns`."""
    from recon.splats.native.layout import pack
    from recon.splats.native.library import Engine, Frame, camera_struct
    from recon.splats.native.structs import Adam, Comparison, Style, pointer

    training = Training.load(training_file)
    cameras, targets, bases = training.cameras, training.targets, training.scene.sh.shape[1]
    parameters = pack(training.scene, bases)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    rates = torch.full((parameters.shape[1],), training.rate)
    engine, frame, style = Engine(threads), Frame(), Style()
    views = [camera_struct(cameras, i, STYLE.near, STYLE.far) for i in range(len(cameras))]

    def step(number: int) -> float:
        k = number % len(views)
        comparison = Comparison(target=pointer(targets[k]), lambda_dssim=training.lambda_dssim)
        adam = Adam(
            parameters=pointer(parameters),
            first_moments=pointer(first),
            second_moments=pointer(second),
            count=len(training.scene),
            rows=parameters.shape[1],
            bases=bases,
            step=number + 1,
            rates=pointer(rates),
            beta1=0.9,
            beta2=0.999,
            epsilon=1e-15,
        )
        return engine.train_step(frame, views[k], style, comparison, adam)

    return step


def torch_step(training_file: Path, threads: int) -> Step:
    """Full iterations of the torch peer, for `benchmarks.turns`."""
    torch.set_num_threads(threads)
    training = Training.load(training_file)
    trainer = torch_tiles.Trainer(training.scene, rate=training.rate)

    def step(number: int) -> float:
        k = number % len(training.cameras)
        return trainer.step(
            training.cameras[k], STYLE, training.targets[k], lambda_dssim=training.lambda_dssim
        )

    return step


def check_same_picture(turns: dict[str, list[Turn]], cameras: int) -> None:
    """
    Raises:
        BridgeError: contestants find different losses for the same camera, so that one does other work.
    """
    expected = {turn.number % cameras: turn.loss for turn in turns[ENGINE]}
    for name, played in turns.items():
        for turn in played:
            loss = expected.get(turn.number % cameras, turn.loss)
            if not abs(turn.loss - loss) <= SAME_PICTURE * abs(loss):
                raise BridgeError(
                    f"expected one loss for one picture, got {loss:.6f} from {ENGINE} and {turn.loss:.6f} from "
                    f"{name}; one of them draws wrongly"
                )


def row(size: Size, source: str, turns: dict[str, list[Turn]]) -> dict[str, Any]:
    """Figures in ms by name; None for a contestant that was left out or given up."""
    found: dict[str, Any] = {**asdict(size), "scene": source}
    summaries = {name: Summary.of(played) for name, played in turns.items() if played}
    for name, prefix in ((ENGINE, ""), (PROTOTYPE, "prototype_"), (TORCH, "torch_")):
        for clock in ("cpu", "wall"):
            summary = summaries.get(name)
            found[f"{prefix}{clock}_ms"] = _rounded(summary and getattr(summary, clock))
            found[f"{prefix}{clock}_ms_best"] = _rounded(summary and getattr(summary, f"best_{clock}"))
    found["wall_over_cpu"] = _ratio(found["wall_ms"], found["cpu_ms"])
    found["cpu_over_prototype"] = paired_ratio(turns[ENGINE], turns.get(PROTOTYPE, []))
    found["cpu_over_torch"] = _ratio(found["cpu_ms"], found["torch_cpu_ms"])
    found["floor_wall_ms"] = FLOOR_WALL_MS.get((size.gaussians, size.width, size.height))
    return found


def paired_ratio(ours: Sequence[Turn], theirs: Sequence[Turn]) -> float | None:
    """Median over iterations of our CPU time by theirs right after it: what slows both does not count."""
    ratios = [a.cpu_ms / b.cpu_ms for a, b in zip(ours, theirs, strict=False)]
    return round(statistics.median(ratios), 4) if ratios else None


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(_cell(row[key]) for key in COLUMNS.values()) + " |" for row in rows]
    lines += [
        f"\ntorch, {row['gaussians']} Gaussians at {row['width']}x{row['height']}: {row['torch_note']}"
        for row in rows
        if row["torch_note"]
    ]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else round(a / b, 4)


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except BridgeError as error:
        raise SystemExit(str(error)) from None
