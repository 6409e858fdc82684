"""Residual blocks that the networks are made of."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class Block(nn.Module):
    """A residual block with a learned gain (as in ReZero, Bachlechner et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.gain = nn.Parameter(torch.full((1, width, 1, 1), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        return x + self.gain * self.second(silu(self.first(silu(x))))


def residual_blocks(width: int, count: int) -> nn.Sequential:
    """Blocks of one width, one after another."""
    return nn.Sequential(*(Block(width) for _ in range(count)))
