"""Placement of scenes by the tree of nodes of a file."""

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.sim3 import Sim3
from recon.splats.similarity import transform_gaussians

STRETCH = 1e-3
"""Relative difference of the factors along a node's axes that still counts as the same factor: matrices that were
multiplied in float32 differ by 1e-6, deliberate stretching by more than a percent."""
FARTHEST = 1e30
"""Entries of a matrix up to which float32 can follow; a light year is 1e16 metres."""


def place_gaussians(scene: Gaussians, world_from_local: Float64[Tensor, "4 4"], path: Path) -> Gaussians:
    """Turn, scale, mirror and move a scene by the matrix of a node; spherical harmonics turn with it.

    Raises:
        SceneFileError: the matrix is not finite, flattens space, or stretches it by different factors, which no
            turn of spherical harmonics can follow.
    """
    linear, translation = world_from_local[:3, :3], world_from_local[:3, 3]
    bottom = torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
    if not bool((world_from_local.abs() < FARTHEST).all()) or not torch.allclose(world_from_local[3], bottom):
        raise SceneFileError(f"{path} places its Gaussians by a matrix that is damaged or out of bounds")
    if torch.equal(world_from_local, torch.eye(4, dtype=torch.float64)):
        return scene
    U, factors, Vt = torch.linalg.svd(linear)
    largest, smallest = float(factors.max()), float(factors.min())
    if smallest <= 0:
        raise SceneFileError(f"{path} places its Gaussians by a matrix that flattens them to nothing")
    if largest - smallest > STRETCH * largest:
        raise SceneFileError(
            f"{path} stretches its Gaussians by {smallest:.4g} to {largest:.4g} in different directions, which their "
            "colours cannot follow; give its nodes one scale for all axes"
        )
    return transform_gaussians(scene, Sim3(factors.mean(), U @ Vt, translation))
