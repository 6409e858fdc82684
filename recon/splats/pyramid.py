"""Posed pictures at several sizes, so that a training can start on small ones, where iterations are cheap."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from recon.cameras import Cameras
from recon.clip import Clip

MIN_SIDE_PX = 96
"""Pixels of the shorter side below which pictures are not made smaller."""


@dataclass(frozen=True)
class View:
    """One picture to train on, at one size."""

    image: Float[Tensor, "h w 3"]
    weight: Float[Tensor, "h w"] | None
    """Weight of each pixel in the loss; None means 1."""
    camera: Cameras


class Pyramid:
    """A clip's pictures, and halves of them, and quarters …, as contiguous float32.

    Level 0 is the clip as it is, without a copy where it has that layout already.
    """

    def __init__(self, clip: Clip, levels: int, device: torch.device | str = "cpu") -> None:
        self._clips = [_to_contiguous(clip)]
        while len(self._clips) < levels and min(clip.width, clip.height) >> len(self._clips) >= MIN_SIDE_PX:
            self._clips.append(_halve(self._clips[-1]))
        self._images = [c.images.to(device) for c in self._clips]
        self._weights = [None if c.confidence is None else c.confidence.to(device) for c in self._clips]
        self._cameras = [c.require_cameras() for c in self._clips]

    def __len__(self) -> int:
        return len(self._clips)

    def view(self, image: int, level: int) -> View:
        """Picture number `image`; a level past the smallest is the smallest."""
        level = min(level, len(self) - 1)
        weight = self._weights[level]
        return View(
            self._images[level][image],
            None if weight is None else weight[image],
            self._cameras[level][image],
        )


def _to_contiguous(clip: Clip) -> Clip:
    """The same numbers as engines take them, whatever dtype and strides they came with."""
    images, confidence = (
        None if part is None else part.to(dtype=torch.float32).contiguous()
        for part in (clip.images, clip.confidence)
    )
    return replace(clip, images=images, confidence=confidence)


def _halve(clip: Clip) -> Clip:
    """Half the size, rounded up; each pixel the mean of those it covers, weighted by their confidence."""
    size = (-(-clip.height // 2), -(-clip.width // 2))
    weight = None if clip.confidence is None else clip.confidence[:, None]
    images = clip.images.permute(0, 3, 1, 2)
    small = torch.empty(len(clip), 3, *size, dtype=torch.float32)
    confidence = None if weight is None else torch.empty(len(clip), *size, dtype=torch.float32)
    for i in range(len(clip)):  # one at a time: a capture may fill half the memory
        if weight is None or confidence is None:
            small[i] = interpolate(images[i : i + 1], size, mode="area")[0]
            continue
        total = interpolate(weight[i : i + 1], size, mode="area")
        shown = torch.where(
            weight[i : i + 1] > 0, images[i : i + 1], 0
        )  # what counts for nothing may be anything
        small[i] = (interpolate(shown * weight[i : i + 1], size, mode="area") / total.clamp_min(1e-12))[0]
        confidence[i] = total[0, 0]
    cameras = clip.require_cameras().resize(width=size[1], height=size[0])
    return Clip(small.permute(0, 2, 3, 1).contiguous(), cameras, names=clip.names, confidence=confidence)
