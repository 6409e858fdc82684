"""The files that a clip is read from; nothing is decoded."""

import os
from collections.abc import Iterator
from pathlib import Path

from recon.camera_files.detect import is_part_of_model
from recon.camera_files.formats.colmap import list_models
from recon.clips.source import ClipSource
from recon.pictures.frame_files import find_frames, list_folder
from recon.videos.read import SUFFIXES as VIDEOS


def list_frame_files(source: ClipSource) -> list[Path]:
    """List the video or the frames that `read_clip` opens, those behind linked folders included.

    Raises:
        CaptureError: an unreadable folder.
    """
    if not os.path.isdir(source.path):  # False, not an error, for a name too long for a file
        return [source.path]
    return find_frames(source.path) or [p for p in list_folder(source.path) if p.suffix.lower() in VIDEOS]


def list_camera_files(source: ClipSource) -> list[Path]:
    """List the camera file, or the files of COLMAP models, that `read_clip` opens; none for a clip without cameras.

    Raises:
        CaptureError: an unreadable folder.
    """
    path = source.cameras
    if path is None:
        return []
    if os.path.isfile(path / "transforms.json"):
        return [path / "transforms.json"]
    if os.path.isdir(path):
        return [file for model in list_models(path) for file in _model_files(model)]
    return list(_model_files(path.parent)) if is_part_of_model(path) else [path]


def _model_files(folder: Path) -> Iterator[Path]:
    return (p for p in list_folder(folder) if p.suffix.lower() in (".bin", ".txt") and p.is_file())
