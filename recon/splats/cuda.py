"""The engine for NVIDIA GPUs: gsplat (Ye et al. 2025)."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.gaussians import Gaussians, sh_bases
from recon.splats.screen import Rendering, Screen


def render(
    gaussians: Gaussians, cameras: Cameras, background: Float[Tensor, "3"], sh_degree: int
) -> tuple[Rendering, Screen]:
    """Pictures of all cameras in float32, in one call."""
    from gsplat import rasterization

    scene = gaussians.to(dtype=torch.float32)
    device = scene.means.device
    pictures, alpha, info = rasterization(
        means=scene.means,
        quats=scene.quats_wxyz,
        scales=scene.log_scales.exp(),
        opacities=scene.opacity_logits.sigmoid(),
        colors=scene.sh[:, : sh_bases(sh_degree)],
        viewmats=cameras.cam_from_world.to(device, torch.float32),
        Ks=cameras.K.to(device, torch.float32),
        width=cameras.width,
        height=cameras.height,
        sh_degree=sh_degree,
        render_mode="RGB+ED",
        backgrounds=background.float().expand(len(cameras), 3),
        packed=False,
    )
    if info["means2d"].requires_grad:
        info["means2d"].retain_grad()
    rendering = Rendering(pictures[..., :3], pictures[..., 3], alpha[..., 0])
    return rendering, Screen(info["means2d"], info["radii"].amax(-1).float())
