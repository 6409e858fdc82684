"""The files that a capture is read from; nothing is decoded."""

from collections.abc import Iterator
from pathlib import Path


def list_capture_files(
    path: Path | str, *, with_cameras: bool = True, allow_outside: bool = False
) -> list[Path]:
    """List the files that `read_capture` opens for the same arguments, sorted.

    Files that a camera file names are listed even where they are missing.

    Raises:
        CaptureError: a camera file that cannot be read, or one without photos; a photo from outside that was not allowed.
        CameraError: invalid cameras.
    """
    path = Path(path)
    return sorted(set(_files(path, with_cameras, allow_outside)))


def _files(path: Path, with_cameras: bool, allow_outside: bool) -> Iterator[Path]:
    from recon.capture.read import list_capture

    if with_cameras and (path / "transforms.json").is_file():
        yield path / "transforms.json"  # also one without poses decides what is read
    found = list_capture(path, with_cameras=with_cameras, allow_outside=allow_outside)
    if isinstance(found, Path):
        yield found
        return
    yield from found.camera_files
    yield from (photo.file for photo in found.photos)
