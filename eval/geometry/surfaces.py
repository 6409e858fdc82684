"""How far a surface lies from the true one: accuracy, completeness, F-score (Knapitsch et al. 2017, Tanks and Temples)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class SurfaceScore:
    """Distances in units of the surfaces, and shares at some thresholds."""

    accuracy_mean: float
    """Mean distance from the found surface to the true one."""
    accuracy_median: float
    completeness_mean: float
    """Mean distance from the true surface to the found one."""
    completeness_median: float
    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    """Share of the found surface nearer to the true one than each threshold."""
    recall: tuple[float, ...]
    """Share of the true surface nearer to the found one than each threshold."""

    @property
    def f_score(self) -> tuple[float, ...]:
        """Harmonic mean of precision and recall at each threshold; 0 where both are."""
        return tuple(
            0.0 if p + r == 0 else 2 * p * r / (p + r)
            for p, r in zip(self.precision, self.recall, strict=True)
        )


def compare_surfaces(
    found: Float[Tensor, "p 3"],
    truth: Float[Tensor, "q 3"],
    *,
    thresholds: Sequence[float],
    hidden: Float[Tensor, "r 3"] | None = None,
) -> SurfaceScore | None:
    """Compare points spread evenly over two surfaces; None where one of them has none.

    Args:
        found: of the surface that is judged.
        truth: of the part of the true surface that could be found; what is missing of it counts against completeness.
        thresholds: distances for precision and recall.
        hidden: further points of the true surface, which need not be found, but are right where they are.
    """
    if len(found) == 0 or len(truth) == 0:
        return None
    right = truth if hidden is None else torch.cat([truth, hidden])
    accuracy, completeness = _nearest(found, right), _nearest(truth, found)
    return SurfaceScore(
        accuracy_mean=float(accuracy.mean()),
        accuracy_median=float(np.median(accuracy)),
        completeness_mean=float(completeness.mean()),
        completeness_median=float(np.median(completeness)),
        thresholds=tuple(thresholds),
        precision=tuple(float((accuracy < t).mean()) for t in thresholds),
        recall=tuple(float((completeness < t).mean()) for t in thresholds),
    )


def _nearest(points: Float[Tensor, "p 3"], others: Float[Tensor, "q 3"]) -> np.ndarray:
    from scipy.spatial import cKDTree

    return cKDTree(others.double().numpy()).query(points.double().numpy(), workers=torch.get_num_threads())[0]


def sample_surface(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], count: int, generator: torch.Generator
) -> Float[Tensor, "p 3"]:
    """Points at random on triangles, evenly by area; none where there is no area."""
    a, b, c = vertices.double()[faces].unbind(1)
    areas = torch.linalg.cross(b - a, c - a).norm(dim=-1)
    if len(faces) == 0 or float(areas.sum()) == 0:
        return torch.zeros(0, 3, dtype=torch.float64)
    # torch.multinomial takes no more than 2^24 triangles
    ends = areas.cumsum(0)
    drawn = torch.rand(count, generator=generator, dtype=torch.float64) * ends[-1]
    which = torch.searchsorted(ends, drawn).clamp(max=len(faces) - 1)
    u, v = torch.rand(2, count, 1, generator=generator, dtype=torch.float64)
    root = u.sqrt()  # uniform over the triangle (Osada et al. 2002)
    return (1 - root) * a[which] + root * (1 - v) * b[which] + root * v * c[which]


def thin_points(points: Float[Tensor, "p 3"], spacing: float) -> Float[Tensor, "q 3"]:
    """One point for each cube of an edge of `spacing`, so that near and far surfaces count alike."""
    cells = (points.double() / spacing).floor().long().numpy()
    _, first = np.unique(cells, axis=0, return_index=True)
    return points[torch.from_numpy(np.sort(first))]
