"""Estimation of the up direction of a scene that structure from motion left tilted."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from recon.cameras import Cameras
from recon.points import PointCloud

LEAST_AGREEMENT = 0.5
"""Length of the mean of the cameras' up vectors below which they agree on no up: 1 where all point one way, 0.5 for
cameras tilted by 60°, near 0 for a drone that looks straight down and turns."""
LEAST_SPREAD = 0.3
"""How far the cameras' right-hand axes must spread over two directions for these to fix the vertical."""
LARGEST_CORRECTION_DEG = 45.0
"""The vertical from right-hand axes is believed where it lies this near to the mean of the up vectors."""
PLANE_SHARE = 0.3
"""Share of the points that must lie in one plane for it to count as ground."""
PLANE_THICKNESS = 0.01
"""Half the thickness of that plane, as a share of the points' median distance from their middle."""
PLANE_TRIALS = 500
"""Planes through three random points that are tried; with a share of 0.3 one in 37 lies on the ground."""


@dataclass(frozen=True)
class Up:
    """A unit vector against gravity, and its source."""

    direction: Float[Tensor, "3"]
    """Unit vector in the scene's world."""
    source: str
    """For people: 'the cameras, held level', 'a plane through 62% of the points' …"""


def estimate_up(cameras: Cameras, points: PointCloud | None = None) -> Up | None:
    """Estimate up from the tilt of the cameras, else from the plane with most points; None where neither fits.

    People hold cameras level: pictures tilt up and down, but their right-hand axes stay horizontal. Where these
    spread, the direction at right angles to all of them is the vertical; where cameras all look one way, the mean
    of their up vectors is. Pictures must be turned upright (EXIF orientation) before.
    """
    ups = -cameras.cam_from_world[:, 1, :3].double()
    mean = ups.mean(0)
    if float(mean.norm()) < LEAST_AGREEMENT:
        return None if points is None else _up_from_plane(cameras, points)
    mean = normalize(mean, dim=0)
    rights = cameras.cam_from_world[:, 0, :3].double()
    _, spread, axes = torch.linalg.svd(rights, full_matrices=True)
    if len(spread) > 1 and float(spread[1]) / len(cameras) ** 0.5 > LEAST_SPREAD:
        vertical = axes[2] * (1.0 if float(axes[2] @ mean) >= 0 else -1.0)
        if torch.rad2deg(torch.acos((vertical @ mean).clamp(-1, 1))) < LARGEST_CORRECTION_DEG:
            return Up(vertical, "the cameras, which were held level")
    return Up(mean, "the mean of the cameras' up directions")


def _up_from_plane(cameras: Cameras, points: PointCloud) -> Up | None:
    """The normal of the plane with most points, on the side where the cameras are."""
    xyz = points.xyz.double()
    xyz = xyz[xyz.isfinite().all(1)]
    if len(xyz) < 30:
        return None
    middle = xyz.median(0).values
    half = PLANE_THICKNESS * float((xyz - middle).norm(dim=-1).median())
    generator = torch.Generator().manual_seed(0)  # the same points, the same plane
    triples = torch.randint(len(xyz), (PLANE_TRIALS, 3), generator=generator)
    a, b, c = xyz[triples].unbind(1)
    normals = torch.linalg.cross(b - a, c - a)
    good = normals.norm(dim=-1) > 1e-12
    normals, a = normalize(normals[good], dim=-1), a[good]
    if len(a) == 0:
        return None
    counts = torch.stack([((xyz - p) @ n).abs().le(half).sum() for p, n in zip(a, normals, strict=True)])
    best = int(counts.argmax())
    share = float(counts[best]) / len(xyz)
    if share < PLANE_SHARE:
        return None
    inside = xyz[((xyz - a[best]) @ normals[best]).abs() <= half]
    normal = torch.linalg.svd(inside - inside.mean(0), full_matrices=False)[2][2]
    if float((cameras.centers.double().mean(0) - inside.mean(0)) @ normal) < 0:
        normal = -normal
    return Up(normal, f"the plane through {share:.0%} of the points, which the cameras look down on")


def turn_upright(up: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """The smallest rotation that brings `up` to −y, where the project's axes have it."""
    target = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    source = normalize(up.double(), dim=0)
    cosine = float(source @ target)
    if cosine < -1 + 1e-12:  # head down: any half-turn about a horizontal axis
        return torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    v = torch.linalg.cross(source, target)
    K = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + K + K @ K / (1 + cosine)
