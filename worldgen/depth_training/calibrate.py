"""The temperature that makes the stated probabilities of depth hold, fitted on some held-out places and judged on others."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.depth.learned.guess import WITHIN
from recon.depth.learned.net import DepthAnswer, DepthNet
from worldgen.depth_training.losses import likelihood_loss
from worldgen.depth_training.samples import DepthSample

TEMPERATURES = tuple(float(x) for x in np.geomspace(0.5, 2.0, 13).round(3))
"""Of the logits; 1 leaves them as they are."""
BINS = 10
"""Equally filled bins of the stated probability."""


@torch.no_grad()
def fit_temperature(net: DepthNet, samples: Sequence[DepthSample]) -> float:
    """The temperature of the least negative log-likelihood where photos do not agree; there the network is asked."""
    total = np.zeros(len(TEMPERATURES))
    for sample in samples:
        answer = net(sample.given.channels()[None])
        asked = asked_pixels(sample)
        share = sample.truth.nan_to_num(0)[None].clamp(0, 1)
        total += [float(likelihood_loss(answer.divided(t), share)[0][asked].sum()) for t in TEMPERATURES]
    return TEMPERATURES[int(total.argmin())]


@torch.no_grad()
def judge_chances(net: DepthNet, samples: Sequence[DepthSample], temperature: float) -> dict[str, float]:
    """How the stated probability of being within 2% holds, where photos do not agree."""
    stated, held = [], []
    for sample in samples:
        asked = asked_pixels(sample)
        answer = net(sample.given.channels()[None]).divided(temperature)
        share = answer.median()
        stated.append(answer.chance_within(share, *sample.span, WITHIN)[0][asked])
        held.append(is_within(answer, sample)[asked])
    chance, hit = torch.cat(stated), torch.cat(held).float()
    return {"chance": float(chance.mean()), "held": float(hit.mean()), "ece": calibration_error(chance, hit)}


def calibration_error(chance: Float[Tensor, "q"], hit: Float[Tensor, "q"]) -> float:
    """Expected calibration error: mean absolute difference of stated and found share over equally filled bins."""
    order = chance.argsort()
    parts = [part for part in order.tensor_split(BINS) if len(part)]
    return sum(abs(float(hit[part].mean() - chance[part].mean())) for part in parts) / max(1, len(parts))


def is_within(answer: DepthAnswer, sample: DepthSample) -> Tensor:
    """Mask [h, w] of the pixels whose likeliest depth is within 2% of the truth."""
    far, near = sample.span
    found, true = (far + share * (near - far) for share in (answer.median()[0], sample.truth))
    return (true / found - 1).abs() < WITHIN


def asked_pixels(sample: DepthSample) -> Tensor:
    """Mask [h, w] of the pixels with known truth on which no other photo agrees."""
    return (sample.truth > 0) & (sample.given.agreeing == 0)
