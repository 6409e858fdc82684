"""The frame that a capture with cameras is worked on in: near the origin, in units of the order of a scene."""

import math
from dataclasses import replace

import torch

from recon.cameras import Cameras
from recon.sim3 import Sim3
from recon.world.extent import FAR, measure_extent

SMALLEST, LARGEST = 0.05, 500.0
"""Extents of cameras, in units, that are left as they are; near planes and learning rates are made for these. Beyond, a
capture is in kilometres or millimetres."""
USUAL = 4.0
"""The extent that others are brought to: a walk about a room in metres."""


def capture_from_scene(cameras: Cameras) -> Sim3 | None:
    """The similarity that brings what is made of these cameras back to where they were; None where they are left there.

    Only an origin and a unit: nothing is turned.
    """
    centers = cameras.centers.double()
    middle = centers.mean(0)
    extent = measure_extent(centers)
    far = float(centers.norm(dim=1).max()) > FAR * max(extent, 1.0 if extent == 0 else 0.0)
    odd = extent > 0 and not SMALLEST <= extent <= LARGEST
    if not far and not odd:
        return None
    unit = extent / USUAL if odd else 1.0
    # rounded, so that a person can add it: whole units of the order of the extent
    step = 10.0 ** math.floor(math.log10(extent)) if extent > 0 else 1.0
    origin = torch.round(middle / step) * step
    return replace(
        Sim3.identity(),
        scale=torch.tensor(unit, dtype=torch.float64),
        translation=origin if far else torch.zeros(3, dtype=torch.float64),
    )
