"""Poses that are none, or that a file holds in a shape it does not have: refused with the camera's name."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge4d.exporting.frame import read_similarity
from recon.camera_files import read_path, read_requested
from recon.camera_files.formats.colmap import load_model
from recon.cameras import Cameras, intrinsics
from recon.capture import read_capture
from recon.colmap.write import write_colmap
from recon.errors import BridgeError, CameraError, CaptureError
from recon.pictures.frame_files import natural_key

POSE = np.array([[1.0, 0, 0, 2], [0, 1, 0, 3], [0, 0, 1, 4], [0, 0, 0, 1]])
MOVED = POSE + np.array([[0, 0, 0, 1.0]] + [[0, 0, 0, 0]] * 3)


def json_file(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content))
    return file


def transforms(matrix: np.ndarray) -> dict:
    frames = [
        {"file_path": n, "transform_matrix": m.tolist()} for n, m in (("a.png", POSE), ("b.png", matrix))
    ]
    return {"fl_x": 40, "w": 64, "h": 48, "frames": frames}


def unreal(matrix: np.ndarray) -> str:
    return " ".join(f"[{' '.join(map(str, row))}]" for row in matrix.T)


TRANSPOSED = {
    "transforms": transforms(POSE.T),
    "camera-path": {
        "camera_path": [{"camera_to_world": m.flatten().tolist(), "fov": 50} for m in (POSE, POSE.T)]
    },
    "recammaster": {f"frame{i}": {"cam01": unreal(m)} for i, m in enumerate((POSE, POSE.T))},
    "matrices": {"w2c": [POSE.tolist(), POSE.T.tolist()]},
}


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_a_transposed_matrix_is_refused_by_every_reader(kind: str, tmp_path: Path) -> None:
    file = json_file(tmp_path / "cameras.json", TRANSPOSED[kind])
    convention = "cam_from_world/opencv" if kind == "matrices" else None
    with pytest.raises(CameraError, match=r"cameras.json: the bottom row of .*(1|b.png|frame1).*transposed"):
        read_requested(file, width=64, height=48, convention=convention)


def test_a_transposed_matrix_of_photos_is_refused(tmp_path: Path) -> None:
    json_file(tmp_path / "transforms.json", transforms(POSE.T))
    with pytest.raises(CameraError, match=r"bottom row of .*b.png"):
        read_capture(tmp_path)


def colmap(folder: Path, *, text: bool, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    K = intrinsics(focal_px=40.0, width=64, height=48, n=2)
    write_colmap(folder, Cameras(torch.from_numpy(np.stack([POSE, MOVED])), K, 64, 48), names, text=text)
    return folder


ZERO, LONG, NONE = (0.0, 0.0, 0.0, 0.0), (2.0, 0.0, 0.0, 0.0), (float("nan"), 0.0, 0.0, 1.0)


def with_quaternion(folder: Path, part: str, quaternion: tuple[float, ...]) -> None:
    """Of the second image or frame of a model."""
    file = next(p for p in folder.iterdir() if p.stem == part)
    if file.suffix == ".bin":
        data, unit = file.read_bytes(), np.array([1.0, 0, 0, 0]).tobytes()
        at = data.index(unit, data.index(unit) + 1)
        file.write_bytes(data[:at] + np.array(quaternion).tobytes() + data[at + 32 :])
        return
    lines = file.read_text().splitlines()
    first = 1 if part == "images" else 2
    row = next(i for i, line in enumerate(lines) if line.startswith("2"))
    words = lines[row].split()
    words[first : first + 4] = map(str, quaternion)
    lines[row] = " ".join(words)
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("quaternion", [ZERO, LONG, NONE])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("part", ["images", "frames"])
def test_a_quaternion_that_turns_nothing_is_refused_with_its_picture(
    part: str, text: bool, quaternion: tuple[float, ...], tmp_path: Path
) -> None:
    """COLMAP reads zeros as no turn at all."""
    colmap(tmp_path, text=text)
    load_model(tmp_path)
    with_quaternion(tmp_path, part, quaternion)
    who = "b.png" if part == "images" else "frame 2"
    with pytest.raises(CameraError, match=rf"{who}.* quaternion .*expected a unit quaternion"):
        load_model(tmp_path)


@pytest.mark.parametrize("length", [0.0, 2.0])
def test_a_quaternion_of_a_similarity_has_length_one(length: float, tmp_path: Path) -> None:
    file = json_file(tmp_path / "t.json", {"quaternion_wxyz": [length, 0, 0, 0]})
    with pytest.raises(BridgeError, match=r"t.json.*quaternion.*unit quaternion"):
        read_similarity(file)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("side", [0, 2_000_000])
def test_a_camera_of_colmap_without_a_size_is_refused(text: bool, side: int, tmp_path: Path) -> None:
    colmap(tmp_path, text=text)
    file = tmp_path / f"cameras.{'txt' if text else 'bin'}"
    if text:
        file.write_text(file.read_text().replace(" 64 48 ", f" {side} {side} "))
    else:
        stated, wanted = (np.array(s, np.uint64).tobytes() for s in ((64, 48), (side, side)))
        file.write_bytes(file.read_bytes().replace(stated, wanted))
    for read in (lambda: read_requested(tmp_path, width=64, height=48), lambda: read_capture(tmp_path)):
        with pytest.raises(BridgeError, match=f"a.png.*{side}x{side}"):
            read()


@pytest.mark.parametrize("part", ["images", "points3D", "frames", "rigs"])
def test_a_binary_file_that_holds_more_than_it_says_is_refused(part: str, tmp_path: Path) -> None:
    """COLMAP would leave the rest out without a word."""
    colmap(tmp_path, text=False)
    file = tmp_path / f"{part}.bin"
    file.write_bytes(file.read_bytes() + bytes(100))
    with pytest.raises(CaptureError, match=rf"{part}.bin has .* more than it says"):
        load_model(tmp_path)


@pytest.mark.parametrize("part", ["images", "cameras"])
def test_a_count_in_a_text_model_is_checked(part: str, tmp_path: Path) -> None:
    colmap(tmp_path, text=True)
    assert load_model(tmp_path).notes == ()
    file = tmp_path / f"{part}.txt"
    rest = [line for line in file.read_text().splitlines() if "Number of" not in line]
    file.write_text("\n".join([f"# Number of {part}: 7", *rest]) + "\n")
    held = 2 if part == "images" else 1
    assert any(f"{part}.txt states 7 {part} and holds {held}" in note for note in load_model(tmp_path).notes)


def test_names_longer_than_a_file_system_holds(tmp_path: Path) -> None:
    """Neither a name of 300 characters nor one of 5,000 digits ends anything but the picture's own reading."""
    long = ("x" * 300 + ".png", "1" * 5000 + ".png")
    assert sorted((long[1], "2.png", "10.png"), key=natural_key) == ["2.png", "10.png", long[1]]
    assert sorted(("a10", "a9", "a09", "a0", "a007"), key=natural_key) == ["a0", "a007", "a09", "a9", "a10"]
    frames = [{"file_path": n, "transform_matrix": POSE.tolist()} for n in long]
    file = json_file(tmp_path / "transforms.json", {"fl_x": 40, "w": 64, "h": 48, "frames": frames})
    assert read_requested(file, width=64, height=48).names == (long[1], long[0])
    with pytest.raises(CaptureError, match="at least two usable photos"):
        read_capture(tmp_path)
    colmap(tmp_path / "model", text=True, names=("x" * 300 + ".png", "y.png"))
    with pytest.raises(CaptureError, match="at least two usable photos"):
        read_capture(tmp_path / "model")


def test_a_format_that_is_stated_is_checked_as_one_that_is_found(tmp_path: Path) -> None:
    """Nothing but a sentence, whatever the file holds in place of what was said."""
    contents: list[object] = [
        {}, [], [1, 2], 5, "x", None, {"camera_path": 5}, {"camera_path": [1]}, {"frame0": 5}, {"frames": 5},
        {"frame0": {"cam01": 5}}, {"frame0": {"cam01": {}}}, {"a": {"b": "c"}}, {"camera_path": [{}]},
        {"frames": [{"transform_matrix": 5}]}, {"w2c": "x"}, {"poses": [[1, 2]]}, {"frame0": {"cam01": "[1 2]"}},
    ]  # fmt: skip
    for number, content in enumerate(contents):
        file = json_file(tmp_path / f"{number}.json", content)
        for format in (
            "realestate10k",
            "colmap",
            "transforms",
            "camera-path",
            "recammaster",
            "tum",
            "kitti",
            "matrices",
        ):
            convention = "cam_from_world/opencv" if format == "matrices" else None
            for read in (read_requested, read_path):
                with pytest.raises(BridgeError) as refused:
                    read(file, width=64, height=48, format=format, convention=convention)
                assert "\n" not in str(refused.value), (format, content)
                with pytest.raises(BridgeError):
                    read(tmp_path, width=64, height=48, format=format, convention=convention)
    assert not any(os.path.isdir(p) for p in tmp_path.iterdir())
