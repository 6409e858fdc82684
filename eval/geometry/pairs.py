"""Which pairs of frames a clip is judged on.

They are chosen by time alone, before looking at the matches, so that a clip cannot choose its easy pairs.
"""

from collections.abc import Sequence

import torch

from recon.sfm.matches import Matches

MIN_MATCHES = 20
"""A fundamental matrix has seven degrees of freedom: with fewer matches it explains anything."""
MAX_PAIRS = 30
MIN_SHARE = 0.25
"""A clip is judged only where this share of the chosen pairs has enough matches."""


def neighbours(matches: Matches) -> list[int]:
    """The numbers of the pairs of consecutive frames; all of them, whatever the clip's length."""
    return [i for i, (a, b) in enumerate(matches.pairs) if b - a == 1]


def pairs_apart(matches: Matches, shares: Sequence[float] = (1 / 8, 1 / 4)) -> list[int]:
    """The numbers of at most `MAX_PAIRS` pairs that lie the given shares of the clip's length apart.

    Where pairs of exactly that distance were not matched, those of the nearest distance that was are taken.
    Neighbours hardly move against each other, which leaves their epipolar lines to chance.
    """
    gaps = sorted({b - a for a, b in matches.pairs})
    if not gaps:
        return []
    wanted = dict.fromkeys(min(gaps, key=lambda g: abs(g - max(1, round(s * len(matches))))) for s in shares)
    each = MAX_PAIRS // len(wanted)
    out: list[int] = []
    for gap in wanted:
        same = [i for i, (a, b) in enumerate(matches.pairs) if b - a == gap]
        picks = torch.linspace(0, len(same) - 1, min(each, len(same)), dtype=torch.float64).round().long()
        out += [same[i] for i in picks.tolist()]
    return out


def enough_pairs(usable: Sequence[object], chosen: Sequence[object]) -> bool:
    """Whether at least half of the chosen pairs could be used, so that their mean stands for the clip."""
    return len(usable) >= max(1, MIN_SHARE * len(chosen))
