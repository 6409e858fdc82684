"""Requested camera paths, in the formats that people keep them in: one module a format.

A request is cameras alone; the pictures that it was made for need not exist.
"""

from recon.camera_files.convention import Convention
from recon.camera_files.detect import check_format, detect_or, holds_cameras, is_transforms
from recon.camera_files.requested import RequestedCameras, read_path, read_requested

__all__ = [
    "Convention",
    "RequestedCameras",
    "check_format",
    "detect_or",
    "holds_cameras",
    "is_transforms",
    "read_path",
    "read_requested",
]
