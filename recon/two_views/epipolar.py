"""Do matched points agree with two cameras? Epipolar distances in pixels.

Hartley & Zisserman, Multiple View Geometry, 2nd edition, chapters 9 and 11. Points are pixels with the
centre of the top-left pixel at (0.5, 0.5), as `Cameras.K` counts.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import CameraError


def fundamental(a: Cameras, b: Cameras, *, min_baseline: float = 0.0) -> Float[Tensor, "n 3 3"]:
    """F with ``x_bᵀ F x_a = 0``, of unit Frobenius norm, for cameras paired by position in their batches.

    NaN (undefined) where the two centres coincide up to rounding or lie no further apart than
    `min_baseline` (in units of the world): under pure rotation points obey a homography and no epipolar line.
    """
    if len(a) != len(b):
        raise CameraError(f"expected cameras paired one to one, got {len(a)} and {len(b)}")
    b_from_a = b.cam_from_world.double() @ a.world_from_cam.double()
    R, t = b_from_a[:, :3, :3], b_from_a[:, :3, 3]
    F = torch.linalg.inv(b.K.double()).mT @ _cross_matrix(t) @ R @ torch.linalg.inv(a.K.double())
    scale = torch.maximum(a.centers.norm(dim=-1), b.centers.norm(dim=-1)).double().clamp_min(1e-12)
    apart = t.norm(dim=-1) > torch.clamp_min(1e-9 * scale, min_baseline)
    return torch.where(apart[:, None, None], F / F.flatten(1).norm(dim=-1)[:, None, None], torch.nan)


def sampson_px(
    F: Float[Tensor, "*b 3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> Float[Tensor, "*b m"]:
    """Square root of the Sampson distance (H&Z eq. 11.9): to first order, how many pixels the pair of points
    (as one point of R⁴) would have to move to satisfy F. NaN where F is undefined."""
    return signed_sampson_px(F, xy_a, xy_b).abs()


def signed_sampson_px(
    F: Float[Tensor, "*b 3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> Float[Tensor, "*b m"]:
    """`sampson_px` with the side of the epipolar line on which the match lies: the first-order correction.

    The sign of all matches flips with the arbitrary sign of F; away from the epipole it is continuous over the
    picture, so that neighbouring matches which are displaced alike have like signs.
    """
    residual, line_b, line_a = _lines(F, xy_a, xy_b)
    gradient = line_b[..., :2].square().sum(-1) + line_a[..., :2].square().sum(-1)
    return residual / gradient.sqrt().clamp_min(1e-300)


def symmetric_epipolar_px(
    F: Float[Tensor, "3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> Float[Tensor, "m"]:
    """Square root of the symmetric epipolar distance (H&Z eq. 11.10): √(d_a² + d_b²), with d the distance of a
    point from the other point's epipolar line. NaN where F is undefined."""
    d_a, d_b = _line_distances(F, xy_a, xy_b)
    return torch.hypot(d_a, d_b)


def mean_epipolar_px(
    F: Float[Tensor, "3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> Float[Tensor, "m"]:
    """½(d_a + d_b), the mean of the two point-to-line distances: the symmetric epipolar distance (SED) of Yu et
    al. 2023 as their published code computes it. NaN where F is undefined."""
    d_a, d_b = _line_distances(F, xy_a, xy_b)
    return (d_a + d_b) / 2


def pair_error_px(
    a: Cameras,
    b: Cameras,
    xy_a: Float[Tensor, "m 2"],
    xy_b: Float[Tensor, "m 2"],
    *,
    min_baseline: float = 0.0,
) -> Float[Tensor, "m"]:
    """`sampson_px` of matches between two single cameras; all NaN where the centres coincide."""
    return sampson_px(fundamental(a, b, min_baseline=min_baseline)[0], xy_a, xy_b)


def _line_distances(
    F: Float[Tensor, "3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m"]]:
    """Distances of the points of a and of b from the epipolar line of the other, in pixels."""
    residual, line_b, line_a = _lines(F, xy_a, xy_b)
    d_b = residual.abs() / line_b[:, :2].norm(dim=-1).clamp_min(1e-300)
    d_a = residual.abs() / line_a[:, :2].norm(dim=-1).clamp_min(1e-300)
    return d_a, d_b


def _lines(
    F: Float[Tensor, "*b 3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> tuple[Float[Tensor, "*b m"], Float[Tensor, "*b m 3"], Float[Tensor, "*b m 3"]]:
    """The algebraic residual, the epipolar lines in picture b, and those in picture a."""
    x_a, x_b = homogeneous(xy_a), homogeneous(xy_b)
    line_b, line_a = x_a @ F.double().mT, x_b @ F.double()
    return (x_b * line_b).sum(-1), line_b, line_a


def homogeneous(xy: Float[Tensor, "m 2"]) -> Float[Tensor, "m 3"]:
    """Pixels with a third coordinate of 1, float64."""
    return torch.nn.functional.pad(xy.double(), (0, 1), value=1.0)


def _cross_matrix(t: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    x, y, z = t.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
