"""Inputs as people have them: what a number in a camera file refers to is known, or the file is refused by that number."""

import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from recon.camera_files import read_requested
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras, look_at
from recon.capture import Lens, read_capture
from recon.clip import Clip
from recon.clips.read import ReadClip, read_clip
from recon.clips.source import ClipSource
from recon.colmap.write import write_colmap
from recon.errors import CameraError, CaptureError
from recon.pictures.picture_names import match_names

WIDTH, HEIGHT, N = 64, 48, 4
ORIENTATION = 0x0112


@pytest.fixture
def clip(generator: torch.Generator) -> Clip:
    eyes = torch.randn(N, 3, generator=generator, dtype=torch.float64) * 3
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(N, 3)
    K = torch.tensor([[51.0, 0, 32.0], [0, 51.0, 24.0], [0, 0, 1]], dtype=torch.float64).repeat(N, 1, 1)
    images = torch.nn.functional.interpolate(torch.rand(N, 3, 6, 8, generator=generator), (HEIGHT, WIDTH))
    names = tuple(f"{i:04d}.png" for i in range(N))
    cameras = Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, WIDTH, HEIGHT)
    return Clip(images.permute(0, 2, 3, 1).contiguous(), cameras, names=names)


def edit(file: Path, change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def tag(folder: Path, orientation: int) -> None:
    """Gives pictures an EXIF orientation; their pixels stay."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for file in folder.glob("*.png"):
        Image.open(file).save(file, exif=exif)


def read_frames(folder: Path, cameras: Path) -> ReadClip:
    return read_clip(ClipSource("clip", folder, cameras, "model"))


# ---- A: orientation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("kind", ["transforms", "colmap"])
def test_photos_with_cameras_are_read_as_stored(
    kind: str, orientation: int, clip: Clip, tmp_path: Path
) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    if kind == "colmap":
        (tmp_path / "transforms.json").unlink()
        write_colmap(tmp_path / "sparse" / "0", clip.require_cameras(), clip.names)
    tag(tmp_path / "images", orientation)
    read = read_capture(tmp_path)
    torch.testing.assert_close(read.clip.images, clip.images, atol=0.003, rtol=0)
    torch.testing.assert_close(read.clip.require_cameras().K, clip.require_cameras().K)
    assert any("as stored" in note and "although their EXIF" in note for note in read.notes)
    frames = read_frames(tmp_path / "images", tmp_path)
    torch.testing.assert_close(frames.clip.images, clip.images, atol=0.003, rtol=0)
    assert any("as stored" in note for note in frames.notes)


def test_a_stated_size_that_only_the_turned_photo_has_decides(clip: Clip, tmp_path: Path) -> None:
    """Cameras of portraits whose files lie on their side."""
    write_transforms(tmp_path / "transforms.json", clip)
    for file in (tmp_path / "images").glob("*.png"):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        Image.open(file).transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    for read in (read_capture(tmp_path).clip, read_frames(tmp_path / "images", tmp_path).clip):
        torch.testing.assert_close(read.images, clip.images, atol=0.003, rtol=0)
        assert (read.require_cameras().width, read.require_cameras().height) == (WIDTH, HEIGHT)


# ---- B: sizes ---------------------------------------------------------------------------------------------


def test_without_a_stated_size_numbers_are_pixels_of_the_picture(clip: Clip, tmp_path: Path) -> None:
    """(28, 21) is half of another size of the same shape."""
    K = clip.require_cameras().K.clone()
    K[:, 0, 2], K[:, 1, 2] = 28.0, 21.0
    write_transforms(
        tmp_path / "transforms.json", replace(clip, cameras=replace(clip.require_cameras(), K=K))
    )
    edit(tmp_path / "transforms.json", lambda d: [(f.pop("w"), f.pop("h")) for f in d["frames"]])
    torch.testing.assert_close(read_capture(tmp_path).clip.require_cameras().K, K)
    frames = read_frames(tmp_path / "images", tmp_path)
    assert frames.intrinsics_known
    torch.testing.assert_close(frames.clip.require_cameras().K, K)
    edit(tmp_path / "transforms.json", lambda d: [f.update(cx=64.0, cy=48.0) for f in d["frames"]])
    with pytest.raises(
        CameraError, match=r"principal point of \(64.0, 48.0\) is for another picture than 64x48"
    ):
        read_capture(tmp_path)
    assert not read_frames(tmp_path / "images", tmp_path).intrinsics_known


@pytest.mark.parametrize(
    "stated",
    [
        {"cx": 0.3 * WIDTH},  # as far off the middle as is believed
        {"cx": 0.29 * WIDTH},
        {"cx": HEIGHT / 2, "cy": WIDTH / 2},
        {"w": 2 * HEIGHT, "h": 2 * WIDTH},
        {"w": 2 * WIDTH, "h": 2 * HEIGHT},
        {"w": WIDTH, "h": WIDTH},
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_photos_and_frames_are_told_alike_for_which_picture_a_lens_is_meant(
    stated: dict, orientation: int, clip: Clip, tmp_path: Path
) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    edit(tmp_path / "transforms.json", lambda d: [(f.pop("w"), f.pop("h")) for f in d["frames"]])
    edit(tmp_path / "transforms.json", lambda d: [f.update(stated) for f in d["frames"]])
    tag(tmp_path / "images", orientation)
    frames = read_frames(tmp_path / "images", tmp_path)
    try:
        photos = read_capture(tmp_path).clip
    except CameraError as refused:
        assert not frames.intrinsics_known
        why = str(refused).split("0000.png: ")[1].rsplit("; ", 1)[0]
        assert any(why in note for note in frames.notes)
    else:
        assert frames.intrinsics_known
        torch.testing.assert_close(frames.clip.images, photos.images)
        torch.testing.assert_close(frames.clip.require_cameras().K, photos.require_cameras().K)


@pytest.mark.parametrize(
    ("stated", "fx", "cx"),
    [
        ({"camera_angle_y": 2 * np.arctan(24 / 51)}, 51.0, 32.0),
        ({"camera_angle_x": 2 * np.arctan(32 / 51), "cx": 30.0}, 51.0, 30.0),
        ({"x_fov": float(np.degrees(2 * np.arctan(32 / 51)))}, 51.0, 32.0),
    ],
)
def test_fields_of_view(stated: dict, fx: float, cx: float, clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)

    def only(data: dict) -> None:
        data["frames"] = [
            {k: f[k] for k in ("file_path", "transform_matrix")} | stated for f in data["frames"]
        ]

    edit(tmp_path / "transforms.json", only)
    K = read_capture(tmp_path).clip.require_cameras().K[0]
    assert K.tolist() == [[pytest.approx(fx), 0, cx], [0, pytest.approx(fx), 24], [0, 0, 1]]


# ---- C, L: lenses and their numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR"),
        ({"camera_model": "ORTHOPHOTO"}, "ORTHOPHOTO"),
        ({"camera_model": "OPENCV", "k4": 0.25}, r"k4 0\.25 of .*0000\.png"),
        ({"k5": 0.1}, r"k5 0\.1"),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.01}, r"p1 0\.01"),
        ({"is_fisheye": True, "camera_model": "OPENCV"}, "contradict each other"),
        ({"equirectangular": True}, "equirectangular"),
        ({"distortion_params": [0, 0, 0, 0.1, 0, 0]}, r"k4 0\.1"),
        ({"fl_y": -256}, r"fl_y of .*0000\.png, got -256"),
        ({"w": 64, "h": None}, "both w and h"),
    ],
)
def test_what_no_lens_here_has_is_refused_by_name(said: dict, match: str, clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"
    write_transforms(file, clip)
    edit(file, lambda d: [f.update(said) for f in d["frames"]])
    for read in (lambda: read_capture(tmp_path), lambda: read_requested(file, width=WIDTH, height=HEIGHT)):
        with pytest.raises(CameraError, match=match) as caught:
            read()
        assert "transforms.json" in str(caught.value)


def test_rational_distortion_is_colmaps(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    edit(
        tmp_path / "transforms.json",
        lambda d: [f.update(camera_model="FULL_OPENCV", k1=-0.1, k4=0.05) for f in d["frames"]],
    )
    straight = Lens(
        "FULL_OPENCV", (51.0, 51.0, 32.0, 24.0, -0.1, 0, 0, 0, 0, 0.05, 0, 0), WIDTH, HEIGHT
    ).undistort(replace(clip, cameras=None))
    torch.testing.assert_close(read_capture(tmp_path).clip.images, straight.images, atol=0.003, rtol=0)


# ---- D, E: videos -----------------------------------------------------------------------------------------


def write_video(
    path: Path,
    frames: list[np.ndarray],
    *,
    times: list[int] | None = None,
    aspect: Fraction | None = None,
    interlaced: bool = False,
) -> Path:
    """Lossless; `times` in milliseconds."""
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    options = {"lossless": "1"} if codec == "libvpx-vp9" else {"qp": "0"}
    if interlaced:
        options |= {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=1000 if times else 10, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def write_kitti(file: Path, n: int) -> Path:
    file.write_text("".join(f"1 0 0 {i} 0 1 0 0 0 0 1 0\n" for i in range(n)))
    return file


def test_decoded_frames_are_counted_whatever_duration_and_rate_say(tmp_path: Path) -> None:
    """Ten frames at uneven times, as screens and phones record."""
    frames = [np.full((HEIGHT, WIDTH, 3), 20 + 20 * i, np.uint8) for i in range(10)]
    times = [0, 33, 66, 500, 533, 900, 933, 1300, 1333, 1466]
    video = write_video(tmp_path / "v.webm", frames, times=times)
    read = read_frames(video, write_kitti(tmp_path / "v.txt", 10))
    assert read.indices == tuple(range(10))
    assert read.notes == ("the request does not state the intrinsics",)
    assert read_capture(video).skipped == ()


def test_pixels_are_square_as_every_player_shows_them(tmp_path: Path) -> None:
    frames = [np.full((48, 48, 3), 30 * i + 20, np.uint8) for i in range(3)]
    for f in frames:
        f[10:30, 12:24] = 250
    video = write_video(tmp_path / "v.mp4", frames, aspect=Fraction(4, 3))
    read = read_frames(video, write_kitti(tmp_path / "v.txt", 3))
    assert (read.clip.width, read.clip.height) == (64, 48)
    assert float(read.clip.images[0, 20, 17:31].mean()) > 0.9  # 12..24 of 48 is 16..32 of 64
    assert any("1.333 times as wide as high" in note for note in read.notes)
    assert read_capture(video).clip.width == 64
    # intrinsics that count in stored pixels are those of the same picture
    stored = {"fl_x": 30, "fl_y": 40, "cx": 24, "cy": 24, "w": 48, "h": 48}
    pose = np.eye(4).tolist()
    names = [{"file_path": f"{i}.png", "transform_matrix": pose} for i in range(3)]
    (tmp_path / "t.json").write_text(json.dumps(stored | {"frames": names}))
    K = read_frames(video, tmp_path / "t.json").clip.require_cameras().K[0]
    assert K[:2].tolist() == [[pytest.approx(40), 0, pytest.approx(32)], [0, pytest.approx(40), 24]]


def test_of_interlaced_frames_the_first_field_is_used(tmp_path: Path) -> None:
    """Even lines show the moment of the frame, odd lines the next one, in which a bar has moved."""
    moments = []
    for i in range(5):
        pixels = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
        pixels[:, 8 + 8 * i : 16 + 8 * i] = 220
        moments.append(pixels)
    woven = [a.copy() for a in moments[:-1]]
    for a, b in zip(woven, moments[1:], strict=True):
        a[1::2] = b[1::2]
    read = read_clip(ClipSource("c", write_video(tmp_path / "v.mp4", woven, interlaced=True), None, "model"))
    assert any("interlaced" in note for note in read.notes)
    truth = torch.from_numpy(np.stack(moments[:-1])).float() / 255
    assert float((read.clip.images - truth).abs().mean()) < 0.02


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1)])
def test_a_display_matrix_turns_and_mirrors(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    from types import SimpleNamespace

    from recon.pictures.shape import orient_pixels
    from recon.videos.frame import VideoFrame

    a, b, c, d = (65536 * x for x in matrix)
    side = SimpleNamespace(type=SimpleNamespace(name="DISPLAYMATRIX"))
    data = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], "<i4").tobytes()

    class Side(bytes):
        type = side.type

    frame = SimpleNamespace(width=3, height=2, rotation=0, side_data=[Side(data)], interlaced_frame=False)
    shape = VideoFrame(frame).shape
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    shown = orient_pixels(pixels, shape.orientation)
    # where the top left pixel goes: x' = a x + c y, y' = b x + d y
    expected = {(-1, 0, 0, 1): (0, 2), (0, 1, -1, 0): (0, 1), (-1, 0, 0, -1): (1, 2)}[matrix]
    assert shown[expected].tolist() == pixels[0, 0].tolist()


# ---- F: what a trajectory says of itself ------------------------------------------------------------------

TURN = (0.9238795325112867, 0.0, 0.3826834323650898, 0.0)
"""45 degrees about y, wxyz."""


def tum_rows(order: str) -> str:
    value = {"t": "{i}", "tx": "{i}.5", "ty": "0", "tz": "2"}
    value |= {f"q{k}": f"{TURN['wxyz'.index(k)]}" for k in "wxyz"}
    return "".join(" ".join(value[k] for k in order.split()).format(i=i) + "\n" for i in range(3))


@pytest.mark.parametrize(
    ("heading", "order"),
    [
        ("# timestamp tx ty tz qw qx qy qz", "t tx ty tz qw qx qy qz"),
        ("#time qw qx qy qz x y z", "t qw qx qy qz tx ty tz"),
        ("#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []",
         "t tx ty tz qw qx qy qz"),
        ("# timestamp tx ty tz qx qy qz qw", "t tx ty tz qx qy qz qw"),
        ("# made by a tracker of cameras in 2024", "t tx ty tz qx qy qz qw"),
    ],
)  # fmt: skip
def test_the_heading_of_a_trajectory_is_obeyed(heading: str, order: str, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text(tum_rows("t tx ty tz qx qy qz qw"))
    expected = read_requested(tmp_path / "plain.txt", width=WIDTH, height=HEIGHT).cameras
    rows = tum_rows(order)
    comma = "," in heading
    (tmp_path / "c.txt").write_text(f"{heading}\n" + (rows.replace(" ", ",") if comma else rows))
    found = read_requested(tmp_path / "c.txt", width=WIDTH, height=HEIGHT)
    assert found.format == "tum"
    torch.testing.assert_close(found.cameras.cam_from_world, expected.cam_from_world)


def test_headings_that_contradict_are_refused_and_counts_noted(tmp_path: Path) -> None:
    file = tmp_path / "c.txt"
    kitti = "1 0 0 0.5 0 1 0 0 0 0 1 0\n" * 3

    def read(text: str) -> tuple[str, ...]:
        file.write_text(text)
        return read_requested(file, width=WIDTH, height=HEIGHT).notes

    with pytest.raises(CameraError, match="names the columns"):
        read("# timestamp tx ty tz qx qy qz\n" + tum_rows("t tx ty tz qx qy qz qw"))
    with pytest.raises(CameraError, match="'w2c', which is cam_from_world"):
        read("# w2c\n" + kitti)
    with pytest.raises(CameraError, match="every fourth number"):
        read("r11 r21 r31 r12 r22 r32 r13 r23 r33 tx ty tz\n" + kitti)
    assert any("states 5 cameras and holds 3" in note for note in read("5\n" + kitti))
    assert any("states 5 cameras" in note for note in read("# frames: 5\n" + kitti))
    assert not any("states" in note for note in read("3\n" + kitti))


@pytest.mark.parametrize("parted", [" ", ";", "\t"])
def test_decimal_commas_are_refused_by_that_word(parted: str, tmp_path: Path) -> None:
    """Eight numbers with commas inside were taken for sixteen, those of a matrix."""
    rows = [[0.1 * i, 1.25, i, -0.5, 0, 0, 0, 1] for i in range(3)]
    text = "\n".join(parted.join(f"{v:g}".replace(".", ",") for v in row) for row in rows)
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(CameraError, match=r"t\.txt: line 1 has decimal commas, as in 1,25; write points"):
        read_requested(tmp_path / "t.txt", width=WIDTH, height=HEIGHT)
    for fine in ("0,1,2,3,0,0,0,1", "0, 1, 2, 3, 0, 0, 0, 1", "0;1;2;3;0;0;0;1"):
        (tmp_path / "t.txt").write_text(f"{fine}\n{fine.replace('3', '4')}\n")
        assert len(read_requested(tmp_path / "t.txt", width=WIDTH, height=HEIGHT, format="tum").cameras) == 2


def test_a_camera_whose_picture_is_gone_is_told(clip: Clip, tmp_path: Path) -> None:
    write_colmap(tmp_path / "sparse" / "0", clip.require_cameras(), clip.names)
    write_transforms(tmp_path / "transforms.json", clip)
    (tmp_path / "transforms.json").unlink()
    (tmp_path / "images" / "0001.png").unlink()
    place, gone = tmp_path / "sparse" / "0", tmp_path / "images" / "0001.png"
    assert read_capture(tmp_path).skipped == (("0001.png", f"{place} names {gone}, which is not there"),)
    notes = read_frames(tmp_path / "images", tmp_path).notes
    assert notes == (f"1 of 4 cameras of {tmp_path.name} has no frame",)


# ---- camera paths of viewers and models -------------------------------------------------------------------


def test_nerfstudios_camera_path(clip: Clip, tmp_path: Path) -> None:
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
    c2w = clip.require_cameras().world_from_cam @ flip
    fov = float(np.degrees(2 * np.arctan(24 / 51)))
    keys = [{"camera_to_world": m.flatten().tolist(), "fov": fov, "aspect": 4 / 3} for m in c2w]
    path = {
        "camera_type": "perspective",
        "render_width": 128,
        "render_height": 96,
        "camera_path": keys,
        "fps": 10,
    }
    (tmp_path / "p.json").write_text(json.dumps(path))
    found = read_requested(tmp_path / "p.json", width=WIDTH, height=HEIGHT)
    assert (found.format, found.intrinsics_known) == ("camera-path", True)
    torch.testing.assert_close(found.cameras.cam_from_world, clip.require_cameras().cam_from_world)
    torch.testing.assert_close(found.cameras.K, clip.require_cameras().K)
    assert found.times_s is not None
    assert found.times_s.tolist() == [0, 0.1, 0.2, pytest.approx(0.3)]
    (tmp_path / "p.json").write_text(json.dumps(path | {"camera_type": "equirectangular"}))
    with pytest.raises(CameraError, match="equirectangular"):
        read_requested(tmp_path / "p.json", width=WIDTH, height=HEIGHT)


def test_recammasters_cameras(tmp_path: Path) -> None:
    """A camera of Unreal (x forward, y right, z up, left-handed, centimetres) that moves to its right and turns right."""
    data: dict = {}
    for i in range(3):
        a = 0.2 * i
        forward, right = (np.cos(a), np.sin(a), 0), (-np.sin(a), np.cos(a), 0)
        rows = [(*forward, 0), (*right, 0), (0, 0, 1, 0), (10, 50 * i, 30, 1)]  # transposed, as in its files
        text = " ".join("[" + " ".join(map(str, row)) + "]" for row in rows) + " "
        data[f"frame{i}"] = {"cam01": text, "cam02": text.replace("30 1", "90 1")}
    file = tmp_path / "camera_extrinsics.json"
    file.write_text(json.dumps(data))
    found = read_requested(file, width=WIDTH, height=HEIGHT, clip="scene_cam01")
    assert found.format == "recammaster"
    poses = found.cameras.cam_from_world
    first_from_each = poses[0] @ torch.linalg.inv(poses)
    assert first_from_each[2, :3, 3].tolist() == pytest.approx([1.0, 0, 0])  # to the right, in metres
    ahead = first_from_each[2, :3, 2]  # the third camera looks to the right of the first
    assert ahead.tolist() == pytest.approx([np.sin(0.4), 0, np.cos(0.4)])
    with pytest.raises(CameraError, match="cam01, cam02"):
        read_requested(file, width=WIDTH, height=HEIGHT, clip="scene")


# ---- G, H: COLMAP models ----------------------------------------------------------------------------------


def test_a_text_model_keeps_names_with_blanks(clip: Clip, tmp_path: Path) -> None:
    names = tuple(f"frame {i + 1}.png" for i in range(N))
    named = replace(clip, names=names)
    write_transforms(tmp_path / "transforms.json", named)
    (tmp_path / "transforms.json").unlink()
    model = tmp_path / "sparse" / "0"
    write_colmap(model, clip.require_cameras(), names, text=True)
    (model / "points3D.txt").unlink()
    for file in model.glob("*.txt"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    read = read_capture(tmp_path).clip
    assert read.names == names
    torch.testing.assert_close(read.require_cameras().cam_from_world, clip.require_cameras().cam_from_world)
    torch.testing.assert_close(read.images, clip.images, atol=0.003, rtol=0)
    text = (model / "images.txt").read_text()
    (model / "images.txt").write_text(text.replace("Number of images: 4", "Number of images: 9"))
    assert any("states 9 images and holds 4" in note for note in read_capture(tmp_path).notes)


def test_the_largest_of_several_models_is_read(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    (tmp_path / "transforms.json").unlink()
    write_colmap(tmp_path / "sparse" / "0", clip.require_cameras()[:2], clip.names[:2])
    write_colmap(tmp_path / "sparse" / "1", clip.require_cameras(), clip.names)
    read = read_capture(tmp_path)
    assert len(read.clip) == N
    assert any("largest of 2 models" in note and "0 (2)" in note for note in read.notes)
    frames = read_frames(tmp_path / "images", tmp_path)
    assert len(frames.clip) == N
    assert any("largest of 2 models" in note for note in frames.notes)
    assert len(read_capture(tmp_path / "sparse" / "0").clip) == 2


def test_the_pictures_of_the_models_size_are_meant(clip: Clip, tmp_path: Path) -> None:
    """A workspace holds the photos as taken and, under the same names, undistorted."""
    work = tmp_path / "dense"
    write_transforms(work / "transforms.json", clip)
    (work / "transforms.json").unlink()
    write_colmap(work / "sparse", clip.require_cameras(), clip.names)
    (tmp_path / "images").mkdir()
    for name in clip.names:
        Image.new("RGB", (70, 50)).save(tmp_path / "images" / name)
    torch.testing.assert_close(read_capture(tmp_path).clip.images, clip.images, atol=0.003, rtol=0)


# ---- I, J: digits, origin and unit ------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [6, 9])
def test_a_pan_whose_digits_tremble_does_not_move(decimals: int, tmp_path: Path) -> None:
    angles = torch.linspace(-0.35, 0.35, 8, dtype=torch.float64)
    center = torch.tensor([0.4, -2.1, 1.3], dtype=torch.float64)
    lines = []
    for i, angle in enumerate(angles.tolist()):
        R = torch.tensor(cv2.Rodrigues(np.array([0.1, angle, 0.05]))[0])
        pose = torch.cat([R, -(R @ center)[:, None]], 1)
        lines.append(
            f"{i} 0.9 1.2 0.5 0.5 0 0 " + " ".join(f"{x:.{decimals}f}" for x in pose.flatten().tolist())
        )
    (tmp_path / "c.txt").write_text("\n".join(lines))
    found = read_requested(tmp_path / "c.txt", width=WIDTH, height=HEIGHT)
    centers = found.cameras.centers
    assert float((centers - centers[0]).abs().max()) < 1e-12
    assert any("taken not to move" in note for note in found.notes)
    moved = "\n".join(line.replace("0.9 1.2", "0.9 1.2", 1) for line in lines)
    rows: list[list[str]] = [str(line).split() for line in moved.splitlines()]
    for i, row in enumerate(rows):
        row[10] = f"{float(row[10]) + 0.01 * i:.{decimals}f}"
    (tmp_path / "d.txt").write_text("\n".join(" ".join(row) for row in rows))
    found = read_requested(tmp_path / "d.txt", width=WIDTH, height=HEIGHT)
    assert float((found.cameras.centers - found.cameras.centers[0]).norm(dim=1).max()) == pytest.approx(
        0.07, rel=0.01
    )


@pytest.mark.parametrize("format", ["realestate10k", "tum"])
@pytest.mark.parametrize("digits", [6, 9])
@pytest.mark.parametrize("away", [1.0, 300.0])
def test_digits_that_are_counted_from_the_first_say_less_of_large_numbers(
    away: float, digits: int, format: str, tmp_path: Path
) -> None:
    """Of 2.39241546 the ninth digit is the eighth decimal, beside rotations that have nine."""
    center = away * torch.tensor([1.5, 0.3, -2.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    lines = {0.0: [], 0.01: []}
    for step, rows in lines.items():
        for i, angle in enumerate(torch.linspace(-0.35, 0.35, 16, dtype=torch.float64).tolist()):
            R, c = torch.tensor(cv2.Rodrigues(np.array([0.0, angle, 0.0]))[0]), center + step * i * away
            if format == "tum":  # centres as another program computes them, whose last digit trembles
                trembling = (
                    0.5 * 10.0**-digits * torch.rand(3, generator=generator, dtype=torch.float64) * c.abs()
                )
                numbers = [*(c + trembling).tolist(), 0.0, math.sin(angle / 2), 0.0, math.cos(angle / 2)]
                rows.append(f"{i} " + " ".join(f"{x:.{digits}g}" for x in numbers))
            else:
                pose = torch.cat([R, -(R @ c)[:, None]], 1)
                rows.append(
                    f"{i} 0.9 1.2 0.5 0.5 0 0 " + " ".join(f"{x:.{digits}g}" for x in pose.flatten().tolist())
                )
    for step, rows in lines.items():
        (tmp_path / "c.txt").write_text("\n".join(rows))
        found = read_requested(tmp_path / "c.txt", width=WIDTH, height=HEIGHT)
        extent = float((found.cameras.centers - found.cameras.centers[0]).norm(dim=1).max())
        assert extent == pytest.approx(15 * step * away * 3**0.5, rel=0.01, abs=1e-12)
        assert any("taken not to move" in note for note in found.notes) == (step == 0)


def test_a_path_on_the_map_keeps_its_steps(tmp_path: Path) -> None:
    """Rotations of six decimals at five million metres from the origin; centres are written exactly."""
    rows = []
    for i in range(5):
        R = cv2.Rodrigues(np.array([0.3, 0.2 * i, 0.1]))[0]
        t = (412345.678 + i, 5123456.789, 87.5)
        rows.append(" ".join(f"{R[k, 0]:.6f} {R[k, 1]:.6f} {R[k, 2]:.6f} {t[k]:.3f}" for k in range(3)))
    (tmp_path / "c.txt").write_text("\n".join(rows))
    centers = read_requested(tmp_path / "c.txt", width=WIDTH, height=HEIGHT).cameras.centers
    expected = torch.arange(5, dtype=torch.float64)
    assert float((centers[:, 0] - centers[0, 0] - expected).abs().max()) < 1e-6
    assert float(centers.abs().max()) < 10


@pytest.mark.parametrize("entry", [(0, 0), (0, 2), (1, 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_lens_without_a_size_is_one_of_numbers(
    entry: tuple[int, int], value: float, tmp_path: Path
) -> None:
    """A middle of NaN was told as that of another picture, and the lens was not used."""
    K = np.repeat([[[51.0, 0, 32], [0, 51, 24], [0, 0, 1]]], N, axis=0)
    K[(1, *entry)] = value
    np.savez(tmp_path / "c.npz", extrinsics=np.repeat(np.eye(4)[None], N, axis=0), intrinsics=K)
    with pytest.raises(CameraError, match="camera 1 has NaN or infinite values"):
        read_requested(tmp_path / "c.npz", width=WIDTH, height=HEIGHT, convention="cam_from_world/opencv")


# ---- G, M: names ------------------------------------------------------------------------------------------


def test_names_match_consistently_or_not_at_all() -> None:
    files = [f"frame_{i:05d}.jpg" for i in range(1, 11)]
    same = [f"images/frame_{i:05d}.png" for i in range(10)]
    shifted = match_names(files, same, "t.json")
    assert shifted.pairs == [(i, i) for i in range(10)]
    assert "counts its pictures from 0, the files count from 1" in shifted.note
    with pytest.raises(CaptureError, match="names or the order"):
        match_names(files, same[:9], "t.json")
    with pytest.raises(CaptureError, match="only 1 name in common"):
        match_names(["a", "b", "c", "d"], ["d", "x", "y", "z"], "t.json")
    some = match_names(["a", "b", "d"], ["b", "c", "d"], "t.json")
    assert some.pairs == [(1, 0), (2, 2)]
    assert "1 of 3 frames has no camera and is left out" in some.note
    assert match_names(["a", "b"], ["x", "y"], "t.json").pairs is None
    assert match_names(["A.PNG", "b.png"], ["a.jpg", "B"], "t.json") == match_names(
        ["a", "b"], ["a", "b"], ""
    )


def test_pictures_are_found_by_the_names_that_people_write(clip: Clip, tmp_path: Path) -> None:
    file = tmp_path / "transforms.json"

    def names(change) -> Clip:
        write_transforms(file, clip)
        edit(file, lambda d: [f.update(file_path=change(f["file_path"])) for f in d["frames"]])
        return read_capture(tmp_path).clip

    for change in (
        lambda p: p.replace("/", "\\"),
        lambda p: p.replace(".png", ".jpg"),
        lambda p: p.replace(".png", ""),
        lambda p: p.replace(".png", ".PNG"),
        lambda p: f"C:\\Users\\me\\scan\\{p}",
        lambda p: f"/home/me/scan/{p}",
        lambda p: Path(p).name,
    ):
        torch.testing.assert_close(names(change).images, clip.images, atol=0.003, rtol=0)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_capture(tmp_path).clip) == N
    file.write_bytes(file.read_bytes().decode("utf-8-sig").encode("utf-16"))
    assert len(read_capture(tmp_path).clip) == N


def test_one_picture_of_another_name_is_told_as_one(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    (tmp_path / "images" / "0002.png").rename(tmp_path / "images" / "0002.PNG")
    (note,) = read_capture(tmp_path).notes
    assert note == (
        "1 of the pictures that transforms.json names has another name on the disk: images/0002.png is 0002.PNG"
    )


def test_numbers_count_with_and_without_leading_zeros(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    for i in range(N):
        (tmp_path / "images" / f"{i:04d}.png").rename(tmp_path / "images" / f"{i}.png")
    read = read_capture(tmp_path)
    torch.testing.assert_close(read.clip.images, clip.images, atol=0.003, rtol=0)
    assert any("4 of the pictures that transforms.json names have another name" in n for n in read.notes)
    twelve = match_names([f"{i}.jpg" for i in range(1, 13)], [f"{i:02d}" for i in range(1, 13)], "t.json")
    assert twelve.pairs == [(i, i) for i in range(12)]
    assert twelve.note == ""
    both = match_names(["1.jpg", "01.jpg", "x.jpg"], ["01", "1", "x"], "t.json")
    assert both.pairs == [(0, 1), (1, 0), (2, 2)]
    times = match_names(["7.05.jpg", "7.5.jpg"], ["7.5", "7.05"], "t.json")
    assert times.pairs == [(0, 1), (1, 0)]


def test_pictures_counted_from_one_beside_names_counted_from_zero(clip: Clip, tmp_path: Path) -> None:
    write_transforms(tmp_path / "transforms.json", clip)
    for i in reversed(range(N)):
        (tmp_path / "images" / f"{i:04d}.png").rename(tmp_path / "images" / f"{i + 1:04d}.png")
    read = read_capture(tmp_path)
    torch.testing.assert_close(read.clip.images, clip.images, atol=0.003, rtol=0)
    assert any("counts its pictures from 0" in note for note in read.notes)


def test_a_picture_outside_the_capture_is_refused(clip: Clip, tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    write_transforms(inside / "transforms.json", clip)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "secret.png")
    edit(inside / "transforms.json", lambda d: d["frames"][0].update(file_path=str(tmp_path / "secret.png")))
    with pytest.raises(CaptureError, match="outside"):
        read_capture(inside)
    edit(inside / "transforms.json", lambda d: d["frames"][0].update(file_path="../../secret.png"))
    with pytest.raises(CaptureError, match="outside"):
        read_capture(inside)


@pytest.mark.parametrize("given", ["", "transforms.json"])
@pytest.mark.parametrize("kind", ["transforms", "colmap"])
def test_without_cameras_the_folder_of_the_pictures_is_told(
    kind: str, given: str, clip: Clip, tmp_path: Path
) -> None:
    """A camera file in a folder of its own, as in export/transforms.json with ../shots/0000.png."""
    write_transforms(tmp_path / "export" / "transforms.json", clip)
    (tmp_path / "export" / "images").rename(tmp_path / "shots")
    edit(
        tmp_path / "export" / "transforms.json",
        lambda d: [f.update(file_path=f"../shots/{Path(f['file_path']).name}") for f in d["frames"]],
    )
    folder = tmp_path / "export" / given
    if kind == "colmap":
        (tmp_path / "export" / "transforms.json").unlink()
        (tmp_path / "shots").rename(tmp_path / "images")
        write_colmap(tmp_path / "sparse" / "0", clip.require_cameras(), clip.names)
        folder = tmp_path / "sparse" / "0"
    place = re.escape("../../images" if kind == "colmap" else "../shots")
    with pytest.raises(
        CaptureError, match=rf"names? lie in {place}; to have them read without .* give that folder"
    ):
        read_capture(folder, with_cameras=False)


# ---- N: layouts -------------------------------------------------------------------------------------------


def test_splits_are_read_with_the_test_photos_held_out(clip: Clip, tmp_path: Path) -> None:
    for split, rows in (("train", slice(0, 3)), ("test", slice(3, 4))):
        part = clip[rows]
        write_transforms(tmp_path / "transforms_x.json", part)
        (tmp_path / split).mkdir()
        for file in (tmp_path / "images").glob("*.png"):
            file.rename(tmp_path / split / file.name)
        edit(
            tmp_path / "transforms_x.json",
            lambda d, split=split: [
                f.update(file_path=f"./{split}/{Path(f['file_path']).stem}") for f in d["frames"]
            ],
        )
        (tmp_path / "transforms_x.json").rename(tmp_path / f"transforms_{split}.json")
    read = read_capture(tmp_path)
    assert read.clip.names == ("train/0000.png", "train/0001.png", "train/0002.png", "test/0003.png")
    assert read.heldout == ("test/0003.png",)
    assert any("1 of 1 photos of transforms_test.json judges" in note for note in read.notes)
    torch.testing.assert_close(
        read.clip.require_cameras().cam_from_world, clip.require_cameras().cam_from_world
    )


def test_masks_and_second_encodings_are_no_photos(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        picture.save(tmp_path / f"IMG_{i}.jpg")
        picture.save(tmp_path / f"IMG_{i}.webp")
        Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / f"IMG_{i}.jpg.png")
        Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / f"IMG_{i}_mask.png")
    read = read_capture(tmp_path)
    assert read.clip.names == ("IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg")
    assert any(note.startswith("9 pictures are not taken for photos") for note in read.notes)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "notes.md").write_text("")
    tmp_path.joinpath("up", "a").mkdir()
    for file in tmp_path.glob("*.jpg"):
        file.rename(tmp_path / "up" / "a" / file.name)
    assert len(read_capture(tmp_path / "up").clip) == 3
    (tmp_path / "up" / "a").rename(tmp_path / "up" / "images_of")
    (tmp_path / "up" / "b").mkdir()
    (tmp_path / "up" / "images_of").rename(tmp_path / "up" / "b" / "images")
    assert len(read_capture(tmp_path / "up").clip) == 3


# ---- P: deep pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grey", "colour", "colour tiff", "float", "thermal"])
def test_deep_pictures_are_stretched_to_what_they_use(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shape = (HEIGHT, WIDTH, 3) if "colour" in kind else (HEIGHT, WIDTH)
    for i in range(3):
        eight = rng.integers(0, 256, shape).astype(np.uint16)
        eight.flat[:2] = 0, 255
        suffix = ".tif" if kind in ("float", "colour tiff") else ".png"
        pixels = {"thermal": 29000 + eight * 8, "float": (eight * 257).astype(np.float32)}.get(
            kind, eight * 16
        )
        cv2.imwrite(str(tmp_path / f"{i}{suffix}"), pixels)
        np.save(tmp_path / f"{i}.npy", eight)
    read = read_capture(tmp_path)
    assert any("deep pictures" in note for note in read.notes)
    for i in range(3):
        truth = np.load(tmp_path / f"{i}.npy").astype(np.float32) / 255
        truth = truth[..., ::-1] if "colour" in kind else np.repeat(truth[..., None], 3, 2)
        assert float((read.clip.images[i] - torch.from_numpy(truth.copy())).abs().mean()) < 0.01
    frames = read_clip(ClipSource("c", tmp_path, None, "model"))
    torch.testing.assert_close(frames.clip.images, read.clip.images)


def test_a_hot_pixel_and_dark_deep_pictures(tmp_path: Path) -> None:
    """Ten bits in sixteen are darker than what counts as black, and one pixel is broken."""
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 1024, (HEIGHT, WIDTH)).astype(np.uint16)
        pixels[5, 5] = 65535 if i == 1 else pixels[5, 5]
        cv2.imwrite(str(tmp_path / f"{i}.png"), pixels)
    assert float(read_capture(tmp_path).clip.images.mean()) == pytest.approx(0.5, abs=0.02)


# ---- held-out photos --------------------------------------------------------------------------------------


def test_held_out_photos_decide_nothing(tmp_path: Path) -> None:
    """A copy is left out, another size brought to that of the others; the photos to train on come out the same."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)) for _ in range(6)]
    for folder in ("clean", "copy", "size"):
        (tmp_path / folder).mkdir()
        for i, picture in enumerate(pictures):
            picture.save(tmp_path / folder / f"{i}.png")
    pictures[3].save(tmp_path / "copy" / "0.png")
    for i in (0, 4):
        pictures[i].resize((100, 80)).save(tmp_path / "size" / f"{i}.png")

    def hold_out(names):
        return {"0.png", "4.png"} & set(names)

    clean, copy, size = (
        read_capture(tmp_path / folder, hold_out=hold_out) for folder in ("clean", "copy", "size")
    )
    assert clean.heldout == ("0.png", "4.png")
    assert copy.clip.names == ("1.png", "2.png", "3.png", "4.png", "5.png")
    assert dict(copy.skipped)["0.png"].startswith("the same picture as 3.png")
    assert size.heldout == ("0.png", "4.png")
    for other in (copy, size):
        rows = [other.clip.names.index(f"{i}.png") for i in (1, 2, 3, 5)]
        assert torch.equal(other.clip.images[rows], clean.clip.images[[1, 2, 3, 5]])
