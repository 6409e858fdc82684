"""Captures: what people have on disk, read into clips."""

from recon.capture.capture import Capture
from recon.capture.read import read_capture
from recon.lens import Lens

__all__ = ["Capture", "Lens", "read_capture"]
