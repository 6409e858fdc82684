"""The scene while it is trained: one optimiser group per kind of parameter, grown and pruned together."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.gaussians import Gaussians, sh_bases


@dataclass(frozen=True)
class LearningRates:
    """Learning rates of Adam: those of 3DGS, multiplied by a boost that falls with the root of the iteration, so that short trainings
    get somewhere and long ones settle; for the means six times those of 3DGS, unboosted."""

    means: float = 1e-3
    """In units of the scene's extent; decays exponentially to `means_end` of itself."""
    means_end: float = 0.05
    """Share of the means' rate that is left at the end."""
    quats_wxyz: float = 1e-3
    log_scales: float = 5e-3
    opacity_logits: float = 5e-2
    sh0: float = 2.5e-3
    sh_rest: float = 2.5e-3 / 20
    """A twentieth of the constant part's, as in 3DGS."""
    exposure: float = 1e-3
    boost: float = 3.0
    """At the first iteration; never below 1."""
    boost_iterations: float = 700.0
    """After so many it has fallen by √2."""

    def of_means(self, fraction: float) -> float:
        """Rate of the means at a `fraction` of the training, in units of the scene's extent."""
        return self.means * self.means_end**fraction

    def boost_at(self, iteration: int) -> float:
        """Factor on the rates of shape, opacity and colour at an iteration, at least 1."""
        return max(1.0, self.boost / math.sqrt(1 + iteration / self.boost_iterations))


BETAS, EPSILON = (0.9, 0.999), 1e-15
"""Adam's constants, as 3DGS has them."""


class Parameters:
    """Trained tensors and their Adam. Colour is kept as its constant part and the rest, which learn apart."""

    def __init__(self, gaussians: Gaussians, rates: LearningRates, extent: float) -> None:
        start = gaussians.tensors()
        sh = start.pop("sh")
        start |= {"sh0": sh[:, :1], "sh_rest": sh[:, 1:]}
        self._rates, self._extent = rates, extent
        groups = [
            {
                "name": name,
                "params": [value.detach().clone(memory_format=torch.contiguous_format).requires_grad_()],
                "lr": getattr(rates, name),
            }
            for name, value in start.items()
        ]
        self._adam = torch.optim.Adam(groups, betas=BETAS, eps=EPSILON, fused=True)

    def _tensors(self) -> dict[str, Tensor]:
        return {group["name"]: group["params"][0] for group in self._adam.param_groups}

    def gaussians(self, sh_degree: int | None = None) -> Gaussians:
        """The scene as it is, attached to the graph; with colour up to `sh_degree`."""
        tensors = self._tensors()
        sh0, rest = tensors.pop("sh0"), tensors.pop("sh_rest")
        if sh_degree is not None:
            rest = rest[:, : sh_bases(sh_degree) - 1]
        return Gaussians(**tensors, sh=torch.cat([sh0, rest], 1) if rest.shape[1] else sh0)

    def step(self, fraction: float, iteration: int) -> None:
        """One step of Adam, the `iteration`-th, `fraction` of the way through the training."""
        for group in self._adam.param_groups:
            if group["name"] == "means":
                group["lr"] = self._rates.of_means(fraction) * self._extent
            else:
                group["lr"] = getattr(self._rates, group["name"]) * self._rates.boost_at(iteration)
            value = group["params"][0]
            if value.grad is None:
                value.grad = torch.zeros_like(value)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def replace(
        self, source: Int[Tensor, "m"], fresh: Bool[Tensor, "m"], edits: dict[str, Float[Tensor, "m ..."]]
    ) -> None:
        """New Gaussian i is a copy of `source[i]`; a fresh one starts without momentum; `edits` overrule values."""
        for group in self._adam.param_groups:
            old = group["params"][0]
            new = (
                (edits[group["name"]] if group["name"] in edits else old[source])
                .contiguous()
                .requires_grad_()
            )
            state = self._adam.state.pop(old, None)
            if state:
                for moment in ("exp_avg", "exp_avg_sq"):
                    state[moment] = state[moment][source]
                    state[moment][fresh] = 0
                self._adam.state[new] = state
            group["params"][0] = new

    @torch.no_grad()
    def cap_opacity(self, most: float) -> None:
        """Cap opacity at `most` and reset its momentum, as 3DGS does against floaters."""
        group = next(g for g in self._adam.param_groups if g["name"] == "opacity_logits")
        logits = group["params"][0]
        logits.clamp_(max=float(torch.logit(torch.tensor(most))))
        for moment in ("exp_avg", "exp_avg_sq"):
            if logits in self._adam.state:
                self._adam.state[logits][moment].zero_()
