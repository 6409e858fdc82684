"""Cuts are where frames have nothing in common with those before."""

import torch

from eval.pictures.shots import find_cuts
from recon.sfm.matches import Matches


def sharing(counts: dict[tuple[int, int], int], n: int) -> Matches:
    """All pairs of n frames, with so many matches; 0 where nothing is said."""
    pairs = tuple((a, b) for a in range(n) for b in range(a + 1, n))
    rows = tuple(torch.arange(counts.get(pair, 0))[:, None].expand(-1, 2) for pair in pairs)
    return Matches(64, 48, (torch.zeros(500, 2, dtype=torch.float64),) * n, pairs, rows)


def shots(*lengths: int, across: int = 3) -> Matches:
    """Frames of one shot share 200 matches and fewer with distance, those of two `across`."""
    shot = [number for number, length in enumerate(lengths) for _ in range(length)]
    n = len(shot)
    counts = {
        (a, b): 200 // (b - a) if shot[a] == shot[b] else across for a in range(n) for b in range(a + 1, n)
    }
    return sharing(counts, n)


def test_one_shot_has_no_cut() -> None:
    assert find_cuts(shots(12)) == ()


def test_every_cut_is_found() -> None:
    assert find_cuts(shots(6, 4, 7)) == (6, 10)


def test_a_jump_within_one_place_is_no_cut() -> None:
    assert find_cuts(shots(6, 6, across=60)) == ()


def test_a_blurred_frame_is_no_cut() -> None:
    matches = shots(12)
    rows = tuple(r[:2] if 5 in pair else r for pair, r in matches.by_pair())
    assert find_cuts(Matches(64, 48, matches.keypoints, matches.pairs, rows)) == ()


def test_black_frames_are_passed_over() -> None:
    matches = shots(14)
    black = (5, 6, 7, 8)
    rows = tuple(r[:0] if {*black} & {*pair} else r for pair, r in matches.by_pair())
    dark = Matches(64, 48, matches.keypoints, matches.pairs, rows)
    assert find_cuts(dark, blank=black) == ()


def test_pictures_without_features_have_no_cuts() -> None:
    assert find_cuts(sharing({}, 8)) == ()
    assert find_cuts(Matches(64, 48, (), (), ())) == ()
