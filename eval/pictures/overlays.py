"""Find what stands before the picture: logos, subtitles, time codes, dashboards.

In a scene that a camera moves through, points lie at all distances, so that some stand, some move by a little and others by much. The
points of an overlay stand, next to none move by a little, and those that stand do not obey the epipolar geometry of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.geometry.pairs import MIN_MATCHES, spread
from recon.compute.seeds import draw_seed
from recon.sfm.matches import Matches
from recon.two_views.epipolar import sampson_px
from recon.two_views.robust import fit_fundamental

STANDING_PX, MOVING_PX = 1.0, 3.0
"""Points that move by less stand, by more move; those between move a little. SIFT places a point that stands to within 0.4 px."""
NEAREST_SHARE = 1 / 8
"""Share of the clip's length that two frames are apart, at least: nearer ones move by too little to tell."""
MIN_STANDING = 8
"""Standing matches from which a pair of frames may show an overlay; a small logo with a subtitle has 20 and more."""
LITTLE_SHARE = 0.5
"""Matches that move a little over those that stand, up to which a pair shows an overlay. None of 1637 pairs of 13 clean clips has so few;
of the same with a logo and subtitles 98% have, of those before a dashboard all but one."""
MIN_PAIRS, MIN_PAIR_SHARE = 3, 0.2
"""Pairs of frames that must show it, and their share of those that can: a subtitle that stands for half of the clip is in a quarter
of the pairs."""
GRID = (12, 8)
"""Cells across and down, in each of which the majority of matches decides whether it stands or moves."""
MOVING_CELLS = 1 / 3
"""Share of the cells with matches that must move. Before a dashboard of 40%, whose cells all have matches while plain walls have
none, it is 44% and more; a person who walks before a standing camera moves in fewer, for the wall stands there before and after."""
RIGID_SHARE, RIGID_PX = 0.5, 3.0
"""Share of the moving matches that one fundamental matrix must explain, and how closely. Of those of 13 clean clips it explains
69% and more; people who walk have none in common."""
TRIED_PAIRS = 12
"""Pairs of those that may show an overlay, spread over the clip, whose geometry is looked at: 0.04 s in all."""
APART_SHARE = 0.25
"""Share of these in which most standing points must lie off the epipolar lines of the moving ones. A camera that does not turn in
some of them makes an overlay look like points far away; a background far away lies on the lines in all."""
PLACE_SHARE = 0.2
"""Standing matches about a place over pairs of frames, from which it is masked: a feature of an overlay stands in most pairs,
one of the scene where the camera is heading in few."""
RADIUS_SHARE = 0.02
"""Half the side of the square that is masked about each point, as a share of the picture's width: descriptors of SIFT reach so far at common sizes."""


@dataclass(frozen=True)
class _Pair:
    """Matches of two frames in pixels of both."""

    xy_a: Float[Tensor, "m 2"]
    xy_b: Float[Tensor, "m 2"]
    travel_px: Float[Tensor, "m"]

    @property
    def stands(self) -> Bool[Tensor, "m"]:
        return self.travel_px < STANDING_PX

    @property
    def moves(self) -> Bool[Tensor, "m"]:
        return self.travel_px > MOVING_PX

    @property
    def shows_overlay(self) -> bool:
        standing = int(self.stands.sum())
        little = len(self.travel_px) - standing - int(self.moves.sum())
        return standing >= MIN_STANDING and little <= LITTLE_SHARE * standing


def find_overlay(matches: Matches, *, generator: torch.Generator) -> Bool[Tensor, "h w"] | None:
    """Mask of what stands before a picture that moves; None where there is nothing of the kind.

    A pair of frames shows an overlay where `MIN_STANDING` matches stand while others move, and few lie between (`LITTLE_SHARE`);
    a background far away does so too, but obeys the geometry of what moves. An overlay before a camera that never turns stays
    unfound: it counts, and does as little harm, as points far away. So does one over most of the picture.
    """
    seed = draw_seed(generator)  # drawn always: what follows stays the same
    far = [i for i, (a, b) in enumerate(matches.pairs) if b - a >= NEAREST_SHARE * len(matches)]
    pairs = [_Pair(a, b, (b - a).norm(dim=-1)) for a, b in map(matches.points, far)]
    pairs = [pair for pair in pairs if int(pair.moves.sum()) >= MIN_MATCHES]
    shown = [pair for pair in pairs if pair.shows_overlay]
    if len(shown) < max(MIN_PAIRS, MIN_PAIR_SHARE * len(pairs)):
        return None
    if not _covers_enough(pairs, matches) or not _stands_apart(shown, seed):
        return None
    places = torch.cat([xy[pair.stands] for pair in shown for xy in (pair.xy_a, pair.xy_b)])
    return _draw_squares(places, matches.width, matches.height, at_least=PLACE_SHARE * len(shown))


def _covers_enough(pairs: Sequence[_Pair], matches: Matches) -> bool:
    """Whether more matches move than stand in `MOVING_CELLS` of the picture."""
    size = torch.tensor([matches.width, matches.height], dtype=torch.float64)
    balance = torch.zeros(GRID[0] * GRID[1], dtype=torch.float64)
    seen = torch.zeros_like(balance)
    last = torch.tensor(GRID) - 1
    for pair in pairs:
        cell = (pair.xy_a / size * torch.tensor(GRID)).long().clamp(min=0).minimum(last)
        number = cell[:, 0] * GRID[1] + cell[:, 1]
        balance.index_add_(0, number, pair.moves.double() - pair.stands.double())
        seen.index_add_(0, number, (pair.moves | pair.stands).double())
    return int((balance > 0).sum()) >= MOVING_CELLS * int((seen > 0).sum())


def _stands_apart(pairs: Sequence[_Pair], seed: int) -> bool:
    """Whether what moves is rigid, one scene and not people, and what stands is no part of it."""
    tried, apart = spread(pairs, TRIED_PAIRS), 0
    for pair in tried:
        F = fit_fundamental(pair.xy_a[pair.moves], pair.xy_b[pair.moves], seed=seed)
        if F is None:
            continue
        off = sampson_px(F, pair.xy_a, pair.xy_b) > RIGID_PX
        rigid = float((~off[pair.moves]).double().mean()) >= RIGID_SHARE
        apart += rigid and float(off[pair.stands].double().mean()) > 0.5
    return apart >= APART_SHARE * len(tried)


def _draw_squares(
    xy: Float[Tensor, "m 2"], width: int, height: int, *, at_least: float
) -> Bool[Tensor, "h w"]:
    """Squares about all places that have so many others within."""
    side = 2 * max(2, round(RADIUS_SHARE * width)) + 1
    x, y = xy[:, 0].long().clamp(0, width - 1), xy[:, 1].long().clamp(0, height - 1)
    hits = torch.zeros(height, width).index_put_((y, x), torch.ones(len(xy)), accumulate=True)[None]
    near = side**2 * torch.nn.functional.avg_pool2d(hits, side, stride=1, padding=side // 2)
    places = ((hits > 0) & (near >= at_least)).float()
    return torch.nn.functional.max_pool2d(places, side, stride=1, padding=side // 2)[0] > 0
