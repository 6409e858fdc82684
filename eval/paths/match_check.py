"""Do recovered poses explain the matches of frames far apart, as those of a path that is torn, or does not close, do not?"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool

from eval.geometry.consistency import pair_fundamentals
from eval.geometry.pairs import MAX_PAIRS, MIN_MATCHES, spread
from recon.cameras import Cameras
from recon.compute.seeds import draw_seed
from recon.sfm.matches import Matches
from recon.two_views.epipolar import sampson_px
from recon.two_views.robust import fit_fundamental

RIGHT_PX = 1.0
"""Distance up to which the pair's own geometry explains a match; twice what MAGSAC++ weighs."""
CONTRADICTED_PX = 4.0
"""Median distance of these matches under the recovered poses from which the poses contradict them: COLMAP drops observations that
are further off than 4 px."""
MIN_RIGHT_SHARE = 0.4
"""Share of a pair's matches that its own geometry must explain: of wrong matches alone a fundamental matrix explains 10 to 20%."""
TORN_SHARE = 0.2
"""Share of the pairs that must contradict the poses. Of ten right clips of RealEstate10K none does; a single misplaced frame is in
few."""
MIN_PAIRS = 5


@dataclass(frozen=True)
class MatchCheck:
    """Pairs of frames, a quarter of the clip apart and more, whose matches agree with each other."""

    pairs: int = 0
    contradicted: tuple[tuple[int, int], ...] = ()
    """Those whose matches the recovered poses do not explain, the worst first."""

    @property
    def torn(self) -> bool:
        """Whether the path contradicts so many that it cannot be one path through one scene."""
        return self.pairs >= MIN_PAIRS and len(self.contradicted) >= TORN_SHARE * self.pairs

    def sentence(self) -> str:
        """What a report says of a torn path."""
        a, b = self.contradicted[0]
        return (
            f"the matches of {len(self.contradicted)} of {self.pairs} pairs of frames that are far apart contradict the recovered "
            f"poses, most those of frames {a} and {b}"
        )


def check_matches(
    matches: Matches, cameras: Cameras, registered: Bool[torch.Tensor, "n"], *, generator: torch.Generator
) -> MatchCheck:
    """Compare the poses with the matches of up to `MAX_PAIRS` pairs of frames that are far apart and match well.

    Args:
        matches: in the pixels of `cameras`, without distortion.
        cameras: of the registered frames.
    """
    seed = draw_seed(generator)
    far = [
        i
        for i, (a, b) in enumerate(matches.pairs)
        if 4 * (b - a) >= len(matches)
        and registered[a]
        and registered[b]
        and len(matches.indices[i]) >= MIN_MATCHES
    ]
    chosen = spread(far, MAX_PAIRS)
    frames = registered.nonzero()[:, 0].tolist()
    F = pair_fundamentals(cameras, [matches.pairs[i] for i in chosen], frames=frames)
    off: dict[tuple[int, int], float] = {}
    for i in chosen:
        a, b = matches.points(i)
        own, posed = fit_fundamental(a, b, seed=seed), F[matches.pairs[i]]
        right = sampson_px(own, a, b) < RIGHT_PX if own is not None else torch.zeros(len(a), dtype=torch.bool)
        if posed.isnan().any() or int(right.sum()) < max(MIN_MATCHES, MIN_RIGHT_SHARE * len(a)):
            continue
        off[matches.pairs[i]] = float(sampson_px(posed, a[right], b[right]).median())
    wrong = sorted((pair for pair, px in off.items() if px > CONTRADICTED_PX), key=lambda pair: -off[pair])
    return MatchCheck(len(off), tuple(wrong))
