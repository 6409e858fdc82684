"""Whether cameras that nobody has filmed with yet look at the scene, or only would under another convention."""

from eval.paths.readings import STATED, reread
from recon.camera_files.convention import CONVENTIONS, Convention
from recon.cameras import Cameras, project
from recon.clips.pairing import spread_indices
from recon.points import PointCloud
from recon.sim3 import Sim3

CAMERAS, POINTS = 50, 2000
"""Cameras and points that stand for all, spread evenly: the answer is a median of shares, and a stranger's file may hold any number."""
SEES_NOTHING = 0.05
"""Median share of the scene's points in view up to which cameras look elsewhere. A path may do that on purpose; then it mostly does so
under every convention, and nothing is said."""
SEES_SCENE = 0.3
"""Share from which another convention is named: most of what a photo in the same place would show."""


def share_in_view(cameras: Cameras, points: PointCloud) -> float:
    """Median over cameras of the share of points that lie in the picture, whether or not something hides them."""
    some = cameras[spread_indices(len(cameras), min(CAMERAS, len(cameras)))]
    xyz = points.xyz.double()[spread_indices(len(points), min(POINTS, len(points)))]
    xy, z = project(xyz, some)
    inside = (z > 0) & (xy >= 0).all(-1) & (xy[..., 0] < cameras.width) & (xy[..., 1] < cameras.height)
    return float(inside.double().mean(1).median())


def find_seeing_convention(
    cameras: Cameras, points: PointCloud, scene_from_file: Sim3, stated: Convention = STATED
) -> tuple[Convention, float, float] | None:
    """The convention under which cameras see the scene, where they do not as they were read.

    Args:
        cameras: in the frame of their file.
        points: of the scene, in its own frame.
        stated: how their matrices were read.

    Returns:
        It, and the shares of the points in view as they were read and so; None where the cameras see the scene, or no convention
        makes them see it.
    """
    if not len(points):
        return None
    as_read = share_in_view(scene_from_file.cameras(cameras), points)
    if as_read > SEES_NOTHING:
        return None
    others = [one for one in CONVENTIONS if one != stated]
    shares = [share_in_view(scene_from_file.cameras(reread(cameras, stated, one)), points) for one in others]
    best = max(range(len(others)), key=shares.__getitem__)
    return (others[best], as_read, shares[best]) if shares[best] >= SEES_SCENE else None
