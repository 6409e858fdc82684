"""3D Gaussian splatting in plain torch: slow, small, differentiable, any dtype. Other engines are tested against it.

Every convention is gsplat's (Ye et al. 2025): pixel centres at +0.5; a low-pass of 0.3 px² on the screen;
alpha = min(opacity · exp(-½ dᵀ Σ⁻¹ d), 0.999); colour evaluated in the direction from the camera centre, -Rᵀt, to
the mean, plus 0.5, clamped at 0; blended front to back, equal depths in the order of the scene.

The picture is a smooth function of scene and poses but for

- jumps where an alpha passes 1/255 (below, it is skipped), where transmittance would fall to 1e-4 (the pixel closes
  before that Gaussian), where two depths change places, where a depth passes `near` or `far`, and, in the median
  depth, where transmittance passes a half;
- kinks where an alpha is held at 0.999, a colour at 0, or the projection's Jacobian at the limits of its field of
  view (`jacobian_limits`).

Derivatives are those of the smooth pieces. Not drawn, with derivatives of 0, is what lies outside (near, far), whose
alpha nowhere reaches 1/255, whose box on the screen holds no pixel's centre, or what has no finite projection. A scale
of 0 is a point, which the low-pass alone makes visible; antialiased, it has no area and is not drawn. A quaternion of
0 is no rotation. No Gaussians at all are the background.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.engines.screen import Rendering, Screen, Style, jacobian_limits, screen_offsets
from recon.splats.sh import evaluate_sh

LOW_PASS_PX2 = 0.3
"""Variance in px² added to every Gaussian on the screen, from 3DGS: none is thinner than a pixel. Doubled, pictures blur."""
ALPHA_MIN, ALPHA_MAX = 1 / 255, 0.999
"""Coverage below which a Gaussian is skipped at a pixel, and the most it covers; 3DGS's and gsplat's."""
TRANSMITTANCE_MIN = 1e-4
"""Blending stops before a pixel lets through less than this share of light, from 3DGS; far below a level of 1/255."""


@dataclass(frozen=True)
class Splats:
    """s Gaussians as one camera sees them."""

    centers: Float[Tensor, "s 2"]
    """In pixels."""
    conics: Float[Tensor, "s 3"]
    """Inverse of the covariance on the screen, low-pass in: xx, xy, yy in 1 / px²."""
    opacities: Float[Tensor, "s"]
    """In [0, 1]; antialiased already."""
    colors: Float[Tensor, "s 3"]
    depths: Float[Tensor, "s"]
    """z-depth."""
    extents_px: Float[Tensor, "s 2"]
    """Half the sides of the box, along x and y, within which alpha reaches 1/255; not differentiable."""
    radii_px: Float[Tensor, "s"]
    """Radius of the circle within which alpha reaches 1/255; not differentiable."""


def rotation_matrices(quats_wxyz: Float[Tensor, "g 4"]) -> Float[Tensor, "g 3 3"]:
    """Rotation matrices of quaternions (wxyz) that need not be normalised."""
    w, x, y, z = (quats_wxyz / quats_wxyz.norm(dim=-1, keepdim=True).clamp_min(1e-12)).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def project(gaussians: Gaussians, cameras: Cameras, style: Style) -> Splats:
    """Projects all Gaussians into one camera, in their order (EWA splatting, Zwicker et al. 2001).

    Those that the camera does not draw have values that mean nothing, and may be infinite.
    """
    dtype = gaussians.means.dtype
    pose, K = cameras.cam_from_world[0].to(dtype), cameras.K[0].to(dtype)
    R, t = pose[:3, :3], pose[:3, 3]
    fx, fy, center = K[0, 0], K[1, 1], K[:2, 2]
    x, y, z = (gaussians.means @ R.T + t).unbind(-1)
    x_min, x_max, y_min, y_max = jacobian_limits(cameras)[0].to(dtype)
    tx, ty, o = (x / z).clamp(x_min, x_max), (y / z).clamp(y_min, y_max), torch.zeros_like(z)
    J = torch.stack([fx / z, o, -fx * tx / z, o, fy / z, -fy * ty / z], -1).reshape(-1, 2, 3)
    axes = J @ R @ (rotation_matrices(gaussians.quats_wxyz) * gaussians.log_scales.exp()[:, None])
    covariances, conics, compensation = _on_screen(axes)
    opacities = gaussians.opacity_logits.sigmoid() * (compensation if style.antialiased else 1)
    direction = gaussians.means + R.T @ t  # from the camera centre, -Rᵀt
    extents, radii = _reach(covariances.detach(), opacities.detach())
    return Splats(
        centers=torch.stack([fx * x / z, fy * y / z], -1) + center,
        conics=conics,
        opacities=opacities,
        colors=(0.5 + evaluate_sh(gaussians.sh, direction, style.sh_degree)).clamp_min(0),
        depths=z,
        extents_px=extents,
        radii_px=radii,
    )


def _on_screen(
    axes: Float[Tensor, "s 2 3"],
) -> tuple[Float[Tensor, "s 3"], Float[Tensor, "s 3"], Float[Tensor, "s"]]:
    """Covariances with the low-pass in, their inverses (both xx, xy, yy), and √(det Σ / det (Σ + low-pass)).

    Σ is axes axesᵀ, and √(det Σ) the length of a cross product: needles do not cancel, in any dtype.
    """
    u, v = axes.unbind(1)
    area = torch.linalg.cross(u, v).norm(dim=-1)
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    det = area**2 + LOW_PASS_PX2 * (uu + vv) + LOW_PASS_PX2**2
    xx, yy = uu + LOW_PASS_PX2, vv + LOW_PASS_PX2
    covariances, adjugates = torch.stack([xx, uv, yy], -1), torch.stack([yy, -uv, xx], -1)
    return covariances, adjugates / det[:, None], area / det.sqrt()


def _reach(
    covariances: Float[Tensor, "s 3"], opacities: Float[Tensor, "s"]
) -> tuple[Float[Tensor, "s 2"], Float[Tensor, "s"]]:
    """Extents and radii of where opacity · exp(-½ dᵀ Σ⁻¹ d) ≥ 1/255; 0 where it never is."""
    xx, xy, yy = covariances.unbind(-1)
    largest_eigenvalue = (xx + yy) / 2 + (((xx - yy) / 2) ** 2 + xy**2).sqrt()
    deviations = (2 * (opacities / ALPHA_MIN).log()).clamp_min(0).sqrt()
    return deviations[:, None] * torch.stack([xx, yy], -1).sqrt(), deviations * largest_eigenvalue.sqrt()


def sort_drawn(splats: Splats, cameras: Cameras, style: Style) -> Int[Tensor, "d"]:
    """Indices of the Gaussians that are drawn, front to back; equal depths by index."""
    size = splats.centers.new_tensor([cameras.width, cameras.height])
    nearest_pixel = (splats.centers - 0.5).round().clamp_min(0).minimum(size - 1) + 0.5
    inside = ((splats.centers - nearest_pixel).abs() <= splats.extents_px).all(-1)
    seen = (
        inside
        & (splats.depths > style.near)
        & (splats.depths < style.far)
        & (splats.opacities >= ALPHA_MIN)
        & splats.conics.isfinite().all(-1)
    )
    index = seen.nonzero()[:, 0]
    return index[torch.argsort(splats.depths[index], stable=True)]


def alphas(splats: Splats, width: int, height: int) -> Float[Tensor, "s h w"]:
    """How much of each pixel each Gaussian covers; 0 where it is skipped."""
    dtype = splats.centers.dtype
    dx = splats.centers[:, 0, None, None] - (torch.arange(width, dtype=dtype) + 0.5)
    dy = splats.centers[:, 1, None, None] - (torch.arange(height, dtype=dtype) + 0.5)[:, None]
    xx, xy, yy = splats.conics[:, :, None, None].unbind(1)
    alpha = splats.opacities[:, None, None] * (-0.5 * (xx * dx * dx + yy * dy * dy) - xy * dx * dy).exp()
    return torch.where(alpha >= ALPHA_MIN, alpha.clamp_max(ALPHA_MAX), 0)


def blend(
    splats: Splats, width: int, height: int, background: Float[Tensor, "3"]
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"], Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Image, Σ weight · depth, coverage and median depth of Gaussians that come front to back."""
    alpha = alphas(splats, width, height)
    behind = (1 - alpha).cumprod(0)
    before = torch.cat([torch.ones_like(behind[:1]), behind[:-1]])
    # Transmittance never rises, so a pixel that one Gaussian closes is closed for all that follow.
    weight = torch.where(behind > TRANSMITTANCE_MIN, before * alpha, 0)
    covered = weight.sum(0)
    image = torch.einsum("shw,sc->hwc", weight, splats.colors) + (1 - covered)[..., None] * background
    halfway = (behind > 0.5).sum(0)  # the first that leaves at most a half, or one past the last
    median = torch.cat([splats.depths, splats.depths.new_zeros(1)])[halfway]
    return image, torch.einsum("shw,s->hw", weight, splats.depths), covered, median


def render(gaussians: Gaussians, cameras: Cameras, style: Style) -> tuple[Rendering, Screen]:
    """Pictures of all cameras in the dtype of the scene, one after the other.

    Differentiable in the scene, in `Screen.means2d`, `cameras.cam_from_world` and the background.
    """
    means2d = screen_offsets(gaussians, cameras)
    radii = torch.zeros_like(means2d[..., 0], requires_grad=False)
    background = style.background.to(gaussians.means.dtype)
    pictures = []
    for i in range(len(cameras)):
        with (
            torch.no_grad()
        ):  # what is not drawn stays out of the graph, where its infinities would turn to NaN
            everything = project(gaussians, cameras[i], style)
            index = sort_drawn(everything, cameras[i], style)
            radii[i, index] = everything.radii_px[index]
        splats = project(gaussians[index], cameras[i], style)
        splats = replace(splats, centers=splats.centers + means2d[i, index])
        pictures.append(blend(splats, cameras.width, cameras.height, background))
    images, depth_sum, alpha, median = (torch.stack(p) for p in zip(*pictures, strict=True))
    rendering = Rendering.from_sums(images, depth_sum, alpha, median if style.median_depth else None)
    return rendering, Screen(means2d, radii)
