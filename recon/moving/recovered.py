"""What moves in a clip of which structure from motion found the cameras."""

from dataclasses import replace

import torch
from jaxtyping import Shaped
from torch import Tensor

from recon.clip import Clip
from recon.errors import CaptureError
from recon.lens import Lens, undistort_clip
from recon.moving.masks import MovingMasks, find_movers
from recon.recovery import Recovery


def find_movers_recovered(clip: Clip, recovery: Recovery) -> MovingMasks:
    """Masks of what moves, in the pixels of the clip as it was taken, by the cameras and lenses that were recovered of it.

    Args:
        clip: its cameras are not looked at.
        recovery: of this clip at any size.

    Raises:
        CaptureError: frames without a camera, or too few frames.
    """
    if recovery.cameras is None or not bool(recovery.registered.all()):
        raise CaptureError(
            f"expected a camera for each of {len(clip)} frames, got {int(recovery.registered.sum())}; find_movers_blind needs none"
        )
    lenses = [lens.for_pictures(width=clip.width, height=clip.height) for lens in recovery.lenses]
    straight = undistort_clip(replace(clip, cameras=None), lenses)
    cameras = recovery.cameras.resize(width=clip.width, height=clip.height)
    found = find_movers(replace(straight, cameras=cameras))
    if all(lens.is_pinhole for lens in lenses):
        return found
    moving = torch.stack([_take_back(one, lens) for one, lens in zip(found.moving, lenses, strict=True)])
    confidence = torch.stack(
        [_take_back(one, lens) for one, lens in zip(found.confidence, lenses, strict=True)]
    )
    return MovingMasks(moving, confidence)


def _take_back(straight: Shaped[Tensor, "h w"], lens: Lens) -> Shaped[Tensor, "h w"]:
    """What a picture without distortion has at each pixel of the picture as it was taken; 0 beyond its borders."""
    height, width = straight.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    xy = lens.undistort_points(torch.stack([x, y], -1).reshape(-1, 2), lens.K).nan_to_num(-1.0)
    column, row = xy.floor().long().T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    taken = straight[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return torch.where(inside, taken, torch.zeros_like(taken)).reshape(height, width)
