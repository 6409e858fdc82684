"""Stacking of pictures of one size, with a check of memory before it is taken."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.bounded import check_memory
from recon.errors import CaptureError
from recon.pictures.images import as_unit
from recon.words import count_noun

BYTES_PER_PIXEL = 12
"""Bytes of a pixel in a `Clip`: three floats."""
MAX_NAMED_SIZES = 4
"""Sizes that a sentence names at most; a folder may hold hundreds."""


def check_batch(count_of: Mapping[tuple[int, int], int], what: str) -> None:
    """Refuse pictures that would take more than half of this computer's memory, before any is decoded.

    Args:
        count_of: number of pictures of each (width, height).
        what: the folder or file that holds them, for the error.

    Raises:
        CaptureError: names the number, the size and the memory.
    """
    if not count_of:
        return
    width, height = max(count_of, key=lambda size: size[0] * size[1])
    sizes = f"{'up to ' if len(count_of) > 1 else ''}{width}x{height}"
    check_memory(
        BYTES_PER_PIXEL * sum(count * w * h for (w, h), count in count_of.items()),
        f"{count_noun(sum(count_of.values()), 'picture')} of {sizes} in {what}",
        "take fewer of them, or smaller ones with --max-side",
        error=CaptureError,
    )


def describe_sizes(count_of: Mapping[tuple[int, int], int]) -> str:
    """The most frequent sizes with their counts: '640x480 (7), 480x640 (2)'."""
    common = Counter(count_of).most_common(MAX_NAMED_SIZES)
    return ", ".join(f"{w}x{h} ({n})" for (w, h), n in common) + (
        " …" if len(count_of) > MAX_NAMED_SIZES else ""
    )


def stack_pictures(pictures: Sequence[Shaped[np.ndarray, "h w 3"]], what: str) -> Float[Tensor, "n h w 3"]:
    """Stack pictures of one size as float32 in [0, 1], converted one after another.

    Raises:
        CaptureError: several sizes, or as `check_batch`.
    """
    count_of = Counter((picture.shape[1], picture.shape[0]) for picture in pictures)
    if len(count_of) > 1:
        raise CaptureError(
            f"expected pictures of one size in {what}, got {describe_sizes(count_of)}; export them again"
        )
    check_batch(count_of, what)
    ((width, height),) = count_of
    images = torch.empty(len(pictures), height, width, 3)
    for i in range(len(pictures)):
        images[i] = as_unit(pictures[i])
    return images
