"""Requested cameras that were read wrongly are noticed by a clip's matches, and right ones are never accused."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from clips_of_points import FRAMES, HEIGHT, WIDTH, matched, path, scene, shuffled, warped

from benchmarks.reading_cases import UNSEEN, hold_frames, misread, truths
from benchmarks.readings import verdict
from eval.paths.conventions import compare_readings, find_agreed
from eval.paths.readings import hold, list_readings
from eval.results.conventions import AS_STATED, CANNOT_TELL, NONE_FITS, OTHERWISE, ReadingCheck
from recon.camera_files.convention import CONVENTIONS, Convention
from recon.cameras import Cameras, intrinsics, look_at
from recon.sfm.matches import Matches

STATED = Convention("cam_from_world", "opencv")
READINGS = [name for name in truths() if name != "as stated" and name not in UNSEEN]


def walk(n: int = FRAMES) -> Cameras:
    """Turns, rises and sways, so that every reading of it is another path."""
    t = torch.linspace(0, 1, n, dtype=torch.float64)
    eye = torch.stack([1.8 * t - 0.4, 0.5 * (4 * t).sin(), 1.2 * t**2 + 0.3], dim=1)
    target = torch.stack([2.2 * t - 1, 0.8 * t, 6 + 0 * t], dim=1)
    up = torch.stack([0.25 * t, t * 0 - 1, 0 * t], dim=1)
    return Cameras(look_at(eye, target, up), intrinsics(focal_px=330, width=WIDTH, height=HEIGHT, n=n), WIDTH, HEIGHT)  # fmt: skip


def straight(direction: tuple[float, float, float]) -> Cameras:
    """Constant gaze, even steps."""
    still = path("static")
    t = torch.linspace(0, 1, FRAMES, dtype=torch.float64)[:, None]
    return still.place_at(still.centers + t * torch.tensor(direction, dtype=torch.float64))


def compare(matches: Matches, requested: Cameras, stated: Convention = STATED) -> ReadingCheck:
    return compare_readings(matches, requested, stated=stated, generator=torch.Generator().manual_seed(0))


def seen(cameras: Cameras) -> Matches:
    return matched(cameras, scene(points=400))


@cache
def seen_on_walk() -> Matches:
    return seen(walk())


@pytest.mark.parametrize("name", READINGS)
def test_each_wrong_reading_is_named(name: str) -> None:
    meant = walk()
    if name.startswith("held"):
        meant = hold(meant, int(name[-1]))
    request = walk() if name.startswith("held") else misread(name, meant)
    check = compare(seen(meant) if name.startswith("held") else seen_on_walk(), request)
    assert check.fit == OTHERWISE
    assert check.named == [name]
    assert check.best_px == check.px[name]
    assert check.best_px is not None
    assert check.stated_px is not None
    assert check.best_px < 0.5
    assert check.stated_px > 1


def test_the_lens_of_mirrored_pictures_is_mirrored_too() -> None:
    """A principal point off the middle goes to the other side."""
    request = walk()
    request.K[:, 0, 2] += 0.05 * WIDTH
    matches = seen(request)
    flipped = tuple(xy * torch.tensor([-1, 1]) + torch.tensor([WIDTH, 0]) for xy in matches.keypoints)
    check = compare(replace(matches, keypoints=flipped), request)
    assert check.named == ["mirrored"]
    assert check.px["mirrored"] < 0.5


@pytest.mark.parametrize("stated", CONVENTIONS)
@pytest.mark.parametrize("meant", CONVENTIONS)
def test_the_convention_to_give_is_named_whichever_was_given(stated: Convention, meant: Convention) -> None:
    check = compare(seen_on_walk(), misread(str(meant), walk(), stated), stated)
    assert check.convention == str(stated)
    assert (check.fit, check.named) == ((AS_STATED, []) if meant == stated else (OTHERWISE, [str(meant)]))


@pytest.mark.parametrize(
    "cameras",
    [walk(), path(), path("rotation only"), straight((0, 0, 1.5)), straight((1.5, 0, 0))],
    ids=["walk", "curve", "turn", "forward", "sideways"],
)
def test_a_right_request_is_never_accused(cameras: Cameras) -> None:
    for matches in (
        seen(cameras),
        warped(seen(cameras), 3.0),
        matched(cameras, scene("plane"), outliers=0.4),
    ):
        check = compare(matches, cameras)
        assert check.fit == AS_STATED
        assert check.named == []
    for unseen in ("half a pixel", "twice the scale"):
        assert compare(seen(cameras), misread(unseen, cameras)).fit == AS_STATED


def test_readings_of_a_plain_path_that_cannot_be_told_apart_are_named_together() -> None:
    forward = straight((0, 0, 1.5))
    check = compare(seen(forward), misread("reversed", forward))
    assert check.fit == OTHERWISE
    assert check.named[:3] == ["cam_from_world/opengl", "world_from_cam/opencv", "opposite translation"]
    assert "reversed" in check.named
    assert "lens: half" not in check.named
    assert "mirrored" in compare(seen(forward), forward).alike


def test_clips_that_tell_nothing_are_not_judged() -> None:
    still = path("static")
    check = compare(seen(still), walk())
    assert (check.fit, check.because) == (CANNOT_TELL, "nothing moves")
    lost = shuffled(seen(walk()))
    check = compare(lost, walk())
    assert check.fit == CANNOT_TELL
    assert "too few matches" in check.because
    another = replace(walk(), cam_from_world=straight((0, 1.5, 0)).cam_from_world)
    assert compare(seen(walk()), another).fit in (NONE_FITS, CANNOT_TELL)


def test_a_lens_that_is_a_guess_is_not_suspected() -> None:
    request = misread("lens: half", walk())
    generator = torch.Generator().manual_seed(0)
    check = compare_readings(seen(walk()), request, lens_known=False, generator=generator)
    assert not any(one.of_lens for one in list_readings() if one.name in check.px)
    assert check.fit != OTHERWISE


def test_clips_agree_on_what_most_of_them_name() -> None:
    inverse = ReadingCheck(OTHERWISE, named=["world_from_cam/opencv"])
    either = ReadingCheck(OTHERWISE, named=["world_from_cam/opencv", "reversed"])
    right, untold = ReadingCheck(AS_STATED), ReadingCheck(CANNOT_TELL)
    assert find_agreed([inverse, either, untold]) == ["world_from_cam/opencv"]
    assert find_agreed([either, untold]) == ["world_from_cam/opencv", "reversed"]
    assert find_agreed([inverse, right, right]) == []
    assert find_agreed([untold]) == []


def test_a_clip_whose_frames_are_shown_several_times_is_one_of_a_held_path() -> None:
    """As the benchmark makes it."""
    check = compare(hold_frames(seen(walk()), "held for 4"), walk())
    assert verdict("held for 4", check) == "named"
    assert verdict("mirrored", check) == "wrong"
    assert verdict("as stated", compare(seen(walk()), walk())) == "as stated"
