"""SIFT matched in memory: positions to a fraction of a pixel, and matches that both sides choose."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recon.clip import Clip
from recon.sfm.features.describe import describe, match_pairs
from recon.sfm.features.matching import RATIO, match_mutual_nearest
from recon.sfm.matches import Matches
from recon.sfm.pairs import all_pairs, sequential_pairs

WIDTH, HEIGHT = 192, 128


def sift_matches(clip: Clip, pairs: list[tuple[int, int]], *, max_features: int = 2048) -> Matches:
    return match_pairs(describe(clip, "opencv", max_features=max_features), "opencv", pairs)


def texture(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A continuous picture of blobs of all sizes, at any real place: grey, in [0, 1]."""
    g = torch.Generator().manual_seed(1)
    out = torch.full(x.shape, 0.5, dtype=torch.float64)
    for _ in range(500):
        u, v, size, height = torch.rand(4, generator=g, dtype=torch.float64).tolist()
        sigma = 1.5 + 6 * size**3
        distance = (x - (u * 260 - 30)) ** 2 + (y - (v * 190 - 30)) ** 2
        out += 0.5 * (height - 0.5) * torch.exp(-distance / (2 * sigma**2))
    return out.clamp(0, 1)


def picture(*, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0) -> torch.Tensor:
    """A pixel whose centre is (x, y), the top-left one's (0.5, 0.5), shows the texture at (x / scale, y / scale)
    less the shift: what lies at p there is at scale · (p + shift) in the picture."""
    w, h = round(WIDTH * scale), round(HEIGHT * scale)
    v, u = torch.meshgrid(
        torch.arange(h, dtype=torch.float64) + 0.5, torch.arange(w, dtype=torch.float64) + 0.5, indexing="ij"
    )
    grey = texture(u / scale - shift[0], v / scale - shift[1])
    return grey.float()[..., None].repeat(1, 1, 3)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (7.0, -4.0), (3.3, 2.7), (-5.5, 0.25)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(shift: tuple[float, float]) -> None:
    found = sift_matches(Clip(torch.stack([picture(), picture(shift=shift)])), [(0, 1)])
    a, b = found.points(0)
    off = b - a - torch.tensor(shift, dtype=torch.float64)
    assert len(a) > 60
    assert off.norm(dim=-1).median() < 0.05
    assert off.median(0).values.abs().max() < 0.02
    assert (off.norm(dim=-1) < 1).double().mean() > 0.95


def test_the_centre_of_the_top_left_pixel_is_at_one_half() -> None:
    """Half a turn takes x to width − x: from integer centres the sum of both would be 1 px short."""
    image = picture()
    found = sift_matches(Clip(torch.stack([image, image.flip(0, 1)])), [(0, 1)])
    a, b = found.points(0)
    off = a + b - torch.tensor([WIDTH, HEIGHT], dtype=torch.float64)
    assert len(a) > 60
    assert off.median(0).values.abs().max() < 0.05
    assert off.norm(dim=-1).median() < 0.1


def test_positions_are_those_of_a_blob() -> None:
    """One blob at a known place, off the pixel grid."""
    v, u = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    for x, y in ((40.5, 30.5), (41.0, 30.0), (40.2, 29.7)):
        grey = 0.2 + 0.6 * torch.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 3.0**2))
        (keypoints,) = sift_matches(Clip(grey[None, ..., None].repeat(1, 1, 1, 3)), []).keypoints
        assert len(keypoints)
        nearest = (keypoints - torch.tensor([x, y], dtype=torch.float64)).norm(dim=-1).min()
        assert nearest < 0.06


def test_twice_the_size_is_twice_the_coordinates() -> None:
    found = sift_matches(Clip(picture(scale=1.5)[None]), []).keypoints[0] / 1.5
    small = sift_matches(Clip(picture()[None]), []).keypoints[0]
    distances = torch.cdist(small, found)
    mutual = distances.argmin(0)[distances.argmin(1)] == torch.arange(len(small))
    off = (found[distances.argmin(1)] - small)[mutual & (distances.amin(1) < 1)]
    assert len(off) > 60
    assert off.median(0).values.abs().max() < 0.03


def angles(*deg: float) -> torch.Tensor:
    """Unit descriptors on a circle."""
    rad = torch.tensor(deg, dtype=torch.float32).deg2rad()
    return torch.stack([rad.cos(), rad.sin()], dim=1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 90), (1, 92), [[0, 0], [1, 1]]),
        ((90, 0), (1, 92), [[0, 1], [1, 0]]),
        ((0, 90), (1, 1.1), []),  # the second nearest is as near
        ((0, 90), (7.9, 10), [[0, 0]]),  # 7.9 < 0.8 · 10
        ((0, 90), (8.1, 10), []),
        ((7.9, 10), (0, 90), [[0, 0]]),  # the same from the other side
        ((8.1, 10), (0, 90), []),
        ((0, 5, 90), (1, 45), [[0, 0]]),  # 5° likes 1° too, which likes 0° better, and clearly
        ((0, 120), (41, 200), []),  # 41° are more than 0.7 rad
        ((0, 120), (39, 250), [[0, 0]]),
        ((0,), (0, 90), []),  # no second to tell it from
        ((0, 90), (0,), []),
        ((), (), []),
    ],
)
def test_matches_are_mutual_and_clear_from_both_sides(
    a: tuple[float, ...], b: tuple[float, ...], expected: list[list[int]]
) -> None:
    assert match_mutual_nearest(angles(*a), angles(*b)).tolist() == expected


def test_matches_are_those_of_the_definition(generator: torch.Generator) -> None:
    """Against a loop over all pairs of descriptors."""
    a = torch.nn.functional.normalize(torch.rand(40, 8, generator=generator), dim=1)
    b = a[torch.randperm(40, generator=generator)] + 0.12 * torch.randn(40, 8, generator=generator)
    b = torch.nn.functional.normalize(torch.cat([b, torch.rand(9, 8, generator=generator)]), dim=1)
    angle = (a @ b.T).clamp(-1, 1).arccos()
    expected = []
    for i in range(len(a)):
        for j in range(len(b)):
            row, column = angle[i].clone(), angle[:, j].clone()
            row[j], column[i] = math.inf, math.inf
            if angle[i, j] < 0.7 and angle[i, j] < RATIO * min(row.min(), column.min()):
                expected.append([i, j])
    assert 10 < len(expected) < 40
    assert match_mutual_nearest(a, b).tolist() == expected


def test_equal_descriptors_match_nothing() -> None:
    same = angles(10, 10, 10)
    assert match_mutual_nearest(same, same).tolist() == []
    assert match_mutual_nearest(angles(10, 80), angles(10, 10, 80)).tolist() == [[1, 2]]


def test_the_descriptors_are_left_as_they_were() -> None:
    a, b = angles(0, 90), angles(1, 92)
    before = a.clone(), b.clone()
    match_mutual_nearest(a, b)
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


def test_the_same_pictures_give_the_same_matches_on_any_number_of_threads() -> None:
    import cv2

    clip = Clip(torch.stack([picture(), picture(shift=(2.5, 1.0)), picture(shift=(5.0, 2.0))]))
    threads = cv2.getNumThreads()
    found = []
    try:
        for count in (1, 4, 1):
            cv2.setNumThreads(count)
            found.append(sift_matches(clip, all_pairs(3)))
    finally:
        cv2.setNumThreads(threads)
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0].keypoints, other.keypoints, strict=True))
        assert all(torch.equal(x, y) for x, y in zip(found[0].indices, other.indices, strict=True))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_pictures_of_one_colour_have_no_features(level: float) -> None:
    clip = Clip(torch.full((3, HEIGHT, WIDTH, 3), level))
    found = sift_matches(clip, all_pairs(3))
    assert [len(xy) for xy in found.keypoints] == [0, 0, 0]
    assert [tuple(rows.shape) for rows in found.indices] == [(0, 2)] * 3
    mixed = sift_matches(Clip(torch.stack([clip.images[0], picture()])), [(0, 1)])
    assert len(mixed.keypoints[1]) > 60
    assert tuple(mixed.indices[0].shape) == (0, 2)


def test_tiny_pictures_do_not_crash() -> None:
    found = sift_matches(Clip(torch.rand(2, 4, 3, 3)), [(0, 1)])
    assert len(found) == 2


def test_noise_below_compression_is_no_feature(generator: torch.Generator) -> None:
    grey = 0.5 + 0.004 * torch.randn(HEIGHT, WIDTH, 1, generator=generator)
    assert len(sift_matches(Clip(grey.expand(1, -1, -1, 3).clone()), []).keypoints[0]) < 10


@pytest.mark.parametrize("most", [1, 10, 40])
def test_the_strongest_features_are_kept(most: int) -> None:
    clip = Clip(picture()[None])
    every = sift_matches(clip, []).keypoints[0]
    kept = sift_matches(clip, [], max_features=most).keypoints[0]
    assert len(every) > 60
    assert len(kept) == most
    assert torch.equal(kept, every[:most])


def test_pairs_are_ascending_and_all_there() -> None:
    assert all_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert all_pairs(1) == all_pairs(0) == []
    assert sequential_pairs(11) == all_pairs(11)
    found = sequential_pairs(40, overlap=3)
    assert found == sorted(found)
    assert {b - a for a, b in found} == {1, 2, 3, 4, 8, 16, 32}
    assert all((a, a + gap) in found for gap in (1, 2, 3, 4, 8, 16, 32) for a in range(40 - gap))


def test_matches_follow_the_pairs_that_were_asked_for() -> None:
    clip = Clip(torch.stack([picture(), picture(shift=(2.5, 1.0)), picture(shift=(5.0, 2.0))]))
    every, some = sift_matches(clip, all_pairs(3)), sift_matches(clip, [(0, 2)])
    assert some.pairs == ((0, 2),)
    assert torch.equal(some.indices[0], every.indices[1])
    assert (some.width, some.height, len(some)) == (WIDTH, HEIGHT, 3)


def test_memory_stays_flat_over_pairs() -> None:
    """glibc before 2.38 loses 16 MB a pair of torch's matrix products, which took 10 GB a clip."""
    script = """
import os, torch
from recon.sfm.features.matching import match_mutual_nearest
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
base = torch.nn.functional.normalize(torch.randn(2048, 64, generator=generator), dim=1)
frames = [torch.nn.functional.normalize(base + 0.05 * torch.randn(2048, 64, generator=generator), dim=1) for _ in range(8)]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
kept = [match_mutual_nearest(frames[0], frames[1])]
before = resident()
kept += [match_mutual_nearest(frames[i % 8], frames[(i + 1) % 8]) for i in range(30)]
print(resident() - before)
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads the memory of the process from /proc")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # 30 pairs of 16 MB each would be 480
