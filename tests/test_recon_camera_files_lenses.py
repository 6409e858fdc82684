"""What camera files say of the lens: numbers that contradict each other are refused, what is not used is named."""

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from recon.camera_files import RequestedCameras, read_requested
from recon.camera_files.formats.transforms_lens import read_lens
from recon.capture import read_capture
from recon.errors import CameraError
from recon.lens import Lens

POSES = [[[1.0, 0, 0, i], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]] for i in range(3)]


def transforms(file: Path, **lens: Any) -> RequestedCameras:
    frames = [{"file_path": f"{i}.png", "transform_matrix": m} for i, m in enumerate(POSES)]
    file.write_text(json.dumps(lens | {"frames": frames}))
    return read_requested(file, width=64, height=48)


def angle(side: float, focal: float) -> float:
    return 2 * math.atan(side / 2 / focal)


@pytest.mark.parametrize(
    "lens",
    [
        {"w": 64, "h": 48, "fl_x": 40.0, "fl_y": 40.0, "camera_angle_x": angle(64, 50)},
        {"w": 64, "h": 48, "fl_x": 40.0, "fl_y": 40.0, "camera_angle_y": angle(48, 50)},
        {"fl_x": 40.0, "camera_angle_x": angle(640, 40)},
        {"w": 640, "h": 480, "fl_x": 512.25, "camera_angle_x": round(angle(640, 512.25) + 0.01, 4)},
        {"w": 640, "h": 480, "fl_x": 512.25, "x_fov": math.degrees(angle(640, 520))},
        {"w": 640, "h": 480, "camera_angle_x": angle(640, 512), "x_fov": math.degrees(angle(640, 520))},
    ],
)
def test_a_focal_length_against_a_field_of_view_is_refused(lens: dict[str, Any], tmp_path: Path) -> None:
    axis = "y" if "camera_angle_y" in lens else "x"
    said = f"{lens.get('camera_angle_' + axis, lens.get('x_fov')):.4g}"
    with pytest.raises(CameraError, match=rf"a.json.*0.png.*{said}") as refused:
        transforms(tmp_path / "a.json", **lens)
    if f"fl_{axis}" in lens:
        assert f"{lens['fl_' + axis]:g}" in str(refused.value)


@pytest.mark.parametrize(
    "lens",
    [
        {"w": 640, "h": 480, "fl_x": 512.25, "camera_angle_x": angle(640, 512.25)},
        {"w": 640, "h": 480, "fl_x": 512.25, "camera_angle_x": round(angle(640, 512.25), 3)},
        {"w": 640, "h": 480, "fl_x": 512, "camera_angle_x": angle(640, 512.4), "x_fov": 64.0},
        {"w": 640, "h": 480, "fl_x": 512.25, "x_fov": round(math.degrees(angle(640, 512.25)))},
        {"w": 640, "h": 480, "fl_x": 512.25, "camera_angle_x": angle(641, 512.25)},
        {"fl_x": 40.0, "camera_angle_x": angle(64, 40)},
        {
            "w": 640,
            "h": 480,
            "fl_x": 500.0,
            "camera_angle_x": 2.9,
            "camera_model": "OPENCV_FISHEYE",
            "k1": 0.1,
        },
    ],
)
def test_what_the_digits_of_a_file_allow_is_no_contradiction(lens: dict[str, Any], tmp_path: Path) -> None:
    """Rounded numbers, a width that was rounded when pictures were scaled, and fields of view of a fisheye, which are not
    those of a pinhole."""
    assert transforms(tmp_path / "a.json", **lens).intrinsics_known


def test_a_fisheye_needs_its_focal_length(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"0.png.*fl_x.*fisheye"):
        transforms(tmp_path / "a.json", w=64, h=48, camera_angle_x=1.0, camera_model="OPENCV_FISHEYE")


def npz(file: Path, **arrays: Any) -> RequestedCameras:
    values: dict[str, Any] = {k: np.array(v) for k, v in arrays.items()}
    np.savez(file, w2c=np.array(POSES), **values)
    return read_requested(file, width=64, height=48, convention="cam_from_world/opencv")


def in_json(file: Path, **values: Any) -> RequestedCameras:
    file.write_text(json.dumps({"w2c": POSES} | values))
    return read_requested(file, width=64, height=48, convention="cam_from_world/opencv")


DISTORTION = {
    "D": [0.1, 0, 0, 0, 0], "dist": [0.1, 0], "distCoeffs": [[0.1, 0, 0, 0]], "coeffs": [0.1, 0, 0, 0],
    "radial": [0.1], "radial_distortion": [0.1, 0.2], "tangential": [0.01, 0], "k1": 0.1, "p2": 0.01, "xi": 0.9,
    "dist_coeffs": [0.1, 0, 0, 0], "distortion_params": [[0.1, 0, 0, 0]] * 3,
}  # fmt: skip


@pytest.mark.parametrize("read", [npz, in_json])
@pytest.mark.parametrize("name", DISTORTION)
def test_distortion_beside_matrices_is_named(name: str, read: Any, tmp_path: Path) -> None:
    file = tmp_path / ("a.npz" if read is npz else "a.json")
    bent = read(file, K=[40.0, 40, 32, 24], **{name: DISTORTION[name]})
    assert any("distortion" in note and name in note for note in bent.notes)
    straight = read(file, K=[40.0, 40, 32, 24], **{name: np.zeros_like(DISTORTION[name]).tolist()})
    assert straight.notes == ()


@pytest.mark.parametrize("read", [npz, in_json])
@pytest.mark.parametrize(
    "name", ["fl_x", "fx", "focal_length", "camera_matrix", "mtx", "skew", "fov_deg", "cx", "cam_K"]
)
def test_other_words_of_the_lens_are_named(name: str, read: Any, tmp_path: Path) -> None:
    """And what is no word of a lens is not."""
    file = tmp_path / ("a.npz" if read is npz else "a.json")
    notes = read(file, **{name: 40.0, "seed": 3, "depth": [1.0]}).notes
    assert any(name in note and "not read" in note for note in notes)
    assert not any(word in note for note in notes for word in ("seed", "depth"))


def test_lenses_in_words_beside_matrices_in_json(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="EQUIRECTANGULAR"):
        in_json(tmp_path / "a.json", camera_model="EQUIRECTANGULAR")
    bent = in_json(tmp_path / "b.json", distortion={"k1": 0.1}, camera_model="OPENCV")
    assert any("distortion" in note for note in bent.notes)
    assert not any("camera_model" in note for note in bent.notes)


def test_all_coefficients_of_opencv_bend_as_opencv_bends() -> None:
    """The rational model with its eight, the fisheye with its four."""
    xy = torch.tensor([[0.3, 0.2], [-0.4, 0.1], [0.0, 0.45]], dtype=torch.float64)
    rays = np.concatenate([xy.numpy(), np.ones((3, 1))], 1)
    K = np.array([[50.0, 0, 32], [0, 52, 24], [0, 0, 1]])
    head = {"fl_x": 50.0, "fl_y": 52.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48}
    rational = {
        "k1": -0.2,
        "k2": 0.05,
        "p1": 0.01,
        "p2": -0.02,
        "k3": 0.01,
        "k4": 0.1,
        "k5": -0.05,
        "k6": 0.02,
    }
    lens = read_lens(head | rational | {"camera_model": "FULL_OPENCV"}, "f", "n")
    assert isinstance(lens, Lens)
    expected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, np.array(list(rational.values())))
    np.testing.assert_allclose(lens.camera().img_from_cam(rays), expected[:, 0], atol=1e-9)
    fisheye = {"k1": -0.02, "k2": 0.01, "k3": -0.005, "k4": 0.02}
    lens = read_lens(head | fisheye | {"camera_model": "OPENCV_FISHEYE"}, "f", "n")
    assert isinstance(lens, Lens)
    expected, _ = cv2.fisheye.projectPoints(
        rays[:, None], np.zeros(3), np.zeros(3), K, np.array(list(fisheye.values()))
    )
    np.testing.assert_allclose(lens.camera().img_from_cam(rays), expected[:, 0], atol=1e-9)
    assert (
        float(
            (
                lens.undistort_points(torch.from_numpy(expected[:, 0]))
                - (xy * torch.tensor([50.0, 52]) + torch.tensor([32.0, 24]))
            )
            .abs()
            .max()
        )
        < 1e-6
    )


def test_a_fourth_coefficient_of_nerfstudio_is_refused_with_its_name() -> None:
    """Its polynomial r(1 + k1 r² + … + k4 r⁸) is no model of COLMAP or OpenCV, whose k4 is a denominator."""
    with pytest.raises(CameraError, match=r"k4 0\.25 of a\.png"):
        read_lens({"fl_x": 50, "camera_model": "OPENCV", "k4": 0.25}, "f", "a.png")


def test_a_lens_of_some_cameras_only_is_told(tmp_path: Path) -> None:
    frames = [{"transform_matrix": m} | ({"fl_x": 40} if m is POSES[0] else {}) for m in POSES]
    (tmp_path / "a.json").write_text(json.dumps({"frames": frames}))
    keys = [{"camera_to_world": m} | ({"fov": 50} if m is POSES[0] else {}) for m in POSES]
    (tmp_path / "b.json").write_text(json.dumps({"camera_path": keys}))
    for name in "ab":
        read = read_requested(tmp_path / f"{name}.json", width=64, height=48)
        assert not read.intrinsics_known
        assert any(f"{name}.json states" in note and "1 of 3 cameras" in note for note in read.notes)


def test_names_that_name_no_picture_each_are_told(tmp_path: Path) -> None:
    frames = [
        {"file_path": name, "transform_matrix": m} for name, m in zip(("a", "b", "a"), POSES, strict=True)
    ]
    (tmp_path / "a.json").write_text(json.dumps({"fl_x": 40, "frames": frames}))
    read = read_requested(tmp_path / "a.json", width=64, height=48, names=["a.png", "b.png", "c.png"])
    assert any("do not name one picture each" in note for note in read.notes)


@pytest.mark.parametrize("where", ["head", "frame"])
@pytest.mark.parametrize(
    "key", ["fx", "focal_length", "distortion", "dist_coeffs", "K", "rolling_shutter", "intrinsics"]
)
def test_words_of_the_lens_that_a_transforms_json_does_not_know_are_named(
    key: str, where: str, tmp_path: Path
) -> None:
    frames: list[dict[str, Any]] = [
        {"file_path": f"{i}.png", "transform_matrix": m} for i, m in enumerate(POSES)
    ]
    head: dict[str, Any] = {
        "fl_x": 40.0,
        "aabb_scale": 16,
        "sharpness": 3.0,
        "camera_model": "OPENCV",
        "k1": 0,
    }
    (head if where == "head" else frames[1])[key] = [0.1, 0.2]
    (tmp_path / "transforms.json").write_text(json.dumps(head | {"frames": frames}))
    for i in range(3):
        Image.fromarray(np.full((48, 64, 3), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    for notes in (read_requested(tmp_path, width=64, height=48).notes, read_capture(tmp_path).notes):
        assert [note for note in notes if key in note and "not read" in note]
        assert not any("aabb" in note or "camera_model" in note or "k1" in note for note in notes)


def test_words_of_the_lens_that_a_camera_path_does_not_know_are_named(tmp_path: Path) -> None:
    keys = [{"camera_to_world": m, "fov": 50, "aspect": 1.33} for m in POSES]
    said = {"camera_path": keys, "render_width": 64, "render_height": 48, "default_fov": 50}
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert read_requested(tmp_path / "a.json", width=64, height=48).notes == ()
    keys[0]["distortion"] = [0.1]
    (tmp_path / "b.json").write_text(json.dumps(said))
    assert any("distortion" in n for n in read_requested(tmp_path / "b.json", width=64, height=48).notes)
