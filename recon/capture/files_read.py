"""Which files a capture is read from, wherever they lie; nothing is decoded."""

from collections.abc import Iterator
from pathlib import Path


def files_read(path: Path | str, *, with_cameras: bool = True) -> list[Path]:
    """The files that `recon.capture.read.read_capture` opens for the same arguments, sorted; those that a camera file
    names and that are not there come along.

    Raises:
        CaptureError: a camera file that cannot be read, or one without photos.
        CameraError: cameras that are none.
    """
    path = Path(path)
    return sorted(set(_files(path, with_cameras)))


def _files(path: Path, with_cameras: bool) -> Iterator[Path]:
    from recon.capture import colmap_model, transforms_json, video
    from recon.capture.images import image_files

    if path.is_file() and path.suffix.lower() == ".json" and not with_cameras:
        path = path.parent
    cameras = path if path.is_file() else path / "transforms.json"
    if cameras.suffix.lower() == ".json" and with_cameras and (path == cameras or cameras.is_file()):
        yield cameras  # also one without poses decides what is read
        if path == cameras or transforms_json.has_cameras(cameras):
            yield from (photo.file for photo in transforms_json.list_photos(cameras))
            return
    if path.is_file():
        yield path
        return
    if with_cameras and (model := colmap_model.find_model(path)) is not None:
        yield from (file for file in model.iterdir() if file.suffix in (".bin", ".txt"))
        yield from (photo.file for photo in colmap_model.list_photos(path))
        return
    files = image_files(path)
    if not files and path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in video.SUFFIXES]
    yield from files
