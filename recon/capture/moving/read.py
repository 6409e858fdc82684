"""Reading of captures of what moves, whatever their layout."""

from pathlib import Path

from recon.camera_files.formats.transforms import has_cameras
from recon.capture.moving.capture import LAYOUTS, MovingCapture
from recon.capture.moving.rig import read_rig
from recon.capture.moving.transforms import read_splits, read_transforms
from recon.capture.posed.transforms import SPLITS
from recon.errors import CaptureError


def read_moving_capture(
    path: Path, *, fps: float, max_side: int, max_frames: int, allow_outside: bool = False
) -> MovingCapture:
    """Read a capture of what moves.

    Args:
        path: a folder for each camera with its frames, or videos, either with a ``poses_bounds.npy`` of LLFF or without; or a folder
            with a ``transforms.json`` whose frames have a ``time`` in seconds, or with one for each split as D-NeRF has them. The
            first time counts as 0.
        fps: frames a second of folders; videos and camera files state their times.
        max_side: long side in pixels at most.
        max_frames: most times, spread evenly over all.

    Raises:
        CaptureError: none of these; cameras with different numbers of frames, or of other sizes.
    """
    if not path.exists():
        raise CaptureError(f"expected {LAYOUTS} at {path}, there is nothing")
    file = path if path.suffix.lower() == ".json" else path / "transforms.json"
    if has_cameras(file):
        return read_transforms(file, max_side, max_frames, allow_outside)
    if has_cameras(path / SPLITS[0]):
        return read_splits(path, max_side, max_frames, allow_outside)
    return read_rig(path, fps, max_side, max_frames, allow_outside)
