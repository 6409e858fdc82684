"""Where depth is searched when only the cameras are known."""

import math

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.depth.views import best_neighbours, depth_ranges, places_apart


def ring(angles_deg: list[float], radius: float, *, outward: bool = False) -> Cameras:
    """Cameras on a circle that look at its middle, or away from it."""
    angle = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
    eyes = radius * torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], dim=1)
    up = torch.tensor([0.0, 0, 1], dtype=torch.float64).expand_as(eyes)
    poses = look_at(eyes, 3 * eyes if outward else torch.zeros_like(eyes), up)
    return Cameras(poses, intrinsics(focal_px=300, width=320, height=240, n=len(eyes)), 320, 240)


def test_cameras_around_an_object_search_where_it_stands() -> None:
    for step in (10, 40, 55):
        ranges = depth_ranges(ring([0, step, 2 * step], 4.0), None)
        assert (ranges[:, 0] < 3).all(), "the front of the object"
        assert (ranges[:, 1] > 5).all(), "its back"
        assert (ranges[:, 0] > 0.2).all()


def test_cameras_too_far_apart_to_match_still_search_where_they_look() -> None:
    ranges = depth_ranges(ring([0, 120, 240], 4.0), None)
    assert ((ranges[:, 0] < 4) & (ranges[:, 1] > 4)).all()


def test_a_stereo_pair_searches_from_a_moderate_disparity_to_the_horizon() -> None:
    pose = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    pose[1, 0, 3] = -0.5
    cameras = Cameras(pose, intrinsics(focal_px=300, width=320, height=240, n=2), 320, 240)
    near, far = depth_ranges(cameras, None)[0].tolist()
    assert 0.2 < 300 * 0.5 / near / 320 < 1, "disparity as a share of the picture"
    assert far >= 30 * near


def test_cameras_that_share_nothing_get_a_range_all_the_same() -> None:
    ranges = depth_ranges(ring([0, 180], 4.0, outward=True), None)
    assert torch.isfinite(ranges).all()
    assert (ranges[:, 1] > ranges[:, 0]).all()
    assert math.isfinite(float(ranges.sum()))


def test_photos_from_the_same_place_are_no_neighbours() -> None:
    """Without parallax every depth matches, so that such a pair confirms whatever it is asked."""
    cameras = ring([0, 0, 8, 0], 4.0)
    chosen = best_neighbours(cameras, depth_ranges(cameras, None), None, 3)
    assert chosen[0] == chosen[1] == chosen[3] == [2]
    assert set(chosen[2]) == {0, 1, 3}


def test_places_apart_are_zero_within_the_rounding_of_poses() -> None:
    cameras = ring([0, 0, 8], 4.0)
    step = 8 * math.sin(math.radians(4))
    assert places_apart(cameras, 0).tolist() == [0, 0, pytest.approx(step)]
    assert places_apart(cameras.to(dtype=torch.float32), 0).tolist() == [0, 0, pytest.approx(step, rel=1e-5)]
    far = cameras.cam_from_world.clone()
    far[:, :3, 3:] -= far[:, :3, :3] @ torch.tensor(
        [[500_000.0], [5_000_000.0], [200.0]], dtype=torch.float64
    )
    georeferenced = Cameras(far, cameras.K, 320, 240)
    assert places_apart(georeferenced, 0)[2].item() == pytest.approx(step, rel=1e-6)
