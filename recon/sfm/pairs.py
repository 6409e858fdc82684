"""Choice of the pairs of pictures that are matched."""

from collections.abc import Sequence
from typing import Literal

from recon.sfm.features.keypoints import Features
from recon.sfm.features.matching import match_mutual_nearest
from recon.sfm.retrieval import find_alike_pairs

Pairing = Literal["auto", "exhaustive", "sequential"]
"""'auto' decides by the number of pictures and whether they are a video; see `Recipe.choose_scheme`."""
Scheme = Literal["exhaustive", "sequential", "loops", "alike"]
"""All pairs; neighbours in time; neighbours in time and frames that see the same again (`find_loops`); each picture and those that look
most alike (`find_alike_pairs`)."""
OVERLAP = 10
"""Next frames of a video that each frame is matched with; COLMAP's default. Time and matches grow in proportion."""

SCREENED_FEATURES = 384
"""Strongest features of a frame by which loops are looked for. On an orbit of 56 frames they find 83% of the pairs that match
well at a 29th of the cost of all 2048; half as many find 71%, at the same limit."""
LEAST_SCREENED = 6
"""Matches among those from which a pair is tried. Of the pairs with 6 or more, seven in ten match well; with 3, every second."""
LOOPS_A_FRAME = 2
"""Most pairs that are tried for each frame, the best first: a loop needs few, and each takes as long as one of the neighbours."""


def choose_pairs(features: Sequence[Features], scheme: Scheme, *, seed: int = 0) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, ascending, of pictures in the order of a video, or of unordered ones if exhaustive or alike.

    Args:
        seed: of the sampled features by which 'alike' compares.
    """
    if scheme == "exhaustive":
        return all_pairs(len(features))
    if scheme == "alike":
        return find_alike_pairs(features, seed=seed)
    near = sequential_pairs(len(features))
    return near if scheme == "sequential" else sorted({*near, *find_loops(features, near)})


def find_loops(features: Sequence[Features], near: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs beside those in `near` whose strongest features match: where a camera comes back to what it has seen."""
    strongest = [one.descriptors[:SCREENED_FEATURES] for one in features]
    others = sorted({*all_pairs(len(features))} - {*near})
    count = {(a, b): len(match_mutual_nearest(strongest[a], strongest[b])) for a, b in others}
    seen = sorted((pair for pair in others if count[pair] >= LEAST_SCREENED), key=lambda pair: -count[pair])
    return sorted(seen[: LOOPS_A_FRAME * len(features)])


def all_pairs(count: int) -> list[tuple[int, int]]:
    """Pair each picture with each other."""
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def sequential_pairs(count: int, *, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """Pair each frame with the next `overlap` frames, and beyond them at distances of powers of two.

    COLMAP calls the latter quadratic overlap.
    """
    return [(a, b) for a, b in all_pairs(count) if b - a <= overlap or (b - a) & (b - a - 1) == 0]
