"""Do the matches of two photos agree with their cameras, and does more than a plane agree?

A plane fits a second pair of cameras as well as the right one, however many of its points match; what stands out of it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.sfm.matches import Matches
from recon.two_views.epipolar import fundamental, symmetric_epipolar_px
from recon.two_views.robust import fit_homography, transfer

AGREE_SHARE = 0.003
"""Symmetric epipolar distance up to which a match agrees, as a share of the long side: COLMAP's 4 px at 1280."""
BESIDE_SHARE = 0.003
"""Distance from where the plane puts it from which a match lies beside the plane, as a share of the long side."""


@dataclass(frozen=True)
class Agreement:
    """Matches of n photos that agree with their cameras, by pair; symmetric, and 0 where a pair was not asked."""

    matches: Int[Tensor, "n n"]
    beside: Int[Tensor, "n n"]
    """Of these the ones that lie beside the plane that most lie on."""


def find_agreement(
    cameras: Cameras, matches: Matches, pairs: Sequence[tuple[int, int]], *, seed: int
) -> Agreement:
    """Count the matches that agree with the cameras.

    Args:
        matches: in pixels of the cameras.
        pairs: (a, b) that are asked.
        seed: of the robust fit of the planes.
    """
    counts = torch.zeros(2, len(cameras), len(cameras), dtype=torch.long)
    for a, b in pairs:
        xy_a, xy_b = matches.between(a, b)
        F = fundamental(cameras[[a]], cameras[[b]])[0]
        long_side = max(cameras.width, cameras.height)
        agree = symmetric_epipolar_px(F, xy_a, xy_b) < AGREE_SHARE * long_side
        xy_a, xy_b = xy_a[agree], xy_b[agree]
        beside = _count_beside_plane(xy_a, xy_b, BESIDE_SHARE * long_side, seed)
        counts[:, a, b] = counts[:, b, a] = torch.tensor([len(xy_a), beside])
    return Agreement(*counts)


def _count_beside_plane(
    xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], least_px: float, seed: int
) -> int:
    H = fit_homography(xy_a, xy_b, seed=seed)
    if H is None:
        return 0
    return int(((transfer(H, xy_a) - xy_b).norm(dim=1) > least_px).sum())
