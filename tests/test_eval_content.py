"""The check of content: what it finds in frames whose truth is known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import interpolate, normalize

from eval.judging.content import ContentCheck, MovedPhoto, check_content, find_regions
from recon.compute.seeds import make_generator

H, W = 120, 160
THING = (slice(40, 80), slice(60, 100))
STEP = 4
"""Pixels by which the thing is moved: 2% of the width, and one more, since one is allowed."""


def picture(seed: int) -> torch.Tensor:
    """Blobs of a few pixels in all colours, as a textured wall has them."""
    coarse = torch.rand(1, 3, H // 4, W // 4, generator=make_generator(seed))
    return interpolate(coarse, size=(H, W), mode="bilinear")[0].permute(1, 2, 0)


def rays(aside: float) -> torch.Tensor:
    """From a centre so many thousandths aside, to a wall at distance 1 that fills 53° by 40°."""
    y, x = torch.meshgrid(torch.linspace(-0.375, 0.375, H), torch.linspace(-0.5, 0.5, W), indexing="ij")
    return normalize(torch.stack([x - aside / 1000, y, torch.ones_like(x)], -1), dim=-1)


CLEAN = picture(0)
CLEAN[THING] = 0.3 * picture(1)[THING]
OWN = rays(0)
SEEN = torch.ones(H, W, dtype=torch.bool)


def moved_photos(noise: float = 0.01) -> list[MovedPhoto]:
    """Two photos to either side, darker and brighter than the frame."""
    generator = make_generator(2)
    return [
        MovedPhoto(
            (gain * CLEAN + noise * torch.randn(H, W, 3, generator=generator)).clamp(0, 1), SEEN, rays(aside)
        )
        for gain, aside in ((0.8, -60), (0.95, 60))
    ]


def test_the_right_frame_is_compared_nearly_everywhere_and_passes() -> None:
    check = check_content(CLEAN, OWN, moved_photos())
    assert check.compared.float().mean() > 0.7
    assert check.share == 0


def test_a_frame_off_by_a_pixel_passes() -> None:
    assert check_content(CLEAN.roll(1, 1), OWN, moved_photos()).share == 0


def test_a_thing_moved_by_two_percent_is_found_where_it_is() -> None:
    faulty = CLEAN.clone()
    faulty[THING] = picture(0)[THING]
    faulty[40:80, 60 + STEP : 100 + STEP] = CLEAN[THING]
    check = check_content(faulty, OWN, moved_photos())
    changed = (faulty - CLEAN).abs().amax(-1) > 0.06
    assert (check.contradicted & changed & check.compared).sum() > 0.3 * (changed & check.compared).sum()
    around = torch.zeros(H, W, dtype=torch.bool)
    around[36:84, 56:108] = True
    assert not (check.contradicted & ~around).any()
    assert find_regions(check.contradicted)


def test_noise_is_contradicted() -> None:
    noise = torch.rand(H, W, 3, generator=make_generator(3))
    share = check_content(noise, OWN, moved_photos()).share
    assert share is not None
    assert share > 0.9


@pytest.mark.parametrize("photos", [[], moved_photos()[:1]], ids=["none", "one"])
def test_photos_that_none_confirms_are_not_asked(photos: list[MovedPhoto]) -> None:
    check = check_content(torch.zeros(H, W, 3), OWN, photos)
    assert not check.compared.any()
    assert check.share is None


def test_where_photos_disagree_nothing_is_said() -> None:
    """A wrong depth: the second photo shows something else in the thing's place, and so does the frame."""
    first, second = moved_photos()
    other = second.picture.clone()
    other[THING] = picture(4)[THING]
    frame = CLEAN.clone()
    frame[THING] = picture(5)[THING]
    check = check_content(frame, OWN, [first, replace(second, picture=other)])
    assert not check.compared[45:75, 65:95].any()
    assert check.share == pytest.approx(0, abs=0.01)


def test_photos_at_one_place_do_not_confirm_each_other() -> None:
    """Whatever the depth, they show the same."""
    first, second = moved_photos()
    assert check_content(CLEAN, OWN, [first, replace(second, rays=first.rays)]).share is None


def test_photos_from_far_aside_are_not_asked() -> None:
    far = [replace(photo, rays=rays(aside)) for photo, aside in zip(moved_photos(), (-400, 400), strict=True)]
    assert check_content(CLEAN, OWN, far).share is None


def test_a_plain_area_is_not_compared() -> None:
    """Photos agree on it at any depth."""
    plain = [replace(photo, picture=torch.full((H, W, 3), 0.5)) for photo in moved_photos()]
    assert check_content(CLEAN, OWN, plain).share is None


def test_a_share_of_little_is_undefined() -> None:
    compared = torch.zeros(H, W, dtype=torch.bool)
    compared[:2, :100] = True
    assert ContentCheck(compared, compared).share is None


@pytest.mark.parametrize("frame", [1 - CLEAN, torch.full_like(CLEAN, 0.5)], ids=["negative", "grey"])
def test_exposure_explains_neither_a_negative_nor_a_frame_without_texture(frame: torch.Tensor) -> None:
    check = check_content(frame, OWN, moved_photos())

    assert check.share is not None
    assert check.share > 0.2
