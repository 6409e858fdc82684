"""Conversion of pictures to 8 bits."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_eight_bit(values: Float[Tensor, "*size"]) -> UInt8[Tensor, "*size"]:
    """Convert values in [0, 1] to 0 to 255 on the CPU, rounded to the nearest; others are clamped."""
    return (values.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
