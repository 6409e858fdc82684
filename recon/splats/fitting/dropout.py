"""Gaussians that an iteration leaves out, so that no photo is explained by a few of them alone."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.splats.engines.reference import ALPHA_MAX

LEFT_OUT_LOGIT = -30.0
"""Opacity logit of a Gaussian that is left out: 1e-13, far below the 1/255 from which engines draw."""


@dataclass(frozen=True)
class Dropout:
    """What one iteration leaves out (DropGaussian, Park et al. 2025).

    The others are drawn with opacity / (1 - rate), so that the picture stays as opaque as it was.
    """

    kept: Bool[Tensor, "*g"]
    rate: float
    """Probability with which each Gaussian was left out."""

    def change_logits(self, logits: Float[Tensor, "*g"]) -> Float[Tensor, "*g"]:
        """Opacity logits with which the Gaussians are drawn in this iteration.

        Training takes the derivative by these for that by `logits`: the exact one differs by a positive factor, which Adam
        divides out, and is 0 where the opacity is capped, which would hold such a Gaussian where it is.
        """
        raised = (logits.sigmoid() / (1 - self.rate)).clamp(max=ALPHA_MAX).logit(eps=1e-6)
        return torch.where(self.kept.to(logits.device), raised, LEFT_OUT_LOGIT)


def draw_dropout(most: float, now: float, count: int, generator: torch.Generator) -> Dropout | None:
    """Draw which of `count` Gaussians an iteration leaves out; None where `most` is 0.

    The rate grows in proportion to the training's progress `now`, in (0, 1], up to `most`, as the paper has it: early on, when
    Gaussians are few and out of place, each is needed.
    """
    if most == 0:
        return None
    rate = most * now
    return Dropout(torch.rand(count, generator=generator) >= rate, rate)
