"""How many pairs of frames stand to each other as requested: AUC and accuracy of relative poses.

Needs no alignment: relative rotations and the directions of baselines do not change with the world or its
scale. Every pair of requested frames is asked; a pair with a frame that was not registered is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.poses import direction_angle_deg, relative_pose, rotation_angle_deg, scene_extent
from recon.cameras import Cameras
from recon.errors import CameraError

MIN_BASELINE = 1e-3
"""Requested baselines below this share of the path's extent have no direction worth asking for."""

FOLLOWED_DEG = 15.0
FOLLOWED_SHARE = 0.9
"""A path is followed where so large a share of the pairs of registered frames is off by less than so much. Ten real clips
of RealEstate10K against their own cameras have all pairs within 15°, and of the 90 ways to judge one of them by the
cameras of another the best has 58% of its pairs there; 98% would be within 30°, so double the angle tells no path from
another. 15° is a threshold in common use (RRA@15 and RTA@15, PoseDiffusion, arXiv 2306.15667); the share is that of
share@90."""


@dataclass(frozen=True)
class PairErrors:
    """Errors of all n(n−1)/2 pairs (a, b), a before b, in the order of `torch.triu_indices`."""

    rotation_deg: Float[Tensor, "pairs"]
    """Angle between recovered and requested b_from_a rotation, in [0, 180]; inf where a frame is missing."""
    direction_deg: Float[Tensor, "pairs"]
    """Angle between the b_from_a translations, in [0, 180], 180 where the recovered pair has no baseline and
    inf where a frame is missing; NaN where the request has (nearly) no baseline, see `MIN_BASELINE`."""

    @property
    def larger_deg(self) -> Float[Tensor, "pairs"]:
        """The larger of the two; the rotation alone where there is no direction."""
        return torch.fmax(self.rotation_deg, self.direction_deg)


def pair_errors(
    recovered: Cameras | None,
    registered: Bool[Tensor, "n"],
    requested: Cameras,
    *,
    moves: bool = True,
    still_limit: float | None = None,
) -> PairErrors:
    """`recovered` holds only the registered frames, in the order of the video, in any world.

    A direction is told from its opposite: a path driven backwards is wrong. SuperGlue and VGGSfM take the
    smaller of the angle and its supplement, because an essential matrix leaves the sign open; a recovered
    path does not.

    Args:
        moves: False where the pictures say that the camera stands or only turns: recovered baselines are then noise, and
            those that the request asks for are missing.
        still_limit: length from which a recovered baseline that was not asked for is wrong (180°); None: never.

    Raises:
        CameraError: the numbers of frames do not fit together.
    """
    n = len(requested)
    count = 0 if recovered is None else len(recovered)
    if len(registered) != n or (recovered is not None and count != int(registered.sum())):
        raise CameraError(
            f"expected {n} flags of registered frames and their cameras alone, got {len(registered)} flags, "
            f"{int(registered.sum())} of them set, and {count} cameras"
        )
    a, b = torch.triu_indices(n, n, 1)
    rotation = torch.full((len(a),), torch.inf, dtype=torch.float64)
    direction = rotation.clone()
    unasked = torch.zeros(len(a), dtype=torch.bool)
    if recovered is not None:
        position = registered.cumsum(0) - 1
        both = registered[a] & registered[b]
        estimate = relative_pose(recovered[position[a[both]]], recovered[position[b[both]]])
        reference = relative_pose(requested[a[both]], requested[b[both]])
        rotation[both] = rotation_angle_deg(estimate[:, :3, :3], reference[:, :3, :3])
        direction[both] = direction_angle_deg(estimate[:, :3, 3], reference[:, :3, 3]).nan_to_num(nan=180.0)
        if not moves:
            direction[both] = 180.0
        if still_limit is not None:
            unasked[both] = estimate[:, :3, 3].norm(dim=-1) > still_limit
    extent = scene_extent(requested)
    baseline = (requested.centers[a] - requested.centers[b]).double().norm(dim=-1)
    still = baseline < (torch.inf if extent is None else MIN_BASELINE * extent)
    direction[still] = torch.nan
    direction[still & unasked] = 180.0
    return PairErrors(rotation, direction)


def pose_auc(
    recovered: Cameras | None,
    registered: Bool[Tensor, "n"],
    requested: Cameras,
    thresholds_deg: Sequence[float] = (5.0, 15.0, 30.0),
    *,
    moves: bool = True,
    still_limit: float | None = None,
) -> tuple[float | None, ...]:
    """AUC@t in [0, 1] for each threshold t: the area under the recall curve of `PairErrors.larger_deg` from 0
    to t, over t (SuperGlue, arXiv 1911.11763; VGGSfM, arXiv 2312.04563; VGGT, arXiv 2503.11651). Not the share
    of pairs below t, which is `share_within`. None for fewer than two requested frames: there is no pair.

    The area under the step curve itself, which is the mean of max(0, 1 − error/t). Papers take it in other
    ways that agree for many pairs: SuperGlue by trapezoids between sorted errors; VGGT from a histogram of 1°
    bins summed at their right ends, which is higher by 0.5/t on average; IMC's mAA (arXiv 2003.01587) by the
    mean accuracy at whole degrees. `moves` and `still_limit` are those of `pair_errors`.
    """
    if len(requested) < 2:
        return (None,) * len(thresholds_deg)
    error = pair_errors(recovered, registered, requested, moves=moves, still_limit=still_limit).larger_deg
    return tuple((1 - error / t).clamp_min(0).mean().item() for t in thresholds_deg)


def share_within(
    recovered: Cameras | None, registered: Bool[Tensor, "n"], requested: Cameras, *, threshold_deg: float
) -> float | None:
    """Share of all pairs with both errors below the threshold; one point of the curve under which AUC is the
    area. None for fewer than two requested frames."""
    if len(requested) < 2:
        return None
    error = pair_errors(recovered, registered, requested).larger_deg
    return (error < threshold_deg).double().mean().item()


def share_followed(
    recovered: Cameras, requested: Cameras, *, threshold_deg: float = FOLLOWED_DEG
) -> float | None:
    """Share of the pairs of frames with both errors below the threshold. None for fewer than two frames.

    Args:
        requested: of the recovered frames alone; those that are missing are not asked.
    """
    everyone = torch.ones(len(recovered), dtype=torch.bool)
    return share_within(recovered, everyone, requested, threshold_deg=threshold_deg)


def follows(recovered: Cameras, requested: Cameras) -> bool:
    """Whether most pairs of frames stand to each other as requested (`FOLLOWED_SHARE`, `FOLLOWED_DEG`).

    Args:
        requested: of the recovered frames alone.
    """
    share = share_followed(recovered, requested)
    return share is not None and share >= FOLLOWED_SHARE


def relative_accuracy(
    recovered: Cameras | None, registered: Bool[Tensor, "n"], requested: Cameras, *, threshold_deg: float
) -> tuple[float | None, float | None]:
    """RRA@t and RTA@t (RelPose, arXiv 2208.05963; PoseDiffusion, arXiv 2306.15667): the shares of pairs whose
    rotation, and whose translation direction, is off by less than t.

    RTA is over the pairs that the request gives a direction, None where there are none; both are None for
    fewer than two requested frames.
    """
    errors = pair_errors(recovered, registered, requested)
    asked = errors.direction_deg[~errors.direction_deg.isnan()]
    shares = [
        (x < threshold_deg).double().mean().item() if len(x) else None for x in (errors.rotation_deg, asked)
    ]
    return shares[0], shares[1]
