"""Judgement of recovered cameras: which photos stand, each against the others' pixels."""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import PictureSet
from recon.compute.progress import track
from recon.compute.seeds import draw_seed
from recon.depth.views import best_neighbours, depth_ranges
from recon.points import PointCloud
from recon.sfm.judging.agreement import Agreement, find_agreement
from recon.sfm.judging.pixels import cover_places, draw_places, share_won, shrink_photos
from recon.sfm.matches import Matches

LEAST_SHARE_WON = 0.56
"""Share of comparisons that two photos must win, on average of both ways, for their cameras to support one another. Exchanged cameras
of turntables, tables and drone photos won up to 0.54, right ones under wide angles 0.55 to 0.62 (benchmarks/README.md)."""
SURE_SHARE_WON = 0.65
"""Share from which one other photo is enough to confirm a camera. Below it takes two, because cameras that come from a few matches
of things that look alike may win a little more than half against one photo, but not against a second one as well."""
LEAST_MATCHES = 20
"""Matches that must agree with two cameras for them to support one another: as many as the mapper asks of a photo. Of wrong cameras that
pixels supported, two photos of a statue from sides that look alike, 9 and 17 did."""
SURE_MATCHES = 100
"""Matches beside a plane from which one other photo that supports a camera is enough to confirm it. Right pairs whose pixels alone
were not sure had 150 to 490 (ALIKED), the flat ground seen from a drone up to 6 of 420."""
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
    """The largest group of photos that confirm one another (see `find_group`); false elsewhere."""
    agreement: Agreement | None = None
    """Of the matches, where they were known."""


def judge_cameras(
    posed: PictureSet,
    points: PointCloud,
    *,
    generator: torch.Generator,
    matches: Matches | None = None,
    exact: bool = True,
) -> Judgement:
    """Judge the cameras of photos by their pixels, and by the matches that they came from.

    Args:
        posed: photos without distortion, with the cameras that are judged.
        points: triangulated with these cameras; they say at what depth to look.
        matches: from which the cameras came, in pixels of `posed`; where these lie is not asked, for there any cameras that were
            fitted to them agree.
        exact: whether they are exact to less than a pixel; of others many agree with cameras that are several degrees off, and they
            confirm nothing.
    """
    n = len(posed)
    photos = shrink_photos(posed)
    scale = photos.cameras.width / posed.width
    depths = depth_ranges(photos.cameras, points)
    if n <= COMPARE_ALL_UP_TO:
        pairs = {(a, b) for a in range(n) for b in range(a + 1, n)}
    else:
        near = best_neighbours(photos.cameras, depths, points, NEIGHBOURS)
        pairs = {(min(a, b), max(a, b)) for a, row in enumerate(near) for b in row}
    won = torch.full((n, n), torch.nan, dtype=torch.float64)
    for a, b in track(sorted(pairs), "checking cameras by pixels"):
        asked = photos.textured[a], photos.textured[b]
        if matches is not None:
            in_a, in_b = matches.between(a, b)
            asked = cover_places(asked[0], in_a, scale), cover_places(asked[1], in_b, scale)
        both = [
            share_won(photos, a, b, depths[a], draw_places(asked[0], generator)),
            share_won(photos, b, a, depths[b], draw_places(asked[1], generator)),
        ]
        won[a, b] = won[b, a] = torch.tensor(both, dtype=torch.float64).nanmean()
    if matches is None:
        return Judgement(won, find_group(won))
    asked = [(int(a), int(b)) for a, b in (won.triu(1) >= LEAST_SHARE_WON).nonzero()]
    agreement = find_agreement(posed.require_cameras(), matches, asked, seed=draw_seed(generator))
    return Judgement(won, find_group(won, agreement, exact=exact), agreement)


def find_group(
    won: Float[Tensor, "n n"], agreement: Agreement | None = None, *, exact: bool = True
) -> Bool[Tensor, "n"]:
    """The largest group of photos whose cameras confirm one another; of equals the surer one; false throughout without one.

    A group begins with two photos that are sure of one another, or three that all support one another. A photo joins that is sure of
    one of the group, or that two of it support. Two photos support one another by their pixels and, where matches are known, by
    `LEAST_MATCHES`; they are sure by more of either.
    """
    sure, support = (won >= least for least in (SURE_SHARE_WON, LEAST_SHARE_WON))
    if agreement is not None:
        support = support & (agreement.matches >= LEAST_MATCHES)
        sure = support & (sure | (exact & (agreement.beside >= SURE_MATCHES)))
    best = torch.zeros(len(won), dtype=torch.bool)
    taken = torch.zeros_like(best)
    for seed in _list_seeds(won, sure, support):
        if bool(taken[list(seed)].all()):
            continue
        group = torch.zeros_like(best)
        group[list(seed)] = True
        while True:
            joins = ~group & (sure[:, group].any(1) | (support[:, group].sum(1) >= 2))
            if not joins.any():
                break
            group |= joins
        taken |= group
        if group.sum() > best.sum():
            best = group
    return best


def _list_seeds(won: Tensor, sure: Tensor, support: Tensor) -> list[tuple[int, ...]]:
    """Photos that a group may begin with, the surest first."""
    upper = torch.triu(torch.ones_like(support), 1)
    seeds: list[tuple[int, ...]] = [(a, b) for a, b in (sure & upper).nonzero().tolist()]
    for a, b in (support & upper).nonzero().tolist():
        seeds += [(a, b, c) for c in (support[a] & support[b]).nonzero()[:, 0].tolist() if c > b]
    return sorted(seeds, key=lambda seed: (-min(float(won[i, j]) for i, j in combinations(seed, 2)), seed))
