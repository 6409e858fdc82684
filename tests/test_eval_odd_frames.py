"""Black, repeated and cut frames are found, and ordinary ones are not taken for them."""

import pytest
import torch

from eval.pictures.odd_frames import OddFrames, find_odd_frames


def drifting(n: int, seed: int = 0, *, step: int = 3) -> torch.Tensor:
    """A window that moves over smooth noise, [n, 48, 64, 3], with a little noise of its own."""
    g = torch.Generator().manual_seed(seed)
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 4, (64 + step * n) // 12, generator=g), size=(48, 64 + step * n), mode="bilinear"
    )
    frames = torch.stack([wide[0, :, :, step * i : step * i + 64].permute(1, 2, 0) for i in range(n)])
    return (frames + 0.01 * torch.randn(frames.shape, generator=g)).clamp(0, 1)


@pytest.mark.parametrize("step", [1, 3, 12])
def test_a_moving_camera_has_no_odd_frames(step: int) -> None:
    assert find_odd_frames(drifting(20, step=step)) == OddFrames()


def test_a_camera_that_stands_before_a_scene_with_noise_repeats_nothing() -> None:
    noise = 0.02 * torch.randn(20, 48, 64, 3, generator=torch.Generator().manual_seed(1))
    assert find_odd_frames((drifting(1).expand(20, -1, -1, -1) + noise).clamp(0, 1)) == OddFrames()
    assert find_odd_frames(drifting(1).repeat(20, 1, 1, 1)) == OddFrames(), "it stands still"


def test_a_black_beginning_and_a_frozen_end() -> None:
    clip = drifting(20)
    clip[:4] = 0.03
    clip[15:] = clip[14]
    odd = find_odd_frames(clip)
    assert odd == OddFrames(blank=(0, 1, 2, 3), repeated=(15, 16, 17, 18, 19))
    assert odd.sentences() == [
        "4 frames without a picture (0–3)",
        "5 frames equal to the one before (15–19)",
    ]
    assert odd.causes() == ["blank frames", "repeated frames"]


def test_every_frame_twice() -> None:
    odd = find_odd_frames(drifting(10).repeat_interleave(2, dim=0))
    assert odd.repeated == tuple(range(1, 20, 2))
    assert odd.sentences()[0] == "10 frames equal to the one before (1, 3, 5, 7 and 6 more)"


def test_a_cut_to_another_place() -> None:
    odd = find_odd_frames(torch.cat([drifting(10, step=1), drifting(10, seed=9, step=1)]))
    assert odd == OddFrames(cuts=(10,))
    assert odd.sentences() == ["1 cut (before 10)"]
    white = drifting(6)
    white[3] = 1.0
    assert find_odd_frames(white).blank == (3,)
    assert find_odd_frames(white).cuts == ()


def test_the_longest_shot_is_kept_without_what_is_blank_or_repeated() -> None:
    assert OddFrames().kept(4) == [0, 1, 2, 3]
    assert OddFrames(blank=(0, 1), repeated=(5,)).kept(7) == [2, 3, 4, 6]
    assert OddFrames(cuts=(3,), repeated=(6,)).kept(8) == [3, 4, 5, 7]
    assert OddFrames(cuts=(4,)).kept(8) == [0, 1, 2, 3], "the first of two as long"
    assert OddFrames(blank=(0, 1, 2)).kept(3) == []
