"""Does a recovered path run as requested, or against it: backwards, mirrored, moving where it should stand, torn?"""

from dataclasses import dataclass, replace
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.motion import Motion, MotionKind
from eval.geometry.pairwise import FOLLOWED_SHARE, share_followed
from eval.poses import mean_turn, scene_extent
from recon.cameras import Cameras
from recon.recovery import Recovery

MOVED_SHARE = 0.03
"""Extent of a path over the median distance of the points from which it moves: 0.03 turns a point's ray by less than two
degrees. Below it structure from motion of a still or turning camera may lie; twice as much lets half a step pass."""
JUMP = 5.0
"""A step so many times as long as its neighbours, of which the request knows nothing, is a jump."""
SCALE_DRIFT = 2.0
"""Largest over smallest scale, among quarters of a path, between recovered and requested lengths. 2 means that what is called a
metre at one end is two at the other."""
LEAST_STEPS = 8
"""Steps without which neither jumps nor drift of scale are looked for: a quarter then has two."""


class PathFault(Enum):
    """The value is what a report shows as a cause."""

    OPPOSITE = "opposite direction"
    MIRRORED = "mirrored"
    INVERSE = "inverse poses"
    UNASKED_MOVE = "moves where none was asked"
    NO_MOVE = "does not move where it was asked to"
    JUMP = "jump"
    SCALE_DRIFT = "scale drift"


@dataclass(frozen=True)
class PathCheck:
    """What is wrong with a path that was recovered."""

    faults: tuple[PathFault, ...] = ()
    untold: str = ""
    """Why the pictures cannot tell whether the path is right: a zoom and a move look alike; '' where they can."""

    @property
    def against(self) -> bool:
        """Whether the path runs against its request."""
        return bool({PathFault.OPPOSITE, PathFault.MIRRORED, PathFault.INVERSE} & set(self.faults))


def check_path(recovery: Recovery, motion: Motion, requested: Cameras | None) -> PathCheck:
    """Look for what makes a recovered path wrong although its frames are registered.

    - one homography explains the clip, and the request moves: the pictures cannot tell a zoom, a turn and a move along a plane;
      of a clip that stands or only turns, and whose recovered path is short, they can: it does not move.
    - the path as a whole runs backwards, mirrored, or as if poses were inverted: it follows another reading of the request.
    - the request does not move, the clip shows parallax, and the path is long for the distance of the scene.
    - steps: a single long one, or a scale that changes along the path.
    """
    if recovery.cameras is None or len(recovery.cameras) < 3:
        return PathCheck()
    cameras = recovery.cameras
    moves = (path_over_depth(recovery) or 0.0) >= MOVED_SHARE
    asked = None if requested is None else requested[recovery.registered]
    asks_move = asked is not None and scene_extent(asked) is not None
    if motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY, MotionKind.PLANE):
        if asked is not None and not asks_move and motion.kind is not MotionKind.PLANE:
            return PathCheck()  # what was asked for
        if asks_move and motion.kind is not MotionKind.PLANE and not moves:
            return PathCheck((PathFault.NO_MOVE,))
        return PathCheck(untold=f"the pictures do not tell the path ({motion.kind.value})")
    if asked is None:
        return PathCheck()
    if not asks_move:
        return PathCheck((PathFault.UNASKED_MOVE,) if moves else ())
    faults = _contradictions(cameras, asked)
    return PathCheck((*faults, *_broken_steps(cameras, asked, recovery)))


def path_over_depth(recovery: Recovery) -> float | None:
    """Extent of the recovered path over the median distance of the points from its middle; None without points.

    It has a unit without a ruler. 0 where the cameras stand in one place.
    """
    if recovery.cameras is None or not len(recovery.points):
        return None
    centers = recovery.cameras.centers.double()
    distance = (recovery.points.xyz.double() - centers.mean(0)).norm(dim=-1).median()
    extent = scene_extent(recovery.cameras)
    return 0.0 if extent is None else extent / max(float(distance), 1e-300)


def runs_backwards(recovered: Cameras, requested: Cameras) -> bool:
    """Whether the centres, turned as suits the cameras' rotations best, run against the requested ones."""
    x, y = recovered.centers.double(), requested.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    return bool((dy * (dx @ mean_turn(recovered, requested).mT)).sum() <= 0)


def _contradictions(recovered: Cameras, requested: Cameras) -> tuple[PathFault, ...]:
    """Readings of the request that the path follows, where it does not follow the request itself."""
    if _follows(recovered, requested):
        return ()
    readings = {
        PathFault.OPPOSITE: (_reverse(requested), _negate(requested)),
        PathFault.MIRRORED: (_mirror(requested),),
        PathFault.INVERSE: (_invert(requested),),
    }
    found = tuple(
        fault for fault, variants in readings.items() if any(_follows(recovered, v) for v in variants)
    )
    if not found and runs_backwards(recovered, requested):
        return (PathFault.OPPOSITE,)
    return found


def _follows(recovered: Cameras, requested: Cameras) -> bool:
    everyone = torch.ones(len(recovered), dtype=torch.bool)
    share = share_followed(recovered, everyone, requested)
    return share is not None and share >= FOLLOWED_SHARE


def _reverse(cameras: Cameras) -> Cameras:
    """The path driven from its end to its beginning."""
    return cameras[list(range(len(cameras)))[::-1]]


def _negate(cameras: Cameras) -> Cameras:
    """The same gazes from places on the other side of the first."""
    pose = cameras.cam_from_world.clone()
    first = cameras.centers[:1]
    centers = 2 * first - cameras.centers
    pose[:, :3, 3] = -(pose[:, :3, :3] @ centers[:, :, None])[..., 0]
    return replace(cameras, cam_from_world=pose)


def _mirror(cameras: Cameras) -> Cameras:
    """The path that mirrored pictures show: every pose seen in a mirror that swaps left and right."""
    swap = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=cameras.cam_from_world.dtype))
    return replace(cameras, cam_from_world=swap @ cameras.cam_from_world @ swap)


def _invert(cameras: Cameras) -> Cameras:
    """World-from-camera matrices taken for camera-from-world ones."""
    return replace(cameras, cam_from_world=cameras.world_from_cam)


def _broken_steps(recovered: Cameras, requested: Cameras, recovery: Recovery) -> tuple[PathFault, ...]:
    """Jumps and drift of scale, from the lengths of recovered and requested steps between neighbours in time."""
    adjacent = recovery.registered.nonzero()[:, 0].diff() == 1
    steps, asked = _step_lengths(recovered)[adjacent], _step_lengths(requested)[adjacent]
    moving = asked > 0.1 * asked.median()  # a pause has no scale
    steps, asked = steps[moving], asked[moving]
    if len(steps) < LEAST_STEPS or float(asked.min()) <= 0:
        return ()
    scale = steps / asked
    faults = []
    if float(scale.max()) > JUMP * float(scale.median()):
        faults.append(PathFault.JUMP)
    quarters = [part.median() for part in torch.tensor_split(scale, 4)]
    if float(max(quarters)) > SCALE_DRIFT * float(min(quarters)):
        faults.append(PathFault.SCALE_DRIFT)
    return tuple(faults)


def _step_lengths(cameras: Cameras) -> Float[Tensor, "m"]:
    return cameras.centers.double().diff(dim=0).norm(dim=-1)
