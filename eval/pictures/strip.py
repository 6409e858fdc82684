"""A clip at a glance: a few of its frames in a row."""

from pathlib import Path

import torch

from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit


def write_strip(clip: Clip, path: Path, *, frames: int = 8, height: int = 96) -> None:
    """Writes up to `frames` frames, evenly spread from first to last, side by side as one JPEG of that height."""
    from PIL import Image

    count = min(frames, len(clip))
    picks = torch.linspace(0, len(clip) - 1, count).round().long().tolist()
    width = max(1, round(clip.width * height / clip.height))
    small = clip[picks].resize(width=width, height=height).images
    row = to_eight_bit(small.permute(1, 0, 2, 3).reshape(height, count * width, 3))
    Image.fromarray(row.numpy()).save(path, format="JPEG", quality=82)
