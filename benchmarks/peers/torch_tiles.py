"""3D Gaussian splatting in plain torch, tile by tile: what can be had on a CPU without writing a kernel.

Gaussians are projected as in `recon.splats.engines.reference`. Tiles of 16 x 16 px are then drawn many at a time: their
lists of Gaussians, nearest first, are padded to one length, and all pixels of a tile meet all of its Gaussians in one
batched product. Autograd does the rest.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.engines import reference
from recon.splats.engines.screen import Style
from recon.splats.loss import plain_loss

TILE = 16
PAIRS_AT_ONCE = 1 << 11
"""Pairs of a tile and a Gaussian in one batch, 256 pixels each: what stays in a core's cache."""
NOTHING = -1e4
"""Log opacity of what fills up a tile's list."""


def render(gaussians: Gaussians, camera: Cameras, style: Style) -> Float[Tensor, "h w 3"]:
    """The picture from the one camera given, as `recon.splats.engines.reference` draws it; differentiable in the scene."""
    with torch.no_grad():
        seen = reference.sort_drawn(reference.project(gaussians, camera, style), camera, style)
    splats = reference.project(gaussians[seen], camera, style)
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
    owners, counts = _bin(splats, columns, rows)
    owners = torch.cat([owners, torch.tensor([len(seen)])])  # never empty, and ends in what draws nothing
    starts = counts.cumsum(0) - counts
    features, monomials = _features(splats), _pixel_monomials(gaussians.means.dtype)
    parts, order = [], torch.argsort(counts)
    for tiles in _batches(order, counts):
        slot = torch.arange(max(int(counts[tiles[-1]]), 1))
        lists = owners[(starts[tiles, None] + slot).clamp_max(len(owners) - 1)]
        lists = torch.where(slot < counts[tiles, None], lists, len(seen))
        middle = TILE * torch.stack([tiles % columns, tiles // columns], -1) + TILE / 2
        parts.append(
            _composite(features[lists], middle.to(features), monomials, style.background.to(features))
        )
    tiles = torch.cat(parts)[torch.argsort(order)].view(rows, columns, TILE, TILE, 3)
    picture = tiles.transpose(1, 2).reshape(rows * TILE, columns * TILE, 3)
    return picture[: camera.height, : camera.width]


class Trainer:
    """Iterations of training: draw, compare, derive, learn. One learning rate for everything."""

    def __init__(self, gaussians: Gaussians, *, rate: float) -> None:
        self._scene = Gaussians(
            **{name: value.detach().clone().requires_grad_() for name, value in gaussians.tensors().items()}
        )
        self._adam = torch.optim.Adam(list(self._scene.tensors().values()), lr=rate, eps=1e-15, fused=True)

    def step(
        self, camera: Cameras, style: Style, target: Float[Tensor, "h w 3"], *, lambda_dssim: float
    ) -> float:
        """One iteration on one picture; its loss before."""
        drawn = render(self._scene, camera, style)
        loss = plain_loss(drawn, target, torch.ones(target.shape[:2]), lambda_dssim=lambda_dssim)
        loss.backward()
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        return float(loss.detach())


@torch.no_grad()
def _bin(
    splats: reference.Splats, columns: int, rows: int
) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "tiles"]]:
    """The splats of every tile, in the order given and tile by tile, and how many each tile has.

    A splat belongs to the tiles that its box meets.
    """
    grid = torch.tensor([columns, rows])
    first = ((splats.centers - splats.extents_px) / TILE).floor().long().clamp_min(0)
    last = torch.minimum(((splats.centers + splats.extents_px) / TILE).ceil().long(), grid)
    spans = (last - first).clamp_min(0)
    pairs = spans.prod(-1)
    owner = torch.repeat_interleave(torch.arange(len(pairs)), pairs)
    nth = torch.arange(len(owner)) - (pairs.cumsum(0) - pairs)[owner]
    width = spans[owner, 0]
    tile = (first[owner, 1] + nth // width) * columns + first[owner, 0] + nth % width
    return owner[torch.argsort(tile, stable=True)], torch.bincount(tile, minlength=columns * rows)


def _features(splats: reference.Splats) -> Float[Tensor, "s_and_one 9"]:
    """Centre (2), conic (3), log opacity, colour (3) of every splat; the last row draws nothing."""
    rows = torch.cat([splats.centers, splats.conics, splats.opacities.log()[:, None], splats.colors], -1)
    return torch.cat([rows, rows.new_tensor([[0, 0, 0, 0, 0, NOTHING, 0, 0, 0]])])


def _pixel_monomials(dtype: torch.dtype) -> Float[Tensor, "256 6"]:
    """u², uv, v², u, v, 1 at the centres of a tile's pixels, counted from the middle of the tile."""
    steps = torch.arange(TILE, dtype=dtype) + 0.5 - TILE / 2
    v, u = (t.flatten() for t in torch.meshgrid(steps, steps, indexing="ij"))
    return torch.stack([u * u, u * v, v * v, u, v, torch.ones_like(u)], -1)


def _batches(order: Int[Tensor, "tiles"], counts: Int[Tensor, "tiles"]) -> Iterator[Int[Tensor, "_"]]:
    """Tiles with lists of about one length, the longest last, of `PAIRS_AT_ONCE` pairs or one tile."""
    lengths = counts[order].clamp_min(1).tolist()
    first = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - first) * lengths[end] > PAIRS_AT_ONCE:
            yield order[first:end]
            first = end


def _composite(
    features: Float[Tensor, "t n 9"],
    middle: Float[Tensor, "t 2"],
    monomials: Float[Tensor, "256 6"],
    background: Float[Tensor, "3"],
) -> Float[Tensor, "t 256 3"]:
    """Pixels of t tiles over their n Gaussians each, nearest first."""
    x, y, xx, xy, yy, log_opacity = features[..., :6].unbind(-1)
    x, y = x - middle[:, :1], y - middle[:, 1:]
    constant = log_opacity - (xx * x * x + yy * y * y) / 2 - xy * x * y
    coefficients = torch.stack([-xx / 2, -xy, -yy / 2, xx * x + xy * y, xy * x + yy * y, constant], 1)
    alpha = (monomials @ coefficients).exp().clamp_max(reference.ALPHA_MAX)  # t, 256, n
    alpha = torch.where(alpha >= reference.ALPHA_MIN, alpha, 0)
    log_passes = torch.log1p(-alpha)
    log_behind = log_passes.cumsum(-1)
    before = (log_behind - log_passes).exp()
    weight = torch.where(log_behind > math.log(reference.TRANSMITTANCE_MIN), before * alpha, 0)
    return weight @ features[..., 6:] + (1 - weight.sum(-1, keepdim=True)) * background
