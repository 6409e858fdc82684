"""What a user states of a finished clip."""

import math
from dataclasses import dataclass
from pathlib import Path

from recon.camera_files import Convention, check_format
from recon.clips.pairing import CountRule
from recon.errors import BridgeError


@dataclass(frozen=True)
class FinishedOptions:
    """Where the cameras of a finished clip are, and how they are read."""

    cameras: Path | None = None
    """File with the camera of every frame: transforms.json, RealEstate10K, TUM, KITTI, matrices. It may name photos of the capture, too.
    Without one, frames that COLMAP registers against the photos are shown."""
    focal_px: float | None = None
    """Focal length of the frames at their full size, pixels, where there is no file of cameras; estimated if not given."""
    convention: str | None = None
    """Of matrices: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""
    camera_format: str | None = None
    """realestate10k, transforms, camera-path, recammaster, tum, kitti or matrices, where the file does not show it."""
    count_rule: CountRule = "refuse"
    """If there are more frames than cameras or fewer: refuse them, keep the first of both, or spread the longer."""
    metres_per_unit: float | None = None
    """Length of a unit of the camera file, where it shares one photo with the capture and does not say."""
    license: str = ""
    """Of the clip, for reports."""

    def __post_init__(self) -> None:
        if self.convention is not None:
            Convention.parse(self.convention)
        check_format(self.camera_format)
        for name in ("metres_per_unit", "focal_px"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise BridgeError(f"expected --model.{name.replace('_', '-')} above 0, got {value}")
        if self.focal_px is not None and self.cameras is not None:
            raise BridgeError(
                "expected --model.focal-px without --model.cameras, whose file states the lens; leave one of them out"
            )
