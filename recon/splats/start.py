"""Gaussians that a training starts from: random points and a backdrop."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras, project
from recon.clip import Clip
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.similarity import even_directions

DRAWS = 64
"""Batches drawn at most until enough points are found that two cameras see."""


BACKDROP_DISTANCE = 5.0
"""Radius of the backdrop, in distances to what lies farthest."""
BACKDROP_FROM = 0.8
"""Share of that radius beyond which a trained Gaussian counts as backdrop: those of the sample room end at 0.95 to
0.98 of it, everything else below 0.3."""


def camera_spread(cameras: Cameras) -> float:
    """The scale by which 3DGS sets its learning rates: 1.1 times the largest distance of a camera from their mean; 1 for one camera."""
    centers = cameras.centers.double()
    extent = 1.1 * float((centers - centers.mean(0)).norm(dim=-1).max())
    return extent if extent > 1e-9 else 1.0


def focus_point(cameras: Cameras) -> Float[Tensor, "3"]:
    """The point nearest to all optical axes; least squares, kept finite for parallel ones."""
    c, d = cameras.centers.double(), cameras.forward.double()
    across = torch.eye(3, dtype=torch.float64) - d[:, :, None] * d[:, None, :]
    A = across.sum(0) + 1e-6 * len(c) * torch.eye(3, dtype=torch.float64)
    return torch.linalg.solve(A, (across @ c[..., None])[..., 0].sum(0) + 1e-6 * c.sum(0))


@dataclass(frozen=True)
class Backdrop:
    """The sphere far behind a scene on which Gaussians for sky and plain walls begin."""

    center: tuple[float, float, float]
    radius: float
    """In scene units."""

    def rows(self, gaussians: Gaussians) -> Bool[Tensor, "g"]:
        """Mask of the Gaussians of a trained scene that stayed near the sphere."""
        return self.holds(gaussians.means.detach().cpu())

    def holds(self, xyz: Float[Tensor, "*p 3"]) -> Bool[Tensor, "*p"]:
        """Mask of the points that lie near the sphere, or beyond."""
        center = torch.tensor(self.center, dtype=torch.float64)
        return (xyz.double() - center).norm(dim=-1) > BACKDROP_FROM * self.radius


def backdrop_sphere(cameras: Cameras, points: PointCloud) -> Backdrop:
    """A sphere around the cameras, five times as large as what lies farthest."""
    center = cameras.centers.double().mean(0)
    reach = [camera_spread(cameras), float((focus_point(cameras) - center).norm())]
    if len(points):
        reach.append(float((points.xyz.double() - center).norm(dim=-1).quantile(0.9)))
    x, y, z = center.tolist()
    return Backdrop((x, y, z), BACKDROP_DISTANCE * max(reach))


def backdrop_points(clip: Clip, sphere: Backdrop, count: int) -> PointCloud:
    """Points spread over the sphere, in the median colour of the pictures' borders.

    A plain wall, a white sweep or a sky has no features and so no points: without something behind the scene,
    each view would hang its own copy of it close before its camera.
    """
    images = clip.images
    borders = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    color = torch.cat([b.reshape(-1, 3) for b in borders]).nanmedian(0).values
    xyz = torch.tensor(sphere.center, dtype=torch.float64) + sphere.radius * even_directions(count)
    return PointCloud(xyz, color.expand(count, 3), torch.zeros(count, dtype=torch.float64))


def random_points(clip: Clip, count: int, generator: torch.Generator) -> PointCloud:
    """Points spread evenly in disparity over what at least two cameras (or the one) see, coloured by a view of each.

    For captures without a point cloud. Depths run from a third to three times that of the cameras' focus.
    """
    cameras = clip.require_cameras()
    n, need = len(cameras), min(2, len(cameras))
    depth = ((focus_point(cameras) - cameras.centers.double()) * cameras.forward.double()).sum(-1)
    typical = depth[depth > 0].median() if (depth > 0).any() else torch.tensor(camera_spread(cameras) * 3)
    xyz, rgb = [], []
    for _ in range(DRAWS):
        which = torch.randint(n, (count,), generator=generator)
        u = torch.rand(count, generator=generator) * clip.width
        v = torch.rand(count, generator=generator) * clip.height
        z = typical / (1 / 3 + (3 - 1 / 3) * torch.rand(count, generator=generator, dtype=torch.float64))
        ray = (
            torch.linalg.inv(cameras.K[which].double())
            @ torch.stack([u, v, torch.ones_like(u)], -1).double()[..., None]
        )
        pose = cameras.world_from_cam[which].double()
        points = (pose[:, :3, :3] @ (ray * z[:, None, None]))[..., 0] + pose[:, :3, 3]
        pixels, depths = project(points, cameras)
        size = torch.tensor([clip.width, clip.height])
        inside = ((pixels >= 0) & (pixels < size)).all(-1) & (depths > 0)
        good = inside.sum(0) >= need
        if clip.confidence is not None:
            good &= clip.confidence[which, v.long(), u.long()] > 0
        xyz.append(points[good])
        rgb.append(clip.images[which, v.long(), u.long()][good])
        if sum(map(len, xyz)) >= count:
            break
    points, colors = torch.cat(xyz)[:count], torch.cat(rgb)[:count]
    return PointCloud(points, colors, torch.zeros(len(points), dtype=torch.float64))
