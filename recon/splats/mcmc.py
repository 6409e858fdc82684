"""3D Gaussian splatting as Markov chain Monte Carlo (Kheradmand et al. 2024): relocate, add, explore.

Instead of cloning where gradients are large and pruning what is faint, dead Gaussians move to where opacity is, the
scene grows steadily up to its cap, and noise keeps faint Gaussians on the search. It needs no tuned thresholds and
its count is known beforehand.

    L = photometric + penalties      every step: parameters learn, then means += explore(strength)
    now and then:  dead, added ──►  copies of Gaussians drawn by opacity, which share what those showed
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.gaussians import Gaussians, morton_order
from recon.splats.density import ParameterStore, Times
from recon.splats.engines.reference import ALPHA_MAX, rotation_matrices

SERIES_TERMS = 64
"""Terms of the binomial sum: with opacity up to `ALPHA_MAX` the j-th is below 7ʲ / j!, far below rounding by then."""

EXPLORE_SHARPNESS, EXPLORE_BELOW = 100, 0.005
"""The noise falls off around this opacity, this steeply, as the authors have it: faint Gaussians move, others stay."""


@dataclass(frozen=True)
class Mcmc(Times):
    """Schedule of relocation and growth, and strength of exploration. Times are fractions of the training.

    Copies are hardly smaller than what they replace, and nothing else splits large Gaussians: start from small ones
    (the authors' are a tenth as large as their distance, and half opaque), at points that lie where the scene is.
    """

    start: float = 0.02
    stop: float = 0.83
    every: float = 0.005
    """Interval between two changes."""
    apart: int = 20
    growth: float = 0.05
    """Added at a time, as part of the Gaussians there are, until the cap."""
    dead_opacity: float = 0.005
    """A Gaussian of this opacity or less is dead and is relocated."""
    noise: float = 8e4
    """Strength of the random walk, in learning rates of the means, in a scene of extent 1; with the means' six times
    higher rate here it is the paper's 5e5."""
    opacity_regularisation: float = 0.01
    """Weight in the loss of the mean opacity, of those in the picture."""
    scale_regularisation: float = 0.01
    """Weight in the loss of the mean scale, of those in the picture, in extents of the scene."""


class McmcControl:
    """Relocates and adds Gaussians, and gives the weights of noise and penalties in between."""

    def __init__(self, mcmc: Mcmc, *, cap: int, extent: float) -> None:
        self._options, self._cap, self._extent = mcmc, cap, extent

    def observe_sums(
        self,
        gradient: Float[Tensor, "g"],
        visits: Float[Tensor, "g"],
        radii: Float[Tensor, "g"] | None = None,
    ) -> None:
        """Does nothing: dead Gaussians are found by their opacity."""

    @property
    def apart(self) -> int:
        """Fewest iterations between two changes."""
        return self._options.apart

    def due(self, was: float, now: float) -> bool:
        """Whether a change is due between two fractions of the training."""
        return self._options.due(was, now)

    def reset_due(self, was: float, now: float) -> bool:
        """False: the penalty on opacity does what resets do in 3DGS."""
        return False

    def reset(self, parameters: ParameterStore) -> None:
        """Does nothing; see `reset_due`."""

    def explore_strength(self, means_rate: float) -> float:
        """Factor of `explore`'s step at a learning rate of the means [scene units].

        The paper's factor is the product of noise and rate; a step of it grows with the cube of a scene's size. Divided
        by the extent squared it is the same where the extent is 1, and moves a scene of any size alike.
        """
        return self._options.noise * means_rate / self._extent**2

    def penalty_weights(self, g: int) -> tuple[float, float]:
        """Weights in the loss of one Gaussian's opacity, and of its scale along one axis.

        The penalties make Gaussians that are not needed fade and shrink.
        """
        g = max(1, g)
        opacity, scale = self._options.opacity_regularisation, self._options.scale_regularisation
        return opacity / g, scale / (3 * g * self._extent)

    @torch.no_grad()
    def apply(self, parameters: ParameterStore, generator: torch.Generator) -> None:
        """Relocate dead Gaussians, add new ones up to the cap, and sort all along a Morton curve.

        Both are drawn together, where the paper draws one after the other, so that each stack of copies has the
        opacity and scale of its final number.
        """
        scene = parameters.gaussians().detach()
        opacity = scene.opacity_logits.sigmoid().nan_to_num()  # NaN is dead
        alive = opacity > self._options.dead_opacity
        if not alive.any():
            alive[:] = True
        g, living = len(scene), int(alive.sum())
        drawn = _draw(opacity * alive, g - living + self._count_to_add(g), generator)
        copies = 1 + torch.bincount(drawn, minlength=g)

        # the living keep their rows; each drawn row adds one copy
        source = torch.cat([torch.nonzero(alive)[:, 0], drawn])
        source = source[morton_order(scene.means[source].cpu()).to(source.device)]
        touched = copies[source] > 1
        parameters.replace(source, touched, self._share_among_copies(scene[source], copies[source], touched))

    def _count_to_add(self, g: int) -> int:
        return max(0, min(self._cap - g, math.ceil(self._options.growth * g)))

    def _share_among_copies(
        self, gaussians: Gaussians, copies: Int[Tensor, "g"], touched: Bool[Tensor, "g"]
    ) -> dict[str, Tensor]:
        """Opacity and scale by name, with those of `touched` rows shared among copies, never below `dead_opacity`."""
        logits, log_scales = gaussians.opacity_logits.clone(), gaussians.log_scales.clone()
        opacity, scale = split_into_copies(
            logits[touched].sigmoid(), log_scales[touched].exp(), copies[touched]
        )
        logits[touched] = opacity.clamp_min(self._options.dead_opacity).logit().to(logits)
        log_scales[touched] = scale.log().to(log_scales)
        return {"opacity_logits": logits, "log_scales": log_scales}


def split_into_copies(
    opacity: Float[Tensor, "g"], scale: Float[Tensor, "g 3"], copies: Int[Tensor, "g"]
) -> tuple[Float[Tensor, "g"], Float[Tensor, "g 3"]]:
    """Opacity and scale, in float64, with which `copies` Gaussians at one place look as one did (equation 9).

    Of N copies each has the opacity a = 1 - (1 - o)^(1/N), which keeps the centre's, and the scale

        s · o / Σ_{i=1..N} Σ_{k<i} C(i-1, k) (-1)^k a^(k+1) / √(k+1)  =  s · o / Σ_{j=1..N} C(N, j) (-1)^(j-1) a^j / √j

    which keeps the integral along a line through it. One copy stays what it was.

    Args:
        opacity: o in [0, 1]; above `ALPHA_MAX`, past which none is drawn, it counts as that.
        scale: s, in any unit.
        copies: N, at least 1.
    """
    o, n = opacity.double().clamp(1e-12, ALPHA_MAX), copies.double()
    a = -torch.expm1(torch.log1p(-o) / n)
    term, total = n * a, n * a
    for j in range(1, SERIES_TERMS):  # terms past the N-th are 0
        term = term * a * (j - n) / (j + 1)
        total = total + term / math.sqrt(j + 1)
    return a, scale.double() * (o / total)[:, None]


@torch.no_grad()
def explore(gaussians: Gaussians, strength: float, generator: torch.Generator) -> Float[Tensor, "g 3"]:
    """A step of the random walk, to be added to the means, in scene units.

    strength · σ(100 (0.005 - opacity)) · covariance · normal noise: along a Gaussian's own shape, and hardly at all for
    what is opaque. The noise is drawn on the generator's device.
    """
    noise = torch.randn(
        len(gaussians), 3, dtype=torch.float32, generator=generator, device=generator.device
    ).to(gaussians.means)
    freedom = (EXPLORE_SHARPNESS * (EXPLORE_BELOW - gaussians.opacity_logits.sigmoid())).sigmoid()
    axes = rotation_matrices(gaussians.quats_wxyz) * gaussians.log_scales.exp()[:, None]
    return strength * freedom[:, None] * (axes @ (axes.mT @ noise[..., None]))[..., 0]


def _draw(weight: Float[Tensor, "g"], count: int, generator: torch.Generator) -> Int[Tensor, "count"]:
    """Indices drawn independently, each as often as its weight says."""
    reached = weight.double().cumsum(0)
    share = 1 - torch.rand(count, generator=generator, dtype=torch.float64)  # never 0: nothing without weight
    return torch.searchsorted(reached, share.to(reached) * reached[-1])
