"""Photos that come with cameras: transforms.json and COLMAP models, there and back, and refused when wrong."""

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras, look_at, project
from recon.capture import Lens, read_capture
from recon.clip import Clip
from recon.colmap.write import write_colmap
from recon.errors import CameraError, CaptureError
from recon.pictures.canvas import find_boxes
from recon.points import PointCloud


@pytest.fixture
def clip(generator: torch.Generator) -> Clip:
    eyes = torch.randn(4, 3, generator=generator, dtype=torch.float64) * 3
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(4, 3)
    K = torch.tensor([[51.3, 0, 24.7], [0, 49.8, 15.2], [0, 0, 1]], dtype=torch.float64).repeat(4, 1, 1)
    K[2, 0, 0] = 60.1
    images = torch.randint(0, 256, (4, 32, 48, 3), generator=generator) / 255
    names = ("a.png", "b.png", "c.png", "d.png")
    return Clip(images, Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, 48, 32), names=names)


def edit(file: Path, change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def assert_same(read: Clip, written: Clip) -> None:
    assert read.names == written.names
    torch.testing.assert_close(
        read.require_cameras().cam_from_world, written.require_cameras().cam_from_world, atol=1e-9, rtol=0
    )
    torch.testing.assert_close(read.require_cameras().K, written.require_cameras().K, atol=1e-9, rtol=0)
    torch.testing.assert_close(read.images, written.images)


def test_transforms_there_and_back(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip, pose_kind="ground-truth")
    capture = read_capture(tmp_path)
    assert (capture.kind, capture.pose_kind) == ("transforms", "ground-truth")
    assert_same(capture.clip, clip)
    assert_same(read_capture(tmp_path / "transforms.json").clip, clip)


@pytest.mark.parametrize("text", [True, False])
def test_colmap_there_and_back(clip: Clip, text: bool, tmp_path: Path, generator: torch.Generator) -> None:
    xyz = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    rgb = torch.randint(0, 256, (5, 3), generator=generator) / 255
    points = PointCloud(xyz, rgb, torch.arange(1, 6, dtype=torch.float64))
    write_transforms(tmp_path / "unused" / "transforms.json", clip)
    (tmp_path / "unused" / "images").rename(tmp_path / "images")
    write_colmap(tmp_path / "sparse" / "0", clip.require_cameras(), clip.names, points, text=text)
    capture = read_capture(tmp_path)
    assert capture.kind == "colmap"
    assert_same(capture.clip, clip)
    assert capture.points is not None
    torch.testing.assert_close(capture.points.xyz, xyz, atol=1e-9, rtol=0)
    torch.testing.assert_close(capture.points.rgb, rgb)
    torch.testing.assert_close(capture.points.error_px, points.error_px)
    assert_same(read_capture(tmp_path / "sparse" / "0").clip, clip)


def test_opengl_axes(clip: Clip, tmp_path: Path) -> None:
    """An identity matrix looks along -z with y up, which in OpenCV's axes is a half turn about x."""
    write_transforms(tmp_path / "transforms.json", clip)
    edit(
        tmp_path / "transforms.json",
        lambda d: [f.update(transform_matrix=np.eye(4).tolist()) for f in d["frames"]],
    )
    cameras = read_capture(tmp_path).clip.require_cameras()
    assert torch.equal(cameras.forward[0], torch.tensor([0, 0, -1], dtype=torch.float64))
    pixel, depth = project(torch.tensor([[0, 1.0, -5]], dtype=torch.float64), cameras[0])
    assert float(depth) == 5
    assert float(pixel[0, 0, 1]) < 15.2  # up in the world is up in the picture


def test_global_intrinsics_field_of_view_and_no_extension(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)

    def blender(data: dict) -> None:
        data["camera_angle_x"] = 2 * math.atan(24 / 40)
        data["frames"] = [
            {"file_path": f["file_path"][:-4], "transform_matrix": f["transform_matrix"]}
            for f in data["frames"]
        ]

    edit(tmp_path / "transforms.json", blender)
    K = read_capture(tmp_path, max_side=24).clip.require_cameras().K[0]
    assert K.tolist() == [[pytest.approx(20), 0, 12], [0, pytest.approx(20), 8], [0, 0, 1]]


def test_distortion_is_taken_out(tmp_path: Path) -> None:
    """A straight line, bent by the lens, is straight again, and lies where the pinhole sees it."""
    lens = Lens("OPENCV", (160.0, 160.0, 80.0, 60.0, -0.25, 0.05, 0.002, -0.001), 160, 120)
    ys = np.linspace(-0.3, 0.3, 4000)
    line = np.stack([np.full_like(ys, 0.33), ys, np.ones_like(ys)], 1)
    bent = np.zeros((120 * 8, 160 * 8), np.float32)
    for x, y in (np.asarray(lens.camera().img_from_cam(line)) * 8 - 0.5).round().astype(int):
        cv2.circle(bent, (int(x), int(y)), 8, 1.0, -1)
    picture = cv2.resize(bent, (160, 120), interpolation=cv2.INTER_AREA)
    images = torch.from_numpy(picture)[None, ..., None].expand(2, -1, -1, 3).contiguous()
    straight = lens.undistort(Clip(images)).images[0, 18:-18, :, 0]  # within the line's ends
    x = (straight * (torch.arange(160) + 0.5)).sum(1) / straight.sum(1)
    assert float(x.max() - x.min()) < 0.15
    assert float(x.mean()) == pytest.approx(float(lens.K[0, 0] * 0.33 + lens.K[0, 2]), abs=0.1)


def test_a_lens_without_distortion_touches_nothing(clip: Clip) -> None:
    lens = Lens("OPENCV", (50.0, 50.0, 24.0, 16.0, 0.0, 0.0, 0.0, 0.0), 48, 32)
    assert torch.equal(lens.undistort(clip).images, clip.images)
    assert lens.K.tolist() == [[50, 0, 24], [0, 50, 16], [0, 0, 1]]


@pytest.mark.parametrize("k", [-0.3, 0.3])
def test_undistorted_pictures_have_no_border(k: float) -> None:
    lens = Lens("SIMPLE_RADIAL", (60.0, 32.0, 24.0, k), 64, 48)
    corners = torch.tensor([[0.0, 0, 1], [64, 0, 1], [0, 48, 1], [64, 48, 1]], dtype=torch.float64)
    rays = corners @ torch.linalg.inv(lens.K).T
    source = np.asarray(lens.camera().img_from_cam(rays.numpy()))
    assert (source >= -0.5).all()
    assert (source <= [64.5, 48.5]).all()


def test_bad_cameras_are_refused_by_name(clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"

    def refused(change, match: str) -> None:
        write_transforms(file, clip)
        edit(file, change)
        with pytest.raises(CameraError, match=match):
            read_capture(tmp_path)

    nan = [[math.nan] * 4] * 4
    mirror = np.diag([1.0, 1, -1, 1]).tolist()
    refused(lambda d: d["frames"][1].update(transform_matrix=nan), r"transforms.json: camera b.png has NaN")
    refused(lambda d: d["frames"][2].update(transform_matrix=mirror), r"camera c.png is left-handed")
    refused(
        lambda d: d["frames"][0].update(transform_matrix=np.diag([2.0, 2, 2, 1]).tolist()), "not a rotation"
    )
    refused(lambda d: d["frames"][0].update(transform_matrix="none"), "4x4 transform_matrix")
    refused(lambda d: [f.update(w=640, h=320) for f in d["frames"]], "640x320, got 48x32")
    refused(lambda d: d["frames"][0].update(fl_x=-5.0), "positive focal length")


def test_intrinsics_of_a_larger_picture_are_scaled(clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"
    write_transforms(file, clip)

    def double(data: dict) -> None:
        for frame in data["frames"]:
            frame.update({key: 2 * frame[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")})

    edit(file, double)
    assert_same(read_capture(tmp_path).clip, clip)


def test_missing_photos_and_frames_without_a_pose_are_named(clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"
    write_transforms(file, clip)
    (tmp_path / "images" / "a.png").unlink()
    edit(file, lambda d: d["frames"][3].pop("transform_matrix"))
    capture = read_capture(tmp_path)
    assert capture.clip.names == ("b.png", "c.png")
    assert dict(capture.skipped).keys() == {"a.png", "d.png"}
    (tmp_path / "images" / "b.png").unlink()
    with pytest.raises(CaptureError, match="at least two usable photos"):
        read_capture(tmp_path)


@pytest.mark.parametrize("change", ["gps", "no matrices"])
def test_positions_without_rotation_are_no_cameras(change: str, clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)

    def spoil(data: dict) -> None:
        data["pose_kind"] = "gps-position"
        if change == "no matrices":
            del data["pose_kind"]
            for frame in data["frames"]:
                del frame["transform_matrix"]

    edit(tmp_path / "transforms.json", spoil)
    capture = read_capture(tmp_path)
    assert capture.kind == "images"
    assert capture.clip.cameras is None


def test_unreadable_files_are_said_in_words(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text("{not json")
    with pytest.raises(CaptureError, match="is not JSON"):
        read_capture(tmp_path)
    model = tmp_path / "model"
    write_colmap(model, clip.require_cameras(), clip.names)
    (model / "images.bin").write_bytes((model / "images.bin").read_bytes()[:20])
    with pytest.raises(CaptureError, match="COLMAP model"):
        read_capture(model)


def test_mixed_sizes_with_cameras(clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"
    write_transforms(file, clip)
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    edit(file, lambda d: d["frames"][0].update(w=96, h=64, fl_x=102.6, fl_y=99.6, cx=49.4, cy=30.4))
    read = read_capture(tmp_path, max_side=48).clip
    torch.testing.assert_close(read.require_cameras().K, clip.require_cameras().K)


def test_a_photo_of_another_shape_keeps_its_pixels_and_its_camera(clip: Clip, tmp_path: Path) -> None:
    """The right half of a photo, which is scaled to the long side of the others and stands in the middle of the canvas."""
    file = tmp_path / "transforms.json"
    write_transforms(file, clip)
    half = clip.images[0, :, 24:]
    Image.fromarray((half.numpy() * 255).round().astype(np.uint8)).save(tmp_path / "images" / "a.png")
    edit(file, lambda d: d["frames"][0].update(w=24, cx=d["frames"][0]["cx"] - 24))
    read = read_capture(tmp_path).clip
    assert (read.width, read.height) == (48, 48)
    (box, *others) = find_boxes(read)
    assert box == (6, 0, 36, 48)
    assert set(others) == {(0, 8, 48, 32)}
    grown = torch.from_numpy(cv2.resize(half.numpy(), (36, 48)))
    torch.testing.assert_close(box.crop(read.images[0]), grown, atol=1 / 128, rtol=0)
    points = torch.tensor([[0.1, 0.2, 5.0], [-0.4, 0.1, 6.0]], dtype=torch.float64)
    before, _ = project(points, clip.require_cameras())
    after, _ = project(points, read.require_cameras())
    torch.testing.assert_close(after[0], (before[0] - torch.tensor([24.0, 0])) * 1.5 + box.corner)
    torch.testing.assert_close(after[1:], before[1:] + torch.tensor([0.0, 8.0], dtype=torch.float64))
    assert torch.equal(read.confidence[0].sum(0) > 0, (torch.arange(48) >= 6) & (torch.arange(48) < 42))


def test_skew_is_refused(clip: Clip, tmp_path: Path) -> None:
    cameras = clip.require_cameras()
    K = cameras.K.clone()
    K[:, 0, 1] = 1
    with pytest.raises(CameraError, match="skew"):
        write_colmap(tmp_path, replace(cameras, K=K), clip.names)
    with pytest.raises(CameraError, match="one name for each"):
        write_colmap(tmp_path, cameras, clip.names[:2])
