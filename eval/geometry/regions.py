"""Do parts of a picture agree on how the camera moved? Relative poses, estimated from each half alone.

In a rigid scene every part of the picture tells of the same motion. A generator that warps one side, or moves it at
its own pace, can satisfy each part by itself and no camera as a whole.

The idea is that of SGC (Dou et al., Measuring 3D Spatial Geometric Consistency in Dynamic Generated Videos, arXiv
2603.19048), which is not reproduced here: SGC masks moving objects, clusters the rest by predicted depth, gets a
pose of each cluster by PnP, and weighs the variance of the poses with other terms that were normalised on its own
videos. Here the parts are halves of the picture, poses come from matches alone (essential matrices), and the
figures are plain angles. So no network has an opinion in it, and moving objects count as disagreement.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.measured import Measured
from eval.geometry.pairs import MIN_MATCHES, enough_pairs, pairs_apart
from eval.poses import direction_angle_deg, rotation_angle_deg
from eval.results.measure import MetricInfo
from recon.compute.seeds import draw_seed
from recon.sfm.matches import Matches
from recon.two_views.robust import transfer, usac_params

MIN_INLIERS = 15
"""As many as COLMAP asks of a verified pair. Five matches fix an essential matrix, so a few more say nothing."""
WITHIN_PX = 1.0
"""About three times the noise of a SIFT keypoint: what a fit may leave of a right match."""
MIN_PARALLAX_PX = 1.5
"""Below, the noise of a keypoint decides where the camera went; only its rotation is known then."""
_FAR = 1e6
"""In baselines. OpenCV's own limit of 50 would leave no point in front of a camera that moves little."""


@dataclass(frozen=True)
class _Pose:
    """``b_from_a`` as one part of the picture has it."""

    rotation: Float[Tensor, "3 3"]
    direction: Float[Tensor, "3"] | None
    """Unit translation; None where there is too little parallax to know it."""


def region_agreement(
    matches: Matches,
    K: Float[Tensor, "3 3"] | None,
    *,
    undefined_because: str = "",
    generator: torch.Generator,
) -> dict[str, Measured]:
    """`sgc_rotation_deg` and `sgc_translation_deg`, both in [0, 180], 0 where halves agree; see `SGC`.

    `K` are the intrinsics of all pictures in pixels. Where they are wrong, halves of the most consistent clip disagree.
    For every pair of `pairs_apart`, left against right and top against bottom half (a match belongs to the half in
    which it lies in the first picture), the mean of those that can be compared; then the median over pairs, for a fit
    to half a picture sometimes lands on another motion altogether. `Measured.count` is the number of pairs.

    Undefined without `K`, for the reason in `undefined_because` (a clip that does not move has no direction to agree
    on), where less than a quarter of the pairs has enough matches in both halves, and, for the direction, enough
    parallax.
    """
    # drawn always: what follows stays the same
    seed = draw_seed(generator)
    because = undefined_because or ("" if K is not None else "no intrinsics")
    if because or K is None:
        return dict.fromkeys(SGC, Measured.no_value(because))
    chosen = pairs_apart(matches)
    rotations: list[float] = []
    directions: list[float] = []
    for pair in chosen:
        rotation, direction = _disagreement(matches, pair, K.double(), seed)
        rotations += [rotation] if rotation is not None else []
        directions += [direction] if direction is not None else []
    few = "too few matches in half a picture"
    return {
        "sgc_rotation_deg": _median(rotations, len(chosen), few),
        "sgc_translation_deg": _median(
            directions,
            len(chosen),
            "too little parallax" if enough_pairs(rotations, range(len(chosen))) else few,
        ),
    }


def _disagreement(
    matches: Matches, pair: int, K: Float[Tensor, "3 3"], seed: int
) -> tuple[float | None, float | None]:
    """Mean angles between the rotations and the directions of opposite halves; None where none can be compared."""
    xy_a, xy_b = matches.points(pair)
    middle = torch.tensor([matches.width / 2, matches.height / 2], dtype=torch.float64)
    rotations: list[float] = []
    directions: list[float] = []
    for first in (xy_a < middle).T:
        if min(int(first.sum()), int((~first).sum())) < MIN_MATCHES:
            continue
        p, q = (_pose(xy_a[half], xy_b[half], K, seed) for half in (first, ~first))
        if p is None or q is None:
            continue
        rotations.append(rotation_angle_deg(p.rotation[None], q.rotation[None]).item())
        if p.direction is not None and q.direction is not None:
            directions.append(direction_angle_deg(p.direction[None], q.direction[None]).item())
    return _mean(rotations), _mean(directions)


def _pose(
    xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], K: Float[Tensor, "3 3"], seed: int
) -> _Pose | None:
    """Five-point algorithm (Nistér 2004) in a robust fit, and the one of four decompositions with most points in
    front of both cameras. Pixel and principal point count from the same corner, so OpenCV needs no shift here."""
    import cv2

    a, b, lens = xy_a.double().contiguous().numpy(), xy_b.double().contiguous().numpy(), K.numpy()
    try:
        E, mask = cv2.findEssentialMat(a, b, lens, lens, None, None, usac_params(seed, WITHIN_PX))  # pyright: ignore
    except cv2.error:  # degenerate samples only: USAC ends without a model and asserts that it has one
        return None
    if E is None or E.shape != (3, 3) or int((mask > 0).sum()) < MIN_INLIERS:
        return None
    inliers = torch.from_numpy(mask.ravel() > 0)
    _, R, t, _, _ = cv2.recoverPose(E, a, b, lens, distanceThresh=_FAR, mask=mask)
    rotation, direction = torch.from_numpy(R).double(), torch.from_numpy(t).double()[:, 0]
    parallax_px = _parallax_px(xy_a[inliers], xy_b[inliers], K, rotation)
    return _Pose(rotation, direction if parallax_px >= MIN_PARALLAX_PX else None)


def _parallax_px(
    xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], K: Float[Tensor, "3 3"], R: Float[Tensor, "3 3"]
) -> float:
    """Median distance of points from where the rotation alone would take them."""
    return (transfer(K @ R @ torch.linalg.inv(K), xy_a) - xy_b).norm(dim=-1).median().item()


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _median(values: list[float], chosen: int, otherwise: str) -> Measured:
    if not enough_pairs(values, range(chosen)):
        return Measured.no_value(otherwise)
    return Measured(torch.tensor(values, dtype=torch.float64).quantile(0.5).item(), count=len(values))


_HOW = (
    "Relative poses of two frames, estimated from the matches of each half of the picture alone (essential matrix, "
    "MAGSAC++ at 1 px, known intrinsics): {}, left against right and top against bottom; mean of the two, then the "
    "median over pairs n/8 and n/4 frames apart (n the clip's length) with at least 20 matches in each half{}."
)
_SOURCE = (
    "After SGC, Dou et al., Measuring 3D Spatial Geometric Consistency in Dynamic Generated Videos, arXiv 2603.19048. "
    "Different: halves of the picture and not clusters of predicted depth, matches and not PnP on that depth, moving "
    "objects not masked, angles and not a weighted score."
)
SGC: dict[str, MetricInfo] = {
    "sgc_rotation_deg": MetricInfo(
        title="Rotation, half against half",
        unit="°",
        digits=2,
        higher_is_better=False,
        definition=_HOW.format("angle between their rotations", ""),
        source=_SOURCE,
    ),
    "sgc_translation_deg": MetricInfo(
        title="Direction, half against half",
        unit="°",
        digits=1,
        higher_is_better=False,
        definition=_HOW.format(
            "angle between their directions of translation", " and a parallax of at least 1.5 px"
        ),
        source=_SOURCE,
    ),
}
