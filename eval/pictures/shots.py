"""Where one shot ends and another begins, by what frames have in common."""

import itertools
from collections.abc import Sequence

from recon.sfm.matches import Matches

REACH = 3
"""Frames across a cut that are compared: one that is blurred has nothing in common with its neighbours, but these with each other."""
CUT_SHARE = 0.1
"""Matches across a cut, as a share of those between neighbours beside it. Between clips of CameraCtrl that were joined it is at most
0.06; where frames of one clip were left out it is 0.25."""
MIN_BESIDE = 20
"""Matches between neighbours beside a cut, at least: of fewer a tenth is chance."""
BESIDE = 3
"""Neighbours on either side whose matches are the measure."""


def find_cuts(matches: Matches, blank: Sequence[int] = ()) -> tuple[int, ...]:
    """First frames of further shots, ascending.

    A shot of a single frame at either end has no neighbours to measure by, and is not found.

    Args:
        blank: frames without a picture, which are passed over.
    """
    count = {pair: len(rows) for pair, rows in matches.by_pair()}
    frames = sorted({*range(len(matches))} - {*blank})
    near = [count.get((a, b), 0) for a, b in itertools.pairwise(frames)]
    cuts = []
    for k in range(1, len(frames)):
        before, after = near[max(0, k - 1 - BESIDE) : k - 1], near[k : k + BESIDE]
        beside = min(max(before, default=0), max(after, default=0))
        across = [
            count.get((a, b), 0)
            for i, a in enumerate(frames[max(0, k - REACH) : k], max(0, k - REACH))
            for j, b in enumerate(frames[k : k + REACH], k)
            if j - i <= REACH
        ]
        if beside >= MIN_BESIDE and max(across) < CUT_SHARE * beside:
            cuts.append(frames[k])
    return tuple(cuts)
