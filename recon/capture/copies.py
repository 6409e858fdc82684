"""Detection of copies: pixel-identical pictures, and held-out ones that re-encode another picture."""

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.pictures.images import as_unit, fit_size, shrink

THUMBNAIL_SIDE_PX = 64
"""Long side of the pictures that are compared: small enough that JPEG and rescaling leave no trace."""
PART_PX = 5
"""Side of the parts whose largest difference counts: on a white ground a small object fills no more, and everything else is
alike in all photos."""
MAX_COPY_DIFFERENCE = 0.1
"""Difference of a copy, as a share of the typical difference between training pictures and their most alike other one. Measured on eight photo sets, four clips, and small objects on white ground made of the photos: copies in JPEG of
quality 50 or of another size stay below 0.07, in JPEG of quality 30 and at half the size in quality 50 below 0.09; other
views begin at 0.14, where a turntable comes round to the same place within two pixels of 640, and at 0.3 elsewhere. Of
objects a sixth of the frame wide on white, copies of another size reach 0.22 and are missed: a thumbnail has eleven pixels
of such an object."""
MAX_PROBES = 50
"""Training pictures, evenly spread, whose most alike other one is searched; each is compared with all, so time grows with it."""


def hash_pixels(pixels: Shaped[np.ndarray, "h w 3"]) -> bytes:
    """Hash of a picture's pixels, type and shape."""
    found = hashlib.blake2b(f"{pixels.dtype} {pixels.shape}".encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()


def find_copied(
    judged: Iterable[Shaped[np.ndarray, "h w 3"]], training: Iterable[Shaped[np.ndarray, "h w 3"]]
) -> list[int | None]:
    """Find what each held-out picture is a copy of: its index in ``[*training, *judged]``, or None.

    Only pictures before it count. All are of one size, at the levels at which they are used. The training pictures alone
    decide which difference is small.
    """
    asked = [_thumbnail(pixels) for pixels in judged]
    if not asked:
        return []
    known = [_thumbnail(pixels) for pixels in training]
    trained = len(known)
    near = MAX_COPY_DIFFERENCE * _spacing(torch.stack(known)) if trained > 1 else 0.0
    known += asked
    found: list[int | None] = []
    for i in range(trained, len(known)):
        before = [j for j in range(i) if j < trained or found[j - trained] is None]
        unlike = _unlikeness(known[i], torch.stack([known[j] for j in before])) if before else torch.ones(0)
        alike = torch.nonzero(unlike <= near)
        found.append(before[int(alike[0])] if len(alike) else None)
    return found


def explain_twin(first: str) -> str:
    """Reason for which a held-out copy of the picture `first` is left out."""
    return f"the same picture as {first}, so that it judges nothing"


def _spacing(thumbnails: Float[Tensor, "n 3 h w"]) -> float:
    """Median difference of pictures from their most alike other one."""
    nearest = []
    for i in np.unique(np.linspace(0, len(thumbnails) - 1, MAX_PROBES).round().astype(int)):
        unlike = _unlikeness(thumbnails[i], thumbnails)
        unlike[i] = torch.inf
        nearest.append(float(unlike.min()))
    return float(np.median(nearest))


def _unlikeness(one: Float[Tensor, "3 h w"], others: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
    difference = (others - one).abs().mean(1, keepdim=True)
    part = min(PART_PX, *one.shape[1:])
    return torch.nn.functional.avg_pool2d(difference, part, stride=1).amax((1, 2, 3))


def _thumbnail(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h2 w2"]:
    size = fit_size(pixels.shape[1], pixels.shape[0], THUMBNAIL_SIDE_PX)
    return as_unit(shrink(pixels, *size)).permute(2, 0, 1)
