"""Knowledge of a place for world models: results of structure from motion, depth and fitting."""

from dataclasses import dataclass

from recon.cameras import Cameras
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.sequence import MovingScene
from recon.sim3 import Sim3


@dataclass(frozen=True)
class Scene:
    """Knowledge of a place for a world model, in one frame; any part may be missing."""

    points: PointCloud | None = None
    """Triangulated by structure from motion."""
    depth: tuple[Clip, DepthMaps] | None = None
    """Posed photos and their multi-view depth."""
    gaussians: Gaussians | None = None
    moving: MovingScene | None = None
    """The place as it moves, on the clock of the context; `gaussians` is then the moment that is asked for."""
    metres_per_unit: float | None = None
    """Length of one unit of the frame; None where it is unknown."""
    metres_assumed: bool = False
    """Whether that length is a guess."""
    posed_photos: tuple[tuple[str, ...], Cameras] | None = None
    """Names and cameras of all photos that have one, also of those that a model is not shown."""
    given_from_scene: Sim3 | None = None
    """From this frame to that of the cameras that came with the photos; None where none came, or nobody says."""
