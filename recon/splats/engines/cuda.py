"""The engine for NVIDIA GPUs: gsplat (Ye et al. 2025)."""

import torch

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians, sh_bases
from recon.splats.engines.screen import Rendering, Screen, Style, screen_offsets


def render(gaussians: Gaussians, cameras: Cameras, style: Style) -> tuple[Rendering, Screen]:
    """Pictures of all cameras in float32, in one call; differentiable in scene, poses and background.

    Raises:
        BridgeError: median depth is asked for, which gsplat has for 2D Gaussians only, or derivatives by
            intrinsics.
    """
    from gsplat import rasterization

    if style.median_depth:
        raise BridgeError(
            "the gsplat engine offers no median depth of 3D Gaussians; leave median_depth out, "
            "or move the scene to the CPU"
        )
    if cameras.K.requires_grad:
        raise BridgeError(
            "the gsplat engine has no derivatives by a camera's K; use engine='reference' or cameras.K.detach()"
        )
    scene = gaussians.to(dtype=torch.float32)
    if len(scene) == 0:
        return _nothing(scene, cameras, style)
    device = scene.means.device
    pictures, alpha, info = rasterization(
        means=scene.means,
        quats=scene.quats_wxyz,
        scales=scene.log_scales.exp(),
        opacities=scene.opacity_logits.sigmoid(),
        colors=scene.sh[:, : sh_bases(style.sh_degree)],
        viewmats=cameras.cam_from_world.to(device, torch.float32),
        Ks=cameras.K.to(device, torch.float32),
        width=cameras.width,
        height=cameras.height,
        near_plane=style.near,
        far_plane=style.far,
        sh_degree=style.sh_degree,
        render_mode="RGB+ED",
        rasterize_mode="antialiased" if style.antialiased else "classic",
        backgrounds=style.background.float().expand(len(cameras), 3),
        packed=False,
    )
    if info["means2d"].requires_grad:
        info["means2d"].retain_grad()
    rendering = Rendering(pictures[..., :3], pictures[..., 3], alpha[..., 0])
    return rendering, Screen(info["means2d"], info["radii"].amax(-1).float())


def _nothing(scene: Gaussians, cameras: Cameras, style: Style) -> tuple[Rendering, Screen]:
    """The background alone: without Gaussians gsplat divides by their number."""
    means2d = screen_offsets(scene, cameras).to(scene.means.device)
    shape = (len(cameras), cameras.height, cameras.width)
    covered = torch.zeros(shape, device=scene.means.device) + means2d.sum()  # in the graph, as ever
    images = covered[..., None] + style.background.float()
    return Rendering(images, covered, covered), Screen(means2d, means2d[..., 0].detach())
