"""Trains the depth network from nothing but procedural places: ``python -m worldgen.depth_training.train --help``.

Whatever is in the folder is gone on with: places that are missing are made, and the network is trained for as many
minutes as are asked for. The learning rate stays as it is, so that a training has no end to plan for; what is kept is
a running average of the weights.
"""

import copy
import itertools
import json
import logging
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import read_json
from recon.compute.files import atomic_write
from recon.compute.progress import track
from recon.depth.learned.inputs import SPREAD
from recon.depth.learned.net import DepthNet, DepthNetOptions
from recon.depth.learned.weights import DepthWeights, save_depth_weights
from recon.errors import BridgeError
from worldgen.depth_training.calibrate import asked_pixels, fit_temperature, judge_chances
from worldgen.depth_training.losses import depth_loss, likelihood_loss
from worldgen.depth_training.samples import (
    DepthSample,
    augment,
    crop,
    load_sample,
    make_samples,
    save_samples,
)
from worldgen.depth_training.shots import is_held_out, load_shot, make_shots, shot_path
from worldgen.models.bridge.training.trainers import Trainer, init_network

log = logging.getLogger(__name__)

VALIDATED_PLACES, VALIDATED_SAMPLES = 12, 3
"""Held-out places, and samples of each, by which the training is followed."""


@dataclass(frozen=True)
class DepthTrainOptions:
    out: Path = Path("runs/depth_training")
    """Places, samples and checkpoint; a second start goes on where the first stopped."""
    places: int = 200
    """Procedural places; the last of each ten is held out."""
    minutes: float = 60.0
    """Of training, on top of what was trained before."""
    samples: int = 4
    """Of each place."""
    width: int = 320
    """Of the photos, pixels."""
    height: int = 240
    """Of the photos, pixels."""
    batch: int = 4
    """Crops of a step."""
    crop_height: int = 88
    """Of the swept size, which is half of the photos'."""
    crop_width: int = 112
    """Of the swept size."""
    rate: float = 1e-3
    """Learning rate."""
    seed: int = 0
    """Of places, samples, initial weights and batches."""
    save_every: int = 100
    """Steps between checkpoints and looks at the held-out places."""
    device: str = "cpu"
    """cpu, or cuda where there is one."""
    net: DepthNetOptions = field(default_factory=DepthNetOptions)


def sample_path(out: Path, index: int) -> Path:
    """Where the samples of the place of this number are kept."""
    return shot_path(out / "samples", index)


def make_data(options: DepthTrainOptions) -> None:
    """Makes the places and samples that are missing."""
    make_shots(
        options.out / "shots", options.places, seed=options.seed, width=options.width, height=options.height
    )
    missing = [i for i in range(options.places) if not sample_path(options.out, i).exists()]
    for index in track(missing, "samples", len(missing)):
        rng = np.random.default_rng([options.seed, index])
        shot = load_shot(shot_path(options.out / "shots", index))
        save_samples(make_samples(shot, rng, options.samples), sample_path(options.out, index))


def find_samples(options: DepthTrainOptions, *, held_out: bool) -> list[Path]:
    """Samples that are ready, of the places to learn from or of those held out."""
    paths = {i: sample_path(options.out, i) for i in range(options.places) if is_held_out(i) == held_out}
    return [path for path in paths.values() if path.exists()]


class DepthTrainer(Trainer[DepthNet]):
    """Trains on crops of the samples, and follows the running average on places that are held out."""

    memory_format = torch.channels_last

    def __init__(self, options: DepthTrainOptions) -> None:
        self.options = options
        learned = find_samples(options, held_out=False)
        if not learned:
            raise BridgeError(
                f"expected samples to learn from in {options.out}, got none; ask for 10 places or more"
            )
        held = find_samples(options, held_out=True)[:VALIDATED_PLACES]
        self.held_out = [load_sample(path, k) for path in held for k in range(VALIDATED_SAMPLES)]
        net = init_network(lambda: DepthNet(options.net), options.seed)
        super().__init__(net, options.out / "net.pt", options, 0, learned)
        self.curve_path = options.out / "curve.json"
        told = read_json(self.curve_path) if self.curve_path.exists() else []
        self.curve: list[dict] = told if isinstance(told, list) else []

    def decay(self, step: int) -> float:
        """The learning rate stays as it is."""
        return 1.0

    def backward(self, step: int) -> float:
        """The loss of a step, after its gradients were added up."""
        o, rng = self.options, np.random.default_rng([self.options.seed, step])
        batch = [self._draw(rng) for _ in range(o.batch)]
        channels = torch.stack([sample.given.channels() for sample in batch]).to(o.device)
        truth = torch.stack([sample.truth for sample in batch]).to(o.device)
        with torch.autocast(torch.device(o.device).type, torch.bfloat16):
            answer = self.net(channels.contiguous(memory_format=torch.channels_last))
        spans = torch.tensor([sample.span for sample in batch], device=o.device)
        loss = depth_loss(answer, truth, spans / spans[:, 1:])
        loss.backward()
        return float(loss.detach())

    def _draw(self, rng: np.random.Generator) -> DepthSample:
        o = self.options
        path = self.paths[int(rng.integers(len(self.paths)))]
        sample = augment(load_sample(path, int(rng.integers(o.samples))), rng)
        h, w = sample.truth.shape
        top, left = (
            int(rng.integers(whole - part + 1)) for whole, part in ((h, o.crop_height), (w, o.crop_width))
        )
        return crop(sample, top, left, o.crop_height, o.crop_width)

    def run_for(self, minutes: float) -> None:
        """Steps until the time is up, one at least, saved every so often and at the end."""
        began, losses = time.monotonic(), []
        while True:
            losses.append(self.take_step(self.step))
            self.step += 1
            over = time.monotonic() - began > 60 * minutes
            if over or self.step % self.options.save_every == 0:
                trained = time.monotonic() - began
                self.curve.append({
                    "step": self.step, "minutes": round(trained / 60, 2), "loss": round(sum(losses) / len(losses), 4),
                    "places": len(self.paths), **self.validate(),
                })  # fmt: skip
                log.info("%s", self.curve[-1])
                losses = []
                self.save()
                self.paths = find_samples(self.options, held_out=False)  # more may have been made meanwhile
                with atomic_write(self.curve_path) as beside:
                    beside.write_text(json.dumps(self.curve, indent=1))
            if over:
                return

    @torch.no_grad()
    def validate(self) -> dict[str, float | list[float]]:
        """Figures of `summarise_errors` on the held-out samples, where photos do not agree; `spread` is the filter's depth."""
        found: dict[str, list[Tensor]] = defaultdict(list)
        for sample in self.held_out:
            channels = sample.given.channels()
            with torch.autocast(torch.device(self.options.device).type, torch.bfloat16):
                answer = self.average(channels[None].to(self.options.device))
            asked = asked_pixels(sample)
            share = sample.truth.nan_to_num(0).clamp(0, 1)
            found["nll"].append(likelihood_loss(answer, share[None])[0][asked])
            far, near = sample.span
            true = far + sample.truth[asked] * (near - far)
            spread = (channels[SPREAD] + 1) / 2
            for name, told in (
                ("median", answer.median()[0]),
                ("middle", answer.middle[0]),
                ("spread", spread),
            ):
                found[name].append((true / (far + told[asked] * (near - far)) - 1).abs())
        return {
            name: float(torch.cat(parts).mean()) if name == "nll" else summarise_errors(torch.cat(parts))
            for name, parts in found.items()
        }

    def export(self) -> Path:
        """The running average as a weights file, with a temperature fitted on half of the held-out places and judged on the others."""
        options, net = self.options, copy.deepcopy(self.average).cpu().float().eval()
        half = len(self.held_out) // VALIDATED_SAMPLES // 2 * VALIDATED_SAMPLES
        fitting, judging = self.held_out[:half], self.held_out[half:]
        temperature = fit_temperature(net, fitting) if fitting else 1.0
        story = {
            "data": f"{len(self.paths)} procedural places (worldgen.scenes), seed {options.seed}",
            "options": json.loads(json.dumps(asdict(options), default=str)),
            "held_out": self.curve[-1] if self.curve else {},
            "calibration": judge_chances(net, judging, temperature) if judging else {},
            "minutes": round(sum_minutes(self.curve), 1),
            "license": "Apache-2.0",
        }
        path = options.out / "learned_depth.safetensors"
        save_depth_weights(DepthWeights(net, temperature, story), path)
        log.info("%s: temperature %.2f, %s", path, temperature, story["calibration"])
        return path


def summarise_errors(error: Float[Tensor, "q"]) -> list[float]:
    """Median, share within 2%, share within 5%, and mean of errors up to 1, all in percent."""
    parts = (
        error.median(),
        (error < 0.02).float().mean(),
        (error < 0.05).float().mean(),
        error.clamp(max=1).mean(),
    )
    return [round(100 * float(part), 2) for part in parts]


def sum_minutes(curve: list[dict]) -> float:
    """Minutes of all runs together; each counts from 0."""
    told = [float(row["minutes"]) for row in curve]
    ends = [now for now, after in itertools.pairwise([*told, 0.0]) if after < now]
    return sum(ends)


def train(options: DepthTrainOptions) -> Path:
    """Makes the data that are missing, trains for the time that is asked for, and gives the path of the weights.

    Raises:
        BridgeError: too few places to learn from.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.out / "options.json") as beside:
        beside.write_text(json.dumps(asdict(options), default=str, indent=1))
    make_data(options)
    trainer = DepthTrainer(options)
    trainer.run_for(options.minutes)
    return trainer.export()


def main() -> None:
    """Train from the command line."""
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        train(tyro.cli(DepthTrainOptions, prog="python -m worldgen.depth_training.train"))
    except BridgeError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
