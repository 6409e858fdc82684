from typing import Literal

import numpy as np
import pytest
import torch

from recon.cameras import Cameras, backproject, intrinsics, look_at, project
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth, slanted, surface_points, torch_sweep
from recon.depth.fuse import draw_planes, fuse_planes
from recon.depth.kernels import aggregate_scan, edge_aware_smooth
from recon.depth.search import DepthSearch, check_search, torch_device
from recon.depth.sweep import pixel_homography
from recon.depth.views import best_neighbours, depth_ranges
from recon.errors import ReconstructionError
from recon.points import PointCloud
from worldgen.models.synthetic import SyntheticRoom


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
    still = Clip(clip.images[:2], clip.require_cameras()[[0, 0]])
    with pytest.raises(ReconstructionError, match="different places"):
        multiview_depth(still, points=cloud)


def test_a_camera_that_only_turns_is_in_one_place_however_its_pose_is_rounded() -> None:
    """In float32 the places of such poses differ by rounding, which is not parallax."""
    angle = 0.3 * torch.arange(5, dtype=torch.float64)
    eye = torch.tensor([[3.0, -2.0, 5.0]], dtype=torch.float64).expand(5, 3)
    gaze = eye + torch.stack([angle.sin(), 0 * angle, angle.cos()], dim=1)
    poses = look_at(eye, gaze, torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(5, 3)).float()
    cameras = Cameras(poses, intrinsics(focal_px=60, width=64, height=48, n=5, dtype=torch.float32), 64, 48)
    assert (cameras.centers - cameras.centers[0]).norm(dim=1).max() > 0
    for turning in (cameras, cameras.to(dtype=torch.float64)[[0, 0]]):
        with pytest.raises(ReconstructionError, match="different places"):
            DepthSearch(Clip(torch.rand(len(turning), 48, 64, 3), turning))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"planes": 2}, "planes"),
        ({"neighbours": 0}, "neighbour"),
        ({"passes": 3}, "passes"),
        ({"engine": "cuda"}, "engine"),
    ],
)
def test_a_search_that_cannot_be_is_refused(capture, options: dict, said: str) -> None:
    whole = {"neighbours": 4, "planes": 96, "passes": 1, "engine": "auto"} | options
    with pytest.raises(ReconstructionError, match=said):
        check_search(capture[0].require_cameras(), **whole)


def test_three_planes_are_enough_for_both_engines(capture) -> None:
    for engine in ("numba", "torch"):
        small = capture[0][:2].resize(width=60, height=40)
        maps = multiview_depth(small, points=capture[2], planes=3, engine=engine)
        assert torch.isfinite(maps.depth).all()


def test_homography_counts_pixels_as_opencv_does(capture) -> None:
    """OpenCV puts the centre of the top-left pixel at (0, 0), we at (0.5, 0.5)."""
    cameras: Cameras = capture[0].require_cameras()
    z, integer_px = 2.0, np.array([30.0, 50.0, 1.0])
    pose = (cameras.cam_from_world[1] @ cameras.world_from_cam[0]).numpy()
    H = pixel_homography(cameras.K[1].numpy(), pose, cameras.K[0].numpy(), 1 / z)
    there = H @ integer_px
    point = backproject(torch.full((1, 160, 240), z, dtype=torch.float64), cameras[0])[0, 50, 30]
    px, _ = project(point[None], cameras[1])
    assert np.allclose(there[:2] / there[2], px[0, 0].numpy() - 0.5, atol=1e-9)


def test_ranges_hold_the_scene_and_neighbours_are_the_near_ones(capture) -> None:
    clip, depth, cloud = capture
    ranges = depth_ranges(clip.require_cameras(), cloud)
    inside = (depth > ranges[:, 0, None, None]) & (depth < ranges[:, 1, None, None])
    assert inside.float().mean() > 0.97
    chosen = best_neighbours(clip.require_cameras(), ranges, cloud, 2)
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
    truth = backproject(depth.double(), clip.require_cameras()).reshape(-1, 3)
    off = torch.cdist(points.xyz, truth).min(1).values
    assert off.median() < 0.02  # metres
    assert (off < 0.1).float().mean() > 0.95


def test_filled_in_depth_gives_no_surface_points_and_two_photos_that_agree_do(capture) -> None:
    clip, depth, _ = capture
    for confidence, count in ((0.3, 0), (0.7, 10)):
        maps = DepthMaps(depth, torch.full_like(depth, confidence))
        assert len(surface_points(clip, maps, count=10, generator=torch.Generator())) == count
    three = DepthMaps(depth, torch.full_like(depth, 0.7))
    none = surface_points(clip, three, count=10, generator=torch.Generator(), least_confidence=0.8)
    assert len(none) == 0


def test_two_photos_that_agree_count_for_nothing_beside_three(capture) -> None:
    clip, depth, _ = capture
    confidence = torch.full_like(depth, 0.7)
    confidence[:, :, : clip.width // 2] = 1.0
    maps = DepthMaps(depth, confidence)
    points = surface_points(clip, maps, count=10**6, generator=torch.Generator().manual_seed(0))
    reach = round(max(clip.width, clip.height) / 80)
    beside = len(clip) * clip.height * reach
    assert len(points) == int((depth > 0).sum()) - beside
    assert reach >= 1


@pytest.fixture(scope="module")
def twice(capture: tuple[Clip, torch.Tensor, PointCloud]) -> DepthMaps:
    clip, _, cloud = capture
    return multiview_depth(clip, points=cloud, passes=2)


def test_a_second_pass_brings_depth_closer_and_confirms_more(
    capture, estimated: DepthMaps, twice: DepthMaps
) -> None:
    before, after = (relative_error(maps, capture[1]) for maps in (estimated, twice))
    assert after.median() < 0.9 * before.median()
    assert (after < 0.02).float().mean() > (before < 0.02).float().mean() + 0.01
    assert (twice.confidence > 0.6).float().mean() > (estimated.confidence > 0.6).float().mean()
    assert (after[twice.confidence > 0.6] < 0.02).float().mean() > 0.85


def plane_seen_by_two(
    clip: Clip,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A slanted plane as (q, gx, gy) in the first and in the second photo, and what takes pixels there."""
    search = DepthSearch(clip[:2], planes=4)
    maps, shifts = search.integer_pixel_maps(0)
    y, x = np.mgrid[: clip.height, : clip.width]
    # a plane a·KX = 1 of the first photo is (M⁻ᵀ a)/(1 + a·M⁻¹s) in the second
    a = np.array([1e-4, -2e-4, 0.35])
    back = np.linalg.inv(maps[0])
    b = (back.T @ a) / (1 + a @ back @ shifts[0])

    def as_planes(c: np.ndarray) -> np.ndarray:
        return np.stack([c[0] * x + c[1] * y + c[2], np.full(x.shape, c[0]), np.full(x.shape, c[1])], -1)

    return as_planes(a), as_planes(b), maps, shifts


def test_a_neighbours_plane_is_the_same_plane_in_the_photo(capture) -> None:
    own, other, maps, shifts = plane_seen_by_two(capture[0])
    drawn = np.empty_like(own)
    draw_planes(other, maps[0], shifts[0], drawn)
    hit = drawn[..., 0] > 0
    assert hit.mean() > 0.4
    assert np.allclose(drawn[hit], own[hit], rtol=1e-6)


def test_depths_that_agree_are_averaged_and_others_are_not(capture) -> None:
    own, other, maps, shifts = plane_seen_by_two(capture[0])
    fused, agreeing = np.empty(own.shape[:2]), np.empty(own.shape[:2], np.int64)
    fuse_planes(1.004 * own, other[None], maps, shifts, 0.02, 0.01, fused, agreeing)
    seen = agreeing == 1
    assert seen.mean() > 0.4
    assert np.allclose(fused[seen], 1.002 * own[seen][:, 0], rtol=1e-6)
    fuse_planes(1.1 * own, other[None], maps, shifts, 0.02, 0.01, fused, agreeing)
    assert agreeing.sum() == 0
    assert np.allclose(fused, 1.1 * own[..., 0])


def test_torch_aggregates_as_the_kernel_does() -> None:
    random = np.random.default_rng(0)
    cost, gray = random.random((9, 12, 7), np.float32), random.random((9, 12), np.float32)
    total = np.zeros_like(cost)
    aggregate_scan(cost, gray, 0.06, 0.5, total)
    aggregate_scan(cost[::-1, ::-1], gray[::-1, ::-1], 0.06, 0.5, total[::-1, ::-1])
    ours = torch_sweep.aggregate_costs(torch.from_numpy(cost), torch.from_numpy(gray), 0.06, 0.5)
    assert np.allclose(ours.numpy(), total, atol=1e-4)


def test_torch_and_numba_give_a_plane_the_same_cost(capture) -> None:
    """All pixels hold one plane, and changes are of size 0: nothing is left to find but its cost."""
    clip = capture[0][:2]
    own, other, maps, shifts = plane_seen_by_two(clip)
    grays = DepthSearch(clip, planes=4).grays
    disagreeing = other * np.linspace(0.97, 1.03, 240)[None, :, None]
    costs = []
    for refine, where in ((slanted.refine_planes, ()), (torch_sweep.refine_planes, (torch.device("cpu"),))):
        cost = np.empty(own.shape[:2], np.float32)
        refine(
            grays[0], np.stack(grays[1:]), maps, shifts, own.copy(), own[..., 0].astype(np.float32), 1e-12,
            0.0, 9.0, 1, 0.08, 0.0, disagreeing[None], 0.25, np.zeros((0, 1, 1, 3)), cost, *where,
        )  # fmt: skip
        costs.append(cost)
    assert costs[0].std() > 0.05
    assert np.median(np.abs(costs[0] - costs[1])) < 1e-3
    assert np.mean(np.abs(costs[0] - costs[1]) < 0.01) > 0.98


def test_torch_sweeps_no_farther_than_the_last_plane() -> None:
    """Only the last plane maps a photo of noise onto itself; twelve spacings on, float32 rounds it beyond itself."""
    gray = np.random.default_rng(0).random((24, 32), np.float32)
    inverse_depths = np.linspace(0.1, 0.7, 13)
    K = np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]])
    pose = np.eye(4)
    pose[0, 3] = 0.3
    # the other picture is this one, moved by the disparity of the last plane
    K_other = K.copy()
    K_other[0, 2] -= 30 * 0.3 * inverse_depths[-1]
    inverse = torch_sweep.plane_sweep(
        gray, [gray], K, [K_other], [pose], inverse_depths, (0.06, 0.5), torch.device("cpu")
    )
    assert np.mean(np.isclose(inverse, inverse_depths[-1])) > 0.9
    assert inverse.max() <= np.float32(inverse_depths[-1])
    assert inverse.min() >= np.float32(inverse_depths[0])


@pytest.mark.parametrize("passes", [1, 2])
def test_torch_finds_the_depth_that_numba_finds(capture, passes: Literal[1, 2]) -> None:
    clip, _, cloud = capture
    small = clip[:3].resize(width=120, height=80)
    by = [
        multiview_depth(small, points=cloud, planes=32, passes=passes, engine=e) for e in ("numba", "torch")
    ]
    off = (by[0].depth - by[1].depth).abs() / by[0].depth
    sure = (by[0].confidence > 0.6) & (by[1].confidence > 0.6)
    assert sure.float().mean() > 0.3
    assert off[sure].median() < 0.005
    assert (off[sure] < 0.02).float().mean() > 0.9


def test_numba_searches_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_device("numba") is None
    assert torch_device("torch") is not None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("auto") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("auto") == torch.device("cuda")
