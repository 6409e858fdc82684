"""What is known of a place beside its pictures: what structure from motion, depth and fitting have found."""

from dataclasses import dataclass

from recon.clip import Clip
from recon.depth import DepthMaps
from recon.gaussians import Gaussians
from recon.points import PointCloud


@dataclass(frozen=True)
class Scene:
    """What a world model may know of the world; all in one frame, any part may be missing."""

    points: PointCloud | None = None
    """Triangulated by structure from motion."""
    depth: tuple[Clip, DepthMaps] | None = None
    """Posed photos and their multi-view depth."""
    gaussians: Gaussians | None = None
    metres_per_unit: float | None = None
    """Length of one unit of the frame; None where it is unknown."""
