"""Conventions of pose matrices: direction and camera axes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.rigid import GL_FROM_CV, inverse_rigid
from recon.errors import CameraError

DIRECTIONS = ("cam_from_world", "world_from_cam")
"""Where a matrix leads: from the world into the camera, or back."""
AXES = ("opencv", "opengl")
"""Camera axes; other conventions are converted by their readers."""


@dataclass(frozen=True)
class Convention:
    """Direction and camera axes of a pose matrix."""

    direction: str
    """'cam_from_world' (extrinsics, w2c, view matrix) or 'world_from_cam' (c2w, pose)."""
    axes: str
    """'opencv' (+x right, +y down, +z forward) or 'opengl' (+x right, +y up, +z backward)."""

    @staticmethod
    def parse(text: str) -> "Convention":
        """Parse 'cam_from_world/opencv' and the like.

        Raises:
            CameraError: an unknown direction or unknown axes.
        """
        parts = text.strip().lower().split("/")
        if len(parts) != 2 or parts[0] not in DIRECTIONS or parts[1] not in AXES:
            known = ", ".join(f"{d}/{a}" for d in DIRECTIONS for a in AXES)
            raise CameraError(f"expected a convention out of {known}; got {text!r}")
        return Convention(*parts)

    def __str__(self) -> str:
        return f"{self.direction}/{self.axes}"

    def to_cam_from_world(self, matrices: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
        """Convert matrices of this convention to ``cam_from_world`` with OpenCV axes."""
        flip = GL_FROM_CV if self.axes == "opengl" else torch.eye(4, dtype=torch.float64)
        if self.direction == "cam_from_world":
            return flip @ matrices
        return inverse_rigid(matrices @ flip)

    def to_matrices(self, cam_from_world: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
        """Convert ``cam_from_world`` with OpenCV axes to matrices of this convention."""
        flip = GL_FROM_CV if self.axes == "opengl" else torch.eye(4, dtype=torch.float64)
        if self.direction == "cam_from_world":
            return flip @ cam_from_world.double()
        return inverse_rigid(cam_from_world.double()) @ flip


CONVENTIONS = tuple(Convention(direction, axes) for direction in DIRECTIONS for axes in AXES)
"""Every convention of bare matrices."""
