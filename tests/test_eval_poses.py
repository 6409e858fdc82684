"""Errors that were put in must be read off again."""

import math

import pytest
import torch

from eval import poses
from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import CameraError
from recon.points import PointCloud
from recon.sim3 import Sim3


def orbit(n: int, generator: torch.Generator) -> Cameras:
    """n cameras on a bumpy arc around the origin."""
    angle = torch.linspace(0, 2.5, n, dtype=torch.float64)
    eye = 3 * torch.stack([angle.cos(), 0.2 * torch.sin(3 * angle), angle.sin()], -1)
    eye = eye + 0.1 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(n, 3)
    return at(look_at(eye, torch.zeros_like(eye), up))


def at(cam_from_world: torch.Tensor) -> Cameras:
    n = len(cam_from_world)
    return Cameras(cam_from_world, intrinsics(focal_px=500, width=640, height=480, n=n), 640, 480)


def about(axis: torch.Tensor, angle_rad: float) -> torch.Tensor:
    """Rotation matrix by the matrix exponential."""
    x, y, z = torch.nn.functional.normalize(axis.double(), dim=0).tolist()
    K = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.matrix_exp(angle_rad * K)


@pytest.mark.parametrize(
    "angle_deg", [0.0, 1e-9, 1e-6, 0.01, 3.2, 90.0, 179.0, 180 - 1e-6, 180 - 1e-9, 180.0]
)
def test_rotation_angle_is_exact_over_the_whole_range(angle_deg: float, generator: torch.Generator) -> None:
    axis = torch.randn(3, generator=generator)
    a = about(torch.randn(3, generator=generator), 1.0)
    b = a @ about(axis, math.radians(angle_deg))
    measured = poses.rotation_angle_deg(a[None], b[None]).item()
    assert measured == pytest.approx(angle_deg, rel=1e-5, abs=1e-13)


def test_direction_angle() -> None:
    a = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]])
    b = torch.tensor([[2.0, 0, 0], [0, 3, 0], [-1, 0, 0], [1, 0, 0]])
    assert poses.direction_angle_deg(a, b)[:3].tolist() == [0, 90, 180]
    assert poses.direction_angle_deg(a, b)[3].isnan()


@pytest.mark.parametrize("n", [2, 3, 8])
def test_align_finds_the_similarity_that_was_applied(n: int, generator: torch.Generator) -> None:
    a = orbit(n, generator)
    b_from_a = Sim3(
        torch.tensor(2.7, dtype=torch.float64),
        about(torch.tensor([1.0, 2, 3]), 2.0),
        torch.tensor([5.0, -7, 1], dtype=torch.float64),
    )
    found = poses.align(a, b_from_a.cameras(a))
    assert found is not None
    torch.testing.assert_close(found.scale, b_from_a.scale)
    torch.testing.assert_close(found.rotation, b_from_a.rotation)
    torch.testing.assert_close(found.translation, b_from_a.translation)
    assert poses.ate(a, b_from_a.cameras(a)) == pytest.approx(0, abs=1e-12)


def test_align_on_a_line_takes_the_roll_from_the_rotations() -> None:
    eye = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [4, 0, 0]], dtype=torch.float64)
    target = eye + torch.tensor([0.0, 0.3, 1], dtype=torch.float64)
    a = at(look_at(eye, target, torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(4, 3)))
    b_from_a = Sim3(
        torch.tensor(0.5, dtype=torch.float64),
        about(torch.tensor([1.0, 0, 0]), 1.0),  # about the very line, which the centres do not see
        torch.zeros(3, dtype=torch.float64),
    )
    found = poses.align(a, b_from_a.cameras(a))
    assert found is not None
    torch.testing.assert_close(found.rotation, b_from_a.rotation)


def test_align_excludes_a_reflection(generator: torch.Generator) -> None:
    a = orbit(8, generator)
    mirrored = a.cam_from_world.clone()
    mirrored[:, :3, 3] = -(mirrored[:, :3, :3] @ (a.centers * torch.tensor([1.0, 1, -1]))[..., None])[..., 0]
    found = poses.align(a, at(mirrored))
    assert found is not None
    assert torch.linalg.det(found.rotation).item() == pytest.approx(1)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_align_poses_finds_the_similarity_that_was_applied(n: int, generator: torch.Generator) -> None:
    a = orbit(n, generator)
    b_from_a = Sim3(
        torch.tensor(0.3, dtype=torch.float64),
        about(torch.tensor([3.0, -1, 2]), 2.5),
        torch.tensor([50.0, -7, 1], dtype=torch.float64),
    )
    b = b_from_a.cameras(a)
    found = poses.align_poses(a, b)
    assert found is not None
    torch.testing.assert_close(found.scale, b_from_a.scale)
    torch.testing.assert_close(found.rotation, b_from_a.rotation)
    torch.testing.assert_close(found.translation, b_from_a.translation)
    torch.testing.assert_close(poses.mean_turn(a, b), b_from_a.rotation)


def test_align_poses_takes_the_turn_from_rotations_and_the_rest_from_centres(
    generator: torch.Generator,
) -> None:
    """Rotations are right, centres are noisy: the turn is exact, scale and shift are those of least squares."""
    a = orbit(9, generator)
    b_from_a = Sim3(
        torch.tensor(2.0, dtype=torch.float64),
        about(torch.tensor([0.0, 1, 4]), 1.2),
        torch.tensor([1.0, 2, 3], dtype=torch.float64),
    )
    b = b_from_a.cameras(a)
    moved = b.centers + 0.3 * torch.randn(9, 3, generator=generator, dtype=torch.float64)
    pose = b.cam_from_world.clone()
    pose[:, :3, 3] = -(pose[:, :3, :3] @ moved[..., None])[..., 0]
    found = poses.align_poses(a, at(pose))
    assert found is not None
    torch.testing.assert_close(found.rotation, b_from_a.rotation)
    # of y = s x + t, by the normal equations
    x = a.centers @ b_from_a.rotation.T
    A = torch.cat([x.reshape(-1, 1), torch.eye(3, dtype=torch.float64).repeat(9, 1)], dim=1)
    scale, *shift = torch.linalg.lstsq(A, moved.reshape(-1, 1)).solution[:, 0].tolist()
    assert found.scale.item() == pytest.approx(scale)
    assert found.translation.tolist() == pytest.approx(shift)
    by_centres = poses.align(a, at(pose))
    assert by_centres is not None
    assert poses.rotation_angle_deg(by_centres.rotation[None], b_from_a.rotation[None]).item() > 0.5


def test_mean_turn_is_the_middle_of_turns_that_disagree(generator: torch.Generator) -> None:
    """Half of the cameras turned by +4°, half by −4° about one axis of the world: together, not at all."""
    a = orbit(6, generator)
    axis = torch.tensor([1.0, 2, -1])
    pose = a.cam_from_world.clone()
    for i in range(6):
        turn = about(axis, math.radians(4 if i % 2 else -4) + 0.5)
        pose[i, :3, :3] = pose[i, :3, :3] @ turn.T
    torch.testing.assert_close(poses.mean_turn(a, at(pose)), about(axis, 0.5))


def test_align_poses_is_undefined_without_a_scale(generator: torch.Generator) -> None:
    a = orbit(4, generator)
    assert poses.align_poses(a[0], a[0]) is None
    tripod = a.cam_from_world.clone()
    tripod[:, :3, 3] = 0
    assert poses.align_poses(a, at(tripod)) is None
    assert poses.align_poses(at(tripod), a) is None
    backwards = a.cam_from_world.clone()  # the same gazes, the path mirrored in its middle
    opposite = 2 * a.centers.mean(0) - a.centers
    backwards[:, :3, 3] = -(backwards[:, :3, :3] @ opposite[..., None])[..., 0]
    assert poses.align_poses(a, at(backwards)) is None
    far = a.cam_from_world.clone()  # far from the origin all centres are one, but for rounding
    same = torch.tensor([1e6, 2e6, -3e6], dtype=torch.float64).expand(4, 3)
    far[:, :3, 3] = -(far[:, :3, :3] @ same[..., None])[..., 0]
    assert poses.align_poses(a, at(far)) is None
    assert poses.align_poses(at(far), a) is None
    with pytest.raises(CameraError, match="4 and 3"):
        poses.align_poses(a, a[:3])
    with pytest.raises(CameraError, match="4 and 3"):
        poses.mean_turn(a, a[:3])


def test_align_is_undefined_without_a_scale(generator: torch.Generator) -> None:
    a = orbit(4, generator)
    assert poses.align(a[0], a[0]) is None
    tripod = a.cam_from_world.clone()
    tripod[:, :3, 3] = 0
    assert poses.align(a, at(tripod)) is None
    assert poses.ate(a, at(tripod)) is None
    with pytest.raises(CameraError, match="4 and 3"):
        poses.align(a, a[:3])


def test_extent_is_the_largest_distance_and_does_not_depend_on_axes(generator: torch.Generator) -> None:
    a = orbit(6, generator)
    turned = Sim3(
        torch.ones((), dtype=torch.float64),
        about(torch.tensor([1.0, 1, 0]), 0.7),
        torch.ones(3, dtype=torch.float64),
    ).cameras(a)
    expected = max(math.dist(p, q) for p in a.centers.tolist() for q in a.centers.tolist())
    assert poses.scene_extent(a) == pytest.approx(expected)
    assert poses.scene_extent(turned) == pytest.approx(expected)
    cloud = PointCloud(
        a.centers[:1] + torch.tensor([[0.0, 0, 4], [0, 5, 0], [6, 0, 0]]), torch.zeros(3, 3), torch.zeros(3)
    )
    assert poses.scene_extent(a[0]) is None
    assert poses.scene_extent(a[0], cloud) == pytest.approx(5)


def test_injected_errors_are_measured(generator: torch.Generator) -> None:
    reference = orbit(5, generator)
    R = about(torch.tensor([0.0, 1, 0]), math.radians(3.2)) @ reference.cam_from_world[:, :3, :3]
    moved = reference.centers + torch.tensor([0.03, 0, 0.04], dtype=torch.float64)
    pose = reference.cam_from_world.clone()
    pose[:, :3, :3], pose[:, :3, 3] = R, -(R @ moved[..., None])[..., 0]
    errors = poses.pose_errors(at(pose), reference, extent=2.0)
    assert errors.rotation_deg.tolist() == pytest.approx([3.2] * 5)
    assert errors.position_share.tolist() == pytest.approx([0.025] * 5)
    assert poses.pose_errors(at(pose), reference, extent=None).position_share.isnan().all()
    rotation, position = poses.pose_errors(at(pose), reference, extent=None).metrics()
    assert rotation.mean == pytest.approx(3.2)
    assert position.mean is None
    assert position.expected == 5


def test_relative_errors_do_not_see_the_world(generator: torch.Generator) -> None:
    reference = orbit(5, generator)
    elsewhere = Sim3(
        torch.tensor(9.0, dtype=torch.float64),
        about(torch.tensor([3.0, 1, 0]), 2.0),
        torch.ones(3, dtype=torch.float64),
    ).cameras(reference)
    rotation, direction = poses.relative_errors(elsewhere, reference)
    assert rotation.max() < 1e-9
    assert direction.max() < 1e-9
    pose = reference.cam_from_world.clone()
    pose[2, :3] = about(torch.tensor([1.0, 0, 0]), math.radians(4)) @ pose[2, :3]  # about its own centre
    rotation, direction = poses.relative_errors(at(pose), reference)
    assert rotation.tolist() == pytest.approx([0, 4, 4, 0], abs=1e-9)
    assert direction[1] > 0.1  # the motion into camera 2 is told in its own, turned axes
    assert direction[[0, 2, 3]].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
