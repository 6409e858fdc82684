"""Captures of what moves, in each of their layouts, and what is wrong with others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recon.capture.moving import MovingCapture, read_moving_capture
from recon.errors import CaptureError

W, H = 48, 32


def read(path: Path, **options: int) -> MovingCapture:
    return read_moving_capture(path, fps=10.0, max_side=64, **{"max_frames": 60, **options})


def write_frames(folder: Path, count: int, shade: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(100 * shade + i).integers(0, 255, (H, W, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"frame_{i}.png")


def write_transforms(root: Path, times: list[float | None], cameras: int = 2) -> None:
    frames = []
    for k in range(cameras):
        write_frames(root / f"cam{k}", len(times), k)
        pose = np.eye(4)
        pose[0, 3] = k
        for i, time_s in enumerate(times):
            frame = {"file_path": f"cam{k}/frame_{i}.png", "transform_matrix": pose.tolist()}
            frames.append(frame if time_s is None else frame | {"time": time_s})
    about = {"w": W, "h": H, "fl_x": 40.0, "fl_y": 40.0, "cx": W / 2, "cy": H / 2, "frames": frames}
    (root / "transforms.json").write_text(json.dumps(about))


def test_a_folder_for_each_camera_is_read_in_the_order_of_times(tmp_path: Path) -> None:
    for k, name in enumerate(("cam10", "cam2", "cam1")):
        write_frames(tmp_path / name, 11, k)
    found = read(tmp_path)
    assert found.camera_names == ("cam1", "cam2", "cam10")
    assert found.camera_of[:6] == (0, 1, 2, 0, 1, 2)
    assert found.clip.times_s is not None
    assert torch.allclose(found.clip.times_s[::3], torch.arange(11).double() / 10)
    assert len(found.frames_of(2)) == 11
    # frame 10 comes after frame 9, not after frame 1
    last = np.random.default_rng(10).integers(0, 255, (H, W, 3), np.uint8)  # cam10 was written first
    assert torch.equal((found.clip.images[-1] * 255).round(), torch.from_numpy(last).float())


def test_times_and_cameras_of_a_camera_file(tmp_path: Path) -> None:
    write_transforms(tmp_path, [0.5, 0.0, 0.25])
    found = read(tmp_path)
    assert found.clip.times_s is not None
    assert found.clip.times_s.tolist() == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5]
    assert len(found.camera_names) == 2
    assert sorted(found.camera_of) == [0, 0, 0, 1, 1, 1]
    centers = found.clip.require_cameras().centers
    for camera in (0, 1):
        assert (centers[found.frames_of(camera)] - centers[found.frames_of(camera)[0]]).abs().max() < 1e-9
    fewer = read(tmp_path, max_frames=2)
    assert fewer.clip.times_s is not None
    assert fewer.clip.times_s.tolist() == [0.0, 0.0, 0.5, 0.5]


def test_times_count_from_the_first(tmp_path: Path) -> None:
    write_transforms(tmp_path, [1.7e9, 1.7e9 + 0.25])
    times = read(tmp_path).clip.times_s
    assert times is not None
    assert times.float().tolist() == [0.0, 0.0, 0.25, 0.25]


def test_one_moving_camera_is_one_camera(tmp_path: Path) -> None:
    write_transforms(tmp_path, [0.0], cameras=1)
    about = json.loads((tmp_path / "transforms.json").read_text())
    frames = []
    for i in range(3):
        Image.fromarray(np.full((H, W, 3), 60 * (i + 1), np.uint8)).save(tmp_path / "cam0" / f"frame_{i}.png")
        pose = np.eye(4)
        pose[0, 3] = i
        frames.append(
            {"file_path": f"cam0/frame_{i}.png", "time": 0.1 * i, "transform_matrix": pose.tolist()}
        )
    (tmp_path / "transforms.json").write_text(json.dumps(about | {"frames": frames}))
    assert read(tmp_path).camera_of == (0, 0, 0)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="there is nothing"):
        read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="found none of them"):
        read(tmp_path / "empty")
    write_frames(tmp_path / "uneven" / "a", 3)
    write_frames(tmp_path / "uneven" / "b", 4)
    with pytest.raises(CaptureError, match="got a 3, b 4"):
        read(tmp_path / "uneven")
    write_transforms(tmp_path / "timeless", [0.0, None])
    with pytest.raises(CaptureError, match="2 of 4 have none"):
        read(tmp_path / "timeless")
    write_transforms(tmp_path / "endless", [0.0, float("nan")])
    with pytest.raises(CaptureError, match="2 of 4 have none"):
        read(tmp_path / "endless")
    write_frames(tmp_path / "split" / "train", 3)
    (tmp_path / "split" / "transforms_train.json").write_text("{}")
    with pytest.raises(CaptureError, match="one moving camera in splits"):
        read(tmp_path / "split")
