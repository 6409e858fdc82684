"""One door for everything a person may have: photos, a video, or photos with cameras."""

from dataclasses import dataclass
from pathlib import Path

from recon.clip import Clip
from recon.errors import CaptureError
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


def read_capture(
    path: Path | str,
    *,
    max_side: int | None = None,
    resize_mixed: bool = False,
    max_frames: int = 60,
    with_cameras: bool = True,
) -> Capture:
    """Reads a folder of photos, a video file, a COLMAP model or a nerfstudio ``transforms.json``.

    Pictures are limited to a long side of `max_side`; of a video at most `max_frames` are kept. A camera file
    without poses is passed over, and the photos beside it are read. Without `with_cameras` so is every
    camera file: the photos come as they were taken, distortion and all.

    Raises:
        CaptureError: nothing there that can be read, or fewer than two usable pictures.
        CameraError: cameras that are none, or that do not belong to their pictures.
    """
    from recon.capture import colmap_model, transforms_json, video
    from recon.capture.images import SUFFIXES, image_files, read_images

    path = Path(path)
    if not path.exists():
        raise CaptureError(f"expected a folder of photos or a video, but {path} does not exist")
    if path.is_file():
        if path.suffix.lower() in video.SUFFIXES:
            return video.read_video(path, max_side=max_side, max_frames=max_frames)
        if path.suffix.lower() == ".json" and not with_cameras:
            return read_capture(path.parent, max_side=max_side, resize_mixed=resize_mixed, with_cameras=False)
        if path.suffix.lower() == ".json":
            return transforms_json.read_transforms(path, max_side=max_side, resize_mixed=resize_mixed)
        hint = "give the folder it lies in" if path.suffix.lower() in SUFFIXES else "convert it first"
        raise CaptureError(
            f"expected a folder of photos, a video or a transforms.json, got {path.name}; {hint}"
        )
    if with_cameras and transforms_json.has_cameras(path / "transforms.json"):
        path = path / "transforms.json"
        return transforms_json.read_transforms(path, max_side=max_side, resize_mixed=resize_mixed)
    if with_cameras and colmap_model.find_model(path) is not None:
        return colmap_model.read_colmap(path, max_side=max_side, resize_mixed=resize_mixed)
    files = image_files(path)
    if not files:
        videos = sorted(p for p in path.iterdir() if p.suffix.lower() in video.SUFFIXES)
        if len(videos) == 1:
            return video.read_video(videos[0], max_side=max_side, max_frames=max_frames)
        raise CaptureError(f"expected photos ({' '.join(SUFFIXES)}) in {path}, found none; {_contents(path)}")
    images, names, focals_px, skipped = read_images(files, max_side=max_side, resize_mixed=resize_mixed)
    return Capture(Clip(images, names=tuple(names)), tuple(focals_px), tuple(skipped))


def _contents(folder: Path) -> str:
    inside = sorted(p.name for p in folder.iterdir())
    return f"it holds {', '.join(inside[:5])}{' …' if len(inside) > 5 else ''}" if inside else "it is empty"
