"""What structure from motion would tell of a shot: cameras that are slightly wrong, and sparse noisy points."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.random import Generator
from torch import Tensor

from recon.cameras import Cameras, backproject, project
from recon.points import PointCloud
from worldgen.scenes.visibility import visible


def disturbed_cameras(rng: Generator, cameras: Cameras, contexts: int, depth: float) -> Cameras:
    """The cameras as structure from motion tells them: contexts a little off, one wrong focal length for all."""
    from scipy.spatial.transform import Rotation

    turn_deg = rng.uniform(0.02, 0.1) * rng.standard_normal((contexts, 3)) / np.sqrt(3)
    shift = rng.uniform(0.0005, 0.002) * depth * rng.standard_normal((contexts, 3)) / np.sqrt(3)
    pose = cameras.cam_from_world.clone()
    turned = torch.from_numpy(Rotation.from_rotvec(turn_deg, degrees=True).as_matrix())
    # turned about the camera's own centre, then moved
    pose[:contexts, :3] = turned @ pose[:contexts, :3]
    pose[:contexts, :3, 3] += torch.from_numpy(shift)
    K = cameras.K.clone()
    K[:, [0, 1], [0, 1]] *= 1 + rng.uniform(-0.003, 0.003)
    return replace(cameras, cam_from_world=pose, K=K)


def sparse_points(
    rng: Generator,
    true: Cameras,
    told: Cameras,
    depth: Float[Tensor, "n h w"],
    images: Float[Tensor, "n h w 3"],
    still: Bool[Tensor, "n h w"],
) -> PointCloud:
    """Corners of the photos that a second photo sees too, as far off as half a pixel's error puts them."""
    import cv2

    xyz, rgb = [], []
    world = backproject(depth.double(), true)
    for i in range(len(true)):
        gray = cv2.cvtColor((images[i].numpy() * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        corners = cv2.goodFeaturesToTrack(gray, 160, 0.01, 4)
        if corners is None:
            continue
        column, row = torch.from_numpy(corners[:, 0].astype(np.int64)).unbind(1)
        kept = still[i, row, column] & torch.from_numpy(rng.random(len(row)) < 0.8)
        xyz.append(world[i, row[kept], column[kept]])
        rgb.append(images[i, row[kept], column[kept]])
    if not xyz:
        return PointCloud.empty()
    exact, colour = torch.cat(xyz), torch.cat(rgb)
    seen = visible(exact, true, depth, 0.02)
    kept = seen.sum(0) >= 2
    exact, colour, seen = exact[kept], colour[kept], seen[:, kept]
    if len(exact) == 0:
        return PointCloud.empty()
    px, z = project(exact, true)
    counts = seen.sum(0)
    # a point is unsure by half a pixel across, and along the ray by as much more as the parallax is small
    rays = exact - true.centers[:, None]
    rays = rays / rays.norm(dim=-1, keepdim=True)
    mean = (rays * seen[..., None]).sum(0) / counts[:, None]
    parallax = torch.sqrt((1 - mean.norm(dim=1) ** 2).clamp(min=0)).clamp(min=0.03)
    unit = (z * seen).sum(0) / counts * 0.5 / true.K[0, 0, 0] / counts.sqrt()
    across = torch.from_numpy(rng.standard_normal((len(exact), 3)))
    along = torch.from_numpy(rng.standard_normal((len(exact), 1)))
    found = exact + unit[:, None] * (across + along * mean / parallax[:, None])
    error = (project(found, told)[0] - px).norm(dim=-1)
    return PointCloud(found, colour, (error * seen).sum(0) / counts)
