"""The search of `recon.depth.search` in plain torch, for accelerators: plane sweep, aggregation, slanted refinement.

The same costs and penalties as the numba kernels, but along the borders of neighbours: there the sweep mixes what
lies outside into the last pixel and calls it unseen, here the border goes on, and the last pixel counts. What differs
beside that is order: there a pixel at once takes over what its neighbour has just found, here all pixels look at once
at what their neighbours held before, a little farther around.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from recon.depth import slanted
from recon.depth.sweep import NOISE_VARIANCE, WINDOWS, pixel_homography

AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (3, 0), (-3, 0), (0, 3), (0, -3))
"""Offsets (columns, rows) to the pixels whose planes a pixel tries."""
ROUNDS_FOR_ONE = 2
"""Rounds in the place of one sequential round, in which planes travel farther."""


def plane_sweep(
    gray: np.ndarray,
    others: Sequence[np.ndarray],
    K: np.ndarray,
    K_others: Sequence[np.ndarray],
    others_from_ref: Sequence[np.ndarray],
    inverse_depths: np.ndarray,
    penalties: tuple[float, float],
    on: torch.device,
) -> np.ndarray:
    """Inverse depth [h, w] at the best plane after aggregation, within the range of the planes; see
    `sweep.matching_cost` and `kernels.best_plane`.

    Args:
        gray, others: pictures [h, w] in [0, 1], all of one size.
        inverse_depths: [d], evenly spaced, ascending, at least three.
        penalties: for a step of one plane, and for a jump.
    """
    reference = torch.from_numpy(gray).to(on)
    pictures = torch.from_numpy(np.stack(others)).to(on)
    maps = np.stack([
        [pixel_homography(K_to, pose, K, q) for K_to, pose in zip(K_others, others_from_ref, strict=True)]
        for q in inverse_depths
    ])  # fmt: skip
    homographies = torch.from_numpy(maps).to(on, torch.float32)
    own = [_moments(reference[None, None], side) for side in WINDOWS]
    cost = torch.stack([_matching_cost(reference, own, pictures, H) for H in homographies], dim=-1)
    total = aggregate_costs(cost, reference, *penalties)
    d = total.argmin(-1, keepdim=True)
    inner = d.clamp(1, len(inverse_depths) - 2)
    a, b, c = (total.gather(-1, inner + k)[..., 0] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    shift = torch.where(bend > 1e-9, 0.5 * (a - c) / bend.clamp_min(1e-9), 0).clamp(-0.5, 0.5)
    shift = torch.where((d == inner)[..., 0], shift, 0)
    first, second, *_, last = inverse_depths.tolist()
    # in float32 the last plane may be rounded beyond itself, where the refinement allows none
    return (first + (d[..., 0] + shift) * (second - first)).clamp(first, last).cpu().numpy()


Moments = tuple[Tensor, Tensor]
"""Mean and variance over a window, each [m, 1, h, w]."""


def _moments(x: Float[Tensor, "m 1 h w"], side: int) -> Moments:
    mean = _box(x, side)
    return mean, _box(x * x, side) - mean**2


def _matching_cost(
    reference: Float[Tensor, "h w"],
    moments: list[Moments],
    pictures: Float[Tensor, "m h w"],
    H: Float[Tensor, "m 3 3"],
) -> Float[Tensor, "h w"]:
    """The better half of the pictures' costs on one plane; `moments` are the reference's, for each of `WINDOWS`."""
    h, w = reference.shape
    y, x = _grid(h, w, reference.device)
    uvz = torch.einsum("mij,jhw->mihw", H, torch.stack([x, y, torch.ones_like(x)]))
    u, v = uvz[:, 0] / uvz[:, 2], uvz[:, 1] / uvz[:, 2]
    seen = _sample(pictures, u, v)[:, None]
    own = reference[None, None]
    correlation = torch.zeros_like(pictures)
    for side, (mean, own_variance) in zip(WINDOWS, moments, strict=True):
        other_mean, other_variance = _moments(seen, side)
        variance = own_variance * other_variance
        scale = (variance.clamp_min(0) + NOISE_VARIANCE * (own_variance + NOISE_VARIANCE)).sqrt()
        correlation += ((_box(own * seen, side) - mean * other_mean) / scale)[:, 0]
    outside = (u < 0) | (u > w - 1) | (v < 0) | (v > h - 1) | (uvz[:, 2] <= 0)
    cost = torch.where(outside, 1, (1 - correlation / len(WINDOWS)).clamp(max=1))
    return _better_half(cost)


def aggregate_costs(
    cost: Float[Tensor, "h w d"], gray: Float[Tensor, "h w"], step: float, jump: float
) -> Float[Tensor, "h w d"]:
    """Sums costs over the eight paths of semi-global matching (Hirschmüller 2008); see `kernels.aggregate_scan`."""
    total = torch.zeros_like(cost)
    for flip in (False, True):
        c, g, out = (t.flip(0, 1) if flip else t for t in (cost, gray, torch.zeros_like(cost)))
        out += _scan(c, g, (-1, 0, 1), step, jump)
        out += _scan(c.transpose(0, 1), g.T, (0,), step, jump).transpose(0, 1)
        total += out.flip(0, 1) if flip else out
    return total


def _scan(cost: Tensor, gray: Tensor, shifts: tuple[int, ...], step: float, jump: float) -> Tensor:
    """Sums the paths that come down from the row above, from the column `shifts` away."""
    total = cost * len(shifts)
    before = cost[:1].expand(len(shifts), -1, -1)
    for y in range(1, len(cost)):
        rows = []
        for k, shift in enumerate(shifts):
            come = before[k].roll(-shift, 0)
            floor = come.min(-1, keepdim=True).values
            edge = (gray[y] - gray[y - 1].roll(-shift)).abs()[:, None]
            way = torch.minimum(come, floor + jump / (1 + 12 * edge))
            way[:, 1:] = torch.minimum(way[:, 1:], come[:, :-1] + step)
            way[:, :-1] = torch.minimum(way[:, :-1], come[:, 1:] + step)
            way = way - floor
            if shift:  # nothing comes from beyond the picture
                way[0 if shift < 0 else -1] = 0
            rows.append(cost[y] + way)
        before = torch.stack(rows)
        total[y] = before.sum(0)
    return total


def refine_planes(
    gray: np.ndarray,
    others: np.ndarray,
    maps: np.ndarray,
    shifts: np.ndarray,
    planes: np.ndarray,
    start: np.ndarray,
    spacing: float,
    low: float,
    high: float,
    rounds: int,
    softness: float,
    pull: float,
    other_planes: np.ndarray,
    geometric: float,
    candidates: np.ndarray,
    cost: np.ndarray,
    on: torch.device,
) -> None:
    """Improves planes [h, w, 3] in place and fills cost [h, w]; arguments as in `slanted.refine_planes`."""

    def to_device(x: np.ndarray) -> Tensor:
        """Copy an array to the device as float32."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(on, torch.float32)

    windows = _Windows(
        to_device(gray), to_device(others), to_device(maps), to_device(shifts), softness,
        to_device(other_planes) if geometric > 0 else None, geometric,
    )  # fmt: skip
    beginning = to_device(start)
    generator = torch.Generator().manual_seed(0)
    h, w = gray.shape

    def costs(trial: Tensor) -> Tensor:
        """Matching cost of trial planes, with a pull to the first depth."""
        bound = pull * ((trial[..., 0] - beginning).abs() / (4 * spacing)).clamp(max=1)
        outside = (trial[..., 0] < low) | (trial[..., 0] > high)
        return torch.where(outside, torch.inf, bound + windows.cost(trial))

    best = to_device(planes)
    least = costs(best)
    y, x = _grid(h, w, on)
    for turn in range(rounds * ROUNDS_FOR_ONE):
        reach = spacing * 0.6 ** (turn / ROUNDS_FOR_ONE)
        trials = [to_device(c) for c in candidates] if turn == 0 else []
        for trial in trials:
            best, least = _keep_better(best, least, trial, costs(trial))
        for dx, dy in AROUND:
            column, row = (x + dx).clamp(0, w - 1).long(), (y + dy).clamp(0, h - 1).long()
            there = best[row, column]
            moved_by = there[..., 1] * (x - column) + there[..., 2] * (y - row)
            trial = torch.cat([(there[..., 0] + moved_by)[..., None], there[..., 1:]], -1)
            best, least = _keep_better(best, least, trial, costs(trial))
        for part in (reach, 0.3 * reach):
            noise = 2 * torch.rand(h, w, 3, generator=generator) - 1
            scale = torch.tensor([part, part / slanted.RADIUS, part / slanted.RADIUS], dtype=torch.float32)
            trial = best + (noise * scale).to(on)
            best, least = _keep_better(best, least, trial, costs(trial))
    planes[:] = best.cpu().numpy()
    cost[:] = least.cpu().numpy()


def _keep_better(best: Tensor, least: Tensor, trial: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    better = cost < least
    return torch.where(better[..., None], trial, best), torch.where(better, cost, least)


class _Windows:
    """The cost of a plane in every pixel: weighted correlation of windows, and agreement of depth."""

    def __init__(
        self, gray: Tensor, others: Tensor, maps: Tensor, shifts: Tensor, softness: float,
        other_planes: Tensor | None, geometric: float,
    ) -> None:  # fmt: skip
        h, w = gray.shape
        self.others, self.maps, self.shifts = others, maps, shifts
        self.other_planes, self.geometric = other_planes, geometric
        self.y, self.x = _grid(h, w, gray.device)
        half = slanted.SIDE // 2 * slanted.STRIDE
        steps = range(-half, half + 1, slanted.STRIDE)
        self.offsets = [(dx, dy) for dy in steps for dx in steps]
        padded = pad(gray[None, None], (half,) * 4, mode="replicate")[0, 0]
        self.values = torch.stack([
            padded[half + dy : half + dy + h, half + dx : half + dx + w] for dx, dy in self.offsets
        ])  # fmt: skip
        near = gray.new_tensor([
            (dx * dx + dy * dy) / (1.5 * slanted.RADIUS**2) for dx, dy in self.offsets
        ])  # fmt: skip
        weights = (-(self.values - gray).abs() / softness - near[:, None, None]).exp()
        self.weights = weights / weights.sum(0)
        self.mean = (self.weights * self.values).sum(0)
        self.variance = ((self.weights * self.values**2).sum(0) - self.mean**2).clamp_min(0)

    def cost(self, plane: Tensor) -> Tensor:
        """Cost [h, w] of a plane in every pixel, from the better half of the neighbours."""
        h, w = self.x.shape
        mean, square, cross = (torch.zeros_like(self.others) for _ in range(3))
        bad = torch.zeros_like(self.others, dtype=torch.bool)
        for (dx, dy), weight, value in zip(self.offsets, self.weights, self.values, strict=True):
            q = plane[..., 0] + plane[..., 1] * dx + plane[..., 2] * dy
            u, v, z = self._project(self.x + dx, self.y + dy, q)
            bad |= z <= 1e-9
            if dx == 0 and dy == 0:
                bad |= (u < -0.5) | (u > w - 0.5) | (v < -0.5) | (v > h - 0.5)
            seen = _sample(self.others, u, v)
            mean += weight * seen
            square += weight * seen * seen
            cross += weight * seen * value
        variance = (square - mean**2).clamp_min(0)
        noise = slanted.NOISE_VARIANCE
        scale = (self.variance * variance + noise * (self.variance + noise)).sqrt()
        cost = torch.where(bad, 1, (1 - (cross - self.mean * mean) / scale).clamp(max=1))
        if self.other_planes is not None:
            cost = cost + self.geometric * self._disagreement(plane, self.other_planes)
        return _better_half(cost)

    def _project(self, x: Tensor, y: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projects pixels into the neighbours: columns, rows and z over the photo's z, each [m, h, w]."""
        pixel = torch.stack([x, y, torch.ones_like(x)])
        uvz = torch.einsum("mij,jhw->imhw", self.maps, pixel) + self.shifts.T[..., None, None] * q
        z = uvz[2]
        inverse_z = 1 / torch.where(z > 1e-9, z, 1)
        return uvz[0] * inverse_z, uvz[1] * inverse_z, z

    def _disagreement(self, plane: Tensor, other_planes: Tensor) -> Tensor:
        h, w = self.x.shape
        u, v, z = self._project(self.x, self.y, plane[..., 0])
        column, row = (u + 0.5).floor(), (v + 0.5).floor()
        outside = (z <= 1e-9) | (column < 0) | (column >= w) | (row < 0) | (row >= h)
        view = torch.arange(len(other_planes), device=u.device)[:, None, None]
        there = other_planes[view, row.clamp(0, h - 1).long(), column.clamp(0, w - 1).long()]
        q = there[..., 0] + there[..., 1] * (u - column) + there[..., 2] * (v - row)
        off = (q * z / plane[..., 0].clamp_min(1e-12) - 1).abs() / slanted.AGREED
        return torch.where(outside, 1, off.clamp(max=1))


def _better_half(costs: Float[Tensor, "m h w"]) -> Float[Tensor, "h w"]:
    keep = max(1, math.ceil(len(costs) / 2))
    return costs.sort(0).values[:keep].mean(0)


def _grid(h: int, w: int, on: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns, each [h, w], integer pixel centres."""
    y, x = torch.meshgrid(torch.arange(h, device=on), torch.arange(w, device=on), indexing="ij")
    return y.float(), x.float()


def _box(x: Float[Tensor, "m 1 h w"], side: int) -> Float[Tensor, "m 1 h w"]:
    return avg_pool2d(pad(x, (side // 2,) * 4, mode="reflect"), side, stride=1)


def _sample(
    pictures: Float[Tensor, "m h w"], u: Float[Tensor, "m h w"], v: Float[Tensor, "m h w"]
) -> Float[Tensor, "m h w"]:
    """Samples bilinearly, with integer pixel centres and the border repeated."""
    h, w = pictures.shape[1:]
    where = torch.stack([2 * u / (w - 1) - 1, 2 * v / (h - 1) - 1], -1)
    return grid_sample(pictures[:, None], where, padding_mode="border", align_corners=True)[:, 0]
