"""The list of what a capture is read from, against what its reader opens."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.cameras import Cameras
from recon.capture.files_read import list_capture_files
from recon.capture.read import read_capture
from recon.colmap.write import write_colmap
from recon.errors import CaptureError

_watched: list[set[str]] = []


def _hook(event: str, arguments: tuple) -> None:
    if _watched and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        _watched[-1].add(os.path.abspath(os.fsdecode(arguments[0])))


sys.addaudithook(_hook)


@contextmanager
def opened() -> Iterator[set[str]]:
    """Collects the files that Python opens."""
    _watched.append(set())
    try:
        yield _watched[-1]
    finally:
        _watched.pop()


def photos(folder: Path, count: int = 4) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{i}.png" for i in range(count)]
    for i, file in enumerate(files):
        noise = np.random.default_rng(i).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    return files


def transforms(file: Path, names: list[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    frames = [{"file_path": name, "transform_matrix": np.eye(4).tolist()} for name in names]
    file.write_text(json.dumps({"fl_x": 40, "cx": 16, "cy": 12, "w": 32, "h": 24, "frames": frames}))
    return file


def model(folder: Path, names: list[str]) -> list[Path]:
    import torch

    poses = torch.eye(4, dtype=torch.float64).repeat(len(names), 1, 1)
    K = torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]], dtype=torch.float64).repeat(len(names), 1, 1)
    write_colmap(folder, Cameras(poses, K, 32, 24), names)
    return sorted(folder.iterdir())


def agree(path: Path, expected: list[Path], **how: bool) -> None:
    assert {Path(os.path.abspath(f)) for f in list_capture_files(path, **how)} == set(expected)
    inside = path if path.is_dir() else path.parent
    with opened() as seen:
        read_capture(path, **how)
    root = str(inside.parent.parent)
    assert {name for name in seen if name.startswith(root) and Path(name).is_file()} <= set(
        map(str, expected)
    )


def test_a_folder_of_photos(tmp_path: Path) -> None:
    files = photos(tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("not read")
    (tmp_path / "a" / ".hidden.png").write_bytes(files[0].read_bytes())
    agree(tmp_path / "a", files)
    inner = photos(tmp_path / "b" / "images")
    agree(tmp_path / "b", inner)


def test_photos_that_a_transforms_json_names_elsewhere(tmp_path: Path) -> None:
    files = photos(tmp_path / "pics")
    file = transforms(tmp_path / "capture" / "transforms.json", [f"../pics/{f.name}" for f in files])
    agree(tmp_path / "capture", [file, *files], allow_outside=True)
    agree(file, [file, *files], allow_outside=True)


def test_photos_that_are_not_there_are_listed(tmp_path: Path) -> None:
    files = photos(tmp_path)
    file = transforms(tmp_path / "transforms.json", [f.name for f in files])
    files[0].unlink()
    assert list_capture_files(tmp_path) == sorted([file, *files])


def test_a_camera_file_without_poses_and_one_that_is_not_asked_for(tmp_path: Path) -> None:
    files = photos(tmp_path)
    file = transforms(tmp_path / "transforms.json", [f.name for f in files])
    agree(tmp_path, files, with_cameras=False)
    agree(file, files, with_cameras=False)
    file.write_text(json.dumps({"frames": []}))
    agree(tmp_path, [file, *files])


@pytest.mark.parametrize("given", [".", "sparse/0"])
def test_a_colmap_model_and_the_photos_above_it(given: str, tmp_path: Path) -> None:
    files = photos(tmp_path / "images")
    parts = model(tmp_path / "sparse" / "0", [f.name for f in files])
    assert list_capture_files(tmp_path / given) == sorted([*parts, *files])
    with opened() as seen:
        read_capture(tmp_path / given)
    assert {n for n in seen if n.startswith(str(tmp_path)) and Path(n).is_file()} <= set(
        map(str, [*parts, *files])
    )


def test_a_video_and_a_folder_with_one(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    assert list_capture_files(tmp_path / "clip.mp4") == [tmp_path / "clip.mp4"]
    assert list_capture_files(tmp_path) == [tmp_path / "clip.mp4"]
    with pytest.raises(CaptureError, match="does not exist"):
        list_capture_files(tmp_path / "absent")
