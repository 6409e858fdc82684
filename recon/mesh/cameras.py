"""Cameras placed around a scene, besides those of its photos or where it has none."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import Gaussians
from recon.splats.similarity import even_directions
from recon.splats.start import camera_spread, focus_point

PLACED_CAMERAS = 48
"""Cameras around a scene that has none: neighbours are 25 degrees apart, so that each surface is seen from several."""
FOV_DEG = 60.0
"""Field of view of cameras that look in from outside, in degrees."""
WIDE_FOV_DEG = 90.0
"""Field of view of cameras that look out from inside: six of them see all around."""
CORE = 0.9
"""Share of the solid Gaussians that counts as the scene; the rest are floaters and what lies far behind."""
MARGIN = 1.25
"""Factor by which cameras outside step back, so that what lies beyond the core is not cut off: the head of somebody standing."""
SOLID = 0.5
"""Opacity from which a Gaussian is part of a surface."""
LOWEST_DEG = -15.0
"""Cameras outside stand no lower than this below the middle: from underneath, a floor hides the scene."""
INSIDE_REACH = 0.4
"""Cameras inside stand within this share of the way to the walls; nearer to them, furniture is hit."""
RING_SWAY = 0.15
"""How far cameras of a ring leave the lines between photos, as a share of the distance to what these look at."""


def place_cameras(gaussians: Gaussians, around: Literal["outside", "inside"], side: int) -> Cameras:
    """Square cameras for a scene that came without any, −y up.

    Args:
        gaussians: the scene, finite.
        around: "outside": on a sphere around the core of the scene, looking in, none from far below; "inside": around the
            middle of it, looking out.
        side: of the pictures, pixels.
    """
    center, half = find_core(gaussians)
    directions = even_directions(2 * PLACED_CAMERAS if around == "outside" else PLACED_CAMERAS)
    if around == "outside":
        directions = directions[-directions[:, 2] >= math.sin(math.radians(LOWEST_DEG))][:, [0, 2, 1]]
        radius = MARGIN * float(half.norm())
        eye = center + radius / math.sin(math.radians(FOV_DEG / 2)) * directions
        target, fov = center.expand_as(eye), FOV_DEG
    else:
        eye = center + INSIDE_REACH * half * directions.roll(
            1, 0
        )  # rolled: not every camera has its back to the middle
        target, fov = eye + directions, WIDE_FOV_DEG
    up = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64).expand(len(eye), 3)
    focal = side / 2 / math.tan(math.radians(fov / 2))
    K = intrinsics(focal_px=focal, width=side, height=side, n=len(eye))
    return Cameras(look_at(eye, target, up), K, side, side)


def find_core(gaussians: Gaussians) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Middle and half extents of a box that holds most solid Gaussians."""
    means = gaussians.means.double()
    solid = means[gaussians.opacity_logits.sigmoid() >= SOLID]
    if len(solid) == 0:
        solid = means
    edges = torch.tensor([(1 - CORE) / 2, (1 + CORE) / 2], dtype=torch.float64)
    low, high = (_quantile(solid, float(edge)) for edge in edges)
    return (low + high) / 2, ((high - low) / 2).clamp_min(1e-9)


def _quantile(points: Float[Tensor, "p 3"], share: float) -> Float[Tensor, "3"]:
    """Quantile of each coordinate; `torch.quantile` refuses more than 16 million values."""
    return points.sort(0).values[round(share * (len(points) - 1))]


def place_ring(cameras: Cameras, count: int, generator: torch.Generator) -> Cameras:
    """Places cameras between and beside others: on lines between random pairs, swayed, looking between their two directions."""
    n = len(cameras)
    a, b = (torch.randint(n, (count,), generator=generator) for _ in range(2))
    share = torch.rand(count, 1, generator=generator, dtype=torch.float64)
    centers, forward = cameras.centers.double(), cameras.forward.double()
    distance = max(float((centers.mean(0) - focus_point(cameras)).norm()), camera_spread(cameras))
    sway = RING_SWAY * distance * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    eye = (1 - share) * centers[a] + share * centers[b] + sway
    gaze = (1 - share) * forward[a] + share * forward[b]
    # opposite directions have nothing between them
    gaze = torch.where(gaze.norm(dim=-1, keepdim=True) < 1e-3, forward[a], gaze)
    up = -cameras.cam_from_world[a, 1, :3].double()
    K = cameras.K.double()[a]
    return Cameras(look_at(eye, eye + gaze, up), K, cameras.width, cameras.height)
