"""3D Gaussian splatting in plain torch: slow, small, differentiable, any dtype. The truth other engines meet.

Every convention is gsplat's: low-pass of 0.3 px², alpha = min(opacity · exp(-½ dᵀ Σ⁻¹ d), 0.999), alpha below 1/255
skipped, a pixel closed before its transmittance falls to 1e-4, pixel centres at +0.5, colour evaluated in the
direction from the camera centre to the mean and clamped at 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.screen import Rendering, Screen, jacobian_limits, screen_offsets
from recon.splats.sh import evaluate_sh

LOW_PASS_PX2 = 0.3
NEAR = 0.01
ALPHA_MIN, ALPHA_MAX = 1 / 255, 0.999
TRANSMITTANCE_MIN = 1e-4


def rotation_matrices(quats_wxyz: Float[Tensor, "g 4"]) -> Float[Tensor, "g 3 3"]:
    """Of quaternions that need not be normalised."""
    w, x, y, z = (quats_wxyz / quats_wxyz.norm(dim=-1, keepdim=True).clamp_min(1e-12)).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def project(
    gaussians: Gaussians, cameras: Cameras
) -> tuple[Float[Tensor, "g 2"], Float[Tensor, "g 2 2"], Float[Tensor, "g"]]:
    """Centres in pixels, covariances in px² (low-pass in) and z-depths in the one camera given."""
    dtype = gaussians.means.dtype
    pose, K = cameras.cam_from_world[0].to(dtype), cameras.K[0].to(dtype)
    R = pose[:3, :3]
    x, y, z = (gaussians.means @ R.T + pose[:3, 3]).unbind(-1)
    z = torch.where(z > NEAR, z, torch.ones_like(z))  # what is behind is not drawn; keep it finite
    fx, fy = K[0, 0], K[1, 1]
    x_min, x_max, y_min, y_max = jacobian_limits(cameras)[0].to(dtype)
    tx, ty, o = (x / z).clamp(x_min, x_max), (y / z).clamp(y_min, y_max), torch.zeros_like(z)
    J = torch.stack([fx / z, o, -fx * tx / z, o, fy / z, -fy * ty / z], -1).reshape(-1, 2, 3)
    axes = J @ R @ (rotation_matrices(gaussians.quats_wxyz) * gaussians.log_scales.exp()[:, None])
    covariance = axes @ axes.mT + LOW_PASS_PX2 * torch.eye(2, dtype=dtype)
    return torch.stack([fx * x / z + K[0, 2], fy * y / z + K[1, 2]], -1), covariance, z


def render_one(
    gaussians: Gaussians,
    cameras: Cameras,
    background: Float[Tensor, "3"],
    sh_degree: int,
    means2d_offset: Float[Tensor, "g 2"],
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], Float[Tensor, "h w"], Float[Tensor, "g"]]:
    """Image, Σ weight · depth, alpha and radii [px] in the one camera given."""
    dtype, w, h = gaussians.means.dtype, cameras.width, cameras.height
    centers, covariance, depth = project(gaussians, cameras)
    centers = centers + means2d_offset
    precision = torch.linalg.inv(covariance)
    opacity = gaussians.opacity_logits.sigmoid()
    direction = gaussians.means - cameras.centers.to(dtype)
    color = (0.5 + evaluate_sh(gaussians.sh, direction, sh_degree)).clamp_min(0)
    behind = (gaussians.means @ cameras.cam_from_world[0, 2, :3].to(dtype)) + cameras.cam_from_world[
        0, 2, 3
    ] <= NEAR
    reach = (2 * (255 * opacity.detach()).log()).clamp_min(0).sqrt()
    radii = torch.where(behind, 0, reach * torch.linalg.eigvalsh(covariance.detach())[:, 1].sqrt())

    v, u = torch.meshgrid(
        torch.arange(h, dtype=dtype) + 0.5, torch.arange(w, dtype=dtype) + 0.5, indexing="ij"
    )
    light, depth_sum = torch.ones(h, w, dtype=dtype), torch.zeros(h, w, dtype=dtype)
    image = torch.zeros(h, w, 3, dtype=dtype) + 0 * centers.sum()  # in the graph, also where nothing is seen
    closed = torch.zeros(h, w, dtype=torch.bool)
    for k in torch.argsort(depth.detach(), stable=True).tolist():
        if behind[k] or not torch.isfinite(precision[k]).all():
            continue
        dx, dy, P = centers[k, 0] - u, centers[k, 1] - v, precision[k]
        power = -0.5 * (P[0, 0] * dx * dx + P[1, 1] * dy * dy) - P[0, 1] * dx * dy
        alpha = (opacity[k] * power.exp()).clamp_max(ALPHA_MAX)
        alpha = torch.where((alpha >= ALPHA_MIN) & ~closed, alpha, 0)
        closed = closed | (light * (1 - alpha) <= TRANSMITTANCE_MIN)
        alpha = torch.where(closed, 0, alpha)
        weight = light * alpha
        image = image + weight[..., None] * color[k]
        depth_sum = depth_sum + weight * depth[k]
        light = light - weight
    return image + light[..., None] * background.to(dtype), depth_sum, 1 - light, radii


def render(
    gaussians: Gaussians, cameras: Cameras, background: Float[Tensor, "3"], sh_degree: int
) -> tuple[Rendering, Screen]:
    """Pictures of all cameras; one after the other."""
    means2d = screen_offsets(gaussians, cameras)
    parts = [
        render_one(gaussians, cameras[i], background, sh_degree, means2d[i]) for i in range(len(cameras))
    ]
    images, depth_sum, alpha, radii = (torch.stack(p) for p in zip(*parts, strict=True))
    return Rendering.from_sums(images, depth_sum, alpha), Screen(means2d, radii)
