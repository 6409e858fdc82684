import numpy as np
import pytest
import torch

from recon.cameras import Cameras, backproject, project
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth, surface_points
from recon.depth.kernels import edge_aware_smooth
from recon.depth.sweep import pixel_homography
from recon.depth.views import best_neighbours, depth_ranges
from recon.errors import ReconstructionError
from recon.points import PointCloud
from worldgen.synthetic import SyntheticRoom


@pytest.fixture(scope="module")
def capture() -> tuple[Clip, torch.Tensor, PointCloud]:
    """Five views of the room, their exact depth and a sparse cloud on its surfaces."""
    room = SyntheticRoom()
    cameras = room.cameras(9, width=240, height=160)[[2, 3, 4, 5, 6]]
    images, depth = room.render(cameras)
    xyz = backproject(depth.double(), cameras).reshape(-1, 3)[::173]
    cloud = PointCloud(xyz, torch.zeros(len(xyz), 3), torch.zeros(len(xyz), dtype=torch.float64))
    return Clip(images, cameras), depth, cloud


@pytest.fixture(scope="module")
def estimated(capture: tuple[Clip, torch.Tensor, PointCloud]) -> DepthMaps:
    clip, _, cloud = capture
    return multiview_depth(clip, points=cloud)


def relative_error(maps: DepthMaps, depth: torch.Tensor) -> torch.Tensor:
    return (maps.depth - depth).abs() / depth


def test_depth_is_close_to_the_truth(capture, estimated: DepthMaps) -> None:
    error = relative_error(estimated, capture[1])
    assert error.median() < 0.005
    assert (error < 0.02).float().mean() > 0.75


def test_confidence_knows_where_the_depth_is_right(capture, estimated: DepthMaps) -> None:
    error = relative_error(estimated, capture[1])
    sure = estimated.confidence > 0.6
    assert 0.5 < sure.float().mean() < 0.99
    assert (error[sure] < 0.02).float().mean() > 0.85
    assert error[~sure].median() > 5 * error[sure].median()


def test_depth_is_dense_finite_and_repeatable(capture, estimated: DepthMaps) -> None:
    clip, _, cloud = capture
    assert torch.isfinite(estimated.depth).all()
    assert (estimated.depth > 0).all()
    assert estimated.confidence.min() >= 0
    assert estimated.confidence.max() <= 1
    pair = [multiview_depth(clip[:2], points=cloud, planes=32) for _ in range(2)]
    assert torch.equal(pair[0].depth, pair[1].depth)


def test_two_photos_without_points_are_enough(capture) -> None:
    clip, depth, _ = capture
    maps = multiview_depth(clip[[1, 2]])
    error = relative_error(maps, depth[[1, 2]])
    assert error[maps.confidence > 0.6].median() < 0.01


def test_large_photos_are_searched_small_and_come_back_large(capture) -> None:
    clip, depth, cloud = capture
    maps = multiview_depth(clip[:3], points=cloud, max_side=120)
    assert maps.depth.shape == depth[:3].shape
    assert relative_error(maps, depth[:3]).median() < 0.02


def test_one_photo_and_one_place_are_refused(capture) -> None:
    clip, _, cloud = capture
    with pytest.raises(ReconstructionError, match="two photos"):
        multiview_depth(clip[0], points=cloud)
    still = Clip(clip.images[:2], clip.posed()[[0, 0]])
    with pytest.raises(ReconstructionError, match="different places"):
        multiview_depth(still, points=cloud)


def test_homography_counts_pixels_as_opencv_does(capture) -> None:
    """OpenCV puts the centre of the top-left pixel at (0, 0), we at (0.5, 0.5)."""
    cameras: Cameras = capture[0].posed()
    z, integer_px = 2.0, np.array([30.0, 50.0, 1.0])
    pose = (cameras.cam_from_world[1] @ cameras.world_from_cam[0]).numpy()
    H = pixel_homography(cameras.K[1].numpy(), pose, cameras.K[0].numpy(), 1 / z)
    there = H @ integer_px
    point = backproject(torch.full((1, 160, 240), z, dtype=torch.float64), cameras[0])[0, 50, 30]
    px, _ = project(point[None], cameras[1])
    assert np.allclose(there[:2] / there[2], px[0, 0].numpy() - 0.5, atol=1e-9)


def test_ranges_hold_the_scene_and_neighbours_are_the_near_ones(capture) -> None:
    clip, depth, cloud = capture
    ranges = depth_ranges(clip.posed(), cloud)
    inside = (depth > ranges[:, 0, None, None]) & (depth < ranges[:, 1, None, None])
    assert inside.float().mean() > 0.97
    chosen = best_neighbours(clip.posed(), ranges, cloud, 2)
    assert set(chosen[2]) == {1, 3}
    assert chosen[0][0] == 1


def test_edge_aware_smoothing_stops_at_edges() -> None:
    values, guide = np.zeros((20, 40, 1)), np.zeros((20, 40, 3))
    guide[:, 20:] = 1
    values[:, 20:] = 1
    values[5, 5] = 1
    edge_aware_smooth(values, guide, 20.0, 0.1, 3)
    assert values[5, 5] < 0.1
    assert np.abs(values[:, 20:] - 1).max() < 0.01
    assert values[:, :20].max() < 0.1


def test_surface_points_lie_on_the_surfaces(capture, estimated: DepthMaps) -> None:
    clip, depth, _ = capture
    points = surface_points(clip, estimated, count=500, generator=torch.Generator().manual_seed(0))
    assert 0 < len(points) <= 500
    truth = backproject(depth.double(), clip.posed()).reshape(-1, 3)
    off = torch.cdist(points.xyz, truth).min(1).values
    assert off.median() < 0.02  # metres
    assert (off < 0.1).float().mean() > 0.95


def test_unsure_depth_gives_no_surface_points(capture) -> None:
    clip, depth, _ = capture
    unsure = DepthMaps(depth, torch.full_like(depth, 0.7))
    assert len(surface_points(clip, unsure, count=10, generator=torch.Generator())) == 0
