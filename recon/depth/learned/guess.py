"""What the network says of one photo of a capture, as the depth search uses it."""

from dataclasses import dataclass

import numpy as np
import torch

from recon.depth.learned.inputs import SweptPhoto
from recon.depth.learned.weights import DepthWeights

WITHIN = 0.02
"""Relative difference of depth whose probability is stated: that up to which photos agree."""


@dataclass(frozen=True)
class DepthGuess:
    """Depth of one photo at the size at which planes were swept."""

    inverse: np.ndarray
    """[h, w], median of the stated inverse depth."""
    chance: np.ndarray
    """[h, w], probability that the true depth is within `WITHIN` of it."""


@torch.no_grad()
def guess_depth(weights: DepthWeights, photo: SweptPhoto, far: float, near: float) -> DepthGuess:
    """The median of the stated depth and how sure it is.

    Args:
        far, near: inverse depths of the first and the last plane.
    """
    answer = weights.net(photo.channels()[None]).divided(weights.temperature)
    share = answer.median()
    chance = answer.chance_within(share, far, near, WITHIN)
    inverse = far + share * (near - far)
    return DepthGuess(inverse[0].numpy(), chance[0].numpy())
