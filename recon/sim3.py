"""Similarity transforms, which a reconstruction without a known length is determined up to."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import CameraError

COLLINEAR = 0.02
"""Centres whose spread across their main direction is below this share of the spread along it are a line."""


@dataclass(frozen=True)
class Sim3:
    """x ↦ scale · rotation · x + translation. Name an instance ``b_from_a``."""

    scale: Float[Tensor, ""]
    """Positive factor of lengths."""
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]

    @staticmethod
    def identity(dtype: torch.dtype = torch.float64) -> "Sim3":
        """The similarity that changes nothing."""
        return Sim3(torch.ones((), dtype=dtype), torch.eye(3, dtype=dtype), torch.zeros(3, dtype=dtype))

    def inverse(self) -> "Sim3":
        """The similarity a_from_b of b_from_a."""
        R = self.rotation.T
        return Sim3(1 / self.scale, R, -(R @ self.translation) / self.scale)

    def compose(self, b_from_c: "Sim3") -> "Sim3":
        """``a_from_b.compose(b_from_c)`` is ``a_from_c``."""
        return Sim3(
            self.scale * b_from_c.scale,
            self.rotation @ b_from_c.rotation,
            self.points(b_from_c.translation[None])[0],
        )

    def points(self, xyz: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Transform points [p,3]."""
        return self.scale * (xyz @ self.rotation.T) + self.translation

    def cameras(self, cameras: Cameras) -> Cameras:
        """Cameras of world a, in world b; intrinsics stay, for depths scale with the world."""
        pose = cameras.cam_from_world.clone()
        R = cameras.cam_from_world[:, :3, :3] @ self.rotation.T
        pose[:, :3, :3] = R
        pose[:, :3, 3] = -(R @ self.points(cameras.centers)[..., None])[..., 0]
        return replace(cameras, cam_from_world=pose)


def nearest_rotation(M: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """argmax of tr(RᵀM) over rotations; reflections are excluded as in Umeyama 1991, eq. 40."""
    U, _, Vt = torch.linalg.svd(M)
    sign = torch.ones(M.shape[:-1], dtype=M.dtype)
    sign[..., 2] = torch.sign(torch.linalg.det(U @ Vt))
    return U @ (sign[..., None] * Vt)


def fit_similarity(
    a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"], *, rotation: Float[Tensor, "3 3"] | None = None
) -> Sim3 | None:
    """The similarity ``b_from_a`` that best maps points onto points, paired by row (Umeyama 1991), float64.

    Args:
        a: points of frame a.
        b: the same points in frame b.
        rotation: where it is known; only scale and translation are fitted then.

    Returns:
        None where the scale is undefined: points that coincide, or a rotation that contradicts them.
    """
    a, b = a.double(), b.double()
    da, db = a - a.mean(0), b - b.mean(0)
    R = nearest_rotation(db.mT @ da) if rotation is None else rotation.double()
    scale = (db * (da @ R.mT)).sum() / da.square().sum().clamp_min(1e-300)
    if not scale > 0:
        return None
    return Sim3(scale, R, b.mean(0) - scale * (R @ a.mean(0)))


def align_cameras(a: Cameras, b: Cameras) -> Sim3 | None:
    """The similarity ``b_from_a`` that best maps the centres of `a` onto those of `b`, paired by position.

    Umeyama 1991 on the centres. They alone do not fix the roll about a line, so for two cameras, or centres
    that are nearly collinear (`COLLINEAR`), the rotation is the chordal mean of the cameras' own rotations
    and the centres give scale and translation only. None (undefined) for fewer than two cameras or centres
    that coincide: the scale is then unknown.
    """
    same_number(a, b)
    if len(a) < 2:
        return None
    x, y = a.centers.double(), b.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    spread_x, spread_y = torch.linalg.svdvals(dx), torch.linalg.svdvals(dy)
    if min(spread_x[0] / x.abs().max().clamp_min(1.0), spread_y[0] / y.abs().max().clamp_min(1.0)) < 1e-9:
        return None
    if min(spread_x[1] / spread_x[0], spread_y[1] / spread_y[0]) < COLLINEAR:
        # None only where rotations contradict the line of centres
        return fit_similarity(x, y, rotation=mean_turn(a, b))
    return fit_similarity(x, y)


def mean_turn(a: Cameras, b: Cameras) -> Float[Tensor, "3 3"]:
    """The rotation of the world that best maps the cameras' rotations of `a` onto those of `b`: chordal mean
    (Hartley et al. 2013)."""
    same_number(a, b)
    return nearest_rotation(
        (b.cam_from_world[:, :3, :3].double().mT @ a.cam_from_world[:, :3, :3].double()).sum(0)
    )


def same_number(a: Cameras, b: Cameras) -> None:
    """Refuse batches that cannot be paired by position.

    Raises:
        CameraError: says how many each has.
    """
    if len(a) != len(b):
        raise CameraError(f"expected two batches of cameras paired one to one, got {len(a)} and {len(b)}")
