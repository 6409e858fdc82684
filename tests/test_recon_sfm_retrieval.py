"""Pairs of pictures that look alike, of pictures whose features are made up."""

import itertools

import torch

from recon.sfm.features.keypoints import Features
from recon.sfm.pairs import choose_pairs
from recon.sfm.recipes import PHOTOS
from recon.sfm.retrieval import find_alike_pairs

PLACES, SEEN, D = 8, 6, 128


def pictures() -> list[Features]:
    """Six pictures of each of eight places in turn; half of their features are of the place, with noise, half are of nothing."""
    generator = torch.Generator().manual_seed(0)

    def unit(rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(rows, dim=1)

    places = [unit(torch.randn(60, D, generator=generator)) for _ in range(PLACES)]
    found = []
    for i in range(PLACES * SEEN):
        own = places[i % PLACES] + 0.05 * torch.randn(60, D, generator=generator)
        both = unit(torch.cat([own, torch.randn(60, D, generator=generator)]))
        found.append(Features(torch.zeros(120, 2, dtype=torch.float64), both, 64, 64))
    return found


def test_pictures_of_one_place_are_paired_and_all_hang_together() -> None:
    pairs = find_alike_pairs(pictures(), seed=0, alike=SEEN - 1)
    wanted = {(a, b) for a, b in itertools.combinations(range(PLACES * SEEN), 2) if a % PLACES == b % PLACES}
    # of 1128 pairs 120 are of one place; chance would find 11% of them
    assert len(wanted & set(pairs)) > 0.95 * len(wanted)
    assert len(pairs) < 1.3 * len(wanted)
    reached = {0}
    for _ in range(PLACES * SEEN):
        reached |= {x for pair in pairs if reached & set(pair) for x in pair}
    assert len(reached) == PLACES * SEEN
    assert pairs == sorted(pairs)
    assert all(a < b for a, b in pairs)


def test_the_seed_decides_and_pictures_without_features_are_no_trouble() -> None:
    empty = Features(torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, D), 64, 64)
    seen = [*pictures()[:10], empty]
    assert find_alike_pairs(seen, seed=3, alike=2) == find_alike_pairs(seen, seed=3, alike=2)
    assert any(10 in pair for pair in find_alike_pairs(seen, seed=3, alike=2))
    assert find_alike_pairs([empty] * 3, seed=0, alike=1)


def test_many_unordered_pictures_are_not_all_paired() -> None:
    assert PHOTOS.choose_scheme(150, ordered=False) == "exhaustive"
    assert PHOTOS.choose_scheme(151, ordered=False) == "alike"
    assert PHOTOS.choose_scheme(151, ordered=True) == "loops"
    assert len(choose_pairs(pictures(), "alike")) < len(choose_pairs(pictures(), "exhaustive"))
