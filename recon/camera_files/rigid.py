"""Poses that are rigid but for the rounding of the file that they stand in."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError, CameraError

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""OpenGL cameras look along -z with y up."""
NEARLY_RIGID = 1e-3
"""By how much R Rᵀ may differ from 1; as `Cameras.checked` has it."""
NEARLY_UNIT = 0.01
"""By how much the length of a quaternion may differ from 1: two digits are forgiven, another order or scale is not."""
BOTTOM = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
BOTTOM_WITHIN = 1e-6
"""What single precision makes of the bottom row of a product of matrices."""
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
    far = float(matrices[:, :3, 3].norm(dim=1).max())
    largest = float(matrices[:, :3, 3].abs().max())
    step = last_digit(matrices, largest) / 2
    lost = SINGLE if bool((matrices.float().double() == matrices).all()) else 0.0
    if inverse:
        lost = max(lost, 3 * last_digit(matrices) / 2, float(residual(matrices[:, :3, :3]).max()))
    # two centres differ by twice the error of one; an error in each of three numbers, and in each row of R
    return 2 * (3**0.5 * step + far * lost)


def last_digit(values: Float[Tensor, "..."], size: float = 0.0) -> float:
    """The place of the last decimal digit that is written of numbers of a size, by all numbers of a file: some programs
    write so many decimals of each, others so many digits, of which a large number has fewer behind its point.

    0 for numbers with less than three decimals, which are exact rather than rounded, and for those with all digits of
    double precision.
    """
    numbers = values.flatten().tolist()
    decimals = max((_decimals(x) for x in numbers), default=0)
    if not FEWEST_DECIMALS <= decimals <= MOST_DECIMALS:
        return 0.0
    before_point = math.floor(math.log10(size)) + 1 if size >= 1 else 0
    return 10.0 ** -min(decimals, max(_digits(x) for x in numbers) - before_point)


def half_digit(x: float) -> float:
    """By how much the number may differ that was rounded to what a file says: half its last decimal place."""
    return 10.0 ** -_decimals(x) / 2


def _digits(x: float) -> int:
    """How many digits a number has from its first that is not 0 to its last that is not."""
    return len(repr(abs(x)).partition("e")[0].replace(".", "").strip("0"))


def _decimals(x: float) -> int:
    mantissa, _, exponent = repr(x).partition("e")
    fraction = mantissa.partition(".")[2]
    return max(0, (0 if fraction == "0" else len(fraction)) - int(exponent or 0))


def squared(
    rows: Float[Tensor, "n _ 4"],
    labels: Sequence[str],
    where: str,
    *,
    error: type[BridgeError] = CameraError,
) -> Float[Tensor, "n 4 4"]:
    """Poses of three rows with the bottom row 0 0 0 1; of those with four it is checked. Float64.

    Args:
        rows: [n,3,4] or [n,4,4]; NaN passes, and is found by `Cameras.checked`.
        labels: what an error calls each camera.
        where: the file, for the sentence of an error.
        error: the class of what is raised.

    Raises:
        BridgeError: another bottom row, as a transposed matrix has.
    """
    rows = rows.double()
    if rows.shape[1] == 3:
        return torch.cat([rows, BOTTOM.expand(len(rows), 1, 4)], dim=1)
    odd = ((rows[:, 3] - BOTTOM).abs() > BOTTOM_WITHIN).any(dim=1).nonzero()
    if len(odd):
        i = int(odd[0])
        raise error(
            f"{where}: the bottom row of camera {labels[i]} is {rows[i, 3].tolist()}, expected 0 0 0 1; is the matrix "
            "transposed?"
        )
    return rows


def check_quaternion(
    values: Sequence[float], who: str, where: str, *, error: type[BridgeError] = CameraError
) -> None:
    """Refuses a quaternion whose length is not 1: libraries read zeros as no turn, and other lengths as if they were 1.

    Raises:
        BridgeError: it is not, or not finite.
    """
    length = sum(x * x for x in values) ** 0.5
    if not abs(length - 1) < NEARLY_UNIT:
        raise error(
            f"{where}: {who} has a quaternion of length {length:.4g}, expected a unit quaternion; export the poses again"
        )
