"""Which points and pixels other cameras see as well."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras, backproject, project


def seen_share(cameras: Cameras, depth: Float[Tensor, "n h w"], contexts: int) -> Float[Tensor, "n"]:
    """Share of each picture's pixels that another of the first `contexts` pictures sees as well."""
    points = backproject(depth.double(), cameras).reshape(len(cameras), -1, 3)
    out = torch.zeros(len(cameras), dtype=torch.float64)
    for i in range(len(cameras)):
        others = [j for j in range(contexts) if j != i]
        seen = visible(points[i], cameras[others], depth[others], 0.05).any(0)
        out[i] = (seen | (depth[i].reshape(-1) <= 0)).double().mean()
    return out


def visible(
    points: Float[Tensor, "p 3"], cameras: Cameras, depth: Float[Tensor, "n h w"], tolerance: float
) -> Bool[Tensor, "n p"]:
    """Which points each camera sees: inside the picture, and as deep as the nearest pixel says."""
    px, z = project(points, cameras)
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < cameras.width) & (row < cameras.height)
    at = row.clamp(0, cameras.height - 1) * cameras.width + column.clamp(0, cameras.width - 1)
    there = depth.reshape(len(cameras), -1).gather(1, at)
    return inside & ((there - z).abs() < tolerance * z)
