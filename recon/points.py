"""A coloured point cloud, as structure from motion leaves it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PointCloud:
    xyz: Float[Tensor, "p 3"]
    rgb: Float[Tensor, "p 3"]
    """sRGB in [0, 1]."""
    error_px: Float[Tensor, "p"]
    """Mean reprojection error of each point."""

    def __len__(self) -> int:
        return self.xyz.shape[0]

    def __getitem__(self, index: slice | Tensor) -> "PointCloud":
        return PointCloud(self.xyz[index], self.rgb[index], self.error_px[index])

    @staticmethod
    def empty() -> "PointCloud":
        return PointCloud(
            torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3), torch.zeros(0, dtype=torch.float64)
        )
