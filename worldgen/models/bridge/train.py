"""Trains the model from nothing but procedural scenes: ``python -m worldgen.models.bridge.train --help``."""

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from recon.bounded import read_json
from recon.compute.files import atomic_write
from recon.compute.progress import use_reporter
from recon.errors import BridgeError
from worldgen.models.bridge.calibrate import LEAST_SHOTS, calibrate_networks, span, split_shots
from worldgen.models.bridge.net import STRIDE
from worldgen.models.bridge.training.batches import LARGE, TrainOptions
from worldgen.models.bridge.training.samples import sample_files
from worldgen.models.bridge.training.trainers import NetTrainer, TextureTrainer
from worldgen.models.bridge.weights import Weights, save_weights

log = logging.getLogger(__name__)

REPORT_EVERY_S = 30
"""Least seconds between lines of the log: a training of a day then fills a few thousand."""


def train(options: TrainOptions) -> Path:
    """Makes the samples, trains both networks, calibrates, and gives the path of the weights; resumes what is there.

    Raises:
        BridgeError: a folder that was begun with other options, or options that cannot be trained with.
    """
    check_options(options)
    folder = options.out
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_options(folder, options)
    began = time.process_time()
    paths = sample_files(
        folder / "samples", options.shots, seed=options.seed, width=options.width, height=options.height,
        targets=options.targets, photographs=options.photographs, workers=options.workers,
    )  # fmt: skip
    shots = split_shots(paths)
    blending = NetTrainer(folder, options, shots.learning)
    blending.run()
    texture = TextureTrainer(folder, options, shots.learning, blending.average)
    texture.run()
    net = blending.average.cpu().eval()
    detail, size = texture.average.cpu().eval(), min(options.width, options.height) // STRIDE * STRIDE
    calibration, how, figures = calibrate_networks(net, detail, shots, frames=options.targets, size=size)
    log.info("held-out shots: %s", figures)
    story = {
        "data": f"{len(shots.learning)} procedural shots (worldgen.scenes), seed {options.seed}",
        "shots": {part: span(files) for part, files in shots._asdict().items()},
        "photographs": options.photographs,
        "options": json.loads(json.dumps(asdict(options), default=str)),
        "held_out": figures,
        "calibration": how,
        "cpu_seconds_of_this_process": round(time.process_time() - began),
        "license": "Apache-2.0",
    }
    path = folder / "bridge.safetensors"
    save_weights(Weights(net, detail, calibration, story), path)
    log.info("weights: %s", path)
    return path


def check_options(options: TrainOptions) -> None:
    """Whether a training can begin with these; what it would only find after hours is said at once.

    Raises:
        BridgeError: too few shots, an empty batch, no worker, a device that is not there, crops larger than pictures
            or of sides that the network cannot halve often enough, clips longer than shots, or a detail head for
            another network.
    """
    o, features = options, options.net.widths[0]
    if o.shots < LEAST_SHOTS:
        raise BridgeError(
            f"expected at least {LEAST_SHOTS} shots (one to learn from, one to fit the calibration on, one to choose it "
            f"on, one to judge on), got {o.shots}; ask for more"
        )
    for name, count in (("batch", o.batch), ("workers", o.workers)):
        if count < 1:
            raise BridgeError(f"expected {name} of 1 or more, got {count}; give at least 1")
    if not _is_device_available(o.device):
        raise BridgeError(
            f"expected the device cpu, or cuda where there is one, got {o.device!r}; "
            "pass cpu, or train on a machine with such a GPU"
        )
    if min(o.width, o.height) < o.crop:
        raise BridgeError(
            f"expected crops no larger than the pictures, got {o.crop} of {o.width}x{o.height}; make them smaller"
        )
    if o.crop < STRIDE or o.crop % STRIDE:
        raise BridgeError(
            f"expected crops of a multiple of {STRIDE} pixels, got {o.crop}; take {max(1, o.crop // STRIDE) * STRIDE}"
        )
    if not 1 <= o.clip <= o.targets:
        raise BridgeError(
            f"expected clips of 1 to {o.targets} frames, which is what a shot has, got {o.clip}; change clip or targets"
        )
    if o.texture.features != features:
        raise BridgeError(
            f"expected a detail head for the {features} features of the network, got one for {o.texture.features}; "
            "make texture.features and the first of net.widths the same"
        )


def _is_device_available(name: str) -> bool:
    """Whether a device of this name can be trained on here: the CPU, or a CUDA device that this machine has."""
    try:
        device = torch.device(name)
    except RuntimeError:
        return False
    if device.type == "cuda" and torch.cuda.is_available():
        return (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu"


def _check_same_options(folder: Path, options: TrainOptions) -> None:
    """Resuming with other options would mix two trainings."""
    free = ("out", "workers", "device", "save_every")
    told = json.loads(json.dumps(asdict(options), default=str))
    asked = {key: value for key, value in told.items() if key not in free}
    path = folder / "options.json"
    begun = read_json(path) if path.exists() else asked
    begun = begun if isinstance(begun, dict) else {}
    if others := [key for key in asked if begun.get(key) != asked[key]]:
        was = ", ".join(f"{key} {begun.get(key)}" for key in others)
        now = ", ".join(f"{key} {asked[key]}" for key in others)
        raise BridgeError(
            f"expected the options with which {folder} was begun ({path.name}: {was}), got {now}; "
            "give another folder, or the same options"
        )
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(asked, indent=1))


class _LogReporter:
    """Progress as lines of the log, at most one in half a minute."""

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        """Log that a piece of work begins; gives the function that reports its progress."""
        last = time.monotonic()

        def update(done: int, note: str) -> None:
            """Log the progress, unless that was done just now."""
            nonlocal last
            if time.monotonic() - last > REPORT_EVERY_S:
                last = time.monotonic()
                log.info("%s: %d of %s", description, done, total)

        log.info("%s: %s to do", description, total)
        return update

    def finish(self, description: str, ended: str = "") -> None:
        """Nothing: the next line of the log says enough."""
        pass

    def note(self, text: str) -> None:
        """Log a remark."""
        log.info(text)


def main() -> None:
    """Train from the command line, in the small or the large configuration."""
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    configurations = {"small": ("for two CPU cores", TrainOptions()), "large": ("for one GPU", LARGE)}
    options = tyro.extras.overridable_config_cli(
        configurations, prog="python -m worldgen.models.bridge.train"
    )
    try:
        with use_reporter(_LogReporter()):
            train(options)
    except BridgeError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
