"""Epipolar geometry against projected points, OpenCV and kornia."""

import cv2
import kornia
import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at, project
from recon.two_views import epipolar


@pytest.fixture
def pair() -> Cameras:
    eye = torch.tensor([[0.0, 0, -5], [1.2, -0.4, -4.5]], dtype=torch.float64)
    up = torch.tensor([[0.0, -1, 0]] * 2, dtype=torch.float64)
    K = intrinsics(focal_px=520, width=640, height=480, n=2)
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, 640, 480)


@pytest.fixture
def matches(pair: Cameras, generator: torch.Generator) -> torch.Tensor:
    points = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return project(points, pair)[0]


def test_true_matches_lie_on_their_epipolar_lines(pair: Cameras, matches: torch.Tensor) -> None:
    F = epipolar.fundamental(pair[0], pair[1])[0]
    assert epipolar.sampson_px(F, *matches).max() < 1e-9
    assert epipolar.symmetric_epipolar_px(F, *matches).max() < 1e-9


def test_distances_agree_with_opencv_and_kornia(
    pair: Cameras, matches: torch.Tensor, generator: torch.Generator
) -> None:
    xy_a, xy_b = matches + 2 * torch.randn(matches.shape, generator=generator, dtype=torch.float64)
    F = epipolar.fundamental(pair[0], pair[1])[0]
    ours = epipolar.sampson_px(F, xy_a, xy_b)
    homogeneous = [torch.nn.functional.pad(x, (0, 1), value=1.0).numpy() for x in (xy_a, xy_b)]
    opencv = [cv2.sampsonDistance(a, b, F.numpy()) for a, b in zip(*homogeneous, strict=True)]
    assert ours.square().tolist() == pytest.approx(opencv)
    g = kornia.geometry.epipolar
    torch.testing.assert_close(
        ours, g.sampson_epipolar_distance(xy_a[None], xy_b[None], F[None], squared=False)[0]
    )
    torch.testing.assert_close(
        epipolar.symmetric_epipolar_px(F, xy_a, xy_b),
        g.symmetrical_epipolar_distance(xy_a[None], xy_b[None], F[None], squared=False)[0],
    )


def test_sampson_is_about_the_shift_that_was_made(pair: Cameras, matches: torch.Tensor) -> None:
    """A pixel across the line is shared between both points (about 1/√2 px); along the line it is free."""
    F = epipolar.fundamental(pair[0], pair[1])[0]
    line_b = torch.nn.functional.pad(matches[0], (0, 1), value=1.0) @ F.T
    normal = torch.nn.functional.normalize(line_b[:, :2], dim=-1)
    one = epipolar.sampson_px(F, matches[0], matches[1] + normal)
    assert one.min() > 0.5
    assert one.max() < 1.0
    along = torch.stack([-normal[:, 1], normal[:, 0]], -1)
    assert epipolar.sampson_px(F, matches[0], matches[1] + 30 * along).max() < 1e-9


def test_error_rises_with_the_pose_error(pair: Cameras, matches: torch.Tensor) -> None:
    errors = []
    for deg in (0.0, 0.5, 1.0, 2.0, 4.0):
        angle = torch.deg2rad(torch.tensor(deg, dtype=torch.float64))
        turn = torch.eye(4, dtype=torch.float64)
        turn[1, 1] = turn[2, 2] = angle.cos()
        turn[1, 2], turn[2, 1] = -angle.sin(), angle.sin()
        wrong = Cameras(turn @ pair.cam_from_world[1:], pair.K[1:], 640, 480)
        errors.append(epipolar.pair_error_px(pair[0], wrong, *matches).median().item())
    assert errors == sorted(errors)
    assert errors[0] < 1e-9
    assert errors[1] > 1.5  # 0.5° of tilt are 4.5 px in one of the two pictures


def test_pure_rotation_is_undefined(pair: Cameras, matches: torch.Tensor) -> None:
    turned = pair.cam_from_world[:1].clone()
    turned[:, :3] = pair.cam_from_world[1, :3, :3] @ pair.cam_from_world[0, :3, :3].T @ turned[:, :3]
    rotated = Cameras(turned, pair.K[:1], 640, 480)
    assert epipolar.fundamental(pair[0], rotated).isnan().all()
    assert epipolar.fundamental(pair[0], pair[0]).isnan().all()
    assert epipolar.pair_error_px(pair[0], rotated, *matches).isnan().all()
    assert epipolar.fundamental(pair[0], pair[1], min_baseline=10.0).isnan().all()
    assert not epipolar.fundamental(pair[0], pair[1], min_baseline=1.0).isnan().any()
