"""Judgement of recovered cameras: which photos stand, each against the others' pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import track
from recon.depth.views import best_neighbours, depth_ranges
from recon.points import PointCloud
from recon.sfm.judging.pixels import draw_places, share_won, shrink_photos

LEAST_SHARE_WON = 0.56
"""Share of comparisons that two photos must win, on average of both ways, for their cameras to confirm one another. Five standard
deviations above 0.5: of 1,000 pairs of real photos with exchanged cameras none came above 0.547. At 0.52 wrong cameras pass;
at 0.62 right ones under wide angles fail."""
COMPARE_ALL_UP_TO = 12
"""Photos of which all pairs are compared; of more each with its `NEIGHBOURS` best."""
NEIGHBOURS = 8
"""Neighbours each of many photos is compared with; one that confirms it is enough."""


@dataclass(frozen=True)
class Judgement:
    """What the pixels say of n cameras."""

    won: Float[Tensor, "n n"]
    """Share of comparisons won by each pair, symmetric: 0.5 where cameras are wrong; NaN where nothing could be compared."""
    trusted: Bool[Tensor, "n"]
    """Photos that confirm one another, directly or through others: the largest such group, of at least two; false elsewhere."""


def judge_cameras(posed: Clip, points: PointCloud, *, generator: torch.Generator) -> Judgement:
    """Judge the cameras of photos by their pixels.

    Args:
        posed: photos without distortion, with the cameras that are judged.
        points: triangulated with these cameras; they say at what depth to look.
    """
    n = len(posed)
    photos = shrink_photos(posed)
    depths = depth_ranges(photos.cameras, points)
    if n <= COMPARE_ALL_UP_TO:
        pairs = {(a, b) for a in range(n) for b in range(a + 1, n)}
    else:
        near = best_neighbours(photos.cameras, depths, points, NEIGHBOURS)
        pairs = {(min(a, b), max(a, b)) for a, row in enumerate(near) for b in row}
    places = [draw_places(textured, generator) for textured in photos.textured]
    won = torch.full((n, n), torch.nan, dtype=torch.float64)
    for a, b in track(sorted(pairs), "checking cameras by pixels"):
        both = [share_won(photos, a, b, depths[a], places[a]), share_won(photos, b, a, depths[b], places[b])]
        won[a, b] = won[b, a] = torch.tensor(both, dtype=torch.float64).nanmean()
    return Judgement(won, largest_group(won >= LEAST_SHARE_WON))


def largest_group(confirmed: Bool[Tensor, "n n"]) -> Bool[Tensor, "n"]:
    """The largest group of photos that are linked; of equals the one with the earliest photo; false throughout without a link."""
    n = len(confirmed)
    best: set[int] = set()
    left = set(range(n))
    while left:
        group, waiting = set(), [min(left)]
        while waiting:
            i = waiting.pop()
            if i not in group:
                group.add(i)
                waiting += confirmed[i].nonzero()[:, 0].tolist()
        left -= group
        if len(group) > max(len(best), 1):
            best = group
    return _mask(best, n)


def _mask(rows: Iterable[int], n: int) -> Bool[Tensor, "n"]:
    mask = torch.zeros(n, dtype=torch.bool)
    mask[list(rows)] = True
    return mask
