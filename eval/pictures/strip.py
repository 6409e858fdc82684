"""A clip at a glance: a few of its frames in a row."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit

TINT = (1.0, 0.1, 0.1)
"""Colour that is laid, half transparent, over what is masked."""


def tint(images: Float[Tensor, "*n h w 3"], masked: Bool[Tensor, "*m h w"]) -> Float[Tensor, "*n h w 3"]:
    """Pictures with what is masked tinted."""
    share = masked[..., None] * 0.5
    return (1 - share) * images + share * torch.tensor(TINT)


def write_strip(
    clip: Clip, path: Path, *, frames: int = 8, height: int = 96, masked: Bool[Tensor, "*n h w"] | None = None
) -> None:
    """Writes up to `frames` frames, evenly spread from first to last, side by side as one JPEG of that height.

    Args:
        masked: pixels that are tinted, of every frame or of each.
    """
    from PIL import Image

    count = min(frames, len(clip))
    picks = torch.linspace(0, len(clip) - 1, count).round().long().tolist()
    width = max(1, round(clip.width * height / clip.height))
    shown = clip[picks]
    if masked is not None:
        masked = masked if masked.ndim == 2 else masked[picks]
        shown = replace(shown, images=tint(shown.images, masked))
    small = shown.resize(width=width, height=height).images
    row = to_eight_bit(small.permute(1, 0, 2, 3).reshape(height, count * width, 3))
    Image.fromarray(row.numpy()).save(path, format="JPEG", quality=82)
