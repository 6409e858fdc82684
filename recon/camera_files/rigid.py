"""Poses that are rigid but for the rounding of the file that they stand in."""

import torch
from jaxtyping import Float
from torch import Tensor

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""OpenGL cameras look along -z with y up."""
NEARLY_RIGID = 1e-3
"""By how much R Rᵀ may differ from 1; as `Cameras.checked` has it."""
SINGLE = 2.0**-22
"""What some operations in single precision lose."""
FEWEST_DECIMALS, MOST_DECIMALS = 3, 14
"""Of rounded numbers: with less they were written by hand, with more they have all digits of double precision."""


def inverse_rigid(b_from_a: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """``a_from_b``; what is scaled or sheared stays so, and is found by `Cameras.checked`."""
    out = torch.zeros_like(b_from_a)
    R = orthonormal(b_from_a[:, :3, :3]).mT
    out[:, :3, :3] = R
    out[:, :3, 3] = -(R @ b_from_a[:, :3, 3:])[..., 0]
    out[:, 3, 3] = 1
    return out


def orthonormal(R: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """The nearest rotations of matrices that are rotations but for rounding, the others as they are.

    Far from the origin a camera centre is wrong by the whole distance times what rounding did to the rotation.
    """
    near = residual(R) <= NEARLY_RIGID
    if not bool(near.any()):
        return R
    U, _, Vt = torch.linalg.svd(R[near])
    out = R.clone()
    out[near] = U @ Vt
    return out


def residual(R: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
    """By how much R Rᵀ differs from 1: what rounding, or single precision, did to a rotation."""
    eye = torch.eye(3, dtype=R.dtype)
    return (R @ R.mT - eye).abs().flatten(1).amax(1).nan_to_num(nan=torch.inf)


def still_within(matrices: Float[Tensor, "n _ 4"], *, inverse: bool) -> float:
    """How far apart the centres of a camera that stands still may come out, in the file's unit: by the digits of its
    numbers, and by how far its rotations are from being some.

    Args:
        matrices: poses as the file has them.
        inverse: whether centres must be computed back from rotation and translation.
    """
    if not bool(torch.isfinite(matrices).all()):
        return 0.0
    step = last_digit(matrices) / 2
    lost = SINGLE if bool((matrices.float().double() == matrices).all()) else 0.0
    if inverse:
        lost = max(lost, 3 * step, float(residual(matrices[:, :3, :3]).max()))
    far = float(matrices[:, :3, 3].norm(dim=1).max())
    # two centres differ by twice the error of one; an error in each of three numbers, and in each row of R
    return 2 * (3**0.5 * step + far * lost)


def last_digit(values: Float[Tensor, "..."]) -> float:
    """The place of the last decimal digit that is written anywhere; 0 for numbers with less than three decimals, which
    are exact rather than rounded, and for those with all digits of double precision."""
    decimals = max((_decimals(x) for x in values.flatten().tolist()), default=0)
    return 10.0**-decimals if FEWEST_DECIMALS <= decimals <= MOST_DECIMALS else 0.0


def _decimals(x: float) -> int:
    mantissa, _, exponent = repr(x).partition("e")
    fraction = mantissa.partition(".")[2]
    return max(0, (0 if fraction == "0" else len(fraction)) - int(exponent or 0))


def squared(rows: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 4 4"]:
    """With the bottom row 0 0 0 1."""
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=rows.dtype).expand(len(rows), 1, 4)
    return torch.cat([rows, bottom], dim=1)
