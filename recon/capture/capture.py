"""A capture that was read."""

from dataclasses import dataclass
from pathlib import Path

from recon.clip import Clip
from recon.pictures.levels import Levels
from recon.points import PointCloud


@dataclass(frozen=True)
class Capture:
    clip: Clip
    """With cameras where reference cameras came along; its images are undistorted then."""
    focals_px: tuple[float | None, ...] = ()
    """What EXIF suggests for each photo, at the clip's size; None where it is silent, empty where there is none."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(file, reason): what was left out."""
    ordered: bool = False
    """Frames of a video, in order: matching neighbours pays."""
    kind: str = "images"
    """'images', 'video', 'colmap' or 'transforms'."""
    pose_kind: str | None = None
    """How far the cameras may be trusted, where the file says so: 'ground-truth', 'reference-sfm' …"""
    points: PointCloud | None = None
    """What came along with the cameras, in their world."""
    notes: tuple[str, ...] = ()
    """What a person should know of the reading."""
    listed: tuple[str, ...] = ()
    """All photos that there are by name, also those that were left out; empty for a video."""
    files: tuple[Path, ...] = ()
    """Where each photo of the clip was read; empty for a video."""
    heldout: tuple[str, ...] = ()
    """Photos of the clip that took no part in what was decided from pixels; see `read_capture`."""
    levels: Levels | None = None
    """Which part of the range of deep photos the clip shows; None for all of it."""
