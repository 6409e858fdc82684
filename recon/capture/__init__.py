"""Captures: what people have on disk, read into clips."""

from recon.capture.lens import Lens
from recon.capture.read import Capture, read_capture

__all__ = ["Capture", "Lens", "read_capture"]
