"""One homography or one fundamental matrix of matches of which many are wrong.

OpenCV's USAC with MAGSAC++ scoring (Barath et al. 2020). It is given its own random state, so a fit is a
function of the matches and the seed alone, whatever else draws numbers from OpenCV.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from recon.two_views.epipolar import homogeneous

if TYPE_CHECKING:
    import cv2

FUNDAMENTAL_PX = 0.5
"""MAGSAC++ weighs residuals up to here. On real clips 0.5 px leaves 7% smaller medians over all matches than 1 px."""
HOMOGRAPHY_PX = 1.0
_HALF_PIXEL = 0.5


def fit_fundamental(
    xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], *, seed: int
) -> Float[Tensor, "3 3"] | None:
    """F with ``x_bᵀ F x_a = 0``, for pixels whose top-left centre is (0.5, 0.5).

    None for fewer than 8 matches and where none is found.
    """
    import cv2

    if len(xy_a) < 8:
        return None
    try:
        F, _ = cv2.findFundamentalMat(
            _integer_centres(xy_a), _integer_centres(xy_b), usac_params(seed, FUNDAMENTAL_PX)
        )
    except cv2.error:  # degenerate samples only: USAC ends without a model and asserts that it has one
        return None
    if F is None or F.shape != (3, 3):
        return None
    shift = _to_integer_centres()
    return shift.T @ torch.from_numpy(F).double() @ shift


def fit_homography(
    xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"], *, seed: int
) -> Float[Tensor, "3 3"] | None:
    """H with ``x_b ~ H x_a``, of determinant 1, for pixels whose top-left centre is (0.5, 0.5).

    None for fewer than 4 matches and where none is found.
    """
    import cv2

    if len(xy_a) < 4:
        return None
    try:
        H, _ = cv2.findHomography(
            _integer_centres(xy_a), _integer_centres(xy_b), usac_params(seed, HOMOGRAPHY_PX)
        )
    except cv2.error:
        return None
    if H is None:
        return None
    H = torch.linalg.inv(_to_integer_centres()) @ torch.from_numpy(H).double() @ _to_integer_centres()
    det = torch.linalg.det(H)
    if not torch.isfinite(det) or det.abs() < 1e-12:
        return None
    return H / (det.sign() * det.abs() ** (1 / 3))


def transfer(H: Float[Tensor, "*b 3 3"], xy: Float[Tensor, "m 2"]) -> Float[Tensor, "*b m 2"]:
    """Pixels of one picture moved by a homography into the other."""
    moved = homogeneous(xy) @ H.mT
    z = moved[..., 2:]
    return moved[..., :2] / torch.where(z.abs() < 1e-12, 1e-12, z)


def _integer_centres(xy: Float[Tensor, "m 2"]):
    """OpenCV counts the centre of the top-left pixel as (0, 0)."""
    return (xy.double() - _HALF_PIXEL).contiguous().numpy()


def _to_integer_centres() -> Float[Tensor, "3 3"]:
    return torch.tensor([[1, 0, -_HALF_PIXEL], [0, 1, -_HALF_PIXEL], [0, 0, 1]], dtype=torch.float64)


def usac_params(seed: int, within_px: float) -> "cv2.UsacParams":
    """MAGSAC++ with a random state of its own; `within_px` is the largest distance of an inlier."""
    import cv2

    params = cv2.UsacParams()
    params.threshold = within_px
    params.confidence = 0.999
    params.maxIterations = 2000
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.sampler = cv2.SAMPLING_UNIFORM
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.final_polisher = cv2.MAGSAC
    params.isParallel = False  # threads would make the result depend on their order
    params.randomGeneratorState = seed
    return params
