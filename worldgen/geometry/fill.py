"""Holes filled smoothly from around them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate


def push_pull(
    image: Float[Tensor, "h w c"], weight: Float[Tensor, "h w"], otherwise: Float[Tensor, "c"]
) -> Float[Tensor, "h w c"]:
    """The picture with every pixel of weight below 1 completed from coarser levels (Gortler et al. 1996).

    Colours are averaged down a pyramid with their weights, then each level takes what it lacks from the
    next coarser one. A picture that has no weight anywhere comes back in the colour `otherwise`.
    """
    colour, have = (image * weight[..., None]).permute(2, 0, 1)[None], weight[None, None]
    levels = []
    while True:
        levels.append((colour, have))
        if max(have.shape[-2:]) <= 1:
            break
        colour = avg_pool2d(colour, 2, ceil_mode=True)
        have = avg_pool2d(have, 2, ceil_mode=True)
        gain = (4 * have).clamp(max=1) / have.clamp_min(1e-9)  # one full child is enough to know the parent
        colour, have = colour * gain, have * gain
    colour, have = levels.pop()
    whole = torch.where(have > 0, colour / have.clamp_min(1e-9), otherwise[None, :, None, None])
    for colour, have in reversed(levels):
        coarse = interpolate(whole, size=have.shape[-2:], mode="bilinear", align_corners=False)
        whole = colour + (1 - have) * coarse
    return whole[0].permute(1, 2, 0)
