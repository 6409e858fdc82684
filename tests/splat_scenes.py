"""Scenes and cameras for the tests of splatting, and what keeps them away from the jumps of the model."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import SH_C0, Gaussians, sh_bases
from recon.splats.engines import reference
from recon.splats.engines.screen import Style, jacobian_limits


def scene(g: int, generator: torch.Generator, *, sh_degree: int = 3, size: float = 0.12) -> Gaussians:
    """A cloud about the origin of all shapes, opacities and colours, in float64."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Gaussians(
        means=normal(g, 3) * torch.tensor([1.0, 0.7, 0.6]),
        quats_wxyz=normal(g, 4),
        log_scales=normal(g, 3) * 0.7 + math.log(size),
        opacity_logits=normal(g) * 2,
        sh=normal(g, sh_bases(sh_degree), 3) * 0.3,
    )


def layers(depths: list[float], opacities: list[float], *, scale: float = 5.0, **edits: Tensor) -> Gaussians:
    """Round Gaussians one behind the other on the z axis, coloured one channel each in turn."""
    g = len(depths)
    means = torch.zeros(g, 3, dtype=torch.float64)
    means[:, 2] = torch.tensor(depths)
    values = {
        "means": means,
        "quats_wxyz": torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64).repeat(g, 1),
        "log_scales": torch.full((g, 3), math.log(scale), dtype=torch.float64),
        "opacity_logits": torch.tensor(opacities, dtype=torch.float64).logit(),
        "sh": ((torch.eye(3, dtype=torch.float64).repeat(g, 1)[:g] - 0.5) / SH_C0)[:, None],
    }
    return Gaussians(**values | edits)


def orbit(n: int = 1, *, width: int = 53, height: int = 37, distance: float = 3.0) -> Cameras:
    """Cameras that look at the origin, principal point off the middle; by default no multiple of a tile wide."""
    angle = torch.arange(n, dtype=torch.float64) * 0.5
    eye = distance * torch.stack([angle.sin(), 0.2 + 0 * angle, -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(n, 3)
    K = intrinsics(focal_px=0.9 * max(width, height), width=width, height=height, n=n)
    K[:, :2, 2] += torch.tensor([0.06 * width, -0.04 * height], dtype=torch.float64)
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, width, height)


def ahead(width: int = 9, height: int = 7, *, focal_px: float = 10.0) -> Cameras:
    """One camera at the origin that looks along z; its optical axis hits the middle pixel's centre."""
    K = intrinsics(focal_px=focal_px, width=width, height=height)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K, width, height)


def leaves(gaussians: Gaussians) -> Gaussians:
    """A copy whose tensors gather gradients."""
    return Gaussians(**{name: t.detach().clone().requires_grad_() for name, t in gaussians.tensors().items()})


def moved(cameras: Cameras, twists: Tensor) -> Cameras:
    """Cameras moved by exp(twist), each [rotation, translation] in the camera's own frame; twists are n x 6."""
    wx, wy, wz, x, y, z = twists.unbind(-1)
    o = torch.zeros_like(x)
    rows = [o, -wz, wy, x, wz, o, -wx, y, -wy, wx, o, z, o, o, o, o]
    motion = torch.linalg.matrix_exp(torch.stack(rows, -1).reshape(-1, 4, 4))
    return replace(cameras, cam_from_world=motion @ cameras.cam_from_world)


def twist_gradient(pose_gradient: Tensor, pose: Tensor) -> Tensor:
    """Of `moved` at rest, n x 6, from the gradient by the n x 4 x 4 matrices."""
    v = pose_gradient @ pose.mT  # by the 4 x 4 motion that is multiplied from the left
    rotation = [v[:, 2, 1] - v[:, 1, 2], v[:, 0, 2] - v[:, 2, 0], v[:, 1, 0] - v[:, 0, 1]]
    return torch.cat([torch.stack(rotation, -1), v[:, :3, 3]], -1)


def smooth(gaussians: Gaussians, cameras: Cameras, style: Style, margin: float = 3e-4) -> Gaussians:
    """The Gaussians less those that come within about `margin`, relatively, of a jump or kink in any picture.

    What is left, rounding in float32 cannot carry across: engines differ by arithmetic alone.
    """
    while True:
        near = torch.zeros(len(gaussians), dtype=torch.bool)
        for i in range(len(cameras)):
            near |= _near_an_edge(gaussians, cameras[i], style, margin)
        if not near.any():
            return gaussians
        gaussians = gaussians[~near]


def _near_an_edge(gaussians: Gaussians, camera: Cameras, style: Style, margin: float) -> Tensor:
    """Which Gaussians one camera sees close to a jump or kink."""
    splats = reference.project(gaussians, camera, style)
    in_range = (splats.depths > style.near) & (splats.depths < style.far)
    near = _close(splats.depths, style.near, margin) | _close(splats.depths, style.far, margin)
    near |= _near_the_limits_of_the_jacobian(gaussians, camera, margin)
    near |= _near_black(gaussians, camera, style, margin)
    near |= _near_a_threshold_of_alpha(splats, camera, margin)
    order = torch.argsort(torch.where(in_range, splats.depths, torch.inf), stable=True)
    order = order[: int(in_range.sum())]
    near[order] |= _near_a_threshold_of_transmittance(splats, order, camera, style, margin)
    near[order[1:]] |= _close(splats.depths[order][1:], splats.depths[order][:-1], 1e-5)
    return near & in_range


def _close(value: Tensor, edge: float | Tensor, margin: float) -> Tensor:
    return (value / edge - 1).abs() < margin


def _near_the_limits_of_the_jacobian(gaussians: Gaussians, camera: Cameras, margin: float) -> Tensor:
    pose = camera.cam_from_world[0]
    x, y, z = (gaussians.means @ pose[:3, :3].mT + pose[:3, 3]).unbind(-1)
    x_min, x_max, y_min, y_max = jacobian_limits(camera)[0]
    sides = ((x / z, x_min), (x / z, x_max), (y / z, y_min), (y / z, y_max))
    return torch.stack([_close(value, limit, margin) for value, limit in sides]).any(0)


def _near_black(gaussians: Gaussians, camera: Cameras, style: Style, margin: float) -> Tensor:
    darker, lighter = (
        reference.project(replace(gaussians, sh=_brightened(gaussians.sh, by)), camera, style).colors > 0
        for by in (-margin, margin)
    )
    return (darker != lighter).any(-1)


def _brightened(sh: Tensor, by: float) -> Tensor:
    sh = sh.clone()
    sh[:, 0] += by / SH_C0
    return sh


def _near_a_threshold_of_alpha(splats: reference.Splats, camera: Cameras, margin: float) -> Tensor:
    less, more = (
        reference.alphas(replace(splats, opacities=splats.opacities * by), camera.width, camera.height)
        for by in (1 - margin, 1 + margin)
    )
    most = reference.ALPHA_MAX
    return (((less > 0) != (more > 0)) | ((less < most) != (more < most))).flatten(1).any(1)


def _near_a_threshold_of_transmittance(
    splats: reference.Splats, order: Tensor, camera: Cameras, style: Style, margin: float
) -> Tensor:
    alpha = reference.alphas(splats, camera.width, camera.height)[order]
    behind = (1 - alpha).cumprod(0)
    edges = _close(behind, reference.TRANSMITTANCE_MIN, margin)
    if style.median_depth:
        edges |= _close(behind, 0.5, margin / 10)  # little rounding has added up on the way there
    return (edges & (alpha > 0)).flatten(1).any(1)


def relative(a: Tensor, b: Tensor) -> float:
    """‖a - b‖ / ‖b‖."""
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-12))
