"""Coloured point clouds of structure from motion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class PointCloud:
    xyz: Float[Tensor, "p 3"]
    """Positions in scene units."""
    rgb: Float[Tensor, "p 3"]
    """sRGB in [0, 1]."""
    error_px: Float[Tensor, "p"]
    """Mean reprojection error of each point."""

    def __len__(self) -> int:
        return self.xyz.shape[0]

    def __getitem__(self, index: slice | Tensor) -> "PointCloud":
        return PointCloud(self.xyz[index], self.rgb[index], self.error_px[index])

    @staticmethod
    def from_arrays(
        xyz: Float64[np.ndarray, "n 3"], rgb: UInt8[np.ndarray, "n 3"], error_px: Float64[np.ndarray, "n"]
    ) -> "PointCloud":
        """From COLMAP's arrays, colours in bytes; an error below 0, which is not stated, becomes NaN."""
        errors = torch.from_numpy(error_px)
        return PointCloud(
            torch.from_numpy(xyz),
            torch.from_numpy(rgb).float() / 255,
            torch.where(errors < 0, torch.nan, errors),
        )

    @staticmethod
    def concatenate(parts: "Sequence[PointCloud]") -> "PointCloud":
        """One after the other; places and errors in float64, colours in float32."""
        return PointCloud(
            torch.cat([part.xyz.double() for part in parts]),
            torch.cat([part.rgb.float() for part in parts]),
            torch.cat([part.error_px.double() for part in parts]),
        )

    @staticmethod
    def empty() -> "PointCloud":
        """A cloud without points."""
        return PointCloud(
            torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3), torch.zeros(0, dtype=torch.float64)
        )
