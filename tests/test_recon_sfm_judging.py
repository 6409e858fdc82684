"""The judge of cameras on a rendered scene: it confirms true cameras and doubts wrong ones, whatever their matches say."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from test_recon_sfm_scene import box_scene

from recon.cameras import project
from recon.clip import Clip
from recon.points import PointCloud
from recon.sfm.judging.agreement import Agreement, find_agreement
from recon.sfm.judging.judge import (
    LEAST_MATCHES,
    LEAST_SHARE_WON,
    SURE_MATCHES,
    SURE_SHARE_WON,
    Judgement,
    find_group,
    judge_cameras,
)
from recon.sfm.judging.pixels import MOST_COVERED, cover_places
from recon.sfm.matches import Matches

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


def all_match(posed: Clip, points: torch.Tensor) -> Matches:
    """Every point seen by every photo, to the pixel."""
    cameras = posed.require_cameras()
    pixels, _ = project(points, cameras)
    pairs = tuple(combinations(range(len(posed)), 2))
    rows = torch.arange(len(points))[:, None].expand(-1, 2)
    return Matches(cameras.width, cameras.height, tuple(pixels), pairs, (rows,) * len(pairs))


def test_matches_agree_with_true_cameras_and_planes_are_told_apart(
    posed: Clip, generator: torch.Generator
) -> None:
    cameras, pair = posed.require_cameras(), [(0, 3)]
    solid = torch.rand(150, 3, dtype=torch.float64, generator=generator) * 2 + torch.tensor([-1.0, -1.0, 3.0])
    flat = solid.clone()
    flat[:, 2] = 6 + 0.3 * flat[:, 0]
    standing, lying = (find_agreement(cameras, all_match(posed, x), pair, seed=0) for x in (solid, flat))
    assert int(standing.matches[0, 3]) == int(standing.matches[3, 0]) == int(lying.matches[0, 3]) == 150
    assert int(standing.beside[0, 3]) > 100
    assert int(lying.beside[0, 3]) == 0
    assert int(standing.matches[1, 2]) == 0  # not asked
    wrong = cameras[[4, 1, 2, 0, 3]]
    assert int(find_agreement(wrong, all_match(posed, solid), pair, seed=0).matches[0, 3]) < 30


def agree(n: int, matches: dict[tuple[int, int], tuple[int, int]]) -> Agreement:
    counts = torch.zeros(2, n, n, dtype=torch.long)
    for (a, b), pair in matches.items():
        counts[:, a, b] = counts[:, b, a] = torch.tensor(pair)
    return Agreement(*counts)


def test_few_matches_support_nothing_and_many_beside_a_plane_are_sure() -> None:
    weak = link(3, {(0, 1): LEAST_SHARE_WON + 0.01})
    enough = agree(3, {(0, 1): (SURE_MATCHES + 20, SURE_MATCHES)})
    flat = agree(3, {(0, 1): (SURE_MATCHES + 20, 0)})
    assert find_group(weak, enough).tolist() == [True, True, False]
    assert not find_group(weak, flat).any()
    assert not find_group(weak, enough, exact=False).any()
    assert not find_group(link(3, {(0, 1): LEAST_SHARE_WON - 0.01}), enough).any()
    sure = link(3, {(0, 1): SURE_SHARE_WON + 0.01})
    assert find_group(sure, flat).tolist() == [True, True, False]
    assert not find_group(sure, agree(3, {(0, 1): (LEAST_MATCHES - 1, LEAST_MATCHES - 1)})).any()
