import numpy as np
import pytest
import torch

from recon.cameras import Cameras, backproject, intrinsics, look_at, project
from recon.clip import Clip
from worldgen.model import Request, WorldModel
from worldgen.models.synthetic import SyntheticRoom


@pytest.fixture(scope="module")
def room() -> SyntheticRoom:
    return SyntheticRoom()


def empty_clip() -> Clip:
    return Clip(torch.zeros(0, 4, 4, 3))


def test_depth_and_poses_explain_the_pictures(room: SyntheticRoom) -> None:
    cameras = room.cameras(9, width=240, height=160)[[3, 4]]
    images, depth = room.render(cameras)
    points = backproject(depth[:1].double(), cameras[0]).reshape(-1, 3)
    px, z = project(points, cameras[1])
    size = torch.tensor([240.0, 160.0], dtype=torch.float64)
    at = (px[0] / size * 2 - 1).float()[None, None]
    seen_depth = torch.nn.functional.grid_sample(depth[1:, None], at, mode="nearest", align_corners=False)[
        0, 0, 0
    ]
    visible = (at[0, 0].abs() < 1).all(-1) & ((seen_depth - z[0]).abs() < 0.01 * z[0])
    assert visible.float().mean() > 0.6
    colour = torch.nn.functional.grid_sample(images[1:].permute(0, 3, 1, 2), at, align_corners=False)[
        0, :, 0
    ].T
    error = (colour - images[0].reshape(-1, 3)).abs().mean(1)[visible]
    shuffled = (colour - images[0].reshape(-1, 3).roll(2, 0)).abs().mean(1)[visible]
    assert error.median() < 0.02
    assert error.mean() < 0.5 * shuffled.mean()  # two pixels off would already show


def test_depth_is_exact_on_a_wall(room: SyntheticRoom) -> None:
    eye, target = torch.tensor([[0.3, 0.0, 2.45]]).double(), torch.tensor([[0.3, 2.5, 2.45]]).double()
    cameras = Cameras(
        look_at(eye, target, torch.tensor([[0.0, 0.0, 1.0]]).double()),
        intrinsics(focal_px=300, width=48, height=24), 48, 24,
    )  # fmt: skip
    _, depth = room.render(cameras)
    assert torch.allclose(depth, torch.tensor(2.5), atol=1e-5)  # z-depth, not distance along the ray


def test_points_stay_inside_the_room_and_stand_on_its_floor(room: SyntheticRoom) -> None:
    cameras = room.cameras(3, width=96, height=64)
    _, depth = room.render(cameras)
    points = backproject(depth.double(), cameras).reshape(-1, 3)
    assert (points.abs() <= torch.tensor([3.0, 2.5, 2.7]) + 1e-4).all()
    assert points[:, 2].min() > -1e-4
    assert (points[:, 2].abs() < 1e-4).double().mean() > 0.02


def test_same_seed_same_room_another_seed_another_room(room: SyntheticRoom) -> None:
    cameras = room.cameras(1, width=60, height=40)
    first, depth = room.render(cameras)
    assert torch.equal(first, SyntheticRoom(0).render(cameras)[0])
    other, _ = SyntheticRoom(1).render(cameras)
    assert (first - other).abs().mean() > 0.02
    assert depth.min() > 0.5


def test_pictures_have_features_to_match(room: SyntheticRoom) -> None:
    import cv2

    images, _ = room.render(room.cameras(9, width=384, height=256)[[0, 4, 8]])
    for image in images.numpy():
        gray = cv2.cvtColor((image * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        assert len(cv2.SIFT_create().detect(gray)) > 500


def test_stands_behind_the_protocol(room: SyntheticRoom, generator: torch.Generator) -> None:
    assert isinstance(room, WorldModel)
    targets = room.cameras(2, width=30, height=20)
    clip = room.generate(Request(context=empty_clip(), targets=targets), generator=generator).clip
    assert clip.cameras is targets
    assert clip.confidence is not None
    assert (clip.confidence == 1).all()
    assert 0.2 < clip.images.mean() < 0.8
