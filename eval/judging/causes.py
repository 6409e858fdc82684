"""Why the poses of a clip were not recovered: named causes, each with the figure behind it."""

import torch

from eval.geometry.motion import Motion, MotionKind
from eval.geometry.pairwise import follows
from eval.paths.check import MOVED_SHARE, path_over_depth
from eval.paths.fault import PathCheck
from eval.poses import rotation_angle_deg
from eval.results.measure import ASTRAY
from recon.cameras import Cameras
from recon.errors import RecoveryStatus
from recon.recovery import Recovery
from recon.sfm.matches import Matches

FEW_FEATURES = 50
"""Median features a frame below which they count as too few; COLMAP registers a frame by 30 that are seen again."""
DRIFT_DEG = 3.0
"""Rotation off the request, averaged over the last three frames, from which a path drifts."""
DRIFT_RANK = 0.8
"""Rank correlation of that error with time from which it rises steadily rather than jumps."""


def failure_causes(
    matches: Matches,
    motion: Motion,
    recovery: Recovery,
    *,
    recovered: bool,
    requested: Cameras | None,
    check: PathCheck,
) -> list[str]:
    """Causes of a failed recovery, the earliest in the pipeline first; empty where nothing is wrong.

    'too few features', 'frames do not match', 'static', 'pure rotation', 'plane', 'no initial pair',
    'no credible model', 'mapper failed', 'split into k models', 'too few registered', 'low parallax' for poses
    that were not recovered; 'does not follow the request' for cameras that were registered and do not meet `FOLLOWS`: too few pairs
    are as requested (`eval.geometry.pairwise.FOLLOWED_SHARE`), or the path has a fault; 'drift' for those that leave the requested path more and more; then what
    `paths.fault.PathFault` names.

    Args:
        check: what is wrong with the recovered path.
    """
    causes = []
    if not recovered:
        counts = torch.tensor([len(xy) for xy in matches.keypoints], dtype=torch.float64)
        if recovery.status is RecoveryStatus.TOO_FEW_FEATURES or float(counts.median()) < FEW_FEATURES:
            causes.append("too few features")
        if recovery.status is RecoveryStatus.NO_MATCHES:
            causes.append("frames do not match")
        moved = {
            MotionKind.STATIC: "static",
            MotionKind.ROTATION_ONLY: "pure rotation",
            MotionKind.PLANE: "plane",
        }
        if motion.kind in moved:
            causes.append(moved[motion.kind])
        if recovery.status in (
            RecoveryStatus.NO_INITIAL_PAIR,
            RecoveryStatus.NO_MODEL,
            RecoveryStatus.FAILED,
        ):
            causes.append(recovery.status.value)
        if recovery.num_models > 1:
            causes.append(f"split into {recovery.num_models} models")
        if recovery.cameras is not None:
            causes.append("too few registered")
    if has_low_parallax(recovery) and (not recovered or motion.kind is not MotionKind.GENERAL):
        causes.append("low parallax")
    if recovered and requested is not None and not check.untold:
        if (
            check.faults
            or recovery.cameras is None
            or not follows(recovery.cameras, requested[recovery.registered])
        ):
            causes.append(ASTRAY)
        if drifts_away(recovery, requested):
            causes.append("drift")
    if recovered:
        causes += [fault.value for fault in check.faults]
    return causes


def has_low_parallax(recovery: Recovery) -> bool:
    """Whether the path is short compared with the distance of the scene (`paths.check.MOVED_SHARE`)."""
    share = path_over_depth(recovery)
    return share is not None and share < MOVED_SHARE


def drifts_away(recovery: Recovery, requested: Cameras) -> bool:
    """Whether the path leaves the requested rotation steadily: by `DRIFT_DEG` in the end, rising with time.

    Rotations are relative to the first frame; rising is Spearman's rank correlation of `DRIFT_RANK` or more.
    """
    from scipy.stats import spearmanr

    if recovery.cameras is None or len(recovery.cameras) < 4:
        return False
    found = recovery.cameras.cam_from_world[:, :3, :3].double()
    asked = requested[recovery.registered].cam_from_world[:, :3, :3].double()
    error = rotation_angle_deg(found @ found[0].mT, asked @ asked[0].mT)
    if float(error[-3:].mean()) < DRIFT_DEG:
        return False
    return float(spearmanr(torch.arange(len(error)), error.numpy()).statistic) >= DRIFT_RANK
