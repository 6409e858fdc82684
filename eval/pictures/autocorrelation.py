"""Do neighbouring errors resemble each other? Noise of keypoints does not; a bent picture does."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

NEIGHBOURS = 8


@dataclass(frozen=True)
class MoransI:
    value: float
    """About `expectation` for errors without structure, towards 1 where neighbours err alike."""
    expectation: float
    """−1/(m − 1), for m values without structure."""
    z: float
    """Standard deviations above the expectation, were the values independent and normal."""


def morans_i(
    values: Float[Tensor, "m"], xy: Float[Tensor, "m 2"], *, neighbours: int = NEIGHBOURS
) -> MoransI | None:
    """Moran's I (Moran 1950) of values at points of the plane.

    ``I = Σᵢⱼ wᵢⱼ zᵢ zⱼ / Σᵢ zᵢ²`` with z the deviations from the mean and wᵢⱼ = 1/k for the k nearest points j of i,
    else 0. Variance under normality after Cliff & Ord 1981, as PySAL's ``esda.Moran.z_norm`` has it.
    None (undefined) for no more than `neighbours` + 2 points, and where all values are equal.
    """
    from scipy.spatial import KDTree

    m = len(values)
    if m <= neighbours + 2:
        return None
    z = values.double() - values.double().mean()
    if z.abs().max() <= 1e-12 * values.abs().max().clamp_min(1e-300):
        return None
    near = torch.from_numpy(KDTree(xy.numpy()).query(xy.numpy(), k=neighbours + 1)[1])
    near = _without_oneself(near)
    value = (z * z[near].mean(dim=1)).sum() / z.square().sum()

    # Sums over the weights: s0 = Σ wᵢⱼ, s1 = ½ Σ (wᵢⱼ + wⱼᵢ)², s2 = Σᵢ (Σⱼ wᵢⱼ + Σⱼ wⱼᵢ)².
    oneself = torch.arange(m)[:, None]
    mutual = torch.isin(oneself * m + near, near * m + oneself).sum().item()
    chosen_by = torch.bincount(near.flatten(), minlength=m).double()
    s0 = float(m)
    s1 = m / neighbours + mutual / neighbours**2
    s2 = (1 + chosen_by / neighbours).square().sum().item()
    expectation = -1 / (m - 1)
    variance = (m * m * s1 - m * s2 + 3 * s0 * s0) / ((m * m - 1) * s0 * s0) - expectation**2
    return MoransI(value.item(), expectation, (value.item() - expectation) / variance**0.5)


def _without_oneself(near: Tensor) -> Tensor:
    """Rows of the k nearest others; among points in one place the point itself need not come first."""
    oneself = near == torch.arange(len(near))[:, None]
    oneself[~oneself.any(dim=1), -1] = True  # crowded out by others in its place: the farthest one goes
    return near[~oneself].reshape(len(near), -1)
