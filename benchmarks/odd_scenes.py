"""Scenes that show what a file format does to a scene."""

import torch

from recon.gaussians import SH_C0, Gaussians, sh_bases


def odd_scene(g: int = 2000, *, sh_degree: int = 3, seed: int = 7) -> Gaussians:
    """Strongly anisotropic Gaussians in an asymmetric layout with outliers to 100 units; opacities of 2% to 99.8%.

    Rotations are unit quaternions with w ≥ 0; colours lie in [0, 1] before view dependence, which falls off by band.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    means = torch.stack([uniform(-3, 5, g), uniform(-1, 2, g), uniform(0.5, 9, g)], -1)
    means[: g // 4] = torch.stack(
        [uniform(3, 5, g // 4), uniform(-1, -0.6, g // 4), uniform(0.5, 9, g // 4)], -1
    )
    outliers = torch.tensor([[40, -3, 12], [-22, 7, 60], [5, 30, 80], [0.1, -0.02, 100], [12, -40, 33.0]])
    means[g - min(5, g) :] = outliers[: min(5, g)]
    scales = torch.stack([uniform(-3, -1.5, g), uniform(-5, -3.5, g), uniform(-7.5, -5.5, g)], -1)
    swap = torch.argsort(torch.rand(g, 3, generator=generator), 1)
    quats = torch.nn.functional.normalize(torch.randn(g, 4, generator=generator), dim=-1)
    sh = torch.zeros(g, sh_bases(sh_degree), 3)
    sh[:, 0] = (uniform(0.02, 0.98, g, 3) - 0.5) / SH_C0
    for band, deviation in ((1, 0.25), (2, 0.12), (3, 0.08)):
        if band <= sh_degree:
            part = slice(sh_bases(band - 1), sh_bases(band))
            noise = torch.randn(sh[:, part].shape, generator=generator)
            # red leans one way, so that swapped channels and orders show
            sh[:, part] = (noise * deviation + torch.tensor([0.05, 0.0, -0.02])).clamp(-0.9, 0.9)
    return Gaussians(
        means, quats * torch.where(quats[:, :1] < 0, -1, 1), scales.gather(1, swap), uniform(-4, 6, g), sh
    )
