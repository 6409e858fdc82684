"""Places in which things move: the truth about them is consistent with their pictures."""

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from recon.errors import CameraError
from worldgen.scenes.movements import Drift, Patrol, Ripple, Swing
from worldgen.scenes.moving_place import Film, MovingPlace

W, H = 128, 96
POINTS = np.random.default_rng(0).standard_normal((40, 3))
Z = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def film() -> Film:
    place = MovingPlace(1)
    return place.film(place.walk(4, width=W, height=H), torch.linspace(0, 0.3, 4))


def apart(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_a_patrol_is_rigid_and_comes_back() -> None:
    patrol = Patrol(Z, np.array([2.0, 0.0, 0.0]), period_s=3.0, phase=0.0, spin=0.7)
    moved, normals = patrol.move(POINTS, POINTS, 0.4)
    assert np.allclose(apart(moved), apart(POINTS))
    assert np.allclose(apart(normals), apart(POINTS))
    still = Patrol(Z, np.array([2.0, 0.0, 0.0]), period_s=3.0, phase=0.0)
    assert np.allclose(still.move(POINTS, POINTS, 0.75)[0], POINTS + [2.0, 0.0, 0.0])
    assert np.allclose(still.move(POINTS, POINTS, 3.0)[0], POINTS)


def test_a_limb_swings_about_its_joint_which_is_carried() -> None:
    walk = Drift(np.array([1.0, 0.0, 0.0]))
    swing = Swing(np.ones(3), np.array([0.0, 1.0, 0.0]), np.pi / 2, 2.0, 0.0, walk)
    moved, _ = swing.move(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]), np.zeros((2, 3)), 0.5)
    assert np.allclose(moved, [[1.5, 1.0, 1.0], [0.5, 1.0, 1.0]])  # a quarter turn; half a second of walking


def test_a_soft_body_keeps_its_foot_and_changes_its_shape() -> None:
    ripple = Ripple(np.zeros(3), 1.0, np.array([0.5, 0.0, 0.0]), 3.0, 1.0, 0.0)
    at = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    moved, _ = ripple.move(at, at, 0.25)
    assert np.allclose(moved[0], 0)
    assert moved[1, 0] == pytest.approx(0.5 * np.sin(2 * np.pi * (0.25 - 1 / 3)))


def test_the_flow_carries_each_picture_into_the_next(film: Film) -> None:
    images = film.clip.images.permute(0, 3, 1, 2)
    y, x = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    for part, most in ((film.moving, 0.05), (~film.moving, 0.05)):
        right, wrong = [], []
        for i in range(len(images) - 1):
            for flow, errors in ((film.flow[i], right), (film.flow[i] * 0, wrong)):
                at = (torch.stack([x, y], -1) + flow) / torch.tensor([W, H]) * 2 - 1
                shown = grid_sample(images[i + 1, None], at.nan_to_num(9)[None], align_corners=False)[0]
                inside = (at.abs() < 1).all(-1) & part[i]
                errors.append((shown - images[i]).abs().mean(0)[inside])
        assert torch.cat(right).median() < most
        assert torch.cat(right).median() < 0.5 * torch.cat(wrong).median()
    assert film.flow[-1].isnan().all()


def test_what_stands_still_moves_only_with_the_camera() -> None:
    place = MovingPlace(1)
    cameras = place.walk(3, width=W, height=H, spread_deg=0.0)
    film = place.film(cameras, torch.tensor([0.0, 0.2, 0.4]))
    still = ~film.moving[:2] & ~film.flow[:2, ..., 0].isnan()
    assert film.flow[:2][still].abs().max() < 1e-2
    assert film.flow[:2][film.moving[:2]].norm(dim=-1).median() > 0.5
    assert 0.02 < film.moving.float().mean() < 0.5
    # what nothing covers at one time or another shows the same depth
    both = ~film.moving[0] & ~film.moving[2]
    assert torch.allclose(film.depth[0][both], film.depth[2][both])


def test_a_seed_is_a_place_and_movers_have_the_size_that_is_asked_for() -> None:
    once, again, small = (MovingPlace(2, size=size) for size in (0.4, 0.4, 0.1))
    cameras = once.rig(2, width=W, height=H)
    times = torch.tensor([0.0, 0.5])
    films = [place.film(cameras, times) for place in (once, again)]
    assert torch.equal(films[0].clip.images, films[1].clip.images)
    share = small.film(small.rig(2, width=W, height=H), times).moving.float().mean()
    assert 0 < share < 0.3 * films[0].moving.float().mean()


def test_nothing_moves_where_no_mover_is_asked_for_and_bad_input_is_told() -> None:
    place = MovingPlace(3, movers=())
    cameras = place.rig(2, width=W, height=H)
    assert not place.film(cameras, torch.tensor([0.0, 1.0])).moving.any()
    with pytest.raises(CameraError, match="a time for each of 2 cameras"):
        place.film(cameras, torch.zeros(3))
    with pytest.raises(CameraError, match="expected movers of person, thing, soft, got ghost"):
        MovingPlace(0, movers=("ghost",))
    with pytest.raises(CameraError, match="size above 0"):
        MovingPlace(0, size=0.0)
