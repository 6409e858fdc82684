"""Rigid transforms read from files, and the precision of their decimals."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError, CameraError

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""Flip between camera axes: OpenGL cameras look along -z with y up."""
MAX_RIGID_RESIDUAL = 1e-3
"""Largest entry of R Rᵀ - 1 of a rotation, as in `Cameras.validate`: three written decimals. Doubled, matrices with a scale
of a thousandth would be rounded to rotations in silence."""
MAX_QUATERNION_LENGTH_ERROR = 0.01
"""Largest error of a quaternion's length: two written decimals pass, a wrong order of columns or a scale does not."""
BOTTOM = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
"""Bottom row of a homogeneous matrix."""
BOTTOM_TOLERANCE = 1e-6
"""Largest error of the bottom row: what products of matrices in single precision leave."""
SINGLE_PRECISION_LOSS = 2.0**-22
"""Relative error of numbers computed in single precision: the last bit, after two or three operations."""
MIN_DECIMALS, MAX_DECIMALS = 3, 14
"""Decimals of rounded numbers: fewer were written by hand and are exact, more are all that double precision has."""


def inverse_rigid(b_from_a: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """Invert rigid transforms: ``a_from_b``.

    Scaled or sheared ones stay so, for `Cameras.validate` to find.
    """
    out = torch.zeros_like(b_from_a)
    R = orthonormal(b_from_a[:, :3, :3]).mT
    out[:, :3, :3] = R
    out[:, :3, 3] = -(R @ b_from_a[:, :3, 3:])[..., 0]
    out[:, 3, 3] = 1
    return out


def orthonormal(R: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """Replace matrices that are rotations up to rounding by the nearest rotations (SVD).

    Other matrices stay as they are. Without this, rounding of R shifts the centre of a camera far from the origin by the
    rounding error times the distance.
    """
    near = residual(R) <= MAX_RIGID_RESIDUAL
    if not bool(near.any()):
        return R
    U, _, Vt = torch.linalg.svd(R[near])
    out = R.clone()
    out[near] = U @ Vt
    return out


def residual(R: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n"]:
    """Largest absolute entry of R Rᵀ - 1; infinity where R has NaN."""
    eye = torch.eye(3, dtype=R.dtype)
    return (R @ R.mT - eye).abs().flatten(1).amax(1).nan_to_num(nan=torch.inf)


def position_tolerance(matrices: Float[Tensor, "n _ 4"], *, inverse: bool) -> float:
    """Largest distance between computed centres of a camera at rest, in the file's unit.

    It follows from the decimals of the file and from the rounding of its rotations.

    Args:
        matrices: poses as the file has them.
        inverse: the matrices are ``cam_from_world``, so that centres are computed from rotation and translation.
    """
    if not bool(torch.isfinite(matrices).all()):
        return 0.0
    far = float(matrices[:, :3, 3].norm(dim=1).max())
    largest = float(matrices[:, :3, 3].abs().max())
    step = last_digit(matrices, largest) / 2
    lost = SINGLE_PRECISION_LOSS if bool((matrices.float().double() == matrices).all()) else 0.0
    if inverse:
        lost = max(lost, 3 * last_digit(matrices) / 2, float(residual(matrices[:, :3, :3]).max()))
    # two centres differ by twice the error of one; an error in each of three numbers, and in each row of R
    return 2 * (3**0.5 * step + far * lost)


def last_digit(values: Float[Tensor, "..."], size: float = 0.0) -> float:
    """Value of the last written decimal digit of numbers of a size, judged by all numbers of a file.

    Some programs write a fixed number of decimals, others of significant digits, of which a large number has fewer behind
    its point. 0 for numbers with fewer than `MIN_DECIMALS`, which are exact, and for those in full double precision.
    """
    numbers = values.flatten().tolist()
    decimals = max((_decimals(x) for x in numbers), default=0)
    if not MIN_DECIMALS <= decimals <= MAX_DECIMALS:
        return 0.0
    before_point = math.floor(math.log10(size)) + 1 if size >= 1 else 0
    return 10.0 ** -min(decimals, max(_digits(x) for x in numbers) - before_point)


def half_digit(x: float) -> float:
    """Rounding error of a written number: half its last decimal place."""
    return 10.0 ** -_decimals(x) / 2


def _digits(x: float) -> int:
    """Significant digits of a number, without zeros at either end."""
    return len(repr(abs(x)).partition("e")[0].replace(".", "").strip("0"))


def _decimals(x: float) -> int:
    mantissa, _, exponent = repr(x).partition("e")
    fraction = mantissa.partition(".")[2]
    return max(0, (0 if fraction == "0" else len(fraction)) - int(exponent or 0))


def to_homogeneous(
    rows: Float[Tensor, "n _ 4"],
    labels: Sequence[str],
    where: str,
    *,
    error: type[BridgeError] = CameraError,
) -> Float[Tensor, "n 4 4"]:
    """4x4 matrices in float64: append the bottom row 0 0 0 1, or check it.

    Args:
        rows: [n,3,4] or [n,4,4]; NaN passes, for `Cameras.validate` to find.
        labels: name of each camera in an error.
        where: the file, for the error.
        error: class of the error.

    Raises:
        BridgeError: another bottom row, as a transposed matrix has.
    """
    rows = rows.double()
    if rows.shape[1] == 3:
        return torch.cat([rows, BOTTOM.expand(len(rows), 1, 4)], dim=1)
    odd = ((rows[:, 3] - BOTTOM).abs() > BOTTOM_TOLERANCE).any(dim=1).nonzero()
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
    """Refuse a quaternion whose length is not 1.

    Libraries read zeros as the identity and normalise other lengths in silence.

    Raises:
        BridgeError: a length off by more than `MAX_QUATERNION_LENGTH_ERROR`, or not finite.
    """
    length = sum(x * x for x in values) ** 0.5
    if not abs(length - 1) < MAX_QUATERNION_LENGTH_ERROR:
        raise error(
            f"{where}: {who} has a quaternion of length {length:.4g}, expected a unit quaternion; export the poses again"
        )
