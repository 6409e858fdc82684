"""Which pairs of frames a clip is judged on.

They are chosen by time and by whether frames so far apart share matches at all, before looking at how well these agree, so
that a clip cannot choose its easy pairs.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch

from recon.sfm.matches import Matches

T = TypeVar("T")

MIN_MATCHES = 20
"""A fundamental matrix has seven degrees of freedom: with fewer matches it explains anything."""
MAX_PAIRS = 30
MIN_SHARE = 0.25
"""A clip is judged only where this share of the chosen pairs has enough matches."""
NEARER = (1, 2, 4)
"""How many times nearer in time pairs are taken, in turn, until enough of them share matches. On a clip of 57 frames an eighth
becomes two frames; nearer still are neighbours, which tell little."""


def neighbours(matches: Matches) -> list[int]:
    """The numbers of the pairs of consecutive frames; all of them, whatever the clip's length."""
    return [i for i, (a, b) in enumerate(matches.pairs) if b - a == 1]


def pairs_apart(matches: Matches, shares: Sequence[float] = (1 / 8, 1 / 4)) -> list[int]:
    """The numbers of at most `MAX_PAIRS` pairs that lie the given shares of the clip's length apart.

    Neighbours hardly move against each other, which leaves their epipolar lines to chance. Where too few frames so far apart share
    matches, as on an orbit whose eighth is 45°, they are taken half as far apart, and half as far again.
    """
    for nearer in NEARER:
        chosen = _pairs_at(matches, [share / nearer for share in shares])
        if enough_pairs([i for i in chosen if len(matches.indices[i]) >= MIN_MATCHES], chosen):
            return chosen
    return _pairs_at(matches, shares)


def _pairs_at(matches: Matches, shares: Sequence[float]) -> list[int]:
    """Pairs at these distances; where none of exactly that distance was matched, those of the nearest that was."""
    gaps = sorted({b - a for a, b in matches.pairs})
    if not gaps:
        return []
    wanted = dict.fromkeys(min(gaps, key=lambda g: abs(g - max(1, round(s * len(matches))))) for s in shares)
    each = MAX_PAIRS // len(wanted)
    out: list[int] = []
    for gap in wanted:
        same = [i for i, (a, b) in enumerate(matches.pairs) if b - a == gap]
        out += spread(same, each)
    return out


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly from the first to the last."""
    picks = torch.linspace(0, len(items) - 1, min(most, len(items)), dtype=torch.float64).round().long()
    return [items[i] for i in picks.tolist()]


def enough_pairs(usable: Sequence[object], chosen: Sequence[object]) -> bool:
    """Whether a share of `MIN_SHARE` of the chosen pairs could be used, so that their mean stands for the clip."""
    return len(usable) >= max(1, MIN_SHARE * len(chosen))
