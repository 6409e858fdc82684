"""Normalisation of a capture's world: near the origin, in units of the order of a scene."""

import math
from dataclasses import replace

import torch

from recon.cameras import Cameras
from recon.sim3 import Sim3
from recon.world.extent import FAR, measure_extent

MIN_EXTENT, MAX_EXTENT = 0.05, 500.0
"""Extents of cameras, in units, that are kept: near planes and learning rates are made for these. Beyond them a capture is in
kilometres or millimetres."""
USUAL_EXTENT = 4.0
"""Extent, in units, that other captures are scaled to: a walk about a room in metres."""


def capture_from_scene(cameras: Cameras) -> Sim3 | None:
    """Similarity from a normalised scene to the world of its cameras; None where the cameras need none.

    It has an origin and a unit, but no rotation.
    """
    centers = cameras.centers.double()
    middle = centers.mean(0)
    extent = measure_extent(centers)
    far = float(centers.norm(dim=1).max()) > FAR * max(extent, 1.0 if extent == 0 else 0.0)
    odd = extent > 0 and not MIN_EXTENT <= extent <= MAX_EXTENT
    if not far and not odd:
        return None
    unit = extent / USUAL_EXTENT if odd else 1.0
    # rounded, so that a person can add it: whole units of the order of the extent
    step = 10.0 ** math.floor(math.log10(extent)) if extent > 0 else 1.0
    origin = torch.round(middle / step) * step
    return replace(
        Sim3.identity(),
        scale=torch.tensor(unit, dtype=torch.float64),
        translation=origin if far else torch.zeros(3, dtype=torch.float64),
    )
