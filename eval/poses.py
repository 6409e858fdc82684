"""How far camera poses are from where they should be.

Angles are in degrees. Positions are compared after an alignment, as a share of the scene's extent, because a
reconstruction without a ruler has no metres.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.results.metric import Metric
from recon.cameras import Cameras
from recon.points import PointCloud
from recon.sim3 import Sim3, mean_turn, same_number
from recon.sim3 import align_cameras as align
from recon.world.extent import measure_extent

AT_REST = 2e-6
"""Share of the largest coordinate within which places are one: twenty times the rounding of single precision, in which many
requested paths are stored."""


def rotation_angle_deg(a: Float[Tensor, "n 3 3"], b: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
    """Geodesic angle between rotations, in [0, 180].

    atan2 of the sine (from the skew part of aᵀb) and the cosine (from its trace): exact near 0° and 180°,
    where the arc cosine of the trace alone loses half of the digits.
    """
    R = a.double().mT @ b.double()
    sine = _vee(R - R.mT).norm(dim=-1) / 2
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.rad2deg(torch.atan2(sine, cosine))


def direction_angle_deg(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Angle between vectors, in [0, 180]; NaN where one of them is zero, for it has no direction."""
    a, b = a.double(), b.double()
    angle = torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1)))
    return torch.where((a.norm(dim=-1) > 0) & (b.norm(dim=-1) > 0), angle, torch.nan)


def relative_pose(a: Cameras, b: Cameras) -> Float[Tensor, "n 4 4"]:
    """``b_from_a`` of cameras paired by position in their batches."""
    same_number(a, b)
    return b.cam_from_world.double() @ a.world_from_cam.double()


def scene_extent(cameras: Cameras, points: PointCloud | None = None) -> float | None:
    """The length that positions are measured in: the largest distance between two reference camera centres.

    It does not change with the choice of axes, and needs two photos only. Where all centres coincide (one
    photo, or a tripod) it is the median distance of the points from them; without points it is undefined.
    """
    if len(cameras) == 0:
        return None
    centers = cameras.centers.double()
    extent = measure_extent(centers)
    if extent > AT_REST * max(1.0, centers.abs().max().item()):
        return extent
    if points is None or len(points) == 0:
        return None
    return (points.xyz.double() - centers.mean(0)).norm(dim=-1).median().item() or None


def align_poses(a: Cameras, b: Cameras) -> Sim3 | None:
    """The similarity ``b_from_a`` whose turn best maps rotations onto rotations (chordal mean), and whose scale and
    shift then best map centres onto centres. Steadier than `align` on paths that are nearly straight, whose
    centres do not fix the roll. None (undefined) as there, or where the paths run in opposite directions."""
    same_number(a, b)
    if len(a) < 2:
        return None
    R = mean_turn(a, b)
    x, y = a.centers.double(), b.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    scale = (dy * (dx @ R.mT)).sum() / dx.square().sum().clamp_min(1e-300)
    if not scale > 1e-9 * max(1.0, y.abs().max().item()) / max(1.0, x.abs().max().item()):
        return None
    return Sim3(scale, R, y.mean(0) - scale * (R @ x.mean(0)))


@dataclass(frozen=True)
class PoseErrors:
    """Errors of n poses against a reference in the same world."""

    rotation_deg: Float[Tensor, "n"]
    position_share: Float[Tensor, "n"]
    """Distance between the centres as a share of the scene's extent; NaN where the extent is undefined."""

    def metrics(self) -> tuple[Metric, Metric]:
        """Rotation and position errors as metrics for a report."""
        return (
            Metric.of("rotation error", "°", self.rotation_deg.tolist(), higher_is_better=False),
            Metric.of("position error", "of extent", self.position_share.tolist(), higher_is_better=False),
        )


def pose_errors(estimate: Cameras, reference: Cameras, *, extent: float | None) -> PoseErrors:
    """Errors of poses that are in one world already; `align` first where they are not."""
    same_number(estimate, reference)
    distance = (estimate.centers.double() - reference.centers.double()).norm(dim=-1)
    return PoseErrors(
        rotation_deg=rotation_angle_deg(
            estimate.cam_from_world[:, :3, :3], reference.cam_from_world[:, :3, :3]
        ),
        position_share=distance / (torch.nan if extent is None else extent),
    )


def relative_errors(
    estimate: Cameras, reference: Cameras
) -> tuple[Float[Tensor, "pairs"], Float[Tensor, "pairs"]]:
    """Rotation and translation direction error (deg) of the motion between consecutive cameras.

    Needs no alignment: neither changes with the world or its scale. The direction is NaN where the
    reference (or the estimate) does not move.
    """
    same_number(estimate, reference)
    e = relative_pose(estimate[:-1], estimate[1:])
    r = relative_pose(reference[:-1], reference[1:])
    return rotation_angle_deg(e[:, :3, :3], r[:, :3, :3]), direction_angle_deg(e[:, :3, 3], r[:, :3, 3])


def ate(estimate: Cameras, reference: Cameras) -> float | None:
    """Absolute trajectory error after alignment (RMSE, in units of the reference); Sturm et al. 2012.

    None where no alignment exists.
    """
    reference_from_estimate = align(estimate, reference)
    if reference_from_estimate is None:
        return None
    moved = reference_from_estimate.points(estimate.centers.double())
    return (moved - reference.centers.double()).square().sum(-1).mean().sqrt().item()


def _vee(skew: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3"]:
    return torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], dim=-1)
