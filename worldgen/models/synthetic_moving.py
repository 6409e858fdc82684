"""A procedural place in which things move, as a world model: truth for tests of what moves."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import ModelSpec, Request, Views
from worldgen.scenes.moving_place import MovingPlace


@dataclass(frozen=True)
class SyntheticMovingOptions:
    """Which place is filmed."""

    seed: int = 1
    """Of the place; 1 is that of `bridge4d sample --moving`, whose --seed counts from there."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise BridgeError(f"expected a seed from 0 on, got {self.seed}")


class SyntheticMoving:
    """Films a `MovingPlace` from the requested cameras at the requested times (``synthetic-moving``), and is never wrong.

    Cameras are meant in the frame of the place, as those that `bridge4d sample --moving` writes.
    """

    def __init__(self, options: SyntheticMovingOptions | None = None) -> None:
        self.options = options or SyntheticMovingOptions()

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(name="synthetic-moving", conditions_on=("cameras", "time"), gives_confidence=True)

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """Exact pictures and depth with confidence 1, without times as it is at 0 s; context and generator do not matter."""
        targets, times = request.targets, request.times_s
        film = _place(self.options.seed).film(targets, torch.zeros(len(targets)) if times is None else times)
        clip = film.clip
        sure = torch.ones(clip.images.shape[:3])
        return Views(Clip(images=clip.images, cameras=targets, times_s=times, confidence=sure), film.depth)


@lru_cache(maxsize=2)
def _place(seed: int) -> MovingPlace:
    """Furnished and lit once a process."""
    return MovingPlace(seed)
