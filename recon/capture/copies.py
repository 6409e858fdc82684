"""Which pictures show what another one shows: copies to the byte, and held-out ones that are another encoding."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.pictures.images import as_unit, fit_size, shrink

THUMBNAIL_SIDE = 64
PART = 5
"""Thumbnails are as unlike as their most unlike parts of so many pixels on a side: on a white ground a small object fills
no more, and everything else is alike in all photos."""
COPY = 0.1
"""A picture is a copy where it differs by less than this share of what training pictures differ from the most alike other
one. Measured on eight photo sets, four clips, and small objects on white ground made of the photos: copies in JPEG of
quality 50 or of another size stay below 0.07, in JPEG of quality 30 and at half the size in quality 50 below 0.09; other
views begin at 0.14, where a turntable comes round to the same place within two pixels of 640, and at 0.3 elsewhere. Of
objects a sixth of the frame wide on white, copies of another size reach 0.22 and are missed: a thumbnail has eleven pixels
of such an object."""
PROBES = 50
"""Training pictures, evenly spread, of which the most alike other one is looked for; each is compared with all."""


def hash_pixels(pixels: Shaped[np.ndarray, "h w 3"]) -> bytes:
    """The same for pictures whose pixels are all the same."""
    found = hashlib.blake2b(f"{pixels.dtype} {pixels.shape}".encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()


def find_copied(
    judged: Sequence[Shaped[np.ndarray, "h w 3"]], training: Sequence[Shaped[np.ndarray, "h w 3"]]
) -> list[int | None]:
    """For each held-out picture the first of ``[*training, *judged]`` before it that it is a copy of; None where it shows
    something of its own.

    All are of one size, with the levels at which they are used. What is near is told by the training pictures alone.
    """
    if not judged:
        return []
    known = [_thumbnail(pixels) for pixels in (*training, *judged)]
    near = COPY * _spacing(torch.stack(known[: len(training)])) if len(training) > 1 else 0.0
    found: list[int | None] = []
    for i in range(len(training), len(known)):
        before = [j for j in range(i) if j < len(training) or found[j - len(training)] is None]
        unlike = _unlikeness(known[i], torch.stack([known[j] for j in before])) if before else torch.ones(0)
        alike = torch.nonzero(unlike <= near)
        found.append(before[int(alike[0])] if len(alike) else None)
    return found


def explain_twin(first: str) -> str:
    """Why a held-out copy of the picture of that name is left out."""
    return f"the same picture as {first}, so that it judges nothing"


def _spacing(thumbnails: Float[Tensor, "n 3 h w"]) -> float:
    """How much pictures differ from the most alike other one, as a rule."""
    nearest = []
    for i in np.unique(np.linspace(0, len(thumbnails) - 1, PROBES).round().astype(int)):
        unlike = _unlikeness(thumbnails[i], thumbnails)
        unlike[i] = torch.inf
        nearest.append(float(unlike.min()))
    return float(np.median(nearest))


def _unlikeness(one: Float[Tensor, "3 h w"], others: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
    difference = (others - one).abs().mean(1, keepdim=True)
    part = min(PART, *one.shape[1:])
    return torch.nn.functional.avg_pool2d(difference, part, stride=1).amax((1, 2, 3))


def _thumbnail(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h2 w2"]:
    size = fit_size(pixels.shape[1], pixels.shape[0], THUMBNAIL_SIDE)
    return as_unit(shrink(pixels, *size)).permute(2, 0, 1)
