"""Style and results of rendering, and computations that all engines share."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.gaussians import Gaussians


@dataclass(frozen=True)
class Style:
    """Style of rendering; `recon.splats.render` checks it for the engines."""

    background: Float[Tensor, "3"]
    """sRGB behind the scene."""
    sh_degree: int
    """Spherical harmonics in use, 0 to 3 and at most what the scene has."""
    antialiased: bool = False
    """Scale opacity by what the low-pass adds to a Gaussian's area on the screen, so that what is smaller than a
    pixel fades rather than grows (Yu et al. 2024, Mip-Splatting, as gsplat's rasterize_mode="antialiased")."""
    near: float = 0.01
    far: float = 1e10
    """Drawn are the Gaussians whose z-depth lies strictly between `near` and `far`, in units of the scene."""
    median_depth: bool = False
    """Whether `Rendering.depth_median` is wanted."""


@dataclass(frozen=True)
class Rendering:
    """Pictures of a scene from n cameras."""

    images: Float[Tensor, "n h w 3"]
    """sRGB; may exceed 1, never falls below 0 unless the background does."""
    depth: Float[Tensor, "n h w"]
    """Expected z-depth, Σ weight · depth / Σ weight; 0 where alpha is 0."""
    alpha: Float[Tensor, "n h w"]
    """How much of a pixel the scene covers, in [0, 1]."""
    depth_median: Float[Tensor, "n h w"] | None = None
    """z-depth of the Gaussian at which transmittance falls to a half, 0 where it never does: sharp at edges, where
    the expected depth lies between what is in front and what is behind. Differentiable in that Gaussian's depth
    only. None unless asked for."""

    @staticmethod
    def from_sums(
        images: Float[Tensor, "n h w 3"],
        depth_sum: Float[Tensor, "n h w"],
        alpha: Float[Tensor, "n h w"],
        depth_median: Float[Tensor, "n h w"] | None = None,
    ) -> "Rendering":
        """From Σ weight · depth instead of the expected depth."""
        return Rendering(images, depth_sum / alpha.clamp_min(1e-10), alpha, depth_median)


@dataclass(frozen=True)
class Screen:
    """Statistics of a rendering for densification."""

    means2d: Float[Tensor, "n g 2"]
    """A tensor whose `.grad` is, after backward, the loss's gradient by the Gaussians' centres in pixels."""
    radii_px: Float[Tensor, "n g"]
    """Radius on the screen within which alpha reaches 1/255; 0 where a Gaussian is not seen: not drawn, or the box
    about it holds no pixel's centre. gsplat gives half the box's longer side, in whole pixels."""


def screen_offsets(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, "n g 2"]:
    """Zeros to add to the centres in pixels; they gather a gradient where the scene does.

    A leaf in the scene's dtype and on its device: a copy of it in another would gather none.
    """
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in gaussians.tensors().values())
    means = gaussians.means
    return torch.zeros(
        len(cameras), len(gaussians), 2, dtype=means.dtype, device=means.device, requires_grad=learns
    )


def jacobian_limits(cameras: Cameras) -> Float[Tensor, "n 4"]:
    """x / z and y / z (min, max, min, max) past which the projection's Jacobian is held, as in gsplat.

    30 % of half the field of view past each border: beyond it the local affine approximation blows up.
    """
    fx, fy, cx, cy = cameras.K[:, 0, 0], cameras.K[:, 1, 1], cameras.K[:, 0, 2], cameras.K[:, 1, 2]
    w, h = cameras.width, cameras.height
    margin_x, margin_y = 0.15 * w / fx, 0.15 * h / fy
    return torch.stack(
        [-cx / fx - margin_x, (w - cx) / fx + margin_x, -cy / fy - margin_y, (h - cy) / fy + margin_y], -1
    )
