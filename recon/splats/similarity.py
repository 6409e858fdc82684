"""Turn, scale and move a scene of Gaussians without changing what it looks like."""

import math
from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from recon.gaussians import Gaussians, sh_bases
from recon.sim3 import Sim3
from recon.splats.sh import MAX_DEGREE, sh_basis

SH_FIT_DIRECTIONS = 200
"""Directions that the per-band fit of turned spherical harmonics uses; 7 would do for degree 3, more average out
rounding: the error is below 1e-14."""
SH_ROUNDING = 1e-12
"""Entries of a turn nearer than this to −1, 0 or 1 are rounding errors; without them half-turns are exact signs."""


def transform_gaussians(gaussians: Gaussians, b_from_a: Sim3) -> Gaussians:
    """Carry a scene from frame a to frame b: means, axes, scales and view-dependent colour.

    Computed in float64, returned in the scene's own dtype. Opacity does not change.

    Example:
        >>> metric = transform_gaussians(scene, enu_from_world)
    """
    turned = turn_gaussians(gaussians, b_from_a.rotation)
    scale = b_from_a.scale.double()
    means = b_from_a.points(gaussians.means.detach().cpu().double())
    return replace(
        turned,
        means=means.to(gaussians.means),
        log_scales=turned.log_scales + float(scale.log()),
    )


def turn_gaussians(gaussians: Gaussians, b_from_a: Float[Tensor, "3 3"]) -> Gaussians:
    """Turn a scene about the origin by an orthogonal matrix.

    A matrix of determinant −1 is allowed: it carries a scene out of left-handed coordinates.
    """
    turn = b_from_a.detach().cpu().double()
    means = gaussians.means.detach().cpu().double() @ turn.T
    # A mirror times a mirrored local axis is a rotation, and the sign of an axis does not change an ellipsoid.
    proper = turn if torch.det(turn) > 0 else -turn
    quats = _multiply(_quat_from_matrix(proper), gaussians.quats_wxyz.detach().cpu().double())
    return replace(
        gaussians,
        means=means.to(gaussians.means),
        quats_wxyz=quats.to(gaussians.quats_wxyz),
        sh=turn_sh(gaussians.sh, turn),
    )


def turn_sh(sh: Float[Tensor, "g k 3"], b_from_a: Float[Tensor, "3 3"]) -> Float[Tensor, "g k 3"]:
    """Coefficients that show in direction R·d what `sh` showed in direction d."""
    degree = round(sh.shape[1] ** 0.5) - 1
    rows = tuple(map(tuple, b_from_a.detach().cpu().double().tolist()))
    matrix = sh_turn_matrix(rows, degree).to(sh)
    bands = [sh[:, :1]]
    for band in range(1, degree + 1):
        part = slice(sh_bases(band - 1), sh_bases(band))
        bands.append(matrix[part, part] @ sh[:, part])
    return torch.cat(bands, 1)


@lru_cache(maxsize=64)
def sh_turn_matrix(b_from_a: tuple[tuple[float, ...], ...], degree: int = MAX_DEGREE) -> Float[Tensor, "k k"]:
    """Block-diagonal matrix that turns spherical harmonics; fitted band by band, float64.

    Args:
        b_from_a: rows of an orthogonal matrix; a tuple, so that results can be kept.
        degree: largest band.
    """
    turn = torch.tensor(b_from_a, dtype=torch.float64)
    directions = even_directions(SH_FIT_DIRECTIONS)
    target, source = sh_basis(directions, degree), sh_basis(directions @ turn, degree)
    matrix = torch.eye(sh_bases(degree), dtype=torch.float64)
    for band in range(1, degree + 1):
        part = slice(sh_bases(band - 1), sh_bases(band))
        matrix[part, part] = torch.linalg.pinv(target[:, part]) @ source[:, part]
    whole = matrix.round()
    return torch.where((matrix - whole).abs() < SH_ROUNDING, whole, matrix)


def even_directions(count: int) -> Float[Tensor, "n 3"]:
    """Unit vectors spread evenly over a Fibonacci sphere, float64."""
    i = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * i + 1) / max(count, 1)
    ring, angle = (1 - z * z).sqrt(), math.pi * (3 - 5**0.5) * i
    return torch.stack([ring * angle.cos(), ring * angle.sin(), z], -1)


def _quat_from_matrix(rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "4"]:
    """The unit quaternion (wxyz) of a rotation."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(rotation.numpy()).as_quat()  # scipy counts xyzw
    quat = torch.tensor([w, x, y, z], dtype=torch.float64)
    quat[quat.abs() < SH_ROUNDING] = 0
    return quat


def _multiply(left: Float[Tensor, "4"], right: Float[Tensor, "g 4"]) -> Float[Tensor, "g 4"]:
    """The Hamilton product of one quaternion with many, wxyz."""
    w, x, y, z = left.tolist()
    matrix = torch.tensor([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]], dtype=right.dtype)
    return right @ matrix.T
