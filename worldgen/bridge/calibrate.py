"""Whether the stated error means what it says: fitted, and then reported, on shots that nothing was trained on."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldgen.bridge.net import BridgeNet
from worldgen.bridge.samples import load_crop
from worldgen.bridge.weights import Calibration, confidence

WITHIN = 0.1
"""Colour error (sRGB) whose probability the confidence states."""


@torch.no_grad()
def held_out_errors(
    net: BridgeNet, paths: list[Path], size: int = 192
) -> tuple[Float[Tensor, "p"], Float[Tensor, "p"], dict[str, float]]:
    """Stated log scale and true mean absolute error per pixel over the last frame of each shot; and mean figures."""
    stated, errors, squares = [], [], []
    for path in paths:
        sample = load_crop(path, frames=slice(0, 1), top=0, left=0, size=size)
        answer = net(sample.given)
        colour = answer.colour.clamp(0, 1)
        stated.append(answer.log_scale.flatten()[::7])
        errors.append((colour - sample.truth).abs().mean(1).flatten()[::7])
        seen = sample.given.seen > 0
        both = [((x - sample.truth) ** 2).mean(1, keepdim=True) for x in (sample.given.base, colour)]
        squares.append([part for x in both for part in (x.mean(), _mean(x[seen]), _mean(x[~seen]))])
    psnr = (-10 * torch.tensor(squares).log10()).nanmean(0)
    names = [f"{who}_psnr_{where}" for who in ("warp", "bridge") for where in ("all", "seen", "holes")]
    return (
        torch.cat(stated),
        torch.cat(errors),
        dict(zip(names, [round(x, 3) for x in psnr.tolist()], strict=True)),
    )


def _mean(x: Tensor) -> Tensor:
    return x.mean() if len(x) else torch.tensor(torch.nan)


def fit_calibration(stated: Float[Tensor, "p"], errors: Float[Tensor, "p"]) -> Calibration:
    """Shift and slope under which the confidence has the least Brier score (mean squared probability error)."""
    from scipy.optimize import minimize

    hit = (errors < WITHIN).float()

    def brier(x: Float[np.ndarray, "2"]) -> float:
        sure = confidence(Calibration(float(x[0]), float(x[1])).scale(stated), WITHIN)
        return float(((sure - hit) ** 2).mean())

    shift, slope = minimize(brier, np.array([0.0, 1.0]), method="Nelder-Mead").x
    return Calibration(round(float(shift), 4), round(float(slope), 4))


def calibration_error(
    stated: Float[Tensor, "p"], errors: Float[Tensor, "p"], calibration: Calibration
) -> float:
    """Expected calibration error of the confidence over ten bins (Guo et al. 2017)."""
    sure = confidence(calibration.scale(stated), WITHIN)
    hit = (errors < WITHIN).float()
    bins = (sure * 10).long().clamp(0, 9)
    total = 0.0
    for k in range(10):
        inside = bins == k
        if inside.any():
            total += float((sure[inside].mean() - hit[inside].mean()).abs() * inside.float().mean())
    return total
