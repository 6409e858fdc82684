"""What a user states of a finished clip."""

from dataclasses import dataclass
from pathlib import Path

from recon.camera_files import Convention, check_format
from recon.clips.pairing import CountRule
from recon.errors import BridgeError


@dataclass(frozen=True)
class FinishedOptions:
    """Where the cameras of a finished clip are, and how they are read."""

    cameras: Path | None = None
    """File with the camera of every frame: transforms.json, RealEstate10K, TUM, KITTI, matrices. It may name photos of the capture, too."""
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
        if self.metres_per_unit is not None and not self.metres_per_unit > 0:
            raise BridgeError(f"expected --model.metres-per-unit above 0, got {self.metres_per_unit}")
