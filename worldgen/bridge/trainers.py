"""Two trainings, one after the other: the blending network, then the head that samples detail on top of it."""

import logging
import math
import os
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import nn

from recon.progress import track
from worldgen.bridge.batches import Batch, TrainOptions
from worldgen.bridge.losses import STEADY, total_loss
from worldgen.bridge.net import Answer, BridgeNet
from worldgen.bridge.texture import TextureNet, flow_loss

log = logging.getLogger(__name__)

WARM_UP = 100
"""Steps over which the learning rate rises."""
LONGEST_MEMORY = 0.998
"""Of the running average whose weights are kept."""


class Trainer(ABC):
    """A network, its running average, the optimiser, and the checkpoint they are saved in and resumed from."""

    def __init__(
        self,
        net: nn.Module,
        average: nn.Module,
        checkpoint: Path,
        options: TrainOptions,
        steps: int,
        paths: list[Path],
    ) -> None:
        self.module, self.running = net.to(options.device), average.to(options.device)
        self.running.load_state_dict(net.state_dict())
        self.checkpoint, self.options, self.steps, self.paths = checkpoint, options, steps, paths
        self.optimiser = torch.optim.AdamW(
            net.parameters(), options.rate, betas=(0.9, 0.98), weight_decay=1e-3
        )
        self.step = 0
        if checkpoint.exists():
            saved = torch.load(checkpoint, map_location=options.device)
            self.module.load_state_dict(saved["net"])
            self.running.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step = saved["step"]
            log.info("%s: continuing at step %d", checkpoint.name, self.step)

    @abstractmethod
    def backward(self, step: int) -> float:
        """Draws the batch of this step, leaves the gradients, and gives the loss."""

    def run(self) -> None:
        losses: list[float] = []
        for step in track(
            range(self.step, self.steps), f"training {self.checkpoint.stem}", self.steps - self.step
        ):
            losses.append(self.take_step(step))
            self.step = step + 1
            if self.step % self.options.save_every == 0 or self.step == self.steps:
                log.info("%s, step %d: loss %.4f", self.checkpoint.stem, self.step, sum(losses) / len(losses))
                losses = []
                self.save()

    def take_step(self, step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.rate * warm * (0.51 + 0.49 * math.cos(math.pi * step / self.steps))
        self.optimiser.zero_grad()
        loss = self.backward(step)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        keep = min(LONGEST_MEMORY, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, now in zip(self.running.parameters(), self.module.parameters(), strict=True):
                average.lerp_(now, 1 - keep)
        return loss

    def save(self) -> None:
        """Written beside and renamed: a kill loses at most the steps since the last save."""
        state = {
            "net": self.module.state_dict(),
            "average": self.running.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        part = self.checkpoint.with_suffix(f".part-{os.getpid()}")
        torch.save(state, part)
        part.replace(self.checkpoint)


class NetTrainer(Trainer):
    """Trains the blending network on clips, frame after frame."""

    def __init__(self, folder: Path, options: TrainOptions, paths: list[Path]) -> None:
        torch.manual_seed(options.seed)  # initial weights
        self.net, self.average = BridgeNet(options.net), BridgeNet(options.net)
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        super().__init__(self.net, self.average, folder / "net.pt", options, options.steps, paths)

    def backward(self, step: int) -> float:
        batch = Batch.drawn(self.paths, self.options, step)
        loss, previous = 0.0, None
        for t in range(self.options.clip):
            answer = answered(self.net, batch, previous, t, self.options)
            part = total_loss(
                answer, batch.truth[t], batch.depth[t], uncertainty=self.options.net.uncertainty
            )
            if previous is not None and self.options.net.recurrent:
                part = part + STEADY * batch.unsteadiness(previous, answer, t)
            (part / self.options.clip).backward()
            loss += float(part.detach()) / self.options.clip
            previous = answer
        return loss


class TextureTrainer(Trainer):
    """Trains the detail head on what a finished blending network leaves blurred."""

    def __init__(self, folder: Path, options: TrainOptions, paths: list[Path], net: BridgeNet) -> None:
        torch.manual_seed(options.seed + 1)
        self.blending = net.to(options.device).eval()
        self.net, self.average = TextureNet(options.texture), TextureNet(options.texture)
        super().__init__(self.net, self.average, folder / "texture.pt", options, options.detail_steps, paths)

    def backward(self, step: int) -> float:
        batch = Batch.drawn(self.paths, self.options, 1_000_000 + step, holes_first=True)
        generator = torch.Generator().manual_seed(self.options.seed * 104_729 + step)
        with torch.no_grad():
            answer = answered(self.blending, batch, None, 0, self.options)
        with torch.autocast(torch.device(self.options.device).type, torch.bfloat16):
            loss = flow_loss(self.net, answer, batch.given[0].seen, batch.truth[0], generator)
        loss.backward()
        return float(loss.detach())


def answered(net: BridgeNet, batch: Batch, previous: Answer | None, t: int, options: TrainOptions) -> Answer:
    with torch.autocast(torch.device(options.device).type, torch.bfloat16):
        return net(batch.given[t], None if previous is None else batch.moved_on(previous, t))
