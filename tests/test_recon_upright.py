"""Up is known from how cameras were held, or from the ground they look down on."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from recon.cameras import Cameras, intrinsics, look_at
from recon.points import PointCloud
from recon.sim3 import Sim3
from recon.world.upright import estimate_up, turn_upright

UP = torch.tensor([0.0, -1.0, 0.0]).double()


def tilted(cameras: Cameras, seed: int = 1) -> tuple[Cameras, torch.Tensor]:
    rotation = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    moved = Sim3(torch.tensor(2.0).double(), rotation, torch.ones(3).double())
    return moved.cameras(cameras), rotation @ UP


def ring(n: int, *, height: float, arc_deg: float = 300) -> Cameras:
    """Cameras around the origin that look down at it from `height` radii."""
    angle = torch.deg2rad(torch.linspace(0, arc_deg, n).double())
    eye = torch.stack([angle.sin(), torch.full_like(angle, -height), -angle.cos()], -1)
    pose = look_at(eye, torch.zeros(n, 3).double(), UP.expand(n, 3))
    return Cameras(pose, intrinsics(focal_px=50, width=64, height=48, n=n), 64, 48)


def angle_deg(a: torch.Tensor, b: torch.Tensor) -> float:
    return math.degrees(math.acos(min(1.0, float(a @ b))))


@pytest.mark.parametrize("height", [0.0, 0.3, 1.0])
def test_a_ring_that_looks_down_still_knows_the_vertical(height: float) -> None:
    cameras, truth = tilted(ring(12, height=height))
    up = estimate_up(cameras)
    assert up is not None
    assert angle_deg(up.direction, truth) < 1e-3
    assert "level" in up.source


def test_cameras_that_look_one_way_give_their_mean_up() -> None:
    cameras, truth = tilted(ring(5, height=0.2, arc_deg=10))
    up = estimate_up(cameras)
    assert up is not None
    assert angle_deg(up.direction, truth) < 15
    assert "mean" in up.source


def test_a_drone_that_looks_straight_down_asks_the_ground(generator: torch.Generator) -> None:
    n = 9
    eye = torch.tensor([[x, -5.0, z] for x in (-1, 0, 1) for z in (-1, 0, 1)]).double()
    spin = torch.tensor([[math.cos(a), 0, math.sin(a)] for a in torch.linspace(0, 6, n).tolist()]).double()
    pose = look_at(eye, eye + torch.tensor([0.0, 5.0, 0.0]).double(), spin)
    cameras = Cameras(pose, intrinsics(focal_px=50, width=64, height=48, n=n), 64, 48)
    moved, truth = tilted(cameras)
    ground = torch.rand(400, 3, generator=generator).double() * 4 - 2
    ground[:, 1] *= 0.002
    ground[:60, 1] = -torch.rand(60, generator=generator).double()  # houses
    rotation = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    xyz = 2 * ground @ rotation.T + 1
    points = PointCloud(xyz, torch.zeros(400, 3), torch.zeros(400).double())
    assert estimate_up(moved) is None
    up = estimate_up(moved, points)
    assert up is not None
    assert angle_deg(up.direction, truth) < 0.5
    assert "plane" in up.source


@pytest.mark.parametrize("seed", range(4))
def test_turning_upright_brings_up_to_minus_y(seed: int) -> None:
    up = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())[0]
    assert torch.allclose(turn_upright(up) @ up, UP, atol=1e-12)
    assert torch.allclose(turn_upright(-UP) @ -UP, UP)
    assert torch.equal(turn_upright(UP), torch.eye(3).double())
