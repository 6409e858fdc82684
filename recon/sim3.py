"""Similarity transforms: what a reconstruction without a ruler is known up to."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras


@dataclass(frozen=True)
class Sim3:
    """x ↦ scale · rotation · x + translation. Name an instance ``b_from_a``."""

    scale: Float[Tensor, ""]
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]

    @staticmethod
    def identity(dtype: torch.dtype = torch.float64) -> "Sim3":
        return Sim3(torch.ones((), dtype=dtype), torch.eye(3, dtype=dtype), torch.zeros(3, dtype=dtype))

    def inverse(self) -> "Sim3":
        R = self.rotation.T
        return Sim3(1 / self.scale, R, -(R @ self.translation) / self.scale)

    def compose(self, b_from_c: "Sim3") -> "Sim3":
        """``a_from_b.compose(b_from_c)`` is ``a_from_c``."""
        return Sim3(
            self.scale * b_from_c.scale,
            self.rotation @ b_from_c.rotation,
            self.points(b_from_c.translation[None])[0],
        )

    def points(self, xyz: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        return self.scale * (xyz @ self.rotation.T) + self.translation

    def cameras(self, cameras: Cameras) -> Cameras:
        """Cameras of world a, in world b; intrinsics stay, for depths scale with the world."""
        pose = cameras.cam_from_world.clone()
        R = cameras.cam_from_world[:, :3, :3] @ self.rotation.T
        pose[:, :3, :3] = R
        pose[:, :3, 3] = -(R @ self.points(cameras.centers)[..., None])[..., 0]
        return replace(cameras, cam_from_world=pose)
