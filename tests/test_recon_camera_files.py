"""Requested cameras: every format against a truth written by hand, and what is ambiguous or broken refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recon.camera_files import RequestedCameras, detect_with_default, holds_cameras, read_requested
from recon.cameras import Cameras
from recon.colmap.write import write_colmap
from recon.errors import CameraError, CaptureError

# Camera 0 looks along +x of a world whose z points up, from (1, 2, 3); camera 1 is the same, turned a quarter
# about its viewing axis, from (4, 5, 6); camera 2 stands in the origin with the axes of the world.
# Rows of cam_from_world are the camera's right, down and forward in the world; t = -R @ centre, by hand.
TRUTH = [
    [[0, -1, 0, 2], [0, 0, -1, 3], [1, 0, 0, -1], [0, 0, 0, 1]],
    [[0, 0, -1, 6], [0, 1, 0, -5], [1, 0, 0, -4], [0, 0, 0, 1]],
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
]
# Columns of world_from_cam are right, down, forward; the last one is the centre.
WORLD_FROM_CAM = [
    [[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]],
    [[0, 0, 1, 4], [0, 1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]],
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
]
# OpenGL: y and z of the camera point the other way.
GL_FROM_WORLD = [
    [[0, -1, 0, 2], [0, 0, 1, -3], [-1, 0, 0, 1], [0, 0, 0, 1]],
    [[0, 0, -1, 6], [0, -1, 0, 5], [-1, 0, 0, 4], [0, 0, 0, 1]],
    [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]],
]
WORLD_FROM_GL = [
    [[0, 0, -1, 1], [-1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]],
    [[0, 0, -1, 4], [0, -1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]],
    [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]],
]
BY_CONVENTION = {
    "cam_from_world/opencv": TRUTH,
    "world_from_cam/opencv": WORLD_FROM_CAM,
    "cam_from_world/opengl": GL_FROM_WORLD,
    "world_from_cam/opengl": WORLD_FROM_GL,
}


def read_at(path: Path, **options: Any) -> RequestedCameras:
    """For pictures of 64x48."""
    return read_requested(path, width=64, height=48, **options)


def write(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(lines) + "\n")
    return file


def row(matrix, rows: int = 3) -> str:
    return " ".join(str(float(x)) for r in matrix[:rows] for x in r)


def realestate10k(poses=TRUTH, lens: str = "0.5 0.75 0.5 0.5", k: str = "0.0 0.0") -> list[str]:
    return [f"{1_000_000 + 40_000 * i} {lens} {k} {row(pose)}" for i, pose in enumerate(poses)]


def save_npz(file: Path, **arrays) -> Path:
    named: dict[str, Any] = {k: np.array(v) for k, v in arrays.items()}
    np.savez(file, **named)
    return file


def assert_truth(read: RequestedCameras) -> None:
    truth = torch.tensor(TRUTH, dtype=torch.float64)
    torch.testing.assert_close(read.cameras.cam_from_world, truth, atol=1e-9, rtol=0)
    assert (read.cameras.width, read.cameras.height) == (64, 48)


def K_of(read: RequestedCameras) -> list[float]:
    K = read.cameras.K[0]
    return [float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])]


@pytest.mark.parametrize("heading", [["https://www.youtube.com/watch?v=a_b-c"], [""], []])
def test_realestate10k(heading: list[str], tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", *heading, *realestate10k(), "")
    read = read_at(file)
    assert_truth(read)
    assert (read.format, read.intrinsics_known, read.names) == ("realestate10k", True, None)
    assert K_of(read) == pytest.approx([32, 36, 32, 24])
    assert read.times_s is not None
    assert read.times_s.tolist() == pytest.approx([0, 0.04, 0.08])


def test_realestate10k_says_what_it_cannot_know(tmp_path: Path) -> None:
    """Normalised intrinsics of 16:9 on 4:3 pictures: squeezed or cropped is not in the file."""
    square = read_at(write(tmp_path / "a.txt", *realestate10k(lens="0.75 1 0.5 0.5")))
    assert square.notes == ()
    wide = read_at(write(tmp_path / "b.txt", *realestate10k(lens="0.5625 1 0.5 0.5", k="0.1 0")))
    assert any("0.750" in note and "cropped" in note for note in wide.notes)
    assert any("distortion" in note for note in wide.notes)
    still = [line.replace(line.split()[0], "0", 1) for line in realestate10k()]
    assert read_at(write(tmp_path / "c.txt", *still)).times_s is None


def test_kitti(tmp_path: Path) -> None:
    read = read_at(write(tmp_path / "00.txt", *(row(p) for p in WORLD_FROM_CAM)))
    assert_truth(read)
    assert (read.format, read.intrinsics_known) == ("kitti", False)
    assert any("intrinsics" in note for note in read.notes)
    assert float(read.cameras.K[0, 0, 0]) == pytest.approx(1.2 * 64)


def test_tum(tmp_path: Path) -> None:
    """Quaternions by hand: columns of world_from_cam are (0,-1,0), (0,0,-1), (1,0,0) for camera 0: the cyclic
    permutation with qw = 1/2; camera 1 turns by 90 degrees about y."""
    h = 0.5**0.5
    lines = [
        "# t tx ty tz qx qy qz qw",
        "5.0 1 2 3 -0.5 0.5 -0.5 0.5",
        f"5.5 4 5 6 0 {h} 0 {h}",
        "6 0 0 0 0 0 0 1",
    ]
    read = read_at(write(tmp_path / "a.txt", *lines))
    assert_truth(read)
    assert (read.format, read.intrinsics_known) == ("tum", False)
    assert read.times_s is not None
    assert read.times_s.tolist() == [0, 0.5, 1]


def test_tum_refusals(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"1 \(line 2\).*quaternion of length 2"):
        read_at(write(tmp_path / "a.txt", "0 0 0 0 0 0 0 1", "1 0 0 0 0 0 0 2"))
    euroc = write(tmp_path / "b.csv", "1,0,0,0,1,0,0,0", "2,0,0,1,1,0,0,0")
    with pytest.raises(CameraError, match="EuRoC"):
        read_at(euroc)
    assert len(read_at(euroc, format="tum").cameras) == 2


def test_transforms_needs_no_pictures(tmp_path: Path) -> None:
    """Frames stand out of order, count without leading zeros, and are for pictures of twice the size."""
    frames = [
        {"file_path": f"images/f_{n}.png", "transform_matrix": m}
        for n, m in zip((2, 10, 11), WORLD_FROM_GL, strict=True)
    ]
    lens = {"fl_x": 100, "fl_y": 110, "cx": 60, "cy": 50, "w": 128, "h": 96}
    file = tmp_path / "transforms.json"
    file.write_text(json.dumps(lens | {"frames": [frames[1], frames[2], frames[0]]}))
    read = read_at(tmp_path)
    assert_truth(read)
    assert (read.format, read.intrinsics_known) == ("transforms", True)
    assert K_of(read) == pytest.approx([50, 55, 30, 25])
    assert read.names == ("images/f_2.png", "images/f_10.png", "images/f_11.png")
    some = read_at(file, names=["f_11.jpg", "f_99.jpg", "f_2.jpg"])
    assert some.names == ("f_11.jpg", "f_2.jpg")
    torch.testing.assert_close(some.cameras.cam_from_world, read.cameras.cam_from_world[[2, 0]])
    other = read_at(file, names=["a.jpg", "b.jpg"])
    assert_truth(other)
    assert any("names other pictures" in note for note in other.notes)


@pytest.mark.parametrize(
    ("lens", "known", "note"),
    [
        ({"camera_angle_x": float(2 * np.arctan(0.5))}, True, ""),
        ({}, False, "does not state the intrinsics"),
        ({"fl_x": 100, "w": 128, "h": 64}, False, "cropped or squeezed"),
        ({"fl_x": 64, "w": 64, "h": 48, "k1": 0.1}, True, "distortion (OPENCV)"),
    ],
)
def test_transforms_lenses(lens: dict, known: bool, note: str, tmp_path: Path) -> None:
    frames = [{"transform_matrix": m} for m in WORLD_FROM_GL]
    (tmp_path / "path.json").write_text(json.dumps(lens | {"frames": frames}))
    read = read_at(tmp_path / "path.json")
    assert_truth(read)
    assert read.intrinsics_known is known
    assert note in " ".join(read.notes)
    if known:
        assert K_of(read) == pytest.approx([64, 64, 32, 24])


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("points", [True, False])
def test_colmap(text: bool, points: bool, tmp_path: Path) -> None:
    K = torch.tensor([[100.0, 0, 60], [0, 110, 50], [0, 0, 1]], dtype=torch.float64).repeat(3, 1, 1)
    cameras = Cameras(torch.tensor(TRUTH, dtype=torch.float64), K, 128, 96)
    model = tmp_path / "sparse" / "0"
    write_colmap(model, cameras, ["f_2.png", "f_10.png", "f_11.png"], text=text)
    if not points:
        (model / f"points3D.{'txt' if text else 'bin'}").unlink()
    read = read_at(tmp_path)
    assert_truth(read)
    assert (read.format, read.intrinsics_known) == ("colmap", True)
    assert read.names == ("f_2.png", "f_10.png", "f_11.png")
    assert K_of(read) == pytest.approx([50, 55, 30, 25])
    assert_truth(read_at(model / f"images.{'txt' if text else 'bin'}"))


@pytest.mark.parametrize("convention", list(BY_CONVENTION))
@pytest.mark.parametrize("kind", ["npz", "npy", "json", "object", "line", "block", "block4"])
def test_matrices_of_every_convention(convention: str, kind: str, tmp_path: Path) -> None:
    matrices = np.array(BY_CONVENTION[convention], dtype=np.float64)
    file = (
        tmp_path / f"a.{ {'object': 'json', 'line': 'txt', 'block': 'txt', 'block4': 'txt'}.get(kind, kind) }"
    )
    if kind == "npz":
        np.savez(file, poses=matrices[:, :3])
    elif kind == "npy":
        np.save(file, matrices.astype(np.float32))
    elif kind == "json":
        file.write_text(json.dumps(matrices.tolist()))
    elif kind == "object":
        file.write_text(json.dumps({"seed": 3, "about": "x", "cameras": matrices.reshape(3, 16).tolist()}))
    else:
        shape = {"line": (3, 16), "block": (-1, 4), "block4": (-1, 4)}[kind]
        np.savetxt(file, (matrices[:, :3] if kind == "block" else matrices).reshape(shape))
    assert_truth(read_at(file, convention=convention))
    for wrong in set(BY_CONVENTION) - {
        convention
    }:  # nothing in the file gives it away: it must tell on values
        other = read_at(file, convention=wrong).cameras.cam_from_world
        assert float((other - torch.tensor(TRUTH)).abs().max()) > 0.5
    with pytest.raises(CameraError, match="say which"):
        read_at(file)


@pytest.mark.parametrize(
    ("intrinsics", "size", "expected"),
    [
        ([[50.0, 0, 30], [0, 55, 25], [0, 0, 1]], {}, [50, 55, 30, 25]),
        ([[[100.0, 0, 60], [0, 110, 50], [0, 0, 1]]] * 3, {"width": 128, "height": 96}, [50, 55, 30, 25]),
        ([50.0, 55, 30, 25], {}, [50, 55, 30, 25]),
        ([[50.0, 55, 30, 25]] * 3, {}, [50, 55, 30, 25]),
        ([0.5, 0.75, 0.5, 0.5], {}, [32, 36, 32, 24]),
        ([500.0, 500, 256, 256], {}, None),
        ([500.0, 500, 256, 256], {"w": 512, "h": 512}, None),
    ],
)
def test_intrinsics_in_npz(intrinsics, size: dict, expected: list[float] | None, tmp_path: Path) -> None:
    file = save_npz(tmp_path / "a.npz", w2c=TRUTH, K=intrinsics, **size)
    read = read_at(file, convention="cam_from_world/opencv")
    assert_truth(read)
    assert read.intrinsics_known is (expected is not None)
    if expected is None:
        assert "not used" in read.notes[0]
    else:
        assert K_of(read) == pytest.approx(expected)


def test_names_of_arrays_are_believed(tmp_path: Path) -> None:
    both = save_npz(tmp_path / "a.npz", w2c=TRUTH, c2w=WORLD_FROM_CAM)
    for convention in ("cam_from_world/opencv", "world_from_cam/opencv"):
        assert_truth(read_at(both, convention=convention))
    with pytest.raises(CameraError, match="opposite direction"):
        read_at(save_npz(tmp_path / "b.npz", c2w=WORLD_FROM_CAM), convention="cam_from_world/opencv")
    with pytest.raises(CameraError, match="one array of matrices, got a, b"):
        read_at(save_npz(tmp_path / "c.npz", a=TRUTH, b=TRUTH), convention="cam_from_world/opencv")


def test_a_default_format_is_for_files_that_leave_it_open(tmp_path: Path) -> None:
    re10k = write(tmp_path / "a.txt", *realestate10k())
    euroc_or_tum = write(tmp_path / "b.txt", "0,1,2,3,0,0,0,1")
    kitti = write(tmp_path / "c.txt", *(row(p) for p in TRUTH))
    assert detect_with_default(re10k, "world_from_cam/opengl", "tum") == "realestate10k"
    assert detect_with_default(euroc_or_tum, None, "tum") == "tum"
    with pytest.raises(CameraError, match="EuRoC"):
        detect_with_default(euroc_or_tum, None, None)
    assert [detect_with_default(kitti, None, default) for default in (None, "tum", "matrices")] == [
        "kitti",
        "kitti",
        "matrices",
    ]
    with pytest.raises(CameraError, match="expected a convention out of"):
        detect_with_default(re10k, "w2c", None)
    with pytest.raises(CaptureError, match="does not exist"):
        detect_with_default(tmp_path / ("x" * 300), None, "kitti")


def test_a_convention_against_the_format(tmp_path: Path) -> None:
    kitti = write(tmp_path / "a.txt", *(row(p) for p in TRUTH))
    with pytest.raises(CameraError, match=r"KITTI.*'matrices'"):
        read_at(kitti, convention="cam_from_world/opencv")
    assert_truth(read_at(kitti, convention="cam_from_world/opencv", format="matrices"))
    re10k = write(tmp_path / "b.txt", *realestate10k())
    assert_truth(read_at(re10k, convention="cam_from_world/opencv"))
    with pytest.raises(CameraError, match="realestate10k, which is cam_from_world/opencv"):
        read_at(re10k, convention="world_from_cam/opengl")
    with pytest.raises(CameraError, match="expected a convention out of"):
        read_at(re10k, convention="w2c")
    with pytest.raises(CameraError, match="expected a format out of"):
        read_at(re10k, format="re10k")
    with pytest.raises(CameraError, match="expected 8 numbers"):
        read_at(re10k, format="tum")


MIRRORED = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
SCALED = [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]
NOT_A_NUMBER = [[float("nan"), 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("bad", "what"), [(MIRRORED, "left-handed"), (SCALED, "not a rotation"), (NOT_A_NUMBER, "NaN")]
)
def test_cameras_that_are_none_are_named(bad, what: str, tmp_path: Path) -> None:
    poses = [TRUTH[0], TRUTH[1], bad]
    with pytest.raises(CameraError, match=rf"a.txt: camera 2 \(line 4\) .*{what}"):
        read_at(write(tmp_path / "a.txt", "https://x", *realestate10k(poses)))
    with pytest.raises(CameraError, match=rf"camera 2 \(line 3\) .*{what}"):
        read_at(write(tmp_path / "b.txt", *(row(p) for p in poses)))
    np.save(tmp_path / "c.npy", np.array(poses, dtype=np.float64))
    with pytest.raises(CameraError, match=rf"camera 2 .*{what}"):
        read_at(tmp_path / "c.npy", convention="cam_from_world/opencv")
    frames = [{"file_path": f"f{i}.png", "transform_matrix": p} for i, p in enumerate(poses)]
    (tmp_path / "d.json").write_text(json.dumps({"camera_angle_x": 1.0, "frames": frames}))
    with pytest.raises(CameraError, match=rf"camera f2.png .*{what}"):
        read_at(tmp_path / "d.json")


def test_broken_files(tmp_path: Path) -> None:
    opencv: dict[str, Any] = {"convention": "cam_from_world/opencv"}
    with pytest.raises(CaptureError, match="does not exist"):
        read_at(tmp_path / "none.txt")
    with pytest.raises(CameraError, match=r"19 numbers in line 3 as in line 1, got 12"):
        read_at(write(tmp_path / "a.txt", *realestate10k()[:2], row(TRUTH[2])))
    with pytest.raises(CameraError, match="numbers in line 2, got 'and then"):
        read_at(write(tmp_path / "b.txt", "A cat", "and then a dog"))
    with pytest.raises(CameraError, match=r"12 numbers a line, got 'O\.O'"):
        read_at(write(tmp_path / "row.txt", row(TRUTH[0]).replace("0.0", "O.O", 1), row(TRUTH[1])))
    with pytest.raises(CameraError, match="no line of numbers"):
        read_at(write(tmp_path / "c.txt", "https://x"))
    with pytest.raises(CameraError, match="no format of cameras has 5 numbers"):
        read_at(write(tmp_path / "d.txt", "1 2 3 4 5"))
    with pytest.raises(CameraError, match="focal length of -32"):
        read_at(write(tmp_path / "e.txt", *realestate10k(lens="-0.5 0.5 0.5 0.5")))
    (tmp_path / "f.npz").write_bytes(b"not a zip")
    with pytest.raises(CaptureError, match="cannot be read"):
        read_at(tmp_path / "f.npz", **opencv)
    np.save(tmp_path / "g.npy", np.array(TRUTH).swapaxes(1, 2))
    with pytest.raises(CameraError, match=r"bottom row of camera 0 .* transposed"):
        read_at(tmp_path / "g.npy", **opencv)
    np.save(tmp_path / "h.npy", np.eye(4))
    with pytest.raises(CameraError, match=r"got float64 \[4, 4\]"):
        read_at(tmp_path / "h.npy", **opencv)
    with pytest.raises(CameraError, match=r"found K \[3, 3\]"):
        read_at(save_npz(tmp_path / "i.npz", K=np.eye(3)), **opencv)
    with pytest.raises(CameraError, match=r"expected intrinsics as \[3,3\]"):
        read_at(save_npz(tmp_path / "j.npz", w2c=TRUTH, K=[[1.0, 2, 3, 4]] * 2), **opencv)
    np.save(tmp_path / "k.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(CaptureError, match="cannot be read"):
        read_at(tmp_path / "k.npy", **opencv)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="neither"):
        read_at(tmp_path / "empty")


def test_what_is_meant_as_cameras(tmp_path: Path) -> None:
    """A caption or the settings of a generator beside a clip are no cameras; broken cameras are."""
    assert holds_cameras(write(tmp_path / "a.txt", "https://x", *realestate10k()))
    assert holds_cameras(write(tmp_path / "b.txt", *realestate10k()[:1], "broken"))
    assert not holds_cameras(write(tmp_path / "c.txt", "A kitchen with 3 windows."))
    assert holds_cameras(write(tmp_path / "h.txt", *["% about"] * 3, *["// about"] * 3, *realestate10k()))
    assert not holds_cameras(write(tmp_path / "d.json", '{"prompt": "a cat", "seed": 3}'))
    assert holds_cameras(write(tmp_path / "e.json", '{"c2w": []}'))
    assert holds_cameras(write(tmp_path / "f.json", "{broken"))
    assert not holds_cameras(write(tmp_path / "g.json", '{"frames": [{"file_path": "a"}]}'))


def test_what_a_folder_holds_besides_is_told(tmp_path: Path) -> None:
    frames = [{"file_path": f"{i}.png", "transform_matrix": m} for i, m in enumerate(WORLD_FROM_GL)]
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 64, "w": 64, "h": 48, "frames": frames}))
    assert read_at(tmp_path).notes == ()
    K = torch.tensor([[64.0, 0, 32], [0, 64, 24], [0, 0, 1]], dtype=torch.float64).repeat(3, 1, 1)
    cameras = Cameras(torch.tensor(TRUTH, dtype=torch.float64), K, 64, 48)
    write_colmap(tmp_path / "sparse" / "0", cameras, ["0.png", "1.png", "2.png"])
    read = read_at(tmp_path)
    assert read.format == "transforms"
    assert any("COLMAP model" in note and "not read" in note for note in read.notes)


def test_times_that_run_backwards_are_told(tmp_path: Path) -> None:
    read = read_at(write(tmp_path / "a.txt", "0 0 0 0 0 0 0 1", "2 1 0 0 0 0 0 1", "1 2 0 0 0 0 0 1"))
    assert read.times_s is None
    assert any("times" in note for note in read.notes)
