"""Does a recovered path run as requested, or against it: backwards, mirrored, moving where it should stand, torn?"""

import torch

from eval.geometry.motion import Motion, MotionKind
from eval.geometry.pairwise import follows, share_followed
from eval.paths.fault import PathCheck, PathFault
from eval.paths.flat_scene import fit_plane
from eval.paths.readings import find_contradiction
from eval.paths.steps import find_breaks
from eval.poses import scene_extent
from recon.cameras import Cameras, project
from recon.recovery import Recovery

MOVED_SHARE = 0.03
"""Extent of a path over the median distance of the points from which it moves: 0.03 turns a point's ray by less than two
degrees. Below it structure from motion of a still or turning camera may lie; twice as much lets half a step pass."""
FLAT_SHARE = 0.95
"""Share of the explained matches that obey one homography, from which a clip shows no parallax. Rendered zooms and turns have 99%
and more; one match in 20 that only a moving camera explains is more than chance gives."""
DEPTH_SPREAD = 0.2
"""Range of the middle 80% of the points' depths, over their median, from which they are no plane before the camera. A rendered zoom
that was recovered as a dolly has 0.05, a dolly of 10% of the depth through the same kind of room 0.5."""
ZOOM_SHARE = 0.01
"""Share by which requested focal lengths differ, from which a zoom is asked for; less is rounding."""
RESEMBLED_DEG, RESEMBLED_SHARE = 45.0, 0.4
"""Angle to within which, and share of the pairs of frames of which, relative poses must be as requested for steps to be compared. A
jump sideways by the whole extent in the middle leaves half of the pairs as they were. Of ten real clips, each judged by the others'
cameras, 54 of 90 have less; driven back from half way they have 0.36 to 0.49."""
NO_PARALLAX = "too little parallax to tell a move from a zoom or a turn"
"""Why a path cannot be judged."""


def check_path(recovery: Recovery, motion: Motion, requested: Cameras | None) -> PathCheck:
    """Look for what makes a recovered path wrong although its frames are registered.

    - A request that does not move: a clip that shows parallax, and a path that is long for the distance of the scene, moves
      unasked; one that is no turn of a fixed lens either, where one was asked for, moves or zooms.
    - A request that moves, of which the pictures show a standing or turning camera: it does not move, unless the path
      follows the request nevertheless, over so small an angle that the pictures do not tell.
    - One homography explains the clip: a zoom and a move towards or along a plane look alike, so that the pictures do not tell
      the path, unless it follows its request and the recovered points lie at several depths. But where no plane could look like
      that from the requested cameras, it moves otherwise.
    - The path as a whole follows another reading of the request: driven backwards, in a mirror, with inverted poses.
    - Its steps break: a jump, a scale that changes, frames out of place.

    Without a request there is nothing to be wrong against.
    """
    if requested is None or recovery.cameras is None or len(recovery.cameras) < 3:
        return PathCheck()
    asked = requested[recovery.registered]
    if scene_extent(asked) is None:
        return _check_still(recovery, motion, asked)
    if motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY):
        untold = follows(recovery.cameras, asked)
        return (
            PathCheck(untold=NO_PARALLAX)
            if untold
            else PathCheck((PathFault.NO_MOVE,), evidence=(motion.because,))
        )
    if motion.kind is MotionKind.PLANE and not _shows_parallax(motion):
        deep = depth_spread(recovery) >= DEPTH_SPREAD and moves(recovery)
        if not (deep and follows(recovery.cameras, asked)):
            return _check_flat(motion, requested)
    return _check_moving(recovery, asked)


def _check_still(recovery: Recovery, motion: Motion, asked: Cameras) -> PathCheck:
    """A path whose request does not move, but may turn or zoom."""
    if motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY, MotionKind.UNKNOWN):
        return PathCheck()
    zoom = asks_zoom(asked)
    # a requested zoom that is kept as the lens shortens the path of a camera that moves instead
    if _shows_parallax(motion) and (zoom or moves(recovery)):
        share = path_over_depth(recovery) or 0.0
        said = f"{motion.because}; the path is {share:.0%} of the distance of the scene long"
        return PathCheck((PathFault.UNASKED_MOVE,), evidence=(said,))
    if motion.kind is MotionKind.PLANE:
        if zoom:
            return PathCheck(untold=NO_PARALLAX)
        return PathCheck((PathFault.UNASKED_CHANGE,), evidence=(motion.because,))
    return PathCheck()


def _check_flat(motion: Motion, requested: Cameras) -> PathCheck:
    """A clip without parallax that was asked to move: untold, unless no plane could look like that on the requested path."""
    fit = fit_plane(motion.planar, requested)
    if fit is None or fit.explains:
        return PathCheck(untold=NO_PARALLAX)
    said = f"{motion.because}; no plane seen on the requested path moves so: the best is off by {fit.off_px:.0f} of {fit.travel_px:.0f} px"
    return PathCheck((PathFault.OTHERWISE,), evidence=(said,))


def _check_moving(recovery: Recovery, asked: Cameras) -> PathCheck:
    """A path that moves, as was asked."""
    assert recovery.cameras is not None
    against = find_contradiction(recovery.cameras, asked)
    if against is not None:
        return PathCheck((against,))
    breaks = []
    if _resembles(
        recovery.cameras, asked
    ):  # lengths against another path than was driven say nothing of the clip
        breaks = find_breaks(recovery.cameras, asked, recovery.registered.nonzero()[:, 0])
    return PathCheck(
        tuple(found.fault for found in breaks if found.fault is not None),
        evidence=tuple(found.evidence for found in breaks),
        marked=tuple(sorted({frame for found in breaks for frame in found.frames})),
    )


def _resembles(recovered: Cameras, asked: Cameras) -> bool:
    """Whether the path is roughly the requested one (`RESEMBLED_SHARE`), so that its steps can be held against it."""
    share = share_followed(recovered, asked, threshold_deg=RESEMBLED_DEG)
    return share is not None and share >= RESEMBLED_SHARE


def _shows_parallax(motion: Motion) -> bool:
    """Whether enough matches obey an epipolar geometry that one homography does not give."""
    if motion.homography_share is None:
        return motion.kind is MotionKind.GENERAL
    return motion.homography_share < FLAT_SHARE


def asks_zoom(asked: Cameras) -> bool:
    """Whether the requested focal length changes."""
    focal = asked.K[:, 0, 0].double()
    return float(focal.max()) > (1 + ZOOM_SHARE) * float(focal.min())


def moves(recovery: Recovery) -> bool:
    """Whether the recovered path is long for the distance of the scene (`MOVED_SHARE`)."""
    return (path_over_depth(recovery) or 0.0) >= MOVED_SHARE


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
