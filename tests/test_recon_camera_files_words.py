"""What camera files say of themselves in words: obeyed, or refused or noted where it contradicts how they are read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recon.camera_files import RequestedCameras, read_requested
from recon.capture import read_capture
from recon.errors import CameraError

ROWS = [f"1 0 0 {x} 0 1 0 0 0 0 1 0" for x in (0.0, 1.5, 3.0)]
"""KITTI: world_from_cam/opencv."""
POSES = [[[1.0, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]] for x in (0.0, 1.5, 3.0)]


def kitti(folder: Path, *headings: str, after: tuple[str, ...] = ()) -> RequestedCameras:
    file = folder / "a.txt"
    file.write_text("\n".join([*headings, *ROWS, *after]) + "\n")
    return read_requested(file, width=64, height=48)


def matrices(folder: Path, heading: str, convention: str) -> RequestedCameras:
    file = folder / "a.txt"
    rows = [f"{row} 0 0 0 1" for row in ROWS]
    file.write_text("\n".join([heading, *rows]) + "\n")
    return read_requested(file, width=64, height=48, convention=convention)


def in_json(folder: Path, data: dict[str, Any], convention: str | None = None) -> RequestedCameras:
    file = folder / "a.json"
    file.write_text(json.dumps(data))
    return read_requested(file, width=64, height=48, convention=convention)


def transforms(folder: Path, **said: Any) -> RequestedCameras:
    frames = [{"file_path": f"{i}.png", "transform_matrix": m} for i, m in enumerate(POSES)]
    return in_json(folder, {"fl_x": 40} | said | {"frames": frames})


def about_reading(read: RequestedCameras) -> list[str]:
    """Notes, without that of KITTI that it has no lens."""
    return [note for note in read.notes if "intrinsics" not in note]


CAM_FROM_WORLD = [
    "view matrices", "view matrix of each frame", "viewmats", "w2c", "T_camera_world", "T_cw", "T_C_W", "T_{cw}", "Tcw",
    "cam_T_world", "pose of the world in the camera frame", "transforms world points into the camera frame",
    "world to camera", "world-to-cam", "world2cam", "world -> camera", "world → camera coordinates", "extrinsics",
    "extrinsic matrices", "camera from world", "world frame relative to the camera", "inverse of the camera-to-world matrix",
    "world coordinates to camera coordinates", "from world to camera", "position of the world origin in camera coordinates",
]  # fmt: skip
WORLD_FROM_CAM = [
    "c2w", "T_world_camera", "T_wc", "T_W_C", "Twc", "world_T_cam", "pose of the camera in the world frame",
    "camera pose in world coordinates", "camera to world", "cam2world", "camera -> world", "world from camera",
    "camera positions in the world", "inverse view matrices", "inverse of the extrinsics", "cam_to_world, not w2c",
    "maps camera points into world space",
]  # fmt: skip


@pytest.mark.parametrize("words", CAM_FROM_WORLD)
def test_words_for_cam_from_world(words: str, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="cam_from_world, but it is read as world_from_cam/opencv"):
        kitti(tmp_path, f"# {words}")
    assert about_reading(matrices(tmp_path, f"# {words}", "cam_from_world/opencv")) == []


@pytest.mark.parametrize("words", WORLD_FROM_CAM)
def test_words_for_world_from_cam(words: str, tmp_path: Path) -> None:
    assert about_reading(kitti(tmp_path, f"# {words}")) == []
    with pytest.raises(CameraError, match="world_from_cam, but it is read as cam_from_world/opencv"):
        matrices(tmp_path, f"# {words}", "cam_from_world/opencv")


def test_both_directions_are_told(tmp_path: Path) -> None:
    notes = about_reading(kitti(tmp_path, "# converted from w2c to c2w"))
    assert any("both" in note and "world_from_cam/opencv" in note for note in notes)


OPENGL = [
    "y up, z backward", "OpenGL axes", "x right, y up, z back", "+y up, -z forward", "camera looks along -z",
    "looking down the -z axis", "axes: x-right y-up z-backward", "right, up, backward", "RUB", "Blender coordinates",
    "y points up and z points backwards", "z backward", "up = y, forward = -z",
]  # fmt: skip
OPENCV = [
    "x right, y down, z forward", "OpenCV axes", "y down", "camera looks along +z", "RDF", "right-down-forward",
    "z forward, y down", "-y up, z forward",
]  # fmt: skip
NEITHER = [
    "x forward, y left, z up", "x right, y up, z forward", "Unity axes", "Unreal coordinates", "left-handed", "FLU",
    "PyTorch3D convention", "left, up, forward",
]  # fmt: skip


@pytest.mark.parametrize("words", ["poses exported from Blender", "created with Blender", "Blender camera"])
def test_a_program_that_poses_come_from_is_told_and_refuses_nothing(words: str, tmp_path: Path) -> None:
    """They may have been converted since."""
    notes = about_reading(kitti(tmp_path, f"# {words}"))
    assert any("Blender" in note and "may mean opengl axes" in note for note in notes)


def test_words_about_other_lengths_are_no_unit(tmp_path: Path) -> None:
    for words in ("calibrated with a checkerboard in mm", "translation error in mm: 0.3"):
        assert not any("mm" in note for note in about_reading(kitti(tmp_path, f"# {words}")))


@pytest.mark.parametrize("words", OPENGL + NEITHER)
def test_axes_in_words_that_are_others(words: str, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="read as world_from_cam/opencv"):
        kitti(tmp_path, f"# {words}")


@pytest.mark.parametrize("words", OPENCV + NEITHER)
def test_axes_in_words_that_are_not_those_of_opengl(words: str, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="read as world_from_cam/opengl"):
        matrices(tmp_path, f"# {words}", "world_from_cam/opengl")


@pytest.mark.parametrize(
    ("words", "convention"),
    [*((words, "opencv") for words in OPENCV), *((words, "opengl") for words in OPENGL)],
)
def test_axes_in_words_that_agree(words: str, convention: str, tmp_path: Path) -> None:
    assert about_reading(matrices(tmp_path, f"# {words}", f"world_from_cam/{convention}")) == []


@pytest.mark.parametrize(
    "words", ["world: x east, y north, z up", "z up", "ENU, z up", "the world has y up and z backward"]
)
def test_axes_of_the_world_are_none_of_the_camera(words: str, tmp_path: Path) -> None:
    assert about_reading(kitti(tmp_path, f"# {words}")) == []


def test_an_up_that_may_be_of_either_is_told(tmp_path: Path) -> None:
    assert any("y up" in note and "world" in note for note in about_reading(kitti(tmp_path, "# y up")))


@pytest.mark.parametrize("program", ["Unity", "Unreal", "PyTorch3D"])
def test_programs_with_other_axes_are_told(program: str, tmp_path: Path) -> None:
    assert any(program in note for note in about_reading(kitti(tmp_path, f"# exported from {program} 5.1")))


@pytest.mark.parametrize(
    "lines",
    [
        ["# ground truth trajectory", "# file: 'rgbd_dataset_freiburg1_xyz.bag'", "# timestamp tx ty tz"],
        ["# keyframe trajectory (camera in world, Twc), positions in m, angles in degrees"],
        ["# sequence 00, 3 poses, 10 frames per second", "# left camera, front-facing, 640 x 480"],
        ["# velocity in m/s", "# camera trajectory in the map frame", "# made in Maya, frame rate: 30"],
        ["# https://example.org/w2c/opengl_in_mm?7_poses"],
        ["# camera 0 of the rig, looking forward", "# frame 7"],
    ],
)
def test_usual_headings_are_nothing_to_speak_of(lines: list[str], tmp_path: Path) -> None:
    read = kitti(tmp_path, *lines)
    assert about_reading(read) == []
    assert float((read.cameras.centers[2] - read.cameras.centers[0]).norm()) == pytest.approx(3)


UNITS = {
    "in millimetres": 1e-3, "translation in mm": 1e-3, "units: cm": 1e-2, "unit = centimeters": 1e-2, "tx[mm] ty[mm]": 1e-3,
    "position (cm)": 1e-2, "in feet": 0.3048, "lengths are in inches": 0.0254, "in kilometers": 1e3, "1 unit = 1 cm": 1e-2,
    "1 unit is 2.5 mm": 2.5e-3, "positions in metres": 1.0, "in m": 1.0, "Units: m": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("words", UNITS)
def test_units_in_words_are_obeyed(words: str, tmp_path: Path) -> None:
    read = kitti(tmp_path, f"# {words}")
    far = float((read.cameras.centers[2] - read.cameras.centers[0]).norm())
    assert far == pytest.approx(3.0 * UNITS[words], rel=1e-12)
    assert any("metres" in note for note in about_reading(read)) == (UNITS[words] != 1)


@pytest.mark.parametrize(
    "words",
    [
        "focal length in mm",
        "35 mm lens",
        "time in ms",
        "speed in m per second",
        "in mind",
        "sensor width (mm)",
    ],
)
def test_what_is_no_unit_of_positions(words: str, tmp_path: Path) -> None:
    read = kitti(tmp_path, f"# {words}")
    assert float((read.cameras.centers[2] - read.cameras.centers[0]).norm()) == pytest.approx(3)
    assert about_reading(read) == []


def test_two_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"'units: m'.*'in mm'|'in mm'.*'units: m'"):
        kitti(tmp_path, "# units: m", "# translations in mm")


COUNTS = [
    "{} poses", "n_frames = {}", "total frames {}", "Total number of frames: {}", "num_poses: {}", "frame count: {}",
    "{} camera poses", "this file holds {} frames", "frames: {}", "poses={}", "frameCount {}", "count = {}", "nframes {}",
]  # fmt: skip


@pytest.mark.parametrize("words", COUNTS)
def test_a_count_in_words_is_checked(words: str, tmp_path: Path) -> None:
    assert about_reading(kitti(tmp_path, "# " + words.format(3))) == []
    for read in (
        kitti(tmp_path, "# " + words.format(7)),
        kitti(tmp_path, after=("# " + words.format(7),)),
        kitti(tmp_path, "% " + words.format(7)),
    ):
        assert any("states 7 cameras and holds 3" in note for note in about_reading(read))


@pytest.mark.parametrize(
    "words",
    [
        "30 frames per second",
        "every 5 frames",
        "frames 10 to 20",
        "frames 0-99",
        "30 frames/s",
        "images 640 x 480",
    ],
)
def test_what_is_no_count(words: str, tmp_path: Path) -> None:
    assert about_reading(kitti(tmp_path, f"# {words}")) == []


def test_comments_after_the_numbers_are_heard(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="view matrices"):
        kitti(tmp_path, after=("# these are view matrices",))
    with pytest.raises(CameraError, match="view matrices"):
        kitti(tmp_path, "// view matrices")


def test_time_in_words(tmp_path: Path) -> None:
    for words, step in (
        ("# timestamp [ms]", 1.0),
        ("# timestamp_ns", 1e-6),
        ("# time in seconds", 1000.0),
        ("#", 1000.0),
    ):
        file = tmp_path / "a.txt"
        file.write_text("\n".join([words, *(f"{1000 * i} {i} 0 0 0 0 0 1" for i in range(3))]))
        times_s = read_requested(file, width=64, height=48).times_s
        assert times_s is not None
        assert times_s.tolist() == pytest.approx([0, step, 2 * step])


@pytest.mark.parametrize(
    "said",
    [
        {"camera_convention": "opencv"}, {"coordinate_system": "OpenCV"}, {"axes": "x right, y down, z forward"},
        {"convention": "w2c"}, {"pose_type": "world_to_camera"}, {"meta": {"convention": "cam_from_world/opencv"}},
        {"coordinate_system": "unity axes"}, {"handedness": "left-handed"},
    ],
)  # fmt: skip
def test_what_json_says_of_its_poses_is_checked(said: dict, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="read as world_from_cam/opengl"):
        transforms(tmp_path, **said)


@pytest.mark.parametrize(
    "said",
    [
        {"camera_convention": "opengl"}, {"convention": "c2w"}, {"camera_model": "OPENCV"}, {"ply_file_path": "colmap.ply"},
        {"pose_source": "RealEstate10K camera file (w2c)"}, {"scale": "metric (metres)"}, {"n_frames": 3}, {"aabb_scale": 16},
        {"description": "a room"}, {"frames_per_second": 30}, {"fps": 7},
    ],
)  # fmt: skip
def test_what_json_says_of_other_things_is_not(said: dict, tmp_path: Path) -> None:
    read = transforms(tmp_path, **said)
    assert read.notes == ()
    assert float((read.cameras.centers[2] - read.cameras.centers[0]).norm()) == pytest.approx(3)


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ({"n_frames": 7}, "states 7 cameras and holds 3"),
        ({"header": {"num_poses": 7}}, "states 7 cameras and holds 3"),
        ({"comment": "7 poses"}, "states 7 cameras and holds 3"),
        ({"comment": "these are view matrices"}, "view matrices"),
        ({"description": "OpenCV axes"}, "OpenCV axes"),
        ({"units": "mm"}, "metres"),
    ],
)
def test_what_json_says_in_passing_is_noted(said: dict, note: str, tmp_path: Path) -> None:
    assert any(note in n for n in transforms(tmp_path, **said).notes)


def test_units_and_counts_beside_matrices(tmp_path: Path) -> None:
    convention = "world_from_cam/opencv"
    read = in_json(tmp_path, {"poses": POSES, "units": "mm", "n_frames": 7}, convention)
    assert float((read.cameras.centers[2] - read.cameras.centers[0]).norm()) == pytest.approx(3e-3)
    assert any("states 7" in note for note in read.notes)
    with pytest.raises(CameraError, match="opengl"):
        in_json(tmp_path, {"poses": POSES, "coordinate_system": "opengl"}, convention)
    values: dict[str, Any] = {"poses": np.array(POSES), "units": np.array("cm"), "num_frames": np.array(7)}
    np.savez(tmp_path / "a.npz", **values)
    read = read_requested(tmp_path / "a.npz", width=64, height=48, convention=convention)
    assert float((read.cameras.centers[2] - read.cameras.centers[0]).norm()) == pytest.approx(3e-2)
    assert any("states 7" in note for note in read.notes)
    values["convention"] = np.array("w2c")
    np.savez(tmp_path / "a.npz", **values)
    with pytest.raises(CameraError, match="cam_from_world"):
        read_requested(tmp_path / "a.npz", width=64, height=48, convention=convention)


def test_words_beside_the_cameras_of_photos(tmp_path: Path) -> None:
    """The scene keeps the unit of its capture, in whose frame it is exported."""
    frames = [{"file_path": f"{i}.png", "transform_matrix": m} for i, m in enumerate(POSES)]
    for i in range(3):
        Image.fromarray(np.full((48, 64, 3), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    for said, count in (({"units": "mm", "n_frames": 7}, 2), ({}, 0)):
        (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 40} | said | {"frames": frames}))
        capture = read_capture(tmp_path)
        centers = capture.clip.require_cameras().centers
        assert float((centers[2] - centers[0]).norm()) == pytest.approx(3)
        assert sum("'units: mm'" in n or "states 7 cameras and holds 3" in n for n in capture.notes) == count
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 40, "axes": "opencv", "frames": frames}))
    with pytest.raises(CameraError, match="opencv"):
        read_capture(tmp_path)


def test_a_comment_at_the_end_of_many_is_heard(tmp_path: Path) -> None:
    rows = [f"1 0 0 {x} 0 1 0 0 0 0 1 0 # frame {x}" for x in range(2000)]
    (tmp_path / "a.txt").write_text("\n".join([*rows, "# 7 poses"]))
    read = read_requested(tmp_path / "a.txt", width=64, height=48)
    assert any("states 7 cameras and holds 2000" in note for note in about_reading(read))
