"""A capture that was read, into memory or into files beside it."""

from dataclasses import dataclass
from pathlib import Path

from recon.clip import Clip, PictureSet
from recon.pictures.levels import Levels
from recon.points import PointCloud


@dataclass(frozen=True)
class Capture:
    """Photos or frames of a video, with all that came along with them."""

    photos: PictureSet
    """With cameras, and undistorted, where reference cameras came along; a `Clip` unless they were read into files."""
    focals_px: tuple[float | None, ...] = ()
    """Focal length of each photo by EXIF, in the clip's pixels; None where EXIF has none, empty for other captures."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(file, reason) of pictures that were left out."""
    ordered: bool = False
    """Whether the pictures are frames of a video in order, so that neighbours overlap."""
    kind: str = "images"
    """'images', 'video', 'colmap' or 'transforms'."""
    pose_kind: str | None = None
    """How far the cameras may be trusted, where the file states it: 'ground-truth', 'reference-sfm' …"""
    points: PointCloud | None = None
    """Points that came along with the cameras, in their world."""
    notes: tuple[str, ...] = ()
    """Remarks on the reading, for a person."""
    listed: tuple[str, ...] = ()
    """Names of all photos, those that were left out included; empty for a video."""
    files: tuple[Path, ...] = ()
    """File of each photo of the clip; empty for a video."""
    heldout: tuple[str, ...] = ()
    """Photos of the clip that took no part in decisions from pixels; see `read_capture`."""
    levels: Levels | None = None
    """Part of the range of deep photos that the clip shows; None for all of it."""
    lens_groups: tuple[int, ...] = ()
    """Number of each photo's lens, which is not known; empty for other captures than photos without cameras."""
    lens_names: tuple[str, ...] = ()
    """Size and camera of each lens, for people."""

    @property
    def clip(self) -> Clip:
        """The photos in memory."""
        return self.photos if isinstance(self.photos, Clip) else self.photos.load()
