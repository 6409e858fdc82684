"""Errors of a recovered camera path against the requested one; `conventions` says what each of them is."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.poses import (
    align,
    align_poses,
    mean_turn,
    pose_errors,
    relative_errors,
    relative_pose,
    rotation_angle_deg,
    scene_extent,
)
from eval.trajectories.conventions import ERRORS
from recon.cameras import Cameras
from recon.errors import CameraError
from recon.sim3 import Sim3

NOT_RECOVERED = "poses not recovered"
TOO_FEW = "fewer than three frames registered"
NEEDS_ALL = "needs every frame"
NO_MOTION = "the requested path does not move"
NO_ALIGNMENT = "no alignment of the positions"
NOT_MOVED = "the registered frames do not move"
ROTATION_ERRORS = (
    "rotation_deg", "camco_rotation_deg", "cosmos_rotation_deg", "rpe_rotation_deg", "cameractrl_rot_err", "cami2v_rot_err"
)  # fmt: skip
"""Errors of rotation alone, which a camera that only turns has too."""
NO_STEPS = "no two consecutive frames registered"


@dataclass(frozen=True)
class PathError:
    """One pose error of one clip."""

    value: float | None
    """None where the poses were not recovered or the convention does not define it."""
    worst: float | None
    """What a failure counts as; None where no path could have this error, because of the request itself."""
    undefined_because: str = ""
    """A few words for a table; empty where `value` is defined."""


def trajectory_errors(
    recovered: Cameras | None, registered: Bool[Tensor, "n"], requested: Cameras
) -> dict[str, PathError]:
    """Every error of `ERRORS`, in its order.

    `recovered` holds only the registered frames, in the order of the video, in any world; None where
    nothing was recovered. An error of mean or root mean square needs three registered frames, a sum needs
    all of them. A request that does not move leaves every error of translation undefined, with neither a
    value nor a worst one.

    Raises:
        CameraError: the numbers of frames do not fit together.
    """
    _check(recovered, registered, requested)
    worst = _worst(requested)
    found: dict[str, float | str]
    if recovered is None or len(recovered) == 0:
        found = dict.fromkeys(ERRORS, NOT_RECOVERED)
    elif len(recovered) < 3:
        found = dict.fromkeys(ERRORS, TOO_FEW)
    else:
        reference = requested[registered]
        found = (
            _measure_together(recovered, reference, requested, worst["position_share"])
            | _measure_aligned(recovered, reference, requested)
            | _steps(recovered, reference, registered, requested)
            | _means_from_first(recovered, reference)
            | _sums_from_first(recovered, requested)
        )
    return {key: _path_error(found[key], worst[key]) for key in ERRORS}


def _path_error(found: float | str, worst: float | None) -> PathError:
    if worst is None:
        return PathError(None, None, NO_MOTION)
    if isinstance(found, str):
        return PathError(None, worst, found)
    return PathError(found, worst)


def _check(recovered: Cameras | None, registered: Bool[Tensor, "n"], requested: Cameras) -> None:
    if len(registered) != len(requested):
        raise CameraError(f"expected {len(requested)} flags of registered frames, got {len(registered)}")
    if recovered is not None and len(recovered) != int(registered.sum()):
        raise CameraError(
            f"expected the {int(registered.sum())} registered cameras alone, got {len(recovered)} recovered ones"
        )


def _worst(requested: Cameras) -> dict[str, float | None]:
    """What a failure counts as, in numbers; `conventions.WORST` is the same in words."""
    n = len(requested)
    steps = max(0, n - 1)
    worst: dict[str, float | None] = dict.fromkeys(ERRORS)
    for key in ROTATION_ERRORS:
        worst[key] = 180.0
    worst["cameractrl_rot_err"] = worst["cami2v_rot_err"] = math.pi * steps
    extent = scene_extent(requested)
    if extent is None:
        return worst
    worst["cameractrl_trans_err"] = worst["cami2v_trans_err"] = 2.0 * steps
    worst["cami2v_cam_mc"] = math.sqrt(12) * steps
    worst["camco_translation"] = 2.0
    centers = requested.centers.double()
    spread = _rms(centers - centers.mean(0))
    worst["ate"] = spread
    worst["ate_share"] = worst["position_share"] = spread / extent
    worst["cosmos_translation"] = spread / _farthest(requested)
    longest_rms = _rms(centers.diff(dim=0)) + 2 * math.sqrt(n / steps) * spread
    worst["rpe_translation_share"] = longest_rms / extent
    return worst


def _measure_together(
    recovered: Cameras, reference: Cameras, requested: Cameras, worst: float | None
) -> dict[str, float | str]:
    """The two errors of the headline, after one alignment: the turn that suits the rotations best, then scale and shift.

    Positions of a path that runs against its request, whose scale would be negative, have the worst error.
    """
    turn = _rotation_only(recovered, reference)
    alone = pose_errors(turn.cameras(_double(recovered)), reference, extent=1.0)
    found: dict[str, float | str] = {"rotation_deg": alone.rotation_deg.mean().item()}
    extent = scene_extent(requested)
    if extent is None or scene_extent(reference) is None or scene_extent(recovered) is None:
        return found | {"position_share": NO_ALIGNMENT}
    reference_from_world = align_poses(recovered, reference)
    if reference_from_world is None:
        return found | {"position_share": NO_ALIGNMENT if worst is None else worst}
    moved = reference_from_world.points(recovered.centers.double())
    distance = (moved - reference.centers.double()).norm(dim=-1).mean().item()
    return found | {"position_share": distance / extent}


def _measure_aligned(recovered: Cameras, reference: Cameras, requested: Cameras) -> dict[str, float | str]:
    """The errors after Sim(3) on the centres, as their sources take them."""
    reference_from_world = align(recovered, reference)
    turn = _rotation_only(recovered, reference)
    turned = (reference_from_world or turn).cameras(_double(recovered))
    errors = pose_errors(turned, reference, extent=1.0)
    found: dict[str, float | str] = {"cosmos_rotation_deg": errors.rotation_deg.mean().item()}
    extent = scene_extent(requested)
    if reference_from_world is None or extent is None:
        return found | dict.fromkeys(("cosmos_translation", "ate", "ate_share"), NO_ALIGNMENT)
    distance = errors.position_share
    found["cosmos_translation"] = distance.mean().item() / _farthest(requested)
    found["ate"] = distance.square().mean().sqrt().item()
    found["ate_share"] = found["ate"] / extent
    return found


def _steps(
    recovered: Cameras, reference: Cameras, registered: Bool[Tensor, "n"], requested: Cameras
) -> dict[str, float | str]:
    """Relative pose errors of consecutive frames (Sturm et al. 2012), with evo's order of the factors."""
    adjacent = registered.nonzero()[:, 0].diff() == 1
    if not adjacent.any():
        return {"rpe_translation_share": NO_STEPS, "rpe_rotation_deg": NO_STEPS}
    rotation, _ = relative_errors(recovered, reference)
    found: dict[str, float | str] = {
        "rpe_translation_share": NO_ALIGNMENT,
        "rpe_rotation_deg": rotation[adjacent].square().mean().sqrt().item(),
    }
    reference_from_world, extent = align(recovered, reference), scene_extent(requested)
    if reference_from_world is not None and extent is not None:
        # first_from_second: where the next camera is, in the axes of the one before
        p, q = relative_pose(recovered[1:], recovered[:-1]), relative_pose(reference[1:], reference[:-1])
        difference = reference_from_world.scale * p[:, :3, 3] - q[:, :3, 3]
        found["rpe_translation_share"] = _rms(difference[adjacent]) / extent
    return found


def _means_from_first(recovered: Cameras, reference: Cameras) -> dict[str, float | str]:
    """CamCo: relative to the first registered frame; that frame itself, always right, is not averaged in."""
    p, q = _first_from_cam(recovered), _first_from_cam(reference)
    found: dict[str, float | str] = {
        "camco_rotation_deg": rotation_angle_deg(p[1:, :3, :3], q[1:, :3, :3]).mean().item(),
        "camco_translation": NOT_MOVED,
    }
    if scene_extent(recovered) is not None and scene_extent(reference) is not None:
        difference = p[1:, :3, 3] / _farthest(recovered) - q[1:, :3, 3] / _farthest(reference)
        found["camco_translation"] = difference.norm(dim=-1).mean().item()
    return found


def _sums_from_first(recovered: Cameras, requested: Cameras) -> dict[str, float | str]:
    """CameraCtrl and CamI2V: sums over all frames, relative to the first."""
    keys = (
        "cameractrl_rot_err",
        "cami2v_rot_err",
        "cameractrl_trans_err",
        "cami2v_trans_err",
        "cami2v_cam_mc",
    )
    if len(recovered) < len(requested):
        return dict.fromkeys(keys, NEEDS_ALL)
    p, q = _first_from_cam(recovered), _first_from_cam(requested)
    angle = torch.deg2rad(rotation_angle_deg(p[:, :3, :3], q[:, :3, :3])).sum().item()
    found: dict[str, float | str] = dict.fromkeys(keys, NOT_MOVED)
    found["cameractrl_rot_err"] = found["cami2v_rot_err"] = angle
    if scene_extent(recovered) is None or scene_extent(requested) is None:
        return found
    p[:, :3, 3] /= _farthest(recovered)
    q[:, :3, 3] /= _farthest(requested)
    found["cami2v_trans_err"] = (p - q)[:, :3, 3].norm(dim=-1).sum().item()
    found["cami2v_cam_mc"] = (p - q)[:, :3].flatten(1).norm(dim=-1).sum().item()
    # CameraCtrl compares translations of extrinsics, so in the axes of each camera and not of the first
    extrinsic = p[:, :3, :3].mT @ p[:, :3, 3:] - q[:, :3, :3].mT @ q[:, :3, 3:]
    found["cameractrl_trans_err"] = extrinsic[..., 0].norm(dim=-1).sum().item()
    return found


def _rotation_only(a: Cameras, b: Cameras) -> Sim3:
    """The turn b_from_a that best maps rotations onto rotations; for centres that say nothing."""
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    return Sim3(one, mean_turn(a, b), zero)


def _first_from_cam(cameras: Cameras) -> Float[Tensor, "n 4 4"]:
    doubled = _double(cameras)
    return doubled.cam_from_world[0] @ doubled.world_from_cam


def _farthest(cameras: Cameras) -> float:
    """Distance of the farthest camera from the first."""
    centers = cameras.centers.double()
    return (centers - centers[0]).norm(dim=-1).max().item()


def _double(cameras: Cameras) -> Cameras:
    return cameras.to(dtype=torch.float64)


def _rms(vectors: Float[Tensor, "n 3"]) -> float:
    return vectors.square().sum(-1).mean().sqrt().item()
