"""Dense optical flow between two pictures."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.pictures.eight_bit import to_eight_bit

AGREE_PX = 1.0
"""Most by which the way back may miss the start: flows of pictures without occlusion come back within half a pixel."""


def dense_flow(a: Float[Tensor, "h w 3"], b: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 2"]:
    """Where each pixel of `a` lies in `b`, relative to its own place, in pixels (DIS, Kroeger et al. 2016)."""
    import cv2

    grey = [cv2.cvtColor(to_eight_bit(picture).numpy(), cv2.COLOR_RGB2GRAY) for picture in (a, b)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # a difference of places is the same whether centres are counted as 0 or 0.5
    return torch.from_numpy(search.calc(grey[0], grey[1], None))  # type: ignore[call-overload]


def comes_back(there: Float[Tensor, "h w 2"], back: Float[Tensor, "h w 2"]) -> Bool[Tensor, "h w"]:
    """Whether each pixel of the first picture is led back to itself; what is covered in the second is not."""
    at = follow(there)
    inside = (at.abs() <= 1).all(-1)
    returned = torch.nn.functional.grid_sample(
        back.permute(2, 0, 1)[None], at[None], align_corners=False, padding_mode="border"
    )[0].permute(1, 2, 0)
    return inside & ((there + returned).norm(dim=-1) < AGREE_PX)


def follow(flow: Float[Tensor, "h w 2"]) -> Float[Tensor, "h w 2"]:
    """Where the flow leads each pixel, in [-1, 1] of the picture, as `grid_sample` counts."""
    height, width = flow.shape[:2]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return (torch.stack([x, y], -1) + flow) / torch.tensor([width, height]) * 2 - 1
