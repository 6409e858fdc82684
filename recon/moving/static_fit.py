"""Would flows from a frame to others come about if nothing moved? The depth at which that is most nearly so, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from recon.cameras import Cameras
from recon.depth.sweep import integer_pixel_map
from recon.moving.flows import FlowsFrom

FIRST_PX = 0.5
"""Noise of the flow in the first of two fits, before it is known: that of pictures with noise of 1% at most."""
LEAST_PX = 0.1
"""Noise below which flows are never taken to be, however clean the pictures."""
CUT = 3.0
"""Deviations beyond which a flow says no more against a depth."""
CAP = 10.0
"""Deviations that a flow counts as at most."""
RAYLEIGH_MEDIAN = 1.1774
"""Median of the length of a vector of two normal parts of deviation 1."""
FARTHER = 2.0
"""Inverse depths go so far beyond the 98% quantile of those first found: of a mover that nothing near explains."""


@dataclass(frozen=True)
class ViewMaps:
    """Where pixels of one frame lie in k others: pixel (x, y) at inverse depth w at ``turned @ (x, y, 1) + w * shift``."""

    turned: Float[np.ndarray, "k 3 3"]
    shift: Float[np.ndarray, "k 3"]

    @staticmethod
    def between(cameras: Cameras, i: int, others: Sequence[int]) -> "ViewMaps":
        """From frame i, with integer pixel centres."""
        pose, back = cameras.cam_from_world.double().numpy(), cameras.world_from_cam[i].double().numpy()
        K = cameras.K.double().numpy()
        pairs = [integer_pixel_map(K[j], pose[j] @ back, K[i]) for j in others]
        turned, shift = (np.stack(part).astype(np.float32) for part in zip(*pairs, strict=True))
        return ViewMaps(turned, shift)

    def rays(self, height: int, width: int) -> Float[np.ndarray, "k 3 h w"]:
        """What `shift` times inverse depth is added to."""
        y, x = np.mgrid[:height, :width].astype(np.float32)
        t = self.turned[..., None, None]
        return t[:, :, 0] * x + t[:, :, 1] * y + t[:, :, 2]


@dataclass(frozen=True)
class StaticFit:
    """How nearly the flows from one frame are those of a scene that stands still."""

    inverse_depth: Float[np.ndarray, "h w"]
    """In units of the cameras; meaningless where nothing is known, and from cameras in one place."""
    off: Float[np.ndarray, "h w"]
    """Root mean square of the residuals of the known flows in deviations of their noise, each `CAP` at most; 0 where none is."""
    known: Float[np.ndarray, "h w"]
    """How many flows are known."""
    noise_px: Float[np.ndarray, "k"]
    """Of the flow to each other frame, one axis."""
    parallax_px: float
    """How far off the flow to the other frame where most is so would be if all were infinitely far: median over pixels."""


def fit_static(flows: FlowsFrom, maps: ViewMaps) -> StaticFit:
    """Inverse depth of each pixel from the flows to all other frames at once, and the residuals.

    A residual is linear in inverse depth w but for a factor near 1: ``d - w c`` pixels. Tried are the depths that each flow alone
    asks for and the horizon; the best is refined by reweighted least squares. The noise is that of the majority, which stands still.
    """
    c, d = _lines(flows, maps)
    k = len(c)
    cc, cd, dd = (c * c).sum(1), (c * d).sum(1), (d * d).sum(1)
    known = flows.known
    alone = np.where(known, np.maximum(cd / np.maximum(cc, 1e-12), 0), 0)
    noise = np.full(k, FIRST_PX, np.float32)
    w, residual = _refine(cc, cd, dd, known, alone, noise, np.inf)
    noise = np.array([_scale(residual[n][known[n]]) for n in range(k)], np.float32)
    most = FARTHER * float(np.quantile(w[::4, ::4], 0.98))
    w, residual = _refine(cc, cd, dd, known, alone, noise, most)
    counted = known.sum(0)
    square = np.minimum(residual / noise[:, None, None], CAP) ** 2
    off = np.sqrt((known * square).sum(0) / np.maximum(counted, 1))
    turned = max(
        (float(np.median(np.sqrt(dd[n][known[n]]))) for n in range(k) if known[n].any()), default=0.0
    )
    return StaticFit(w, off, counted.astype(np.float32), noise, turned)


def _lines(
    flows: FlowsFrom, maps: ViewMaps
) -> tuple[Float[np.ndarray, "k 2 h w"], Float[np.ndarray, "k 2 h w"]]:
    """c and d of the residuals ``d - w c``, pixels."""
    h, w = flows.flow.shape[1:3]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    a = maps.rays(h, w)
    at = np.stack([x, y]) + flows.flow.transpose(0, 3, 1, 2)
    shift = maps.shift[..., None, None]
    return (shift[:, :2] - at * shift[:, 2:]) / a[:, 2:], at - a[:, :2] / a[:, 2:]


def _refine(
    cc: Float[np.ndarray, "k h w"],
    cd: Float[np.ndarray, "k h w"],
    dd: Float[np.ndarray, "k h w"],
    known: Bool[np.ndarray, "k h w"],
    alone: Float[np.ndarray, "k h w"],
    noise: Float[np.ndarray, "k"],
    most: float,
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "k h w"]]:
    """Inverse depth in [0, most], and residuals in pixels.

    Args:
        cc, cd, dd: products of c and d, so that a residual has the square ``dd - 2 w cd + w² cc``.
        alone: inverse depths that each flow asks for.
    """
    precision = known / (noise**2)[:, None, None]
    best = np.zeros(cc.shape[1:], np.float32)
    least = np.minimum(dd * precision, CUT**2).sum(0)
    for tried in alone:
        w = np.minimum(tried, most)
        cost = np.minimum((dd - 2 * w * cd + w * w * cc) * precision, CUT**2).sum(0)
        better = cost < least
        least, best = np.where(better, cost, least), np.where(better, w, best)
    for _ in range(2):
        square = np.maximum(dd - 2 * best * cd + best * best * cc, 0)
        weight = precision / (1 + square * precision)
        best = np.clip((weight * cd).sum(0) / np.maximum((weight * cc).sum(0), 1e-12), 0, most)
    return best.astype(np.float32), np.sqrt(np.maximum(dd - 2 * best * cd + best * best * cc, 0))


def _scale(residual: np.ndarray) -> float:
    """Noise of one axis from the lengths of residuals."""
    if len(residual) == 0:
        return FIRST_PX
    return max(LEAST_PX, float(np.median(residual)) / RAYLEIGH_MEDIAN)
