"""The protocol behind which every view-making thing stands."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip


@dataclass(frozen=True)
class ModelSpec:
    """What a model is and wants; its own door converts from the project's conventions."""

    name: str
    conditions_on: tuple[str, ...]
    """Of 'cameras', 'images', 'text', 'time'."""
    frames_per_call: int | None = None
    """Largest number of targets a call; None means any. Longer requests are rolled out by the library."""
    frame_rule: tuple[int, int] | None = None
    """(stride, offset): it takes offset, offset + stride, offset + 2 · stride … frames; (4, 1) for 4k + 1. None: any."""
    min_context: int = 0
    resolution: tuple[int, int] | None = None
    """(width, height) it works at; None means any. The library scales and crops (`worldgen.door`)."""
    gives_confidence: bool = False
    license: str = "Apache-2.0"
    needs: str = ""
    """What must be there to run it, for people: 'a CUDA GPU with 24 GB', 'weights from …'."""


@dataclass(frozen=True)
class Request:
    """What would be seen from there?"""

    context: Clip
    """Posed views to go by; a `Clip` of zero images where the model needs none."""
    targets: Cameras
    times_s: Float[Tensor, "n"] | None = None
    prompt: str | None = None


@runtime_checkable
class WorldModel(Protocol):
    """Answers a request with one picture per target camera.

    The clip's `cameras` are the requested ones; its `confidence` is there if the spec says so.
    """

    @property
    def spec(self) -> ModelSpec: ...

    def generate(self, request: Request, *, generator: torch.Generator) -> Clip: ...
