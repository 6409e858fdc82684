"""Times that frames of several cameras share, where each camera has a clock of its own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def share_times(times_s: Float[Tensor, "n"], camera_of: Sequence[int]) -> Float[Tensor, "n"]:
    """The time of the first camera that is nearest to each frame, so that frames of one moment can be put together.

    Where each frame has a nearest one of its own, within half a step, it takes that time. The frames of other cameras are shifted by whole
    frames, all alike, so that none share a time; what lies before the first time or after the last goes on in the same steps. Times of
    synchronous cameras stay as they are.

    Args:
        times_s: ascending in each camera, of which all have as many frames at the same rate.
        camera_of: number of the camera that took each frame.
    """
    cameras = torch.tensor(camera_of)
    base = times_s[cameras == int(cameras.min())].double()
    step = base.diff().median()
    shared = times_s.clone()
    for k in cameras.unique().tolist():
        own = times_s[cameras == k].double()
        nearest = (own[:, None] - base + 1e-6 * step).abs().argmin(1)  # of equals the later
        if len(nearest.unique()) < len(own) or bool(((own - base[nearest]).abs() > 0.5 * step + 1e-6).any()):
            # before the first time or after the last: whole steps, all alike
            shift = int(torch.floor((own - base).median() / step + 0.5))
            at = torch.arange(len(base)) + shift
            inside = at.clamp(0, len(base) - 1)
            shared[cameras == k] = (base[inside] + (at - inside) * step).to(times_s.dtype)
        else:
            shared[cameras == k] = base[nearest].to(times_s.dtype)
    return shared
