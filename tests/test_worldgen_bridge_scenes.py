import sys
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
import torch

from recon.cameras import Cameras, backproject, intrinsics, look_at, project
from recon.errors import CameraError, MissingDependencyError
from worldgen.scenes import Shot, sample_shot, seen_share, shapes
from worldgen.scenes import shot as shot_module
from worldgen.scenes.materials import Material, material, photographs
from worldgen.scenes.movements import Drift
from worldgen.scenes.rendering import Light, Stage, Tracer

W, H, CONTEXTS, TARGETS = 128, 96, 4, 3
View = tuple[Tracer, Cameras, np.ndarray]
"""What a shot is taken of: the place, the true cameras (contexts first), and their times."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(generator: torch.Generator, *, photographs: bool = False) -> Shot:
    return sample_shot(
        generator, width=W, height=H, contexts=CONTEXTS, targets=TARGETS, photographs=photographs
    )


@pytest.fixture(scope="module", autouse=True)
def half_of_the_places_have_a_mover() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shot_module, "MOVING_SHARE", 0.5)
        yield


@pytest.fixture(scope="module")
def taken() -> list[tuple[Shot, View]]:
    """Six shots in the order in which one generator gives them, and what they are taken of."""
    views: list[View] = []
    take = shot_module._take

    def spy(rng, tracer, cameras, times, contexts):
        views.append((tracer, cameras, times))
        return take(rng, tracer, cameras, times, contexts)

    generator = seeded(11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shot_module, "_take", spy)
        shots = [sample(generator) for _ in range(6)]
    return list(zip(shots, views, strict=True))


@pytest.fixture(scope="module")
def shots(taken: list[tuple[Shot, View]]) -> list[Shot]:
    return [shot for shot, _ in taken]


def look(images: torch.Tensor, px: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Pictures [c, h, w] at pixels [p, 2] as [p, c]; (0.5, 0.5) is the centre of the first pixel."""
    at = (px / torch.tensor([images.shape[2], images.shape[1]]) * 2 - 1).float()[None, None]
    return torch.nn.functional.grid_sample(images[None], at, mode=mode, align_corners=False)[0, :, 0].T


def reprojected(shot: Shot, shift_px: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean colour error of the first target's visible pixels in the second, and the share that is visible."""
    cameras, depth = shot.truth.cameras, shot.depth
    assert cameras is not None
    points = backproject(depth[:1].double(), cameras[0]).reshape(-1, 3)
    px, z = (x[0] for x in project(points, cameras[1]))
    there = look(depth[1:2], px, "nearest")[:, 0]
    inside = (px > 0).all(1) & (px[:, 0] < W) & (px[:, 1] < H)
    visible = inside & (depth[0].reshape(-1) > 0) & ((there - z).abs() < 0.01 * z)
    colour = look(shot.truth.images[1].permute(2, 0, 1), px + torch.tensor([shift_px, 0.0]))
    error = (colour - shot.truth.images[0].reshape(-1, 3)).abs().mean(1)
    return error[visible].mean(), visible.double().mean()


def test_the_same_state_gives_the_same_shot_and_the_next_another(shots: list[Shot]) -> None:
    again = sample(seeded(11))
    for part in ("context", "truth"):
        a, b = getattr(shots[0], part), getattr(again, part)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.cameras.cam_from_world, b.cameras.cam_from_world)
        assert torch.equal(a.cameras.K, b.cameras.K)
        assert torch.equal(a.times_s, b.times_s)
    assert torch.equal(shots[0].depth, again.depth)
    assert all(
        torch.equal(getattr(shots[0].points, f.name), getattr(again.points, f.name))
        for f in fields(again.points)
    )
    assert not torch.equal(shots[1].truth.images, again.truth.images)


def test_depth_and_cameras_explain_the_pictures(shots: list[Shot]) -> None:
    errors = []
    for shot in shots:  # what moved in between has another depth there, and is left out by that
        error, visible = reprojected(shot)
        assert visible > 0.25
        errors.append((error, reprojected(shot, 1.5)[0]))
    assert np.mean([a for a, _ in errors]) < 0.035
    assert all(right < wrong for right, wrong in errors)  # a pixel and a half off shows in every shot


def test_points_lie_where_the_photos_show_them(shots: list[Shot]) -> None:
    for shot in shots:
        cameras = shot.context.cameras
        assert cameras is not None
        assert len(shot.points) > 50
        px, z = project(shot.points.xyz, cameras)
        inside = (z > 0) & (px > 0).all(-1) & (px[..., 0] < W) & (px[..., 1] < H)
        assert (inside.sum(0) >= 2).double().mean() > 0.95  # noise carries a few over the border
        assert shot.points.error_px.median() < 1.5
        assert shot.points.error_px.min() > 0


def chequered(light: Light) -> Stage:
    return Stage(np.zeros((8, 16, 3)), light)


LIGHT = Light(np.array([0.0, 0.0, 500.0]), np.ones(3), np.ones(3), False, np.inf)


def test_pixel_centres_are_at_a_half() -> None:
    """A wall whose left half is black: with the edge at x = 10 px, pixel 9 is black and pixel 10 white."""
    picture = np.ones((512, 512, 3), np.float32)
    picture[:, :256] = 0
    stage = chequered(LIGHT)
    wall = shapes.quad((-1.0, 1.0, 1.0), (2.0, 0.0, 0.0), (0.0, 0.0, -2.0))
    stage.add(wall, stage.uses(Material(picture)), fit=True)
    tracer = Tracer(stage, np.random.default_rng(0))
    pose = look_at(
        torch.zeros(1, 3).double(), torch.tensor([[0.0, 1, 0]]).double(), torch.tensor([[0.0, 0, 1]]).double()
    )
    K = intrinsics(focal_px=20, width=20, height=20)
    camera = Cameras(pose, K, 20, 20)
    light = tracer.render(camera.world_from_cam[0].numpy(), K[0].numpy(), 20, 20).mean((2, 3, 4))
    assert light[:, :9].max() < 0.01 * light[:, 11:].min()
    assert light[10, 9] + light[10, 10] == pytest.approx(light[10, 15], rel=0.02)  # symmetric about the edge
    assert light[10, 9] < 0.2 * light[10, 10]
    depth, triangle = tracer.z_depth(camera.world_from_cam[0].numpy(), K[0].numpy(), 20, 20, 0.0)
    assert np.allclose(depth, 1.0, atol=1e-5)  # z-depth, not distance along the ray
    assert triangle.min() >= 0


def test_what_moves_moves_with_time_and_nothing_else_does() -> None:
    stage = chequered(LIGHT)
    grey = stage.uses(Material(np.full((512, 512, 3), 0.5, np.float32)))
    stage.add(shapes.quad((-9.0, 3.0, 9.0), (18.0, 0.0, 0.0), (0.0, 0.0, -18.0)), grey)
    stage.add(shapes.sphere(0.3).place((0.0, 2.0, 0.0)), grey, Drift(np.array([1.0, 0.0, 0.0])))
    tracer = Tracer(stage, np.random.default_rng(0))
    pose = look_at(
        torch.zeros(1, 3).double(), torch.tensor([[0.0, 1, 0]]).double(), torch.tensor([[0.0, 0, 1]]).double()
    )
    K = intrinsics(focal_px=40, width=40, height=40)[0].numpy()
    camera = Cameras(pose, torch.from_numpy(K)[None], 40, 40).world_from_cam[0].numpy()
    now, _ = tracer.z_depth(camera, K, 40, 40, 0.0)
    later, triangle = tracer.z_depth(camera, K, 40, 40, 0.5)
    shift = [np.nonzero(d < 2.5)[1].mean() for d in (now, later)]
    assert shift[1] - shift[0] == pytest.approx(40 * 0.5 / 1.8, rel=0.15)
    assert (tracer.moving[triangle] == (later < 2.5)).all()


def test_things_move_only_where_times_differ_and_targets_have_holes_of_all_sizes(
    taken: list[tuple[Shot, View]],
) -> None:
    views = [view for _, view in taken]
    assert {tracer.anything_moves for tracer, _, _ in views} == {True, False}
    assert all(np.ptp(times) > 0 for tracer, _, times in views if tracer.anything_moves)
    holes = []
    for tracer, cameras, times in views:
        poses, K = cameras.world_from_cam.numpy(), cameras.K.numpy()
        depth = [tracer.z_depth(poses[i], K[i], W, H, times[i])[0] for i in range(len(cameras))]
        seen = seen_share(cameras, torch.from_numpy(np.stack(depth)), CONTEXTS)
        holes.append(1 - seen[CONTEXTS:].mean().item())
        step = (cameras.centers[CONTEXTS + 1] - cameras.centers[CONTEXTS]).norm() / np.median(depth)
        assert step < np.tan(np.radians(8))  # neighbouring targets are neighbours
    assert min(holes) > 0.005
    assert max(holes) < 0.7
    assert max(holes) > 2 * min(holes)


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(CameraError, match="at least 2 contexts"):
        sample_shot(seeded(0), contexts=1)


def test_photographs_without_their_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingDependencyError, match=r"needs scikit-image.*run pip install scikit-image"):
        sample(seeded(0), photographs=True)


def test_photographs_end_up_in_the_pictures(monkeypatch: pytest.MonkeyPatch, shots: list[Shot]) -> None:
    pytest.importorskip("skimage", reason="photographs in textures need scikit-image")
    for name in photographs.PHOTOGRAPHS:
        with monkeypatch.context() as patch:
            patch.setattr(photographs, "PHOTOGRAPHS", (name,))
            picture = photographs.photograph(np.random.default_rng(0), 64)
        assert picture.shape == (64, 64, 3)
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert picture.std() > 0.02
    used: list[np.ndarray] = []

    def spy(rng: np.random.Generator, size: int) -> np.ndarray:
        used.append(photographs.photograph(rng, size))
        return used[-1]

    monkeypatch.setattr(material, "photograph", spy)
    shot = sample(seeded(11), photographs=True)
    assert len(used) > 0
    assert not torch.equal(shot.truth.images, shots[0].truth.images)
