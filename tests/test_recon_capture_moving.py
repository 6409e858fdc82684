"""Captures of what moves, in each of their layouts, and what is wrong with others."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recon.cameras import Cameras, intrinsics, look_at
from recon.capture.moving import MovingCapture, read_moving_capture
from recon.errors import CameraError, CaptureError
from recon.videos.write import write_video

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


def write_split(root: Path, split: str, count: int, shade: int, timed: bool = True) -> list[np.ndarray]:
    """As D-NeRF's Blender script does; returns the poses, world from camera in OpenGL's axes."""
    (root / split).mkdir(parents=True)
    frames, poses = [], []
    for i in range(count):
        pixels = np.full((H, W, 4), shade + 4 * i, np.uint8)
        pixels[: H // 2, :, 3] = 0
        pixels[H // 2 :, :, 3] = 255
        Image.fromarray(pixels).save(root / split / f"r_{i:03d}.png")
        pose = np.eye(4)
        pose[:3, 3] = i, shade, 4
        frame = {"file_path": f"./{split}/r_{i:03d}", "rotation": 0.1, "transform_matrix": pose.tolist()}
        frames.append(frame | {"time": i / (count - 1)} if timed else frame)
        poses.append(pose)
    about = {"camera_angle_x": 0.7, "frames": frames}
    (root / f"transforms_{split}.json").write_text(json.dumps(about))
    return poses


def test_splits_of_one_moving_camera(tmp_path: Path) -> None:
    train, _, test = (
        write_split(tmp_path, split, count, shade)
        for split, count, shade in (("train", 5, 10), ("val", 2, 90), ("test", 3, 150))
    )
    found = read(tmp_path)
    assert found.heldout is not None
    assert (len(found.clip), sum(found.heldout)) == (8, 3)
    assert set(found.camera_of) == {0}
    assert found.clip.times_s is not None
    cameras = found.clip.require_cameras()
    assert cameras.K[0, 0, 0] == pytest.approx(W / 2 / np.tan(0.35))
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    for row, name in enumerate(found.clip.names):
        split, i = name.split("/")[0], int(name.split("_")[-1][:3])
        assert found.heldout[row] == (split == "test")
        poses, shade = (train, 10) if split == "train" else (test, 150)
        assert found.clip.times_s[row] == i / (len(poses) - 1)
        assert (cameras.world_from_cam[row] - torch.from_numpy(poses[i]) * flip).abs().max() < 1e-9
        picture = found.clip.images[row]
        assert bool((picture[: H // 2] == 1).all())  # what is transparent is white
        assert picture[-1, -1, 0] == pytest.approx((shade + 4 * i) / 255, abs=1e-6)
    fewer = read(tmp_path, max_frames=3)
    assert fewer.heldout is not None
    assert (len(fewer.clip), sum(fewer.heldout)) == (6, 3)
    assert found[[0, 1, 2]].heldout == found.heldout[:3]


def test_splits_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write_split(tmp_path / "alone", "train", 3, 10)
    with pytest.raises(CaptureError, match="expected frames that judge"):
        read(tmp_path / "alone")
    write_split(tmp_path / "still", "train", 3, 10, timed=False)
    write_split(tmp_path / "still", "test", 3, 90)
    with pytest.raises(CaptureError, match="3 of 3 have none"):
        read(tmp_path / "still")


def rig_of(names: tuple[str, ...]) -> Cameras:
    """Cameras on an arc that look at one point, of pictures twice as large as those of `write_frames`."""
    angle = torch.linspace(-0.4, 0.5, len(names), dtype=torch.float64)
    eye = torch.stack([4 * angle.sin(), -0.3 * angle, -4 * angle.cos()], 1)
    up = torch.tensor([[0.1, -1.0, 0.0]], dtype=torch.float64).expand(len(names), 3)
    K = intrinsics(focal_px=90.0, width=2 * W, height=2 * H, n=len(names))
    return Cameras(look_at(eye, torch.zeros(len(names), 3, dtype=torch.float64), up), K, 2 * W, 2 * H)


def write_llff(file: Path, cameras: Cameras) -> None:
    """As LLFF's script does from COLMAP's poses: columns -y, x, z of OpenGL's axes, centre, (height, width, focal); then depths."""
    right, down, forward = cameras.world_from_cam[:, :3, :3].unbind(2)
    up, back = -down, -forward
    size = torch.tensor([[cameras.height, cameras.width, 90.0]]).double().expand(len(cameras), 3)
    matrices = torch.stack([-up, right, back, cameras.centers, size], 2)
    depths = torch.tensor([[1.0, 9.0]]).double().expand(len(cameras), 2)
    np.save(file, torch.cat([matrices.flatten(1), depths], 1).numpy())


@pytest.mark.parametrize("kind", ["folders", "videos"])
def test_poses_beside_the_cameras(kind: str, tmp_path: Path) -> None:
    names = ("cam00", "cam02", "cam10")
    for k, name in enumerate(names):
        if kind == "folders":
            write_frames(tmp_path / name, 4, k)
            continue
        with write_video(tmp_path / f"{name}.mp4", width=W, height=H, fps=10) as add:
            for i in range(4):
                add(np.full((H, W, 3), 60 * k + 10 * i, np.uint8))
    truth = rig_of(names)
    write_llff(tmp_path / "poses_bounds.npy", truth)
    found = read(tmp_path)
    assert found.camera_names == names
    cameras = found.clip.require_cameras()
    for k in range(3):
        rows = found.frames_of(k)
        assert len(rows) == 4
        assert (cameras.cam_from_world[rows] - truth.cam_from_world[k]).abs().max() < 1e-9
        assert torch.allclose(cameras.K[rows], truth.resize(width=W, height=H).K[k])


def test_a_folder_of_the_frames_of_a_video_is_no_camera_of_its_own(tmp_path: Path) -> None:
    for name in ("cam00", "cam01", "cam02"):
        with write_video(tmp_path / f"{name}.mp4", width=W, height=H, fps=10) as add:
            for _ in range(3):
                add(np.zeros((H, W, 3), np.uint8))
    write_frames(tmp_path / "cam00", 3)
    assert read(tmp_path).camera_names == ("cam00", "cam01", "cam02")


def test_poses_that_do_not_fit_are_told(tmp_path: Path) -> None:
    for k, name in enumerate(("cam1", "cam2", "cam3")):
        write_frames(tmp_path / name, 3, k)
    file = tmp_path / "poses_bounds.npy"
    truth = rig_of(("cam1", "cam2", "cam3"))
    write_llff(file, truth[:2])
    with pytest.raises(CaptureError, match="for each of 3 cameras"):
        read(tmp_path)
    write_llff(file, replace(truth, width=3 * W))
    with pytest.raises(CameraError, match="expected pictures of the shape"):
        read(tmp_path)
    mirrored = truth.cam_from_world.clone()
    mirrored[1, 0] *= -1
    write_llff(file, replace(truth, cam_from_world=mirrored))
    with pytest.raises(CameraError, match="cam2 is left-handed"):
        read(tmp_path)
    np.save(file, np.zeros((3, 15)))
    with pytest.raises(CameraError, match="a row of 17 numbers"):
        read(tmp_path)
    np.save(file, np.array([{"a": print}], dtype=object), allow_pickle=True)
    with pytest.raises(CaptureError, match="objects or texts"):
        read(tmp_path)
    write_llff(file, truth)
    (tmp_path / "cam3").rename(tmp_path / "cam10")
    with pytest.raises(CaptureError, match="as many digits each"):
        read(tmp_path)
