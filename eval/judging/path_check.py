"""Does a recovered path run as requested, or against it: backwards, mirrored, moving where it should stand, torn?"""

from dataclasses import dataclass, replace
from enum import Enum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eval.geometry.motion import Motion, MotionKind
from eval.geometry.pairwise import FOLLOWED_DEG, follows, pose_auc
from eval.poses import mean_turn, scene_extent
from recon.cameras import Cameras, project
from recon.recovery import Recovery

MOVED_SHARE = 0.03
"""Extent of a path over the median distance of the points from which it moves: 0.03 turns a point's ray by less than two
degrees. Below it structure from motion of a still or turning camera may lie; twice as much lets half a step pass."""
OPPOSED = -0.5
"""Correlation of recovered and requested places, turned as suits the rotations, up to which a path runs against its request.
A path at right angles to what was asked has 0, give or take its noise."""
TIE = 0.02
"""AUC within which two readings of a request fit alike; poses that are right to 0.3° differ by less."""
JUMP = 5.0
"""A step so many times as long as it should be by the other steps is a jump, where what follows stays displaced."""
LEAST_JUMP = 0.1
"""Share of the requested extent that a jump is too long by, at least: slow parts of a path have short steps and as much noise."""
SCALE_DRIFT = 2.0
"""Largest over smallest scale, among quarters of a path, between recovered and requested lengths. 2 means that what is called a
metre at one end is two at the other."""
CHORDS = 8
"""Lengths are taken over chords of an eighth of the path, in which noise of single places is small, and so many are needed."""
FLAT_SHARE = 0.95
"""Share of the explained matches that obey one homography, from which a clip shows no parallax. Rendered zooms and turns have 99%
and more; one match in 20 that only a moving camera explains is more than chance gives."""
DEPTH_SPREAD = 0.2
"""Range of the middle 80% of the points' depths, over their median, from which they are no plane before the camera. A rendered zoom
that was recovered as a dolly has 0.05, a dolly of 10% of the depth through the same kind of room 0.5."""
NO_PARALLAX = "too little parallax to tell a move from a zoom or a turn"
"""Why a path cannot be judged."""
PAUSE_SHARE = 0.05
"""Requested chords below this share of the requested extent have no scale: the camera pauses."""


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

    - One homography explains the clip: a zoom, a turn and a move along a plane look alike, so that the pictures do not tell the
      path, unless it follows its request and there is parallax: the homography explains less than `FLAT_SHARE`, or the
      recovered points lie at several depths, as a zoom mistaken for a move puts none. Only a turning or standing camera whose recovered path is short, and does not follow the request, does not move.
    - The path as a whole follows another reading of the request: driven backwards, seen in a mirror, with inverted poses.
    - The request does not move, the clip shows parallax, and the path is long for the distance of the scene.
    - Steps: a single long one after which the path stays displaced, or a scale that changes along the path.

    Without a request there is nothing to be wrong against.
    """
    if requested is None or recovery.cameras is None or len(recovery.cameras) < 3:
        return PathCheck()
    cameras, asked = recovery.cameras, requested[recovery.registered]
    asks_move = scene_extent(asked) is not None
    moves = (path_over_depth(recovery) or 0.0) >= MOVED_SHARE
    untold = PathCheck(untold=NO_PARALLAX)
    flat = motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY, MotionKind.PLANE)
    parallax = (motion.homography_share or 1.0) < FLAT_SHARE or (
        motion.kind is MotionKind.PLANE and moves and depth_spread(recovery) >= DEPTH_SPREAD
    )
    if flat and asks_move and parallax and _follows(cameras, asked):
        return PathCheck(_broken_steps(cameras, asked, recovery))
    if motion.kind is MotionKind.PLANE:
        return untold
    if motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY):
        if not asks_move:
            return PathCheck()  # what was asked for
        return untold if moves or _follows(cameras, asked) else PathCheck((PathFault.NO_MOVE,))
    if not asks_move:
        unasked = moves and motion.kind is MotionKind.GENERAL
        return PathCheck((PathFault.UNASKED_MOVE,) if unasked else ())
    return PathCheck((*_contradictions(cameras, asked), *_broken_steps(cameras, asked, recovery)))


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


def depth_spread(recovery: Recovery) -> float:
    """Range of the middle 80% of the points' depths in the middle camera, over their median; 0 without points.

    A zoom scales a picture about one point, as a move towards a plane does: what makes a dolly of it puts all points there.
    """
    if recovery.cameras is None or not len(recovery.points):
        return 0.0
    _, depth = project(recovery.points.xyz.double(), recovery.cameras[[len(recovery.cameras) // 2]])
    low, median, high = depth[0].quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist()
    return (high - low) / median if median > 0 else 0.0


def runs_backwards(recovered: Cameras, requested: Cameras) -> bool:
    """Whether the centres, turned as suits the cameras' rotations best, run against the requested ones (`OPPOSED`)."""
    x, y = recovered.centers.double(), requested.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    spread = (dx.norm() * dy.norm()).clamp_min(1e-300)
    return float((dy * (dx @ mean_turn(recovered, requested).mT)).sum() / spread) <= OPPOSED


def _contradictions(recovered: Cameras, requested: Cameras) -> tuple[PathFault, ...]:
    """The reading of the request that the path follows best, where it does not follow the request itself.

    A straight path driven backwards looks like one in a mirror: then the direction is named.
    """
    if _follows(recovered, requested):
        return ()
    readings = (
        (PathFault.OPPOSITE, _reverse(requested)),
        (PathFault.OPPOSITE, _negate(requested)),
        (PathFault.MIRRORED, _mirror(requested)),
        (PathFault.INVERSE, _invert(requested)),
    )
    fits = [(fault, _fit(recovered, reading)) for fault, reading in readings if _follows(recovered, reading)]
    if fits:
        best = max(fit for _, fit in fits)
        return (next(fault for fault, fit in fits if fit >= best - TIE),)
    return (PathFault.OPPOSITE,) if runs_backwards(recovered, requested) else ()


def _fit(recovered: Cameras, reading: Cameras) -> float:
    everyone = torch.ones(len(recovered), dtype=torch.bool)
    return pose_auc(recovered, everyone, reading, (FOLLOWED_DEG,))[0] or 0.0


def _follows(recovered: Cameras, requested: Cameras) -> bool:
    return follows(recovered, torch.ones(len(recovered), dtype=torch.bool), requested)


def _reverse(cameras: Cameras) -> Cameras:
    """The path driven from its end to its beginning."""
    return cameras[list(range(len(cameras)))[::-1]]


def _negate(cameras: Cameras) -> Cameras:
    """The same gazes from places on the other side of the first."""
    return cameras.place_at(2 * cameras.centers[:1] - cameras.centers)


def _mirror(cameras: Cameras) -> Cameras:
    """The path that mirrored pictures show: every pose seen in a mirror that swaps left and right."""
    swap = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=cameras.cam_from_world.dtype))
    return replace(cameras, cam_from_world=swap @ cameras.cam_from_world @ swap)


def _invert(cameras: Cameras) -> Cameras:
    """World-from-camera matrices taken for camera-from-world ones."""
    return replace(cameras, cam_from_world=cameras.world_from_cam)


def _broken_steps(recovered: Cameras, requested: Cameras, recovery: Recovery) -> tuple[PathFault, ...]:
    """Jumps and drift of scale, from the lengths of recovered and requested chords."""
    frames = recovery.registered.nonzero()[:, 0]
    x, y = recovered.centers.double(), requested.centers.double()
    extent, stride = scene_extent(requested), max(1, len(frames) // CHORDS)
    if extent is None or len(frames) < 2 * CHORDS:
        return ()
    chords, asked = _chords(x, stride), _chords(y, stride)
    telling = (asked > PAUSE_SHARE * extent) & (frames[stride:] - frames[:-stride] == stride)
    if int(telling.sum()) < CHORDS:
        return ()
    scale = chords[telling] / asked[telling]
    faults = []
    if _jumps(x, y, frames, float(scale.median()), extent):
        faults.append(PathFault.JUMP)
    quarters = [float(part.median()) for part in torch.tensor_split(scale, 4)]
    if max(quarters) > SCALE_DRIFT * min(quarters):
        faults.append(PathFault.SCALE_DRIFT)
    return tuple(faults)


def _jumps(
    x: Float[Tensor, "m 3"], y: Float[Tensor, "m 3"], frames: Int[Tensor, "m"], scale: float, extent: float
) -> bool:
    """Whether a step between neighbours is far too long, and so is the way from before it to after it.

    Args:
        x: recovered places.
        y: requested places.
        scale: recovered over requested lengths.
    """
    steps, asked = _chords(x, 1) / max(scale, 1e-300), _chords(y, 1)
    excess = steps - asked
    long = (steps > JUMP * asked) & (excess > LEAST_JUMP * extent) & (frames.diff() == 1)
    for i in long.nonzero()[:, 0].tolist():
        before, after = x[max(0, i - 2) : i + 1], x[i + 1 : i + 4]
        way = (after.median(0).values - before.median(0).values).norm() / max(scale, 1e-300)
        asked_way = (y[i + 1 : i + 4].median(0).values - y[max(0, i - 2) : i + 1].median(0).values).norm()
        if float(way - asked_way) > float(excess[i]) / 2:
            return True
    return False


def _chords(places: Float[Tensor, "m 3"], stride: int) -> Float[Tensor, "k"]:
    return (places[stride:] - places[:-stride]).norm(dim=-1)
