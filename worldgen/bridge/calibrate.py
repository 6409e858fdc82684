"""Whether the stated error means what it says: fitted, and then reported, on shots that nothing was trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldgen.bridge.motion import previous_frame
from worldgen.bridge.net import BridgeNet
from worldgen.bridge.samples import load_crop
from worldgen.bridge.texture import TextureNet, sample_detail
from worldgen.bridge.weights import WITHIN, Calibration, confidence, remoteness

EVERY = 13
"""Of the pixels, one in so many is looked at."""


@dataclass(frozen=True)
class Stated:
    """Pixels of held-out shots: what was said of them, and what was true."""

    log_scale: Float[Tensor, "p"]
    remote: Float[Tensor, "p"]
    """`remoteness`: 0 where a view shows the surface."""
    error: Float[Tensor, "p"]
    """Mean absolute colour error."""


@torch.no_grad()
def held_out_pixels(
    net: BridgeNet, texture: TextureNet, paths: list[Path], *, frames: int, size: int
) -> tuple[Stated, dict[str, float]]:
    """Rolls every shot out as the model does, and compares; also mean PSNR of the filled warp and of the model."""
    generator = torch.Generator().manual_seed(0)
    parts, squares = [], []
    for path in paths:
        sample = load_crop(path, frames=slice(0, frames), top=0, left=0, size=size)
        previous, scale = None, torch.tensor([sample.scale])
        for t in range(frames):
            given, cameras = sample.given[t : t + 1], sample.cameras
            before = None
            if previous is not None:
                before = previous_frame(
                    previous, sample.given[t - 1 : t].inverse_depth, cameras[t - 1],
                    given.inverse_depth, cameras[t], scale,
                )  # fmt: skip
            previous = answer = net(given, before)
            noise = torch.randn(answer.colour.shape, generator=generator)
            colour = (answer.colour + sample_detail(texture, answer, given.seen, noise)).clamp(0, 1)
            truth = sample.truth[t : t + 1]
            error = (colour - truth).abs().mean(1)
            remote = remoteness(given.photographed[0, 0])
            parts.append([x.flatten()[t::EVERY] for x in (answer.log_scale, remote, error)])
            seen = given.seen > 0
            both = [((x - truth) ** 2).mean(1, keepdim=True) for x in (given.base, colour)]
            squares.append([part for x in both for part in (x.mean(), _mean(x[seen]), _mean(x[~seen]))])
    psnr = (-10 * torch.tensor(squares).log10()).nanmean(0)
    names = [f"{who}_psnr_{where}" for who in ("warp", "bridge") for where in ("all", "seen", "holes")]
    stated = Stated(*(torch.cat(x) for x in zip(*parts, strict=True)))
    return stated, dict(zip(names, [round(x, 3) for x in psnr.tolist()], strict=True))


def _mean(x: Tensor) -> Tensor:
    return x.mean() if len(x) else torch.tensor(torch.nan)


def fit_calibration(stated: Stated) -> Calibration:
    """The calibration under which the confidence has the least Brier score (mean squared probability error)."""
    from scipy.optimize import minimize

    hit = (stated.error < WITHIN).float()

    def brier(x: Float[np.ndarray, "2"]) -> float:
        scale = Calibration(float(x[0]), float(x[1])).scale(stated.log_scale, stated.remote)
        return float(((confidence(scale) - hit) ** 2).mean())

    shift, slope = minimize(brier, np.array([0.0, 1.0]), method="Nelder-Mead").x
    return Calibration(round(float(shift), 4), round(float(slope), 4))


def calibration_error(stated: Stated, calibration: Calibration) -> float:
    """Expected calibration error of the confidence over ten bins (Guo et al. 2017)."""
    sure = confidence(calibration.scale(stated.log_scale, stated.remote))
    hit = (stated.error < WITHIN).float()
    bins = (sure * 10).long().clamp(0, 9)
    total = 0.0
    for k in range(10):
        inside = bins == k
        if inside.any():
            total += float((sure[inside].mean() - hit[inside].mean()).abs() * inside.float().mean())
    return total
