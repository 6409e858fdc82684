"""Readers of camera files, one module a format.

The pictures that the cameras are for need not exist.
"""

from recon.camera_files.convention import Convention
from recon.camera_files.detect import check_format, detect_with_default, holds_cameras, is_transforms
from recon.camera_files.requested import RequestedCameras, read_path, read_requested

__all__ = [
    "Convention",
    "RequestedCameras",
    "check_format",
    "detect_with_default",
    "holds_cameras",
    "is_transforms",
    "read_path",
    "read_requested",
]
