"""Knowledge of a place for world models: results of structure from motion, depth and fitting."""

from dataclasses import dataclass

from recon.clip import Clip
from recon.depth import DepthMaps
from recon.gaussians import Gaussians
from recon.points import PointCloud


@dataclass(frozen=True)
class Scene:
    """Knowledge of a place for a world model, in one frame; any part may be missing."""

    points: PointCloud | None = None
    """Triangulated by structure from motion."""
    depth: tuple[Clip, DepthMaps] | None = None
    """Posed photos and their multi-view depth."""
    gaussians: Gaussians | None = None
    metres_per_unit: float | None = None
    """Length of one unit of the frame; None where it is unknown."""
