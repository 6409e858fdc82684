"""What moves in a clip whose cameras are not known yet."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import track
from recon.compute.seeds import draw_seed
from recon.moving.flows import FlowsFrom, FlowTable
from recon.moving.masks import MovingMasks, calm_pictures, decide, find_by_maps, require_frames
from recon.moving.static_fit import CAP, LEAST_PX, ViewMaps
from recon.two_views.epipolar import sampson_px
from recon.two_views.robust import fit_fundamental, fit_homography, transfer

GRID_PX = 8
"""Pixels between those whose flows the geometry is fitted to: 1200 of a picture of 320x240."""
WITHIN_PX = 1.0
"""Distance up to which a flow counts as explained."""
PLANAR = 0.85
"""Share of the explained flows that one homography must explain, in the median over pairs, for a camera that stands or turns: 87% and more of
two films of seeds 100 to 113 with a still camera, 79% and less of three with a carried one."""
STANDS = 0.95
"""Share of the flows of the best homography that the identity explains for a camera that stands; of carried ones it is 15% and less."""
OFF_EVEN, OFF_STEEP = 5.0, 3.0
"""Residual, in deviations, at which odds are even, and how fast they rise with its logarithm."""
NORMAL_MEDIAN = 0.6745
"""Median of the size of a normal number of deviation 1."""


def find_movers_blind(clip: Clip, *, generator: torch.Generator) -> MovingMasks:
    """Masks of what moves, before cameras are known; coarser than those of `find_movers`.

    One homography or one fundamental matrix of most flows stands for each pair of frames. Where homographies explain nearly all, the
    camera stands or turns, and frames are compared as by `find_movers`. Elsewhere the distances of flows from their epipolar
    lines decide alone: what moves along these lines is not found.

    Args:
        clip: frames in the order in which they were taken, 3 or more; cameras are not looked at.
        generator: of the samples that geometry is fitted to.

    Raises:
        CaptureError: too few frames.
    """
    require_frames(clip)
    seed = draw_seed(generator)
    table = FlowTable(clip.images)
    flows = [table.of_frame(i) for i in track(range(len(clip)), "flows between frames")]
    homographies = _chain(flows, seed)
    if homographies is not None:
        return find_by_maps(clip, lambda i, others: _turned(homographies, i, others))
    evidence = [_epipolar_evidence(one, seed) for one in track(flows, "epipolar geometry of frames")]
    return decide(calm_pictures(clip), flows, evidence, [None] * len(flows))


def _chain(flows: Sequence[FlowsFrom], seed: int) -> Float[np.ndarray, "n 3 3"] | None:
    """Homographies from frame 0 to each, integer pixel centres; None where homographies do not explain the flows."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    chained, shares = [np.eye(3)], []
    for one in flows:
        for row, other in enumerate(one.others):
            if other < one.of:
                continue
            xy, there = _matches(one, row)
            H, F = _majority_homography(xy, there, seed), fit_fundamental(xy, there, seed=seed)
            if H is None:
                return None
            by_H = (transfer(H, xy) - there).norm(dim=-1) < WITHIN_PX
            explained = by_H if F is None else by_H | (sampson_px(F, xy, there) < WITHIN_PX)
            shares.append(float(by_H.sum() / explained.sum().clamp_min(1)))
            if other == one.of + 1:
                chained.append(np.linalg.inv(half) @ H.numpy() @ half @ chained[-1])
    return np.stack(chained) if np.median(shares) >= PLANAR else None


def _majority_homography(
    xy: Float[Tensor, "m 2"], there: Float[Tensor, "m 2"], seed: int
) -> Float[Tensor, "3 3"] | None:
    """The identity where it explains nearly as many flows as any homography, for small errors add up along a clip."""
    H = fit_homography(xy, there, seed=seed)
    if H is None:
        return None
    stands, turns = (int((at - there).norm(dim=-1).lt(WITHIN_PX).sum()) for at in (xy, transfer(H, xy)))
    return torch.eye(3, dtype=torch.float64) if stands >= STANDS * turns else H


def _turned(homographies: Float[np.ndarray, "n 3 3"], i: int, others: Sequence[int]) -> ViewMaps:
    turned = homographies[list(others)] @ np.linalg.inv(homographies[i])
    return ViewMaps(turned.astype(np.float32), np.zeros((len(others), 3), np.float32))


def _epipolar_evidence(flows: FlowsFrom, seed: int) -> Float[np.ndarray, "h w"]:
    """Log odds that pixels move, from the distances of their flows from epipolar lines."""
    h, w = flows.known.shape[1:]
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2).double()
    total, counted = np.zeros((h, w)), np.zeros((h, w))
    for row in range(len(flows.others)):
        F = fit_fundamental(*_matches(flows, row), seed=seed)
        if F is None:
            continue
        there = xy + torch.from_numpy(flows.flow[row]).reshape(-1, 2)
        off = sampson_px(F, xy, there).reshape(h, w).numpy()
        known = flows.known[row]
        noise = max(LEAST_PX, float(np.median(off[known])) / NORMAL_MEDIAN)
        total += known * np.minimum(off / noise, CAP) ** 2
        counted += known
    off = np.sqrt(total / np.maximum(counted, 1))
    odds = OFF_STEEP * np.log((off + 0.1) / OFF_EVEN)
    return np.where(counted >= 2, odds, 0).astype(np.float32)


def _matches(flows: FlowsFrom, row: int) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2"]]:
    """Pixels on a grid and where the flow leads them, of those known."""
    flow, known = flows.flow[row], flows.known[row]
    y, x = np.mgrid[GRID_PX // 2 : known.shape[0] : GRID_PX, GRID_PX // 2 : known.shape[1] : GRID_PX]
    kept = known[y, x]
    y, x = y[kept], x[kept]
    xy = torch.from_numpy(np.stack([x, y], -1) + 0.5)
    return xy, xy + torch.from_numpy(flow[y, x]).double()
