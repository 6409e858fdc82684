"""What the network is trained to make small."""

import torch
from jaxtyping import Float
from torch import Tensor

from worldgen.models.bridge.net import Answer

GRADIENT, SQUARED, SCALE, DEPTH, STEADY = 0.5, 2.0, 0.03, 0.2, 0.3
"""Weights beside the mean absolute colour error."""


def colour_loss(colour: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]) -> Tensor:
    """Absolute and squared colour error, and absolute error of the picture's gradients."""
    error = colour - truth
    across = (error.diff(dim=-1)).abs().mean() + (error.diff(dim=-2)).abs().mean()
    return error.abs().mean() + GRADIENT * across + SQUARED * (error**2).mean()


def scale_loss(answer: Answer, truth: Float[Tensor, "b 3 h w"]) -> Tensor:
    """Negative log-likelihood of the mean absolute error under an exponential distribution of the stated scale.

    The error is detached: stating doubt must not excuse a worse picture.
    """
    error = (answer.colour.detach() - truth).abs().mean(1, keepdim=True)
    return (error * torch.exp(-answer.log_scale) + answer.log_scale).mean()


def depth_loss(answer: Answer, depth: Float[Tensor, "b 1 h w"]) -> Tensor:
    """Mean absolute error of inverse depth, 0 where the truth is unknown (0); both in the units of `Conditioning`."""
    return ((answer.inverse_depth - depth).abs() * (depth > 0)).mean()


def steadiness_loss(
    colour: Float[Tensor, "b 3 h w"],
    before: Float[Tensor, "b 3 h w"],
    truth: Float[Tensor, "b 3 h w"],
    truth_before: Float[Tensor, "b 3 h w"],
    valid: Float[Tensor, "b 1 h w"],
) -> Tensor:
    """How much the change from frame to frame differs from the true change; `before` are moved frames."""
    return (((colour - before) - (truth - truth_before)).abs() * valid).mean()


def total_loss(
    answer: Answer, truth: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"], *, uncertainty: bool
) -> Tensor:
    """What a frame is trained by; steadiness, which needs two frames, comes on top.

    Args:
        depth: true inverse depth in the units of `Conditioning.inverse_depth`; 0 where unknown.
        uncertainty: whether the stated scale is trained too.
    """
    loss = colour_loss(answer.colour, truth) + DEPTH * depth_loss(answer, depth)
    return loss + SCALE * scale_loss(answer, truth) if uncertainty else loss
