"""Two trainings, one after the other: the blending network, then the head that samples detail on top of it."""

import copy
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from recon.compute.files import atomic_write
from recon.compute.progress import track
from worldgen.models.bridge.net import Answer, BridgeNet
from worldgen.models.bridge.texture import TextureNet, flow_loss
from worldgen.models.bridge.training.batches import Batch, TrainOptions
from worldgen.models.bridge.training.losses import STEADY, total_loss

log = logging.getLogger(__name__)

WARM_UP = 100
"""Steps over which the learning rate rises."""
LONGEST_MEMORY = 0.998
"""Of the running average whose weights are kept."""


N = TypeVar("N", bound=nn.Module)


def init_network(make: Callable[[], N], seed: int) -> N:
    """A network with the initial weights of this seed; the caller's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make()


@runtime_checkable
class TrainerOptions(Protocol):
    """What a trainer asks of the options of a training."""

    @property
    def rate(self) -> float:
        """Largest learning rate."""
        ...

    @property
    def save_every(self) -> int:
        """Steps between checkpoints."""
        ...

    @property
    def device(self) -> str:
        """cpu, or cuda where there is one."""
        ...


class Trainer(ABC, Generic[N]):
    """A network, its running average, the optimiser, and the checkpoint they are saved in and resumed from."""

    memory_format = torch.contiguous_format
    """Of the network that is trained."""

    def __init__(
        self,
        net: N,
        checkpoint: Path,
        options: TrainerOptions,
        steps: int,
        paths: list[Path],
    ) -> None:
        net.to(options.device)
        self.average = copy.deepcopy(net)
        self.net = net.to(memory_format=self.memory_format)  # pyright: ignore[reportCallIssue]
        self.checkpoint, self.rates, self.steps, self.paths = checkpoint, options, steps, paths
        self.optimiser = torch.optim.AdamW(
            net.parameters(), options.rate, betas=(0.9, 0.98), weight_decay=1e-3
        )
        self.step = 0
        if checkpoint.exists():
            saved = torch.load(checkpoint, map_location=options.device, weights_only=True)
            self.net.load_state_dict(saved["net"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step = saved["step"]
            log.info("%s: continuing at step %d", checkpoint.name, self.step)

    @abstractmethod
    def backward(self, step: int) -> float:
        """Draws the batch of this step, leaves the gradients, and gives the loss."""

    def run(self) -> None:
        """All steps that are left, saved every so often and at the end."""
        losses: list[float] = []
        for step in track(
            range(self.step, self.steps), f"training {self.checkpoint.stem}", self.steps - self.step
        ):
            losses.append(self.take_step(step))
            self.step = step + 1
            if self.step % self.rates.save_every == 0 or self.step == self.steps:
                log.info("%s, step %d: loss %.4f", self.checkpoint.stem, self.step, sum(losses) / len(losses))
                losses = []
                self.save()

    def take_step(self, step: int) -> float:
        """One step of the optimiser and of the running average; gives the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rates.rate * min(1.0, (step + 1) / WARM_UP) * self.decay(step)
        self.optimiser.zero_grad()
        loss = self.backward(step)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        keep = min(LONGEST_MEMORY, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
                average.lerp_(now, 1 - keep)
        return loss

    def decay(self, step: int) -> float:
        """Share of the learning rate at a step, after the warm-up: a cosine down to 2% at the last step."""
        return 0.51 + 0.49 * math.cos(math.pi * step / self.steps)

    def save(self) -> None:
        """The file is whole or absent: a kill loses at most the steps since the last save."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        with atomic_write(self.checkpoint) as beside:
            torch.save(state, beside)


class NetTrainer(Trainer[BridgeNet]):
    """Trains the blending network on clips, frame after frame."""

    memory_format = torch.channels_last

    def __init__(self, folder: Path, options: TrainOptions, paths: list[Path]) -> None:
        net = init_network(lambda: BridgeNet(options.net), options.seed)
        self.options = options
        super().__init__(net, folder / "net.pt", options, options.steps, paths)

    def backward(self, step: int) -> float:
        """The loss of a step, after its gradients were added up."""
        batch = Batch.draw(self.paths, self.options, step)
        loss, previous = 0.0, None
        for t in range(self.options.clip):
            answer = run_network(self.net, batch, previous, t, self.options)
            part = total_loss(
                answer, batch.truth[t], batch.depth[t], uncertainty=self.options.net.uncertainty
            )
            if previous is not None and self.options.net.recurrent:
                part = part + STEADY * batch.unsteadiness(previous, answer, t)
            (part / self.options.clip).backward()
            loss += float(part.detach()) / self.options.clip
            previous = answer
        return loss


class TextureTrainer(Trainer[TextureNet]):
    """Trains the detail head on what a finished blending network leaves blurred."""

    def __init__(self, folder: Path, options: TrainOptions, paths: list[Path], net: BridgeNet) -> None:
        self.blending = net.to(options.device).eval()
        self.options = options
        head = init_network(lambda: TextureNet(options.texture), options.seed + 1)
        super().__init__(head, folder / "texture.pt", options, options.detail_steps, paths)

    def backward(self, step: int) -> float:
        """The loss of a step, after its gradients were added up."""
        batch = Batch.draw(self.paths, self.options, 1_000_000 + step, holes_first=True)
        generator = torch.Generator().manual_seed(self.options.seed * 104_729 + step)
        with torch.no_grad():
            answer = run_network(self.blending, batch, None, 0, self.options)
        with torch.autocast(torch.device(self.options.device).type, torch.bfloat16):
            loss = flow_loss(self.net, answer, batch.given[0].seen, batch.truth[0], generator)
        loss.backward()
        return float(loss.detach())


def run_network(
    net: BridgeNet, batch: Batch, previous: Answer | None, t: int, options: TrainOptions
) -> Answer:
    """The network's answer for frame t of the batch, in bfloat16, given its answer for frame t - 1 if there is one."""
    with torch.autocast(torch.device(options.device).type, torch.bfloat16):
        return net(batch.given[t], None if previous is None else batch.warp_previous(previous, t))
