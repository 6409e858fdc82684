"""What keeps motion plain: neighbours go together, and what need not move does not."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.sequence import Motion

NEIGHBOURS = 6
"""Neighbours whose velocities are compared: as many as a surface has around a point."""


@dataclass(frozen=True)
class Penalty:
    """Both in extents of the scene per duration of the clip."""

    rigidity: Float[Tensor, ""]
    """Mean difference between the velocities of neighbours, summed over x, y and z."""
    speed: Float[Tensor, ""]
    """Mean velocity, absolute and summed over x, y and z."""


class Neighbours:
    """The nearest moving Gaussians of each, in space and time, where the training begins."""

    def __init__(
        self,
        means: Float[Tensor, "m 3"],
        time_center_s: Float[Tensor, "m"],
        *,
        extent: float,
        span_s: float,
    ) -> None:
        from scipy.spatial import cKDTree

        self._unit = span_s / extent
        # a whole clip lies as far apart as the scene is large
        at = torch.cat([means, (time_center_s / self._unit)[:, None]], 1).double().numpy()
        k = min(NEIGHBOURS + 1, len(at))
        self._near: Int[Tensor, "m k"] = torch.zeros(len(at), 0, dtype=torch.long)
        if k > 1:
            self._near = torch.from_numpy(cKDTree(at).query(at, k=k)[1][:, 1:]).long()

    def penalise(self, motion: Motion, rows: Int[Tensor, "r"]) -> Penalty:
        """Penalty of the Gaussians `rows`, whose motion this is."""
        velocity = motion.coefficients[:, 0] * self._unit
        slot = torch.full((len(self._near),), -1, dtype=torch.long)
        slot[rows] = torch.arange(len(rows))
        near = slot[self._near[rows]]
        both = (near >= 0).float()
        apart = (velocity[:, None] - velocity[near.clamp_min(0)]).abs().sum(-1)
        return Penalty((apart * both).sum() / both.sum().clamp_min(1), velocity.abs().sum(-1).mean())
