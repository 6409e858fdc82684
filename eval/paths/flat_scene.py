"""Could a clip that one homography explains have been taken on the requested path, from any plane?

A zoom and a move towards a plane look alike, and no figure tells them apart. But a plane that is seen from the requested cameras moves in
few ways: there are three numbers to a plane, and none makes a slide, a shake or a zoom outwards of a requested move forwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.motion import PlanarPair
from recon.cameras import Cameras
from recon.two_views.epipolar import homogeneous

MISFIT_SHARE, MISFIT_PX = 0.3, 3.0
"""Median distance of the matches from what the best plane makes of them, over how far they move, from which no plane explains them:
15° off the requested direction, which `follows@15` allows, give 0.26. Below three pixels it is noise, and what is not quite flat."""
BEHIND_SHARE = 0.5
"""Share of the matches that the best plane puts behind the camera, from which it is none."""
ROUNDS = 5
"""Fits, each of which weighs matches by their distance from the last one; more change nothing."""


@dataclass(frozen=True)
class PlaneFit:
    """How well the best plane explains matches, medians over pairs of frames."""

    off_px: float
    travel_px: float
    behind: float
    """Share of the matches that it puts behind the camera."""

    @property
    def explains(self) -> bool:
        """Whether such a plane could have been seen on the requested path."""
        return self.behind < BEHIND_SHARE and self.off_px <= max(MISFIT_PX, MISFIT_SHARE * self.travel_px)


def fit_plane(pairs: Sequence[PlanarPair], requested: Cameras) -> PlaneFit | None:
    """Fit the plane ``n · X = 1`` of the requested world whose points, seen by the requested cameras, move as the matches do.

    A point seen along ``d`` from ``c_a`` is seen by camera b along ``R_b (d (1 - n·c_a) + (c_a - c_b) (n·d))``, which is linear in n.
    None without pairs, or where the request does not move between them.
    """
    rows, sides, counts = [], [], []
    for pair in pairs:
        d, c_a, c_b, R_b, seen = _rays(pair, requested)
        moved = c_a - c_b
        # what is left of each term after the direction that is seen is taken out
        still = torch.linalg.cross(seen, d @ R_b.mT)
        by_place = -still[:, :, None] * c_a
        by_depth = torch.linalg.cross(seen, (R_b @ moved).expand_as(seen))[:, :, None] * d[:, None, :]
        rows.append((by_place + by_depth).reshape(-1, 3))
        sides.append(-still.reshape(-1))
        counts.append(len(d))
    if not rows or float(torch.cat(rows).abs().max()) < 1e-12:
        return None
    A, b = torch.cat(rows), torch.cat(sides)
    weight = torch.ones(len(b), dtype=torch.float64)
    n = torch.zeros(3, dtype=torch.float64)
    for _ in range(ROUNDS):
        n = torch.linalg.lstsq(A * weight[:, None], (b * weight)[:, None], driver="gelsd").solution[:, 0]
        left = (A @ n - b).reshape(-1, 3).norm(dim=-1)
        weight = (left.median() + 1e-12).sqrt() / (left + left.median() + 1e-12).sqrt()
        weight = weight.repeat_interleave(3)
    return _measure_fit(pairs, requested, n)


def _rays(pair: PlanarPair, requested: Cameras) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """World directions from camera a, both centres, the rotation of b, and unit directions seen by b."""
    K_a, K_b = requested.K[pair.a].double(), requested.K[pair.b].double()
    R_a, R_b = (requested.cam_from_world[i, :3, :3].double() for i in (pair.a, pair.b))
    c = requested.centers.double()
    d = homogeneous(pair.xy_a) @ torch.linalg.inv(K_a).mT @ R_a
    seen = homogeneous(pair.xy_b) @ torch.linalg.inv(K_b).mT
    return d, c[pair.a], c[pair.b], R_b, seen / seen.norm(dim=-1, keepdim=True)


def _measure_fit(pairs: Sequence[PlanarPair], requested: Cameras, n: Float[Tensor, "3"]) -> PlaneFit:
    off, travel, behind = [], [], []
    for pair in pairs:
        d, c_a, c_b, R_b, _ = _rays(pair, requested)
        before = 1 - c_a @ n
        at = (d * before + (d @ n)[:, None] * (c_a - c_b)) @ R_b.mT @ requested.K[pair.b].double().mT
        z = torch.where(at[:, 2:].abs() < 1e-12, 1e-12, at[:, 2:])
        off.append(float((at[:, :2] / z - pair.xy_b).norm(dim=-1).median()))
        travel.append(float((pair.xy_b - pair.xy_a).norm(dim=-1).median()))
        behind.append(float(((d @ n) * before <= 0).double().mean()))
    middle = [float(torch.tensor(values, dtype=torch.float64).median()) for values in (off, travel, behind)]
    return PlaneFit(*middle)
