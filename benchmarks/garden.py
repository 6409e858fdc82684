"""What engines are timed on: a garden's points as Gaussians of random size, turn, opacity and colour, and its pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import SH_C0, Gaussians, morton_order, sh_bases
from recon.points import PointCloud
from recon.splats.render import render

POINTS = Path(__file__).resolve().parents[2] / "shared" / "splats" / "test_garden.npz"
"""gsplat's sample of the garden of mip-NeRF 360 (points, colours, three cameras), where it lies beside the project."""
SH_DEGREE = 3
REACH = 2.0
"""Points farther than this from the origin along an axis are left out."""
SCALES = (1e-4, 0.02)
OPACITIES = (0.001, 0.999)
NOISE = 0.05


@dataclass(frozen=True)
class Training:
    """A training that goes nowhere: steps too small to move the scene, so that every iteration costs the same."""

    scene: Gaussians
    cameras: Cameras
    targets: Float[Tensor, "n h w 3"]
    rate: float = 1e-8
    """Of Adam, for all parameters."""
    lambda_dssim: float = 0.2

    def save(self, file: Path) -> None:
        torch.save(self, file)

    @staticmethod
    def load(file: Path) -> "Training":
        return torch.load(file, weights_only=False)

    def planes(self) -> Float[Tensor, "r g"]:
        """The scene with one row for each number of a Gaussian: mean, quaternion, log scale, opacity logit, colour."""
        scene = self.scene
        columns = (scene.means, scene.quats_wxyz, scene.log_scales, scene.opacity_logits[:, None])
        return torch.cat([*columns, scene.sh.flatten(1)], 1).T.contiguous()


def noisy_training(scene: Gaussians, cameras: Cameras, generator: torch.Generator) -> Training:
    """The scene's own pictures with noise are what it is trained on."""
    with torch.no_grad():
        drawn = render(scene, cameras, engine="cpu").images
    noise = NOISE * torch.randn(drawn.shape, generator=generator)
    return Training(scene, cameras, (drawn + noise).clamp(0, 1))


def garden(
    count: int, *, width: int, height: int, generator: torch.Generator, points: Path = POINTS
) -> tuple[Gaussians, Cameras, str]:
    """`count` Gaussians in the order in which a trainer keeps them, three cameras, and where the points are from.

    Where the file is missing, a made-up garden of about the same shape stands in for it.
    """
    if points.exists():
        (cloud, cameras), source = _read(points, width, height), points.name
    else:
        (cloud, cameras), source = _made_up(width, height, generator), "made-up garden"
    if count <= len(cloud):
        cloud = cloud[torch.randperm(len(cloud), generator=generator)[:count]]
    else:
        cloud = cloud[torch.randint(len(cloud), (count,), generator=generator)]
    sh = 0.05 * torch.randn(count, sh_bases(SH_DEGREE), 3, generator=generator)
    sh[:, 0] = (cloud.rgb - 0.5) / SH_C0
    scene = Gaussians(
        means=cloud.xyz,
        quats_wxyz=torch.randn(count, 4, generator=generator),
        log_scales=_uniform(SCALES, (count, 3), generator).log(),
        opacity_logits=_uniform(OPACITIES, (count,), generator).logit(),
        sh=sh,
    )
    return scene[morton_order(scene.means)], cameras, source


def _read(file: Path, width: int, height: int) -> tuple[PointCloud, Cameras]:
    """The cameras keep the shorter way across their pictures; the principal point moves to the middle."""
    data = np.load(file)
    xyz, rgb = torch.from_numpy(data["means3d"]).float(), torch.from_numpy(data["colors"]).float() / 255
    cloud = PointCloud(xyz, rgb, torch.zeros(len(xyz)))[(xyz.abs() <= REACH).all(-1)]
    K = torch.from_numpy(data["Ks"]).double()
    K[:, :2] *= max(width / int(data["width"]), height / int(data["height"]))
    K[:, 0, 2], K[:, 1, 2] = width / 2, height / 2
    return cloud, Cameras(torch.from_numpy(data["viewmats"]).double(), K, width, height)


def _made_up(width: int, height: int, generator: torch.Generator) -> tuple[PointCloud, Cameras]:
    """A round table on a lawn with a hedge around it; +z is up."""

    def scattered(count: int, low: tuple[float, ...], high: tuple[float, ...]) -> Float[Tensor, "p 3"]:
        return torch.lerp(torch.tensor(low), torch.tensor(high), torch.rand(count, 3, generator=generator))

    lawn = torch.randn(80_000, 3, generator=generator) * torch.tensor([0.9, 0.9, 0.02])
    lawn += torch.tensor([0.15, 0.1, -0.04])
    table = scattered(24_000, (-0.5, -0.5, 0.1), (0.5, 0.5, 0.4))
    hedge = scattered(20_000, (-REACH, -REACH, 0.0), (REACH, REACH, 1.0))
    far = hedge[:, :2].norm(dim=-1) > 1.4
    xyz = torch.cat([lawn, table[table[:, :2].norm(dim=-1) < 0.5], hedge[far]])
    xyz = xyz[(xyz.abs() <= REACH).all(-1)]
    cloud = PointCloud(xyz, torch.rand(len(xyz), 3, generator=generator), torch.zeros(len(xyz)))
    eye = torch.tensor([[-1.07, -0.33, 0.5], [-0.73, -0.76, 0.5], [0.23, -0.8, 0.63]], dtype=torch.float64)
    target = eye * 0.05 + torch.tensor([0.05, 0.0, 0.2], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(eye)
    K = intrinsics(focal_px=max(0.74 * width, 1.14 * height), width=width, height=height, n=len(eye))
    return cloud, Cameras(look_at(eye, target, up), K, width, height)


def _uniform(
    limits: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator
) -> Float[Tensor, "..."]:
    low, high = limits
    return low + (high - low) * torch.rand(*shape, generator=generator)
