"""The engine for machines without a GPU: numba kernels behind one autograd function."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians, sh_bases
from recon.splats.screen import Rendering, Screen, Style, jacobian_limits, screen_offsets

CHUNKS = 8
"""Pieces of the depth order that are binned independently."""


@dataclass(frozen=True)
class _Lists:
    """Tiles' lists of Gaussians, front to back."""

    tile_start: ndarray
    entry_splat: ndarray
    entry_slot: ndarray
    slot_start: ndarray
    slot_count: ndarray


def _flat_camera(cameras: Cameras) -> ndarray:
    """The one camera given, as `recon.splats.kernels.project` reads it."""
    pose, K = cameras.cam_from_world[0].double(), cameras.K[0].double()
    parts = [
        pose[:3, :3].reshape(-1),
        pose[:3, 3],
        torch.stack([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]),
        jacobian_limits(cameras)[0].double(),
    ]
    return torch.cat(parts).numpy()


def _sorted_into_tiles(splats: ndarray, tiles: ndarray, radii: ndarray, width: int, height: int) -> _Lists:
    """Depth order first, ties by index; then every chunk of it appends to its own part of each tile's list."""
    from recon.splats.kernels import bin as binning
    from recon.splats.kernels.raster import DEPTH, TILE
    from recon.splats.kernels.threads import run

    seen = np.flatnonzero(radii > 0)
    keys = (splats[seen, DEPTH].view(np.uint32).astype(np.uint64) << np.uint64(32)) | seen.astype(np.uint64)
    keys.sort()  # positive floats sort as their bits do
    order = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    bounds = np.linspace(0, len(order), CHUNKS + 1).astype(np.int64)

    tiles_x, tiles_y = -(-width // TILE), -(-height // TILE)
    per_tile = np.zeros((CHUNKS, tiles_x * tiles_y), np.int64)
    slot_count = np.zeros(len(radii), np.int64)
    run(binning.count, CHUNKS, bounds, order, splats, tiles, tiles_x, per_tile, slot_count)
    slot_start = np.cumsum(slot_count) - slot_count
    tile_start, next_entry = np.empty(tiles_x * tiles_y + 1, np.int64), np.empty_like(per_tile)
    entries = binning.starts(per_tile, tile_start, next_entry)
    entry_splat, entry_slot = np.empty(entries, np.int32), np.empty(entries, np.int32)
    run(
        binning.fill,
        CHUNKS,
        bounds,
        order,
        splats,
        tiles,
        tiles_x,
        next_entry,
        slot_start,
        entry_splat,
        entry_slot,
    )
    return _Lists(tile_start, entry_splat, entry_slot, slot_start, slot_count)


class _Rasterize(torch.autograd.Function):
    """Gaussians to image, Σ weight · depth, alpha and radii in one camera."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logits: Tensor,
        sh: Tensor,
        means2d: Tensor,
        camera: ndarray,
        width: int,
        height: int,
        background: ndarray,
        bases: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        from recon.splats.kernels import project, raster
        from recon.splats.kernels.threads import run

        g = len(means)
        center = -camera[:9].reshape(3, 3).T @ camera[9:12]
        scene = [t.detach().numpy() for t in (means, quats, log_scales, logits, sh)]
        splats, tiles = np.empty((g, raster.COLUMNS), np.float32), np.empty((g, 4), np.int32)
        radii = np.empty(g, np.float32)
        run(project.project, g, *scene, bases, camera, center, width, height, splats, tiles, radii)
        lists = _sorted_into_tiles(splats, tiles, radii, width, height)
        image, depth_sum = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
        alpha = np.empty((height, width), np.float32)
        run(
            raster.rasterize,
            len(lists.tile_start) - 1,
            splats,
            lists.entry_splat,
            lists.tile_start,
            width,
            height,
            background,
            image,
            depth_sum,
            alpha,
        )
        ctx.kept = (scene, bases, camera, center, splats, radii, lists, image, depth_sum, alpha)
        outputs = tuple(torch.from_numpy(a)[None] for a in (image, depth_sum, alpha, radii))
        ctx.mark_non_differentiable(outputs[3])
        return outputs  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from recon.splats.kernels import project, raster
        from recon.splats.kernels.threads import run

        scene, bases, camera, center, splats, radii, lists, image, depth_sum, alpha = ctx.kept
        height, width = alpha.shape
        slots = np.empty((len(lists.entry_slot), raster.SLOTS), np.float32)
        v_image, v_depth_sum, v_alpha = (v[0].contiguous().numpy() for v in gradients[:3])
        run(
            raster.rasterize_backward,
            len(lists.tile_start) - 1,
            splats,
            lists.entry_splat,
            lists.entry_slot,
            lists.tile_start,
            width,
            height,
            image,
            depth_sum,
            alpha,
            v_image,
            v_depth_sum,
            v_alpha,
            slots,
        )
        found = [np.zeros_like(a) for a in scene] + [np.zeros((len(radii), 2), np.float32)]
        run(
            project.project_backward,
            len(radii),
            *scene,
            bases,
            camera,
            center,
            radii,
            splats,
            lists.slot_start,
            lists.slot_count,
            slots,
            *found,
        )
        return *(torch.from_numpy(v) for v in found), None, None, None, None, None


def render(gaussians: Gaussians, cameras: Cameras, style: Style) -> tuple[Rendering, Screen]:
    """Pictures of all cameras in float32; one after the other, each on all threads.

    Raises:
        BridgeError: a style or a derivative that this engine does not know.
    """
    _refuse_what_is_unknown(cameras, style)
    n = len(cameras)
    scene = [t.float().contiguous() for t in gaussians.tensors().values()]
    means2d = screen_offsets(gaussians, cameras).float()
    parts = [
        _Rasterize.apply(
            *scene,
            means2d[i],
            _flat_camera(cameras[i]),
            cameras.width,
            cameras.height,
            style.background.float().numpy(),
            sh_bases(style.sh_degree),
        )
        for i in range(n)
    ]
    images, depth_sum, alpha, radii = (p[0] if n == 1 else torch.cat(p) for p in zip(*parts, strict=True))
    return Rendering.from_sums(images, depth_sum, alpha), Screen(means2d, radii)


def _refuse_what_is_unknown(cameras: Cameras, style: Style) -> None:
    unknown = {
        "antialiasing": style.antialiased,
        "median depth": style.median_depth,
        "near and far planes": (style.near, style.far) != (Style.near, Style.far),
        "derivatives by the cameras": torch.is_grad_enabled() and cameras.cam_from_world.requires_grad,
    }
    asked = [what for what, wanted in unknown.items() if wanted]
    if asked:
        raise BridgeError(f"the cpu engine does not offer {', '.join(asked)}; use engine='reference'")
