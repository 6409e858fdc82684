"""What the depth network is trained to make small."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.depth.learned.inputs import PLANES
from recon.depth.learned.net import DepthAnswer

MIDDLE = 1.0
"""Weight of the mean absolute error of the logarithm of `DepthAnswer.middle`, beside the likelihood."""
OUTLIER = 0.02
"""Share of probability that the likelihood spreads evenly: a true depth that nothing speaks for costs at most so much."""


def depth_loss(answer: DepthAnswer, truth: Float[Tensor, "b h w"], spans: Float[Tensor, "b 2"]) -> Tensor:
    """Negative log-likelihood of the true share, and the error of the network's own depth.

    Args:
        truth: share; NaN where unknown.
        spans: inverse depths of share 0 and 1.
    """
    known = ~truth.isnan()
    share = truth.nan_to_num(0).clamp(0, 1)
    far, near = (end[:, None, None] for end in spans.unbind(1))
    found, true = (far + x * (near - far) for x in (answer.middle, share))
    return (likelihood_loss(answer, share) + MIDDLE * (found / true).log().abs())[known].mean()


def likelihood_loss(answer: DepthAnswer, share: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Negative log-probability of the two planes beside the true share, in the proportion of nearness."""
    at = (share * (PLANES - 1)).clamp(0, PLANES - 1 - 1e-3)
    below = at.floor().long()
    part = at - below
    log_p = answer.logits.log_softmax(1)
    two = log_p.gather(1, torch.stack([below, below + 1], 1))
    mixed = torch.logaddexp(two + np.log(1 - OUTLIER), torch.full_like(two, float(np.log(OUTLIER / PLANES))))
    return -((1 - part) * mixed[:, 0] + part * mixed[:, 1])
