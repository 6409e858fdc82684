"""The units that the browser sees: every scene as large as viewers expect."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.scenes import LoadedScene
from bridge4d.viewpoints import viewpoint_of
from recon.cameras import Cameras
from recon.scenefiles import Viewpoint
from recon.sim3 import Sim3

TARGET_DISTANCE = 5.0
"""From the first camera to what it looks at. viser's keys move 2 units a second, its near plane is at 0.01, and it keeps
variances as float16: with 5, Gaussians of 0.02% to 5,000% of this distance keep their shape."""


def browser_frame(start: Viewpoint) -> Sim3:
    """``browser_from_world``: a scale, and what the start looks at as the origin; no rotation."""
    position, target = (torch.tensor(v, dtype=torch.float64) for v in (start.position, start.target))
    scale = TARGET_DISTANCE / (target - position).norm()
    return Sim3(scale, torch.eye(3, dtype=torch.float64), -scale * target)


@dataclass(frozen=True)
class Pose:
    """Where the browser's camera is, in its units."""

    position: Float[Tensor, "3"]
    look_at: Float[Tensor, "3"]
    """The point that the camera turns about."""
    up: Float[Tensor, "3"]
    fov_y_rad: float
    """Vertical field of view."""

    @staticmethod
    def seeing(
        camera: Cameras, scene: LoadedScene, browser_from_world: Sim3, *, aspect: float | None
    ) -> "Pose":
        """A camera's own view; the whole picture fits into a window of this width by height.

        Args:
            aspect: None: the window is as wide as the picture.
        """
        seen = viewpoint_of(camera, scene)
        ends = torch.tensor([seen.position, seen.target], dtype=torch.float64)
        position, look_at = browser_from_world.points(ends)
        tangent = math.tan(math.radians(seen.fov_y_deg) / 2)
        if aspect is not None:
            tangent *= max(1.0, camera.width / camera.height / aspect)
        return Pose(position, look_at, torch.tensor(seen.up, dtype=torch.float64), 2 * math.atan(tangent))

    def toward(self, end: "Pose", share: float) -> "Pose":
        """Part of the way to another; 0 is here, 1 is there."""
        a, b = 1 - share, share
        return replace(
            self,
            position=a * self.position + b * end.position,
            look_at=a * self.look_at + b * end.look_at,
            up=a * self.up + b * end.up,
            fov_y_rad=a * self.fov_y_rad + b * end.fov_y_rad,
        )
