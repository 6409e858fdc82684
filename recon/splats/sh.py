"""Colour that depends on the viewing direction: real spherical harmonics, ordered and signed as in 3DGS."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from recon.gaussians import SH_C0, sh_bases

MAX_DEGREE = 3
"""Highest degree of the basis; files and engines go no further."""


def sh_basis(direction: Float[Tensor, "g 3"], degree: int) -> Float[Tensor, "g k"]:
    """Values of the (degree + 1)² basis functions; directions need not be normalised (Ramamoorthi & Hanrahan 2001)."""
    x, y, z = normalize(direction, dim=-1).unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    c1, c2, c3 = 0.4886025119029199, 1.0925484305920792, 0.4570457994644658
    basis = [torch.full_like(x, SH_C0), -c1 * y, c1 * z, -c1 * x]
    basis += [
        c2 * x * y,
        -c2 * y * z,
        0.31539156525252005 * (2 * zz - xx - yy),
        -c2 * x * z,
        c2 / 2 * (xx - yy),
    ]
    basis += [
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -c3 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -c3 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    return torch.stack(basis[: sh_bases(degree)], -1)


def evaluate_sh(
    sh: Float[Tensor, "g k 3"], direction: Float[Tensor, "g 3"], degree: int
) -> Float[Tensor, "g 3"]:
    """Σ sh · Y(direction) up to `degree`; differentiable in both."""
    basis = sh_basis(direction, degree)
    return (basis[..., None] * sh[:, : basis.shape[1]]).sum(1)
