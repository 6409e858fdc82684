"""An orbit of a scene file that comes without photos."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from bridge4d.scenes import LoadedScene
from bridge4d.viewpoints import CORE, start_view, viewpoint_of
from recon.cameras import Cameras
from worldgen import trajectories

FRAMED_CORES = 2.0
"""Radius of what is framed, in radii of the scene's core; farther out lie floaters and the far shell."""
FRAMED_QUANTILES = (0.01, 0.99)
"""Quantiles of the Gaussians along each axis between which things are framed; the rest are floaters."""
FRAME_MARGIN = 1.1
"""Distance of the camera, as a multiple of the least from which everything is in the picture: air around it."""
INSIDE_SWING_DEG = 15.0
"""Swing to either side in a scene that is seen from within, where a full circle would run through its walls."""


def orbit_without_photos(scene: LoadedScene, count: Callable[[float], int]) -> tuple[Cameras, str]:
    """Orbit what the start view of a scene without photos looks at: a circle from outside, a swing from within.

    Args:
        scene: a file, without photos.
        count: gives the number of cameras for an arc in degrees.

    Returns:
        The cameras, and their path in words.
    """
    start = start_view(scene)
    seen = viewpoint_of(start, scene)
    target, up = (torch.tensor(v, dtype=torch.float64) for v in (seen.target, seen.up))
    means = scene.gaussians.means.double()
    middle = means.median(0).values if len(means) else target
    distances = (means - middle).norm(dim=-1)
    core = distances.sort().values[int(CORE * (len(means) - 1))] if len(means) else torch.tensor(0.0)
    if (start.centers[0] - middle).norm() > core:
        near = means[distances <= FRAMED_CORES * core] if len(means) else middle[None]
        start, target = _step_back(start, near, up)
        path = trajectories.orbit(start, target=target, count=count(360.0), up=up)
        return path, "a full circle around the middle of the scene"
    offset = start.centers[0] - target
    height = float(offset @ up)
    level = offset - height * up
    azimuths = swing_to_and_fro(math.radians(INSIDE_SWING_DEG), count(4 * INSIDE_SWING_DEG))
    path = trajectories.ring(
        start,
        target=target,
        up=up,
        north=normalize(level, dim=0),
        azimuths_rad=azimuths,
        radii=level.norm().expand(len(azimuths)),
        heights=torch.full((len(azimuths),), height, dtype=torch.float64),
    )
    return path, f"to and fro along {2 * INSIDE_SWING_DEG:.0f}° within the scene"


def swing_to_and_fro(swing: float, count: int) -> Float[Tensor, "n"]:
    """A sine from 0 to `swing`, to -`swing` and back, in `count` steps: slow at the turns, no jump when repeated."""
    return swing * torch.sin(2 * math.pi * torch.arange(count, dtype=torch.float64) / count)


def _step_back(
    camera: Cameras, xyz: Float[Tensor, "p 3"], up: Float[Tensor, "3"]
) -> tuple[Cameras, Float[Tensor, "3"]]:
    """Move a camera back until its picture holds nearly all points from every side; also their middle.

    Args:
        camera: one, which keeps its direction from the middle.
        xyz: the points to frame.
        up: the axis that it will circle about.
    """
    box = torch.stack([xyz.sort(dim=0).values[round(q * (len(xyz) - 1))] for q in FRAMED_QUANTILES])
    middle = box.mean(0)
    offsets = xyz - middle
    heights = offsets @ up
    radii = (offsets - heights[:, None] * up).norm(dim=-1)
    keep = round(FRAMED_QUANTILES[1] * (len(xyz) - 1))
    height, radius = (float(part.sort().values[keep]) for part in (heights.abs(), radii))
    half_x, half_y = (
        math.atan(side / 2 / float(camera.K[0, i, i])) for i, side in enumerate((camera.width, camera.height))
    )
    least = max(height / math.tan(half_y) + radius, radius / math.sin(half_x), 1e-6)
    back = normalize(camera.centers[0].double() - middle, dim=0)
    eye = middle + FRAME_MARGIN * least * back
    return trajectories.look_along(eye[None], target=middle, up=up, lens=camera), middle
