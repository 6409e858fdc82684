"""Splats to mesh: the surface of a ball of Gaussians is the ball's, and leaves as files."""

import pytest
import torch

from recon.gaussians import Gaussians
from recon.mesh import SurfaceOptions, mesh_gaussians
from recon.splats.similarity import even_directions


def test_a_ball_becomes_a_ball() -> None:
    directions = even_directions(4000)
    quats = torch.zeros(4000, 4)
    quats[:, 0] = 1
    ball = Gaussians(
        2 * directions.float(),
        quats,
        torch.full((4000, 3), 0.05).log(),
        torch.full((4000,), 4.0),
        directions[:, None].float(),
    )
    made = mesh_gaussians(ball, options=SurfaceOptions(max_side=96, voxel=0.12, texture=0)).mesh
    radius = made.vertices.double().norm(dim=1)
    assert len(made) > 500
    assert float(radius.median()) == pytest.approx(2, abs=0.12)  # a voxel
    assert float((radius - 2).abs().quantile(0.95)) < 0.24  # two voxels
    a, b, c = made.vertices.double()[made.faces].unbind(1)
    outward = (torch.linalg.cross(b - a, c - a) * (a + b + c)).sum(1) > 0
    assert float(outward.float().mean()) > 0.95  # counterclockwise from outside
