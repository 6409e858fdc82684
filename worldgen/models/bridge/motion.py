"""The frame before, moved to the present one: what ties the frames of a clip together."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from recon.cameras import Cameras
from worldgen.models.bridge.conditioning import INVERSE_RANGE, SAME, through_depth
from worldgen.models.bridge.net import Answer, Previous
from worldgen.models.bridge.weights import confidence


def warp_picture(
    picture: Float[Tensor, "b c h w"],
    inverse_before: Float[Tensor, "b 1 h w"],
    before: Cameras,
    inverse_now: Float[Tensor, "b 1 h w"],
    now: Cameras,
    scale: Float[Tensor, "b"],
    *,
    mode: str = "bicubic",
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """A picture of the frames before, looked up from the present frames; and where it is valid (1 or 0).

    Args:
        picture: anything that lies on the frames before.
        inverse_before, inverse_now: inverse depths in the units of `Conditioning.inverse_depth`.
        before, now: b cameras each; crops are cameras with a shifted principal point.
        scale: of the caches, world units.
        mode: of `grid_sample`: "nearest" keeps white noise white.
    """
    grids, valid = [], []
    h, w = picture.shape[2:]
    for i in range(len(now)):
        inverse = (inverse_now[i, 0] * INVERSE_RANGE / scale[i]).clamp_min(1e-6 / scale[i])
        px, depth, _ = through_depth(now[i], inverse.float(), before[i])
        grid = px / px.new_tensor([w, h]) * 2 - 1
        inside = (
            (depth > 0) & (grid.abs() < 1).all(-1) & (inverse_now[i, 0] < 1)
        )  # nearer ones are cut off at 1
        grid = torch.where(inside[..., None], grid, torch.full_like(grid, 2.0))
        own = grid_sample(inverse_before[i : i + 1], grid[None], mode="nearest", align_corners=False)[0, 0]
        expected = scale[i] / (depth.clamp_min(1e-9) * INVERSE_RANGE)
        close = (own - expected).abs() < SAME * expected + 1e-4
        grids.append(grid)
        valid.append((inside & close)[None])
    there = torch.stack(valid).to(picture.dtype)
    out = grid_sample(
        picture, torch.stack(grids).to(picture.dtype), mode=mode, padding_mode="border", align_corners=False
    )
    return out * there, there


def previous_frame(
    answer: Answer,
    inverse_before: Float[Tensor, "b 1 h w"],
    before: Cameras,
    inverse_now: Float[Tensor, "b 1 h w"],
    now: Cameras,
    scale: Float[Tensor, "b"],
) -> Previous:
    """What the network is told about the frame before: its own answer, and how sure it was before calibration, moved.

    No gradient flows back in time. For the other arguments see `warp_picture`; their device is that of what comes out.
    """
    sure = confidence(torch.exp(answer.log_scale.detach()))
    both = torch.cat([answer.colour.detach().clamp(0, 1), sure], dim=1).to(inverse_now.device)
    out, valid = warp_picture(both, inverse_before, before, inverse_now, now, scale)
    return Previous(out[:, :3].clamp(0, 1), torch.cat([valid, out[:, 3:].clamp(0, 1)], dim=1))
