"""How the camera of a clip moves, as far as epipolar geometry cares.

Matched points obey epipolar lines of *any* baseline where the camera only turns, or where all points lie on one
plane: a fundamental matrix fitted to them is arbitrary, and its residuals are small whatever the clip is worth.
Such clips, and those that do not move, have to be told before anything epipolar is measured.
"""

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.pairs import MIN_MATCHES, enough_pairs, pairs_apart
from recon.compute.seeds import draw_seed
from recon.sfm.matches import Matches
from recon.sim3 import nearest_rotation
from recon.two_views.epipolar import sampson_px
from recon.two_views.robust import fit_fundamental, fit_homography, transfer

STATIC_PX = 1.0
"""Right matches of SIFT differ by about 0.4 px in the median even where nothing moves."""
HOMOGRAPHY_PX = 2.0
"""Distance up to which a homography explains a match; twice `FUNDAMENTAL_PX`, see there."""
FUNDAMENTAL_PX = 1.0
"""Distance up to which a match counts as explained: a fundamental matrix leaves it one direction to err in, a
homography two. On real clips that move, at most three quarters of the explained matches obey a homography."""
HOMOGRAPHY_SHARE = 0.8
"""COLMAP's `max_H_inlier_ratio`: above it a pair counts as planar or panoramic."""
ROTATION_PX = 2.5
"""Largest distance between a homography and a turn of a fixed lens that still counts as a turn."""
ROTATION_NOISE_PX, ROTATION_TRAVEL = 0.5, 0.1
"""Of short ways the distance must be smaller: noise, and a tenth of how far the points move. Of 12 rendered turns by 5° to 25° it is
at most 0.01 of the way; of four dollies by 5% of the depth, which move points by 1 to 3 px, 0.8 and more."""
_MAX_PAIRS = 12
"""Pairs that are judged; more take longer and are nearer in time, so that less moves in them."""
_FOCALS = (0.3, 3.0)
"""Range of focal lengths, in longer sides of the picture: fields of view of 19° to 118°."""
_ASPECTS = (0.5, 2.0)
"""Range of fy/fx."""


class MotionKind(Enum):
    """The value is what a report shows."""

    GENERAL = "general"
    STATIC = "static"
    ROTATION_ONLY = "rotation only"
    PLANE = "plane"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PlanarPair:
    """Matches of two frames that one homography explains, in pixels of both."""

    a: int
    b: int
    xy_a: Float[Tensor, "k 2"]
    xy_b: Float[Tensor, "k 2"]


@dataclass(frozen=True)
class Motion:
    kind: MotionKind
    because: str
    """One clause for a report."""
    travel_px: float | None = None
    """How far matched points move between frames that are far apart: 90% quantile over pairs of the median
    of the matches that a homography or a fundamental matrix explains."""
    homography_share: float | None = None
    """Share of the explained matches that one homography explains: median over pairs."""
    planar: tuple[PlanarPair, ...] = field(default=(), compare=False, repr=False)
    """The pairs behind 'plane'; empty where the motion is another."""
    rotation_px: float | None = None
    """How far the homographies are from those of a turning camera with a fixed lens; only where they explain all."""


def classify_motion(matches: Matches, *, generator: torch.Generator) -> Motion:
    """Classifies the motion of the camera from up to 12 pairs of frames with at least 20 matches, the furthest apart in time.

    - static: in nine of ten pairs half of the matches that fit any geometry move by less than `STATIC_PX`; what
      moves in front of a static camera does not count unless it holds most of the matches.
    - one homography is enough: in the median over pairs it explains (within `HOMOGRAPHY_PX`) `HOMOGRAPHY_SHARE` of
      the matches that it or a fundamental matrix (within `FUNDAMENTAL_PX`) explains. Inlier counts, and not GRIC (Torr 1998),
      because at the 30% to 50% of wrong matches that far frames have, GRIC's penalties for outliers decide.
    - rotation only, of these: the homographies are ``K R K⁻¹`` of one K (Hartley & Zisserman, 19.4.1) within
      `ROTATION_PX`, and less where points move by little; the rest is a plane (or a zoom). Over small angles of view a shift along a plane and a turn look
      alike: then the word is wrong, the consequence (undefined) is not.
    """
    chosen = pairs_apart(matches, (1 / 2, 1 / 4, 1 / 8))
    usable = [i for i in chosen if len(matches.indices[i]) >= MIN_MATCHES]
    if not enough_pairs(usable, chosen):
        return Motion(
            MotionKind.UNKNOWN, f"too few matches between frames that are apart ({_ratio(usable, chosen)})"
        )
    usable = sorted(usable, key=lambda i: matches.pairs[i][0] - matches.pairs[i][1])[:_MAX_PAIRS]

    seed = draw_seed(generator)
    seen = [_look(*matches.points(i), seed=seed) for i in usable]
    travel = torch.tensor([look.travel_px for look in seen], dtype=torch.float64).nanquantile(0.9).item()
    if math.isnan(travel):
        return Motion(MotionKind.UNKNOWN, "no geometry explains the matches")
    if travel < STATIC_PX:
        return Motion(MotionKind.STATIC, f"matched points move by {travel:.2f} px", travel)
    share = torch.tensor([look.share for look in seen], dtype=torch.float64).quantile(0.5).item()
    explained = f"one homography explains {share:.0%} of the matches that fit any geometry"
    if share < HOMOGRAPHY_SHARE:
        return Motion(MotionKind.GENERAL, explained, travel, share)
    planar = [(i, look) for i, look in zip(usable, seen, strict=True) if look.share >= HOMOGRAPHY_SHARE]
    rotation = _rotation_error_px([look for _, look in planar], width=matches.width, height=matches.height)
    limit = min(ROTATION_PX, ROTATION_NOISE_PX + ROTATION_TRAVEL * travel)
    kind = MotionKind.ROTATION_ONLY if rotation < limit else MotionKind.PLANE
    planes = [PlanarPair(*matches.pairs[i], look.xy, look.xy_b) for i, look in planar]
    return Motion(
        kind,
        f"{explained}, a turn of a fixed lens up to {rotation:.1f} px",
        travel,
        share,
        planar=tuple(planes) if kind is MotionKind.PLANE else (),
        rotation_px=rotation,
    )


@dataclass(frozen=True)
class _Look:
    """Motion between one pair of frames."""

    travel_px: float
    """Median over the explained matches; NaN where nothing explains any."""
    share: float
    """The share of the explained matches that a homography explains."""
    H: Float[Tensor, "3 3"]
    xy: Float[Tensor, "k 2"]
    """Matches that the homography explains, in pixels of picture a."""
    xy_b: Float[Tensor, "k 2"]
    """The same in pixels of picture b."""


def _look(xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], *, seed: int) -> _Look:
    H, F = fit_homography(xy_a, xy_b, seed=seed), fit_fundamental(xy_a, xy_b, seed=seed)
    nothing = torch.zeros(len(xy_a), dtype=torch.bool)
    by_H = nothing if H is None else (transfer(H, xy_a) - xy_b).norm(dim=-1) < HOMOGRAPHY_PX
    explained = by_H | (nothing if F is None else sampson_px(F, xy_a, xy_b) < FUNDAMENTAL_PX)
    if not explained.any():
        return _Look(torch.nan, 0.0, torch.eye(3, dtype=torch.float64), xy_a[nothing], xy_b[nothing])
    return _Look(
        (xy_b - xy_a)[explained].norm(dim=-1).median().item(),
        (by_H.sum() / explained.sum()).item(),
        torch.eye(3, dtype=torch.float64) if H is None else H,
        xy_a[by_H],
        xy_b[by_H],
    )


def _rotation_error_px(looks: list[_Look], *, width: int, height: int) -> float:
    """Over lenses with the principal point in the middle the smallest mean, over pairs, of the median distance
    between what a homography and what the rotation nearest to ``K⁻¹ H K`` make of the matched points.

    The lens is searched over focal lengths of `_FOCALS` and aspects of `_ASPECTS`, for pictures may be squeezed.
    """
    from scipy.optimize import minimize

    def error_px(lens: np.ndarray) -> float:
        """Residuals of the matches under a lens."""
        f, aspect = math.exp(lens[0]) * max(width, height), math.exp(lens[1])
        K = torch.tensor([[f, 0, width / 2], [0, f * aspect, height / 2], [0, 0, 1]], dtype=torch.float64)
        turn = K @ nearest_rotation(torch.linalg.inv(K) @ H @ K) @ torch.linalg.inv(K)
        apart = [
            (transfer(t, x.xy) - transfer(x.H, x.xy)).norm(dim=-1) for t, x in zip(turn, looks, strict=True)
        ]
        return sum(d.median().item() for d in apart) / len(apart)

    H = torch.stack([look.H for look in looks])
    bounds = [tuple(math.log(x) for x in limits) for limits in (_FOCALS, _ASPECTS)]
    starts = [(math.log(f), 0.0) for f in (0.5, 1.0, 2.0)]
    start = min(starts, key=lambda s: error_px(np.array(s)))
    options = {"maxfev": 80, "xatol": 1e-3, "fatol": 1e-2}
    return float(minimize(error_px, start, method="Nelder-Mead", bounds=bounds, options=options).fun)


def _ratio(usable: list[int], chosen: list[int]) -> str:
    return f"{len(usable)} of {len(chosen)} pairs have {MIN_MATCHES}"
