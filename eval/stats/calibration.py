"""Is a stated confidence worth anything? Reliability, ranking of errors, and coverage of stated intervals.

Two questions that are easily mixed up. *Calibration*: of the pixels said to be right with 80%, are 80% right?
*Ranking*: are the pixels said to be worse the worse ones? A constant can be calibrated, and a wrong scale can rank.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.errors import BridgeError

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Probabilities whose intervals are checked: the middle half, and the levels that people state."""
SPARSIFICATION_STEPS = 100
"""Points of the sparsification curve, one for each per cent of pixels taken away, as the papers plot it."""


@dataclass(frozen=True)
class Reliability:
    """Sums over equal bins of stated probability, so that parts measured apart can be added."""

    count: Float[Tensor, "bins"]
    stated_sum: Float[Tensor, "bins"]
    true_sum: Float[Tensor, "bins"]

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(
            self.count + other.count, self.stated_sum + other.stated_sum, self.true_sum + other.true_sum
        )

    @property
    def mean_stated(self) -> Float[Tensor, "bins"]:
        """Mean stated probability of each bin; NaN where it is empty."""
        return self.stated_sum / self.count

    @property
    def share_true(self) -> Float[Tensor, "bins"]:
        """Share that came true; NaN where the bin is empty."""
        return self.true_sum / self.count

    @property
    def expected_error(self) -> float | None:
        """Expected calibration error (Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599): |observed − stated|,
        averaged over bins with the number in each as weight. None where there is nothing."""
        total = self.count.sum().item()
        return (self.true_sum - self.stated_sum).abs().sum().item() / total if total else None


def reliability(
    probability: Float[Tensor, "m"], came_true: Bool[Tensor, "m"], *, bins: int = 10
) -> Reliability:
    """Stated probabilities in [0, 1] beside what happened, in equal bins; a probability of 1 is in the last.

    Where the probability is NaN nothing was stated: such items are left out, of the count too.

    Raises:
        BridgeError: a probability outside of [0, 1].
    """
    stated = ~probability.isnan()
    probability, came_true = probability[stated], came_true[stated]
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise BridgeError(
            f"expected probabilities in [0, 1], got {probability.min().item():g} to {probability.max().item():g}; "
            "clamp them, or turn scores into probabilities first"
        )
    at = (probability.double() * bins).long().clamp(0, bins - 1)
    ones = torch.ones(len(at), dtype=torch.float64)
    return Reliability(
        *(
            torch.zeros(bins, dtype=torch.float64).index_add_(0, at, x.double())
            for x in (ones, probability, came_true)
        )
    )


def ause(error: Float[Tensor, "m"], uncertainty: Float[Tensor, "m"]) -> float | None:
    """Area under the sparsification error (Ilg et al., Uncertainty Estimates and Multi-Hypotheses Networks for
    Optical Flow, ECCV 2018, arXiv 1802.07095): see `sparsification`. 0 where the uncertainty orders pixels as
    their errors do.

    Like Ilg et al. both curves are divided by the error of all pixels; unlike them the error is RMSE instead of
    the mean end-point error. None for no pixels, where no error is above zero, or where one is NaN; a NaN
    uncertainty counts as the highest.
    """
    curves = sparsification(error, uncertainty)
    if curves is None:
        return None
    by_uncertainty, oracle = curves
    return torch.trapezoid(by_uncertainty - oracle, dx=1 / SPARSIFICATION_STEPS).item()


def sparsification(
    error: Float[Tensor, "m"], uncertainty: Float[Tensor, "m"]
) -> tuple[Float[Tensor, "steps"], Float[Tensor, "steps"]] | None:
    """The sparsification curve: RMSE of what is left when the most uncertain 0%, 1% … 99% are taken away, over the RMSE of all; and the same
    when the largest errors are taken away (the oracle).

    Pixels of equal uncertainty have no order: each counts as their mean square, which is the expectation over all
    orders. A NaN uncertainty counts as the highest. None for no pixels, where no error is above zero, or where one
    is NaN: such pixels have to be left out beforehand.
    """
    squared = error.double().square()
    if not len(squared) or not squared.max() > 0:
        return None
    _, group, size = torch.unique(uncertainty, return_inverse=True, return_counts=True)
    of_group = torch.zeros(len(size), dtype=torch.float64).index_add_(0, group, squared) / size
    whole = squared.mean().sqrt()
    share = 1 - torch.arange(SPARSIFICATION_STEPS, dtype=torch.float64) / SPARSIFICATION_STEPS
    kept = (share * len(squared)).ceil().long().clamp_min(1)

    def curve(ordered: Float[Tensor, "m"]) -> Float[Tensor, "steps"]:
        """RMSE of what is left of squared errors in this order, over that of all."""
        return (ordered.cumsum(0)[kept - 1] / kept).clamp_min(0).sqrt() / whole

    return curve(of_group[group.sort().values]), curve(squared.sort().values)


def correlations(a: Float[Tensor, "m"], b: Float[Tensor, "m"]) -> tuple[float | None, float | None]:
    """Spearman's rank correlation, ties at their mean rank, and Pearson's, both in [-1, 1]; None where one of the
    two does not vary, where a value is NaN, or there are fewer than two."""
    from scipy.stats import rankdata

    if len(a) < 2:
        return None, None
    ranks = [torch.from_numpy(rankdata(x.numpy())) for x in (a, b)]
    return _pearson(*ranks), _pearson(a.double(), b.double())


def _pearson(a: Float[Tensor, "m"], b: Float[Tensor, "m"]) -> float | None:
    a, b = a - a.mean(), b - b.mean()
    below = (a.square().sum() * b.square().sum()).sqrt().item()
    return max(-1.0, min(1.0, (a * b).sum().item() / below)) if below > 0 else None


def laplace_coverage(
    magnitude: Float[Tensor, "m"], scale: Float[Tensor, "m"], levels: Sequence[float] = LEVELS
) -> tuple[float | None, ...]:
    """Share of absolute errors within the interval that a stated Laplace scale b gives for each level p.

    The magnitude of a Laplace variable is exponentially distributed, so its quantile is −b ln(1 − p). A coverage
    above p says that errors are smaller than stated. None for no pixels; a NaN on either side counts as not covered.
    """
    if not len(magnitude):
        return (None,) * len(levels)
    return tuple((magnitude <= -math.log1p(-p) * scale).double().mean().item() for p in levels)
