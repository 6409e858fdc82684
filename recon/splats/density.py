"""Adaptive density control of 3DGS (Kerbl et al. 2023, section 5): clone, split, prune."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.gaussians import Gaussians, morton_order
from recon.splats.parameters import Parameters
from recon.splats.reference import rotation_matrices
from recon.splats.screen import Screen

SPLIT_SHRINK = 1.6


@dataclass(frozen=True)
class Density:
    """When and where Gaussians are added and removed. Times are fractions of the training."""

    start: float = 0.05
    stop: float = 0.6
    every: float = 0.03
    gradient: float = 2e-4
    """Mean gradient of the loss by a centre on the screen, in units of half a picture, above which it is densified."""
    growth: float = 0.1
    """At most this part of the Gaussians is densified at a time, the worst first: a short training, whose early
    gradients are all large, would else fill the cap with copies of what is not in place yet."""
    split_above: float = 0.01
    """Size, in extents of the scene, above which a Gaussian is split rather than cloned."""
    prune_opacity: float = 0.005
    prune_above: float | None = None
    """Size, in extents of the scene, above which a Gaussian is removed; None: never."""
    opacity_reset: float | None = None
    """Fraction of the training at whose multiples (until `stop`) opacity is brought down; None: never."""


class DensityControl:
    """Gathers statistics over iterations and rebuilds the parameters when it is time."""

    def __init__(
        self, density: Density, *, iterations: int, cap: int, extent: float, g: int, device: torch.device
    ) -> None:
        self._options, self._cap, self._extent, self._iterations = density, cap, extent, iterations
        self._every = max(1, round(density.every * iterations))
        self._forget(g, device)

    def _forget(self, g: int, device: torch.device) -> None:
        self._gradient, self._seen = torch.zeros(g, device=device), torch.zeros(g, device=device)

    def observe(self, screen: Screen, width: int, height: int) -> None:
        """Takes in one backward pass."""
        v = screen.means2d.grad
        if v is None:
            return
        half = torch.tensor([width / 2, height / 2], device=v.device)
        seen = screen.radii_px > 0
        self._gradient += ((v * half).norm(dim=-1) * seen).sum(0)
        self._seen += seen.sum(0)

    def due(self, iteration: int) -> bool:
        done = iteration / self._iterations
        return self._options.start <= done <= self._options.stop and iteration % self._every == 0

    def reset_due(self, iteration: int) -> bool:
        reset = self._options.opacity_reset
        return (
            reset is not None
            and iteration < self._options.stop * self._iterations
            and iteration % max(1, round(reset * self._iterations)) == 0
        )

    @torch.no_grad()
    def apply(self, parameters: Parameters, generator: torch.Generator) -> None:
        """Prunes, clones and splits, at most up to the cap; puts neighbours next to each other in memory."""
        scene = parameters.gaussians().detach()
        size = scene.log_scales.exp().amax(-1)
        keep = scene.opacity_logits.sigmoid() > self._options.prune_opacity
        if self._options.prune_above is not None:
            keep &= size < self._options.prune_above * self._extent
        if not keep.any():
            keep[:] = True
        grow = self._worst(keep)
        split = grow & (size > self._options.split_above * self._extent)
        clone = grow & ~split

        index = torch.arange(len(scene), device=size.device)
        source = torch.cat([index[keep & ~split], index[clone], index[split], index[split]])
        halves = 2 * int(split.sum())
        fresh = torch.zeros(len(source), dtype=torch.bool, device=size.device)
        fresh[int((keep & ~split).sum()) :] = True
        means, log_scales = scene.means[source], scene.log_scales[source]
        if halves:
            means[-halves:] += _offsets(scene[source[-halves:]], generator)
            log_scales[-halves:] -= math.log(SPLIT_SHRINK)
        order = morton_order(means.cpu()).to(means.device)
        parameters.replace(
            source[order], fresh[order], {"means": means[order], "log_scales": log_scales[order]}
        )
        self._forget(len(order), means.device)

    def _worst(self, keep: Bool[Tensor, "g"]) -> Bool[Tensor, "g"]:
        """Which to densify: those whose mean gradient is above the threshold, the worst first while there is room."""
        mean = torch.where(keep, self._gradient / self._seen.clamp_min(1), 0)
        grow = mean > self._options.gradient
        count = int(keep.sum())
        room = min(max(0, self._cap - count), math.ceil(self._options.growth * count))
        if int(grow.sum()) > room:
            chosen = torch.sort(mean, descending=True, stable=True).indices[:room]
            grow = torch.zeros_like(grow)
            grow[chosen] = True
        return grow


def _offsets(gaussians: Gaussians, generator: torch.Generator) -> Float[Tensor, "g 3"]:
    """Random points of the Gaussians themselves, about their centres."""
    noise = torch.randn(len(gaussians), 3, generator=generator).to(gaussians.means)
    return (rotation_matrices(gaussians.quats_wxyz) @ (noise * gaussians.log_scales.exp())[..., None])[..., 0]
