"""Pictures of one size as one batch of floats, whose memory is counted before it is taken."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.bounded import check_memory
from recon.errors import CaptureError
from recon.pictures.images import as_unit

FLOATS = 12
"""Bytes of a pixel in a `Clip`."""


def check_batch(count: int, width: int, height: int, what: str) -> None:
    """Refuses so many pictures of that size where they would take more than half of this computer's memory.

    Raises:
        CaptureError: they would.
    """
    check_memory(
        FLOATS * count * width * height,
        f"{count:,} pictures of {width}x{height} in {what}",
        "take fewer of them, or smaller ones with --max-side",
        error=CaptureError,
    )


def batch(pictures: Sequence[Shaped[np.ndarray, "h w 3"]], what: str) -> Float[Tensor, "n h w 3"]:
    """Pictures of one size in [0, 1], converted one after another.

    Raises:
        CaptureError: see `check_batch`.
    """
    height, width = pictures[0].shape[:2]
    check_batch(len(pictures), width, height, what)
    images = torch.empty(len(pictures), height, width, 3)
    for i in range(len(pictures)):
        images[i] = as_unit(pictures[i])
    return images
