"""gsplat's own training of a scene, as its `simple_trainer` does by default, on given pictures and points.

Rates, schedules, start and density control are those of `examples/simple_trainer.py default` of gsplat 1.5 for 30,000
steps, of which any number may be taken; a step is one picture. Its strategy is gsplat's `DefaultStrategy`.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.gaussians import SH_C0, Gaussians, nearest_distances, sh_bases
from recon.points import PointCloud
from recon.splats.loss import ssim_map
from recon.splats.render import render_with_screen
from recon.splats.start import camera_spread

MAX_STEPS, SH_DEGREE, SH_EVERY = 30_000, 3, 1000
RATES = {"scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh0": 2.5e-3, "shN": 2.5e-3 / 20}
MEANS_RATE, MEANS_END, OPACITY, LAMBDA_DSSIM = 1.6e-4, 0.01, 0.1, 0.2


def train(
    clip: Clip,
    points: PointCloud,
    *,
    steps: int,
    device: str,
    generator: torch.Generator,
    watch: Callable[[int], None] = lambda step: None,
) -> Gaussians:
    """The scene after so many steps, on the CPU; `watch` is told of each."""
    from gsplat.strategy import DefaultStrategy

    cameras, images = clip.require_cameras(), clip.images.to(device)
    extent = camera_spread(cameras)
    params = _start(points, device)
    adams = {
        name: torch.optim.Adam(
            [{"params": value, "lr": RATES.get(name, MEANS_RATE * extent), "name": name}],
            eps=1e-15,
            fused=True,
        )
        for name, value in params.items()
    }
    decay = torch.optim.lr_scheduler.ExponentialLR(adams["means"], gamma=MEANS_END ** (1 / MAX_STEPS))
    strategy = DefaultStrategy()
    strategy.check_sanity(params, adams)  # pyright: ignore[reportArgumentType]
    state = strategy.initialize_state(scene_scale=extent)
    order: list[int] = []
    for step in range(steps):
        order = order or torch.randperm(len(clip), generator=generator).tolist()
        image = order.pop()
        degree = min(step // SH_EVERY, SH_DEGREE)
        picture, info = _draw(params, cameras[image], degree, device)
        strategy.step_pre_backward(params, adams, state, step, info)  # pyright: ignore[reportArgumentType]
        truth = images[image]
        loss = torch.nn.functional.l1_loss(picture, truth)
        loss = torch.lerp(loss, 1 - ssim_map(picture, truth).mean(), LAMBDA_DSSIM)
        loss.backward()
        for adam in adams.values():
            adam.step()
            adam.zero_grad(set_to_none=True)
        decay.step()
        strategy.step_post_backward(params, adams, state, step, info, packed=False)  # pyright: ignore[reportArgumentType]
        watch(step + 1)
    p = {name: value.detach().cpu() for name, value in params.items()}
    return Gaussians(p["means"], p["quats"], p["scales"], p["opacities"], torch.cat([p["sh0"], p["shN"]], 1))


def _start(points: PointCloud, device: str) -> torch.nn.ParameterDict:
    p = len(points)
    sh = torch.zeros(p, sh_bases(SH_DEGREE), 3)
    sh[:, 0] = (points.rgb.float() - 0.5) / SH_C0
    start = {
        "means": points.xyz.float(),
        "scales": nearest_distances(points.xyz.float()).log()[:, None].repeat(1, 3),
        "quats": torch.tensor([1.0, 0, 0, 0]).repeat(p, 1),
        "opacities": torch.full((p,), math.log(OPACITY / (1 - OPACITY))),
        "sh0": sh[:, :1],
        "shN": sh[:, 1:],
    }
    return torch.nn.ParameterDict(
        {name: torch.nn.Parameter(t.contiguous().to(device)) for name, t in start.items()}
    )


def _draw(
    params: torch.nn.ParameterDict, camera: Cameras, degree: int, device: str
) -> tuple[Tensor, dict[str, Any]]:
    """The picture, and what the strategy asks of it; where there is no GPU, by the engine that there is."""
    sh = torch.cat([params["sh0"], params["shN"]], 1)
    scene = params["means"], params["quats"], params["scales"], params["opacities"]
    if device == "cpu":
        drawn, screen = render_with_screen(Gaussians(*scene, sh), camera, sh_degree=degree)
        radii = screen.radii_px[..., None].expand(-1, -1, 2)
        about = {"width": camera.width, "height": camera.height, "n_cameras": 1, "gaussian_ids": None}
        return drawn.images[0], {"means2d": screen.means2d, "radii": radii} | about
    from gsplat import rasterization

    means, quats, scales, opacities = scene
    pictures, _, info = rasterization(
        means=means,
        quats=quats,
        scales=scales.exp(),
        opacities=opacities.sigmoid(),
        colors=sh,
        viewmats=camera.cam_from_world.to(device, torch.float32),
        Ks=camera.K.to(device, torch.float32),
        width=camera.width,
        height=camera.height,
        near_plane=0.01,
        far_plane=1e10,
        sh_degree=degree,
        packed=False,
    )
    return pictures[0], info
