"""What of `bridge` is needed? Its parts left out one by one, beside the warp, on held-out photos.

    python -m worldgen.models.bridge.train small            # makes the shots in runs/bridge/samples
    python -m benchmarks.bridge_ablations [--samples runs/bridge/samples] [--steps 400] [--limit 6] --points

Three networks are trained from the same shots for the same number of steps: the *whole* one, one *without stated
error* (no likelihood in the loss), one that is not told the *frame before*. They are compared among themselves alone,
for the shipped weights were trained longer; none of them has the head that samples detail. Of the shipped model parts
are switched off when it is asked: *detail*, the *frame before*, *extension* of the cache.

Captures, contexts and targets are those of `benchmarks.view_quality`. PSNR, the share of truth's gradients in holes
and the expected calibration error of the confidence are means over all targets of all rows; flicker (mean absolute
colour difference after warping to the next frame) is of a rollout of `--frames` frames through the contexts, a mean of
rows. Gain is over the filled warp, paired by target, with a bootstrap interval over targets; *wins* are the targets
with a gain. Started again it continues.
"""

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.output import Table, command, defined, mean, number, write_record
from benchmarks.source_hash import sources
from benchmarks.view_context import context_points, point_code, seen_from
from benchmarks.view_models import ask_all, ask_once
from benchmarks.view_paths import through
from benchmarks.view_tasks import Task, ViewArguments, tasks
from bridge4d.runs.fingerprints import fingerprint
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stored_json import read_json, write_json
from eval.pictures.flicker import flicker
from eval.pictures.images import psnr
from eval.pictures.sharpness import gradient_ratio
from eval.stats.calibration import reliability
from eval.stats.intervals import bootstrap_mean95
from recon.errors import BridgeError
from worldgen.model import WorldModel
from worldgen.models.bridge.calibrate import LEAST_SHOTS, split_shots
from worldgen.models.bridge.model import Bridge, BridgeOptions
from worldgen.models.bridge.net import NetOptions
from worldgen.models.bridge.training.batches import TrainOptions
from worldgen.models.bridge.training.trainers import NetTrainer
from worldgen.models.bridge.weights import Weights, load_weights
from worldgen.registry import load_model

TRAINED = {
    "whole": NetOptions(),
    "without stated error": NetOptions(uncertainty=False),
    "without the frame before": NetOptions(recurrent=False),
}
SWITCHED = {
    "shipped": BridgeOptions(),
    "shipped, no detail": BridgeOptions(detail=False),
    "shipped, no frame before": BridgeOptions(temporal=False),
    "shipped, no extension": BridgeOptions(extend=False),
}
MIN_SHARE = 0.01
"""Of the pixels of a view: fewer seen or unseen ones are not scored apart."""
LARGE_HOLES = 0.05
WITHIN = 0.1


@dataclass(frozen=True)
class Arguments(ViewArguments):
    contexts: tuple[int, ...] = (3, 6)
    limit: int | None = 6
    samples: Path = Path("runs/bridge/samples")
    """Training shots, as `worldgen.models.bridge.train` makes them."""
    steps: int = 400
    """Of each network that is trained; 0 trains none."""
    frames: int = 24
    """Of each rollout."""
    out: Path = Path("runs/ablations")


Result = dict[str, Any]


def main(arguments: Arguments) -> None:
    results: list[Result] = []
    with open_run(arguments.out) as run:
        found = list(tasks(arguments))  # that there are none is said before the training
        weights = trained(run, arguments) if arguments.steps else {}
        for task in found:
            for name, model, code in contestants(run, task, weights):
                results.append(measure(run, task, name, model, code, arguments.frames))
                print(f"{task.name}: {name} {number(mean(results[-1]['psnr']))} dB", flush=True)
    summary = summaries(results, arguments.seed)
    path = write_record(arguments, "ablations", summary=summary, results=results)
    print(f"\n{table(summary)}\n\nwritten: {path}")


def trained(run: Run, arguments: Arguments) -> dict[str, Weights]:
    """Networks of the same shots, steps and seed; each goes on where it was interrupted.

    Raises:
        BridgeError: no training shots.
    """
    paths = sorted(arguments.samples.glob("*.safetensors"))
    if len(paths) < LEAST_SHOTS:
        raise BridgeError(
            f"expected training shots in {arguments.samples}, found {len(paths)}; make them with "
            "python -m worldgen.models.bridge.train small, set --samples, or give --steps 0"
        )
    weights = {}
    for name, net in TRAINED.items():
        shots = [(path.name, path.stat().st_size) for path in paths]
        what = fingerprint(
            shots,
            arguments.steps,
            arguments.seed,
            asdict(net),
            sources("worldgen.models.bridge.training.trainers"),
        )
        folder = run.folder / "training" / f"{name.replace(' ', '-')}-{what}"
        folder.mkdir(parents=True, exist_ok=True)
        options = TrainOptions(out=folder, steps=arguments.steps, seed=arguments.seed, net=net)
        trainer = NetTrainer(folder, options, split_shots(paths).learning)
        trainer.run()
        weights[name] = Weights(trainer.average.cpu().eval(), None)
    return weights


def contestants(
    run: Run, task: Task, weights: dict[str, Weights]
) -> Iterator[tuple[str, WorldModel, object]]:
    """Name, model, and what decides its pictures besides the code of this benchmark."""
    yield "filled warp", load_model("warp"), None
    for name, trained_weights in weights.items():
        yield name, Bridge(weights=trained_weights), checksum(trained_weights)
    shipped = load_weights()
    for name, options in SWITCHED.items():
        yield name, Bridge(options, weights=shipped), checksum(shipped)


def checksum(weights: Weights) -> int:
    total = 0
    for tensor in weights.net.state_dict().values():
        total = zlib.crc32(tensor.contiguous().numpy().tobytes(), total)
    return total


def measure(run: Run, task: Task, name: str, model: WorldModel, code: object, frames: int) -> Result:
    """Scores of every target, and of one rollout; kept."""

    def work(folder: Path) -> None:
        arrays, _ = ask_all(task, model, context_points(run, task))
        images = torch.from_numpy(arrays["images"]) / 255
        truth, seen = task.targets.images, seen_from(run, task, task.targets.require_cameras()).mask
        share = (~seen).double().mean((1, 2))
        psnrs = {
            "psnr": psnr(images, truth),
            "psnr_seen": torch.where(1 - share >= MIN_SHARE, psnr(images, truth, seen), torch.nan),
            "psnr_holes": torch.where(share >= MIN_SHARE, psnr(images, truth, ~seen), torch.nan),
            "sharpness_holes": torch.where(
                share >= LARGE_HOLES, gradient_ratio(images, truth, ~seen), torch.nan
            ),
        }
        stated = torch.from_numpy(arrays["confidence"].astype("float32")) / 65535
        right = (images - truth).abs().mean(-1) < WITHIN
        ece = [
            reliability(p.flatten(), r.flatten()).expected_error for p, r in zip(stated, right, strict=True)
        ]
        write_json(
            folder / "scores.json",
            {key: defined(value) for key, value in psnrs.items()}
            | {"ece": ece, "flicker": steadiness(run, task, model, frames)},
        )

    own = sources("benchmarks.bridge_ablations")
    record = run.stage(
        f"ablations/{task.name}/{name.replace(' ', '-').replace(',', '')}",
        work,
        depends_on=[task.identity, own, code, frames, point_code(task)],
    )
    about = {"capture": task.capture, "contexts": len(task.context), "model": name}
    return about | {"targets": list(task.targets.names)} | read_json(record.folder / "scores.json")


def steadiness(run: Run, task: Task, model: WorldModel, frames: int) -> float | None:
    """Flicker of a rollout through the contexts."""
    path = through(task.context.require_cameras(), frames)
    clip = ask_once(task, model, context_points(run, task), path, "ablations")
    return flicker(clip, seen_from(run, task, path).depth).mean


def summaries(results: list[Result], seed: int) -> list[Result]:
    base = {(r["capture"], r["contexts"]): r["psnr"] for r in results if r["model"] == "filled warp"}
    out = []
    for name in dict.fromkeys(r["model"] for r in results):
        mine = [r for r in results if r["model"] == name]
        gains = [
            a - b for r in mine for a, b in zip(r["psnr"], base[r["capture"], r["contexts"]], strict=True)
        ]
        row = {
            key: mean([x for r in mine for x in r[key]])
            for key in ("psnr", "psnr_seen", "psnr_holes", "sharpness_holes", "ece")
        }
        row |= {"model": name, "flicker": mean([r["flicker"] for r in mine]), "targets": len(gains)}
        if name != "filled warp":
            around = bootstrap_mean95(gains, generator=torch.Generator().manual_seed(seed))
            row |= {"gain": mean(gains), "interval95": around, "wins": sum(g > 0 for g in gains)}
        out.append(row)
    return out


def table(summary: list[Result]) -> Table:
    out = Table(
        ["model", "PSNR", "gain [95%]", "wins", "seen", "holes", "sharpness of holes", "ECE", "flicker"]
    )
    for s in summary:
        gain, wins = "–", "–"
        if "gain" in s:
            around = s["interval95"]
            gain = f"{s['gain']:+.2f}" + ("" if around is None else f" [{around[0]:+.2f}, {around[1]:+.2f}]")
            wins = f"{s['wins']}/{s['targets']}"
        out.add(
            s["model"], number(s["psnr"]), gain, wins, number(s["psnr_seen"]), number(s["psnr_holes"]),
            number(s["sharpness_holes"]), number(s["ece"], "{:.3f}"), number(s["flicker"], "{:.4f}"),
        )  # fmt: skip
    return out


if __name__ == "__main__":
    command(main, Arguments, __doc__)
