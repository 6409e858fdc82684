"""Photos that are held in any way: which turns they are described in, and that matches are right in them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_scene import box_scene

from bridge4d.runs import stored_arrays
from recon.clip import Clip
from recon.sfm import PHOTOS, build_anchor
from recon.sfm.features.describe import describe, describe_like, find_turns, match
from recon.sfm.features.keypoints import Features
from recon.sfm.features.learned import available
from recon.sfm.features.turns import choose_turns, turn_back, turn_picture, turn_places
from recon.sfm.matching import match_photos

ALIKED = replace(PHOTOS, features="aliked", max_features=512)
without_aliked = pytest.mark.skipif(available("aliked") is not None, reason=str(available("aliked")))


def turned(clip: Clip, turns: list[int]) -> Clip:
    """Square photos, each turned counterclockwise by quarters; without cameras."""
    return Clip(torch.stack([turn_picture(i, by) for i, by in zip(clip.images, turns, strict=True)]))


@pytest.fixture(scope="module")
def scene() -> Clip:
    side = 240
    wide = box_scene(4)
    start = (wide.width - side) // 2
    return Clip(wide.images[:, :side, start : start + side].contiguous())


@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1, 6])
def test_places_follow_their_pixels(turns: int, generator: torch.Generator) -> None:
    image = torch.rand(5, 7, 3, generator=generator)
    again = turn_picture(image, turns)
    for x, y in [(0, 0), (6, 4), (2, 3)]:
        place = torch.tensor([[x + 0.5, y + 0.5]], dtype=torch.float64)
        there = turn_places(place, turns, width=7, height=5)[0]
        assert torch.equal(again[int(there[1]), int(there[0])], image[y, x])


def test_features_of_a_turned_picture_come_back(generator: torch.Generator) -> None:
    xy = torch.rand(9, 2, dtype=torch.float64, generator=generator) * torch.tensor([7.0, 5.0])
    for turns in range(4):
        width, height = (5, 7) if turns % 2 else (7, 5)
        there = Features(turn_places(xy, turns, width=7, height=5), torch.zeros(9, 1), width, height)
        back = turn_back(there, turns)
        torch.testing.assert_close(back.xy, xy)
        assert (back.width, back.height, back.turns) == (7, 5, turns)


@pytest.mark.parametrize(
    "held", [[0, 0, 0, 0, 0], [0, 1, 0, 3, 0], [2, 0, 0, 0, 1], [0, 3, 3, 0, 0, 0, 2, 1]]
)
def test_turns_undo_how_photos_were_held(held: list[int], generator: torch.Generator) -> None:
    """The place looks different in each of its four turns; most photos stay as they are."""
    looks = torch.nn.functional.normalize(torch.randn(4, 40, 32, generator=generator), dim=2)

    def see(turn: int) -> Features:
        seen = looks[turn % 4] + 0.02 * torch.randn(40, 32, generator=generator)
        return Features(torch.zeros(40, 2), torch.nn.functional.normalize(seen, dim=1), 10, 10)

    photos = [[see(by + held_by) for by in range(4)] for held_by in held]
    assert choose_turns(photos) == [-held_by % 4 for held_by in held]


def test_photos_in_nothing_alike_stay_as_they_are() -> None:
    empty = Features(torch.zeros(0, 2), torch.zeros(0, 8), 10, 10)
    assert choose_turns([[empty] * 4] * 3) == [0, 0, 0]
    assert choose_turns([[empty] * 4]) == [0]


@without_aliked
def test_photos_held_in_any_way_match_as_upright_ones_do(scene: Clip) -> None:
    held = [0, 1, 0, 2]
    assert find_turns(turned(scene, held), "aliked") == [0, 3, 0, 2]
    assert find_turns(scene, "colmap") is None
    upright = match_photos(scene, ALIKED)
    found = match_photos(turned(scene, held), ALIKED)
    assert [one.turns for one in found.features] == [0, 3, 0, 2]
    for pair in ((0, 1), (1, 3), (2, 3)):
        wanted, got = upright.matches.between(*pair), found.matches.between(*pair)
        assert len(got[0]) == len(wanted[0]) > 30
        for photo, places, others in zip(pair, got, wanted, strict=True):
            back = turn_places(places, -held[photo], width=scene.width, height=scene.height)
            torch.testing.assert_close(back.sort(0).values, others.sort(0).values, atol=0.01, rtol=0)


@without_aliked
def test_frames_of_a_video_are_taken_as_they_are(scene: Clip) -> None:
    found = match_photos(turned(scene, [0, 1, 0, 2]), ALIKED, ordered=True)
    assert [one.turns for one in found.features] == [0, 0, 0, 0]


@without_aliked
def test_a_frame_is_turned_to_look_like_the_photos(scene: Clip) -> None:
    photos = describe(scene[:2], "aliked", max_features=512)
    frames = describe_like(photos, turned(scene[2:], [0, 1]), "aliked", max_features=512)
    assert [one.turns for one in frames] == [0, 3]
    assert len(match(photos[1], frames[1], "aliked")) > 30
    as_it_is = describe(turned(scene[3:], [1]), "aliked", max_features=512)[0]
    assert len(match(photos[1], as_it_is, "aliked")) < len(match(photos[1], frames[1], "aliked")) / 2


@without_aliked
def test_turns_of_photos_are_stored(scene: Clip, tmp_path: Path) -> None:
    cameras = replace(box_scene(4).require_cameras(), width=scene.width, height=scene.height)
    posed = replace(turned(scene, [0, 1, 0, 0]), cameras=cameras)
    anchor = build_anchor(posed, tmp_path / "work", recipe=ALIKED)
    stored_arrays.save_anchor(anchor, tmp_path / "anchor")
    again = stored_arrays.load_anchor(tmp_path / "anchor", posed, anchor.points)
    assert [one.turns for one in again.features] == [0, 3, 0, 0]


@without_aliked
def test_long_and_narrow_pictures_stay_as_they_are(generator: torch.Generator) -> None:
    strips = Clip(torch.rand(2, 40, 640, 3, generator=generator))
    assert find_turns(strips, "aliked") is None
    assert len(match_photos(strips, ALIKED).features) == 2
