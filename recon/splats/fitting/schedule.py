"""The order in which a training looks at its images."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from recon.splats.fitting.options import FitOptions


def draw_visits(often: Float[Tensor, "n"], options: FitOptions, generator: torch.Generator) -> Iterator[int]:
    """Yield the image of each iteration, without end."""
    if options.cpu_seconds is None:
        yield from schedule(often, options.iterations, generator)
    while True:
        yield from schedule(often, 100 * len(often), generator)


def schedule(frequency: Float[Tensor, "n"], count: int, generator: torch.Generator) -> list[int]:
    """Draw indices of images in random order, each about as often as its frequency says.

    Image i comes once in every interval of length 1 / frequency[i], at a random moment of it; with equal
    frequencies that is each image once before any comes again.
    """
    frequency = frequency.double() / frequency.double().sum()
    visits = [math.ceil(count * float(f)) + 1 for f in frequency]
    index = torch.repeat_interleave(torch.arange(len(frequency)), torch.tensor(visits))
    turn = torch.cat([torch.arange(v, dtype=torch.float64) for v in visits])
    moment = (turn + torch.rand(len(turn), generator=generator, dtype=torch.float64)) / frequency[index]
    return index[torch.argsort(moment, stable=True)][:count].tolist()
