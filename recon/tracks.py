"""Tracks: observations of points in pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.errors import ReconstructionError


@dataclass(frozen=True)
class Tracks:
    """Observations of points, one a row; those of one point are its track."""

    image: Int[Tensor, "t"]
    """Row of the picture among the pictures."""
    point: Int[Tensor, "t"]
    """Row of the point in its `PointCloud`."""
    xy: Float[Tensor, "t 2"]
    """Pixels, float64; the centre of the top-left pixel is (0.5, 0.5)."""

    def __post_init__(self) -> None:
        if not len(self.image) == len(self.point) == len(self.xy):
            raise ReconstructionError(
                f"expected a picture, a point and a place for every observation, got {len(self.image)}, "
                f"{len(self.point)} and {len(self.xy)}"
            )

    def __len__(self) -> int:
        return len(self.image)

    def of_image(self, image: int) -> "Tracks":
        """The observations of one picture."""
        chosen = self.image == image
        return Tracks(self.image[chosen], self.point[chosen], self.xy[chosen])

    def moved_to(self, image: int) -> "Tracks":
        """The same observations as those of picture `image`."""
        return replace(self, image=torch.full_like(self.image, image))

    def resize(self, *, x: float, y: float) -> "Tracks":
        """Scale the pixels to pictures `x` times as wide and `y` times as high."""
        return replace(self, xy=self.xy * torch.tensor([x, y], dtype=self.xy.dtype))

    @staticmethod
    def concatenate(parts: Sequence["Tracks"]) -> "Tracks":
        """All observations in order."""
        parts = parts or [Tracks.empty()]
        return Tracks(
            torch.cat([p.image for p in parts]),
            torch.cat([p.point for p in parts]),
            torch.cat([p.xy for p in parts]),
        )

    @staticmethod
    def empty() -> "Tracks":
        """No observations."""
        none = torch.zeros(0, dtype=torch.long)
        return Tracks(none, none, torch.zeros(0, 2, dtype=torch.float64))
