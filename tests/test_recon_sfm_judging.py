"""The judge of cameras on a rendered scene: it confirms true cameras and doubts wrong ones, whatever their matches say."""

from dataclasses import replace

import pytest
import torch
from test_recon_sfm_scene import box_scene

from recon.clip import Clip
from recon.points import PointCloud
from recon.sfm.judging.judge import LEAST_SHARE_WON, SURE_SHARE_WON, Judgement, find_group, judge_cameras
from recon.sfm.judging.pixels import MOST_COVERED, cover_places

NO_POINTS = PointCloud.empty()


@pytest.fixture(scope="module")
def posed() -> Clip:
    return box_scene(5)


@pytest.fixture(scope="module")
def judged(posed: Clip) -> Judgement:
    """Of the true cameras, by a generator with seed 0."""
    return judge_cameras(posed, NO_POINTS, generator=torch.Generator().manual_seed(0))


def give_cameras(posed: Clip, source: list[int]) -> Clip:
    """The photos, each with the camera of another one."""
    return replace(posed, cameras=posed.require_cameras()[source])


def test_true_cameras_are_confirmed(judged: Judgement) -> None:
    assert judged.trusted.all()
    assert torch.equal(judged.won.nan_to_num(0), judged.won.T.nan_to_num(0))
    neighbours = torch.tensor([float(judged.won[i, i + 1]) for i in range(4)])
    assert bool((neighbours > 0.7).all())


def test_a_photo_with_a_wrong_camera_is_doubted_and_the_others_are_not(
    posed: Clip, generator: torch.Generator
) -> None:
    turned = posed.require_cameras().cam_from_world.clone()
    turn = torch.eye(4, dtype=torch.float64)
    turn[:3, :3] = torch.matrix_exp(
        torch.tensor([[0, -0.09, 0.05], [0.09, 0, -0.07], [-0.05, 0.07, 0]], dtype=torch.float64)
    )  # 7 degrees about an axis between all
    turned[2] = turn @ turned[2]
    wrong = replace(posed, cameras=replace(posed.require_cameras(), cam_from_world=turned))
    found = judge_cameras(wrong, NO_POINTS, generator=generator)
    assert found.trusted.tolist() == [True, True, False, True, True]


def test_exchanged_cameras_win_half_of_the_comparisons(posed: Clip, generator: torch.Generator) -> None:
    found = judge_cameras(give_cameras(posed, [2, 4, 1, 0, 3]), NO_POINTS, generator=generator)
    won = found.won[~found.won.isnan()]
    assert abs(float(won.mean()) - 0.5) < 0.03
    assert not found.trusted.any()


def test_photos_without_texture_confirm_nothing(posed: Clip, generator: torch.Generator) -> None:
    blank = replace(posed, images=torch.full_like(posed.images, 0.5))
    found = judge_cameras(blank, NO_POINTS, generator=generator)
    assert found.won.isnan().all()
    assert not found.trusted.any()


def test_padding_is_not_compared(posed: Clip, generator: torch.Generator) -> None:
    """A frame painted around the pictures would agree with any camera."""
    images, sure = posed.images.clone(), torch.zeros(posed.images.shape[:3])
    sure[:, 60:180, 80:240] = 1
    stripes = (torch.arange(320) // 6 % 2).float()[None, None, :, None].expand_as(images)
    images = torch.where(sure[..., None] > 0, 0.5, stripes)
    framed = replace(posed, images=images, confidence=sure)
    assert judge_cameras(framed, NO_POINTS, generator=generator).won.isnan().all()


def test_the_same_seed_gives_the_same_judgement(
    posed: Clip, judged: Judgement, generator: torch.Generator
) -> None:
    again = judge_cameras(posed, NO_POINTS, generator=generator)
    assert torch.equal(again.won.nan_to_num(0), judged.won.nan_to_num(0))


def link(n: int, shares: dict[tuple[int, int], float]) -> torch.Tensor:
    won = torch.full((n, n), 0.5)
    for (a, b), share in shares.items():
        won[a, b] = won[b, a] = share
    return won


def test_a_group_begins_sure_or_with_three_and_takes_whom_one_is_sure_of_or_two_support() -> None:
    sure, weak = SURE_SHARE_WON + 0.01, LEAST_SHARE_WON + 0.01
    assert find_group(link(3, {(0, 1): sure, (1, 2): weak})).tolist() == [True, True, False]
    assert find_group(link(3, {(0, 1): sure, (1, 2): weak, (0, 2): weak})).all()
    assert find_group(link(3, {(0, 1): weak, (1, 2): weak, (0, 2): weak})).all()
    assert not find_group(link(3, {(0, 1): weak, (1, 2): weak})).any()
    assert not find_group(torch.full((3, 3), torch.nan)).any()


def test_of_two_groups_the_larger_is_kept_and_of_equals_the_surer() -> None:
    larger = link(5, {(0, 1): 0.9, (2, 3): 0.7, (3, 4): 0.7})
    assert find_group(larger).tolist() == [False, False, True, True, True]
    assert find_group(link(4, {(0, 1): 0.7, (2, 3): 0.8})).tolist() == [False, False, True, True]


def test_places_that_the_cameras_came_from_are_not_asked() -> None:
    textured = torch.ones(60, 80, dtype=torch.bool)
    spot = torch.tensor([[100.0, 80.0]], dtype=torch.float64)
    left = cover_places(textured, spot, 0.5)
    assert int((~left).sum()) == 81
    assert not bool(left[36:45, 46:55].any())
    assert cover_places(textured, spot.expand(MOST_COVERED + 1, 2), 0.5).all()
