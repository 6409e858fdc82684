import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import CameraError
from worldgen import trajectories

TARGET = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


@pytest.fixture
def start() -> Cameras:
    eye = torch.tensor([[3.0, 1.0, 2.5]], dtype=torch.float64)
    return Cameras(look_at(eye, TARGET[None], UP[None]), intrinsics(focal_px=50, width=64, height=48), 64, 48)


def pointing_error_deg(cameras: Cameras) -> torch.Tensor:
    wanted = torch.nn.functional.normalize(TARGET - cameras.centers, dim=1)
    return torch.rad2deg(torch.arccos((wanted * cameras.forward).sum(1).clamp(-1, 1)))


def test_orbit_keeps_distance_framing_and_height(start: Cameras) -> None:
    path = trajectories.orbit(start, target=TARGET, count=5, arc_deg=90, up=UP).validate()
    assert torch.allclose(path.cam_from_world[0], start.cam_from_world[0], atol=1e-12)
    assert torch.allclose(path.centers[:, 2], start.centers[0, 2].expand(5))
    assert pointing_error_deg(path).max() < 1e-5
    first, last = path.centers[0, :2] - TARGET[:2], path.centers[-1, :2] - TARGET[:2]
    assert torch.allclose(last, torch.stack([-first[1], first[0]]))  # 90° counter-clockwise about z
    assert (path.width, path.height) == (64, 48)


def test_full_orbit_does_not_repeat_its_first_view(start: Cameras) -> None:
    path = trajectories.orbit(start, target=TARGET, count=4, up=UP)
    assert torch.pdist(path.centers).min() > 1


def test_spiral_stays_on_its_radius_and_looks_at_the_target(start: Cameras) -> None:
    path = trajectories.spiral(start, target=TARGET, count=9, radius=0.3, turns=1, advance=0.4).validate()
    local = (path.centers - start.centers) @ start.world_from_cam[0, :3, :3]
    assert torch.allclose(local[:, :2].norm(dim=1), torch.tensor(0.3).double())
    assert torch.allclose(local[[0, -1], 2], torch.tensor([-0.2, 0.2]).double())
    assert pointing_error_deg(path).max() < 1e-5


def test_dolly_moves_straight_along_the_view(start: Cameras) -> None:
    path = trajectories.dolly(start, distance=-1.5, count=4)
    assert torch.allclose(path.centers[-1], start.centers[0] - 1.5 * start.forward[0])
    assert torch.equal(path.cam_from_world[:, :3, :3], start.cam_from_world[:, :3, :3].expand(4, 3, 3))


@pytest.mark.parametrize("smooth", [False, True])
def test_interpolation_hits_its_keys(start: Cameras, smooth: bool) -> None:
    keys = trajectories.orbit(start, target=TARGET, count=3, arc_deg=60, up=UP)
    path = trajectories.interpolate(keys, count=5, smooth=smooth).validate()
    assert torch.allclose(path.cam_from_world[::2], keys.cam_from_world, atol=1e-9)
    middle = (keys.centers[0] + keys.centers[1]) / 2
    assert torch.allclose(path.centers[1], middle) != smooth
    assert torch.allclose(path.K, keys.K[0])
    half = trajectories.orbit(start, target=TARGET, count=5, arc_deg=60, up=UP)
    assert torch.allclose(path.cam_from_world[1, :3, :3], half.cam_from_world[1, :3, :3], atol=1e-9)  # slerp


def test_paths_without_cameras_are_refused(start: Cameras) -> None:
    with pytest.raises(CameraError, match="at least one"):
        trajectories.dolly(start, distance=1, count=0)
    with pytest.raises(CameraError, match="two key"):
        trajectories.interpolate(start, count=3)
