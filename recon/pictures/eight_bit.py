"""Pictures of floats as bytes."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_eight_bit(values: Float[Tensor, "*size"]) -> UInt8[Tensor, "*size"]:
    """Values in [0, 1] as 0 to 255, rounded to the nearest; others are clamped. On the CPU."""
    return (values.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
