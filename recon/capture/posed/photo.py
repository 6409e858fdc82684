"""A listed photo with its stated camera; nothing is decoded yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.stated_lens import StatedLens, choose_lens
from recon.cameras import Cameras
from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.shape import Layout, PictureShape


@dataclass(frozen=True)
class PosedPhoto:
    """A photo that is listed but not decoded, with the camera that a file states for it."""

    name: str
    file: Path
    lens: StatedLens | None
    """Lens as the camera file states it, perhaps for a larger or smaller picture; None where it states none."""
    cam_from_world: Float[Tensor, "4 4"] | None
    """None for a photo without a camera."""
    order: tuple[Layout, ...] = ("stored", "shown")
    """Layouts that the lens may be for, the likelier first: photos with cameras are read as stored, as by the programs that
    made the cameras, photos without as shown."""


def fit_lens(photo: PosedPhoto, shape: PictureShape) -> tuple[Lens | None, Layout]:
    """Lens at the full size of a photo, and the layout to read its pixels in.

    Raises:
        CameraError: a lens for a picture of another shape.
    """
    if photo.lens is None:
        return None, photo.order[0]
    return choose_lens(photo.lens, shape, photo.order)


def check_poses(photos: Sequence[PosedPhoto], source: Path) -> None:
    """Refuse the first invalid pose, whether its photo exists or not.

    Raises:
        CameraError: NaN, a left-handed or non-rigid pose; names `source` and the photo.
    """
    posed = [(p.name, p.cam_from_world) for p in photos if p.cam_from_world is not None]
    if not posed:
        return
    try:
        K = torch.eye(3, dtype=torch.float64).repeat(len(posed), 1, 1)
        Cameras(torch.stack([pose for _, pose in posed]), K, 1, 1).validate([name for name, _ in posed])
    except CameraError as e:
        raise CameraError(f"{source}: {e}") from e
