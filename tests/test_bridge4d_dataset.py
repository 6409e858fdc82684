"""Datasets for other trainers: what each of them wants of the folder, read by readers written from the formats."""

import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dataset_runs import BENT, FULL, MADE, SEEN, STRAIGHT, make_photos, make_run
from PIL import Image

from bridge4d.dataset import write_dataset
from bridge4d.dataset.arrange import arrange, ordinal
from bridge4d.runs.stored_arrays import load_points, load_tracks, save_tracks
from bridge4d.runs.stored_json import write_json
from bridge4d.stages.frames import CONTRADICTED
from recon.capture import Lens, read_capture
from recon.errors import BridgeError
from recon.sim3 import Sim3
from recon.tracks import Tracks


@dataclass(frozen=True)
class Taken:
    """A picture in a COLMAP model, as its binary format says it."""

    q_wxyz: np.ndarray
    t: np.ndarray
    camera: int
    xy: np.ndarray
    point_ids: np.ndarray

    @property
    def cam_from_world(self) -> np.ndarray:
        w, x, y, z = self.q_wxyz
        pose = np.eye(4)
        pose[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        pose[:3, 3] = self.t
        return pose


class Bytes:
    """A little-endian file, read from its beginning."""

    def __init__(self, file: Path) -> None:
        self.data, self.at = file.read_bytes(), 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        text, self.at = self.data[self.at : end].decode(), end + 1
        return text


def read_model(folder: Path):
    """(cameras by id: model, width, height, parameters; images by name; points by id: xyz, rgb, error, track)."""
    file = Bytes(folder / "cameras.bin")
    cameras = {}
    for _ in range(file.take("Q")[0]):
        number, model, width, height = file.take("IiQQ")
        assert model == 1, "the 3DGS code takes PINHOLE (1) and SIMPLE_PINHOLE only"
        cameras[number] = (width, height, *file.take("4d"))
    assert file.at == len(file.data)
    file, images, ids = Bytes(folder / "images.bin"), {}, {}
    for _ in range(file.take("Q")[0]):
        number, *pose = file.take("I7d")
        camera, name = file.take("I")[0], file.text()
        seen = [file.take("ddQ") for _ in range(file.take("Q")[0])]
        xy = np.array([s[:2] for s in seen]).reshape(-1, 2)
        images[name] = Taken(
            np.array(pose[:4]), np.array(pose[4:]), camera, xy, np.array([s[2] for s in seen])
        )
        ids[number] = name
    assert file.at == len(file.data)
    file, points = Bytes(folder / "points3D.bin"), {}
    for _ in range(file.take("Q")[0]):
        number, *rest = file.take("Q3d3Bd")
        track = [file.take("II") for _ in range(file.take("Q")[0])]
        points[number] = (np.array(rest[:3]), rest[3:6], rest[6], [(ids[i], feature) for i, feature in track])
    assert file.at == len(file.data)
    return cameras, images, points


def read_points_ply(file: Path) -> np.ndarray:
    header, _, body = file.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    kinds = {"float": "<f4", "uchar": "u1"}
    table = np.dtype([(line.split()[2], kinds[line.split()[1]]) for line in lines if line.startswith("prop")])
    points = np.frombuffer(body, table)
    assert lines[2] == f"element vertex {len(points)}"
    return points


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bent")
    return make_run(folder / "run", folder / "photos", make_photos(folder / "photos", 5))


@pytest.fixture(scope="module")
def laid(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("out") / "dataset"
    return out, write_dataset(run, out)


def transforms(folder: Path) -> dict:
    return json.loads((folder / "transforms.json").read_text())


def test_the_model_has_all_cameras_and_real_tracks(laid: tuple[Path, dict], run: Path) -> None:
    folder, about = laid
    cameras, images, points = read_model(folder / "sparse" / "0")
    assert len(images) == 5 + 3
    assert len(cameras) == 2, "pictures of one lens share a camera"
    stored = load_points(run / "sfm" / "points.npz")
    assert len(points) == len(stored) == about["points"]["triangulated"]
    worst, observations = 0.0, 0
    for number, (xyz, rgb, error, track) in points.items():
        observations += len(track)
        assert len(track) >= 2
        assert error < 1e-9, "in pixels of these pictures"
        assert rgb == (stored.rgb[number - 1] * 255).round().int().tolist()
        for name, feature in track:
            image = images[name]
            assert image.point_ids[feature] == number
            _, _, fx, fy, cx, cy = cameras[image.camera]
            x, y, z = (image.cam_from_world @ [*xyz, 1])[:3]
            seen = np.array([fx * x / z + cx, fy * y / z + cy])
            worst = max(worst, float(np.abs(seen - image.xy[feature]).max()))
    assert worst < 1e-9, "at full resolution too, features lie where the cameras see the points"
    assert observations == about["points"]["observations"] > 200
    assert all(len(image.xy) for image in images.values()), "gsplat's depth loss asks every training picture"


def test_accepted_frames_have_the_poses_with_which_they_were_trained_on(
    laid: tuple[Path, dict], run: Path
) -> None:
    folder, about = laid
    _, images, _ = read_model(folder / "sparse" / "0")
    found = json.loads((run / "recovery/round-1/cameras.json").read_text())
    names = [p["name"] for p in about["pictures"] if p["role"] == "generated"]
    assert names == ["r1-000", "r1-001", "r1-002"], "the refused one stays out"
    for picture in about["pictures"]:
        if picture["role"] == "generated":
            wanted = found["cameras"]["cam_from_world"][found["names"].index(picture["name"])]
            read = images[Path(picture["file"]).name].cam_from_world
            np.testing.assert_allclose(read, wanted, atol=1e-12)


def test_photos_are_undistorted_at_full_resolution(laid: tuple[Path, dict], run: Path) -> None:
    folder, about = laid
    photo = next(p for p in about["pictures"] if p["role"] == "photo")
    assert (photo["made"], photo["width"], photo["height"]) == ("undistorted", *FULL)
    with Image.open(folder / photo["file"]) as image:
        assert image.size == FULL
        read = np.asarray(image).astype(float)
    camera = read_model(folder / "sparse" / "0")[0][1]
    original = np.asarray(Image.open(run.parent / "photos" / photo["name"])).astype(float)
    # a pixel of the pinhole, sent through the lens, is a pixel of the original
    rng = np.random.default_rng(0)
    uv = rng.integers([4, 4], [FULL[0] - 4, FULL[1] - 4], (200, 2))
    rays = np.stack(
        [(uv[:, 0] + 0.5 - camera[4]) / camera[2], (uv[:, 1] + 0.5 - camera[5]) / camera[3], np.ones(200)], 1
    )
    at = np.asarray(BENT.camera().img_from_cam(rays)) - 0.5
    low = np.floor(at).astype(int).clip(0, [FULL[0] - 2, FULL[1] - 2])
    (fx, fy), (x, y) = (at - low).T[..., None], low.T
    wanted = (original[y, x] * (1 - fx) + original[y, x + 1] * fx) * (1 - fy) + (
        original[y + 1, x] * (1 - fx) + original[y + 1, x + 1] * fx
    ) * fy
    assert np.abs(read[uv[:, 1], uv[:, 0]] - wanted).mean() < 1.5
    assert np.abs(original[uv[:, 1], uv[:, 0]] - wanted).mean() > 5.0, "the lens bends enough to tell"


def test_every_nth_picture_by_name_is_a_held_out_photo(laid: tuple[Path, dict]) -> None:
    folder, about = laid
    names = sorted(read_model(folder / "sparse" / "0")[1])
    every = about["test_every"]
    assert f"--test_every {every}" in about["commands"]["gsplat"]
    held = [name for i, name in enumerate(names) if i % every == 0]
    role = {Path(p["file"]).name: p["role"] for p in about["pictures"]}
    assert held == [name for name in names if role[name] == "heldout"]
    assert (folder / "sparse" / "0" / "test.txt").read_text().split() == held
    assert (folder / "test_list.txt").read_text().split() == held
    assert sorted((folder / "train_list.txt").read_text().split()) == [n for n in names if n not in held]
    assert len({name.split(".")[0] for name in names}) == len(names), "3DGS cuts names at the first dot"


def test_pictures_on_disk_have_the_size_of_their_cameras(laid: tuple[Path, dict]) -> None:
    folder, _ = laid
    cameras, images, _ = read_model(folder / "sparse" / "0")
    files = sorted(p.name for p in (folder / "images").iterdir())
    assert files == sorted(images)
    for name, taken in images.items():
        with Image.open(folder / "images" / name) as image:
            assert (image.mode, image.size) == ("RGB", cameras[taken.camera][:2])


def test_nerfstudio_gets_what_it_asks_for(laid: tuple[Path, dict]) -> None:
    folder, about = laid
    meta = transforms(folder)
    files = {frame["file_path"]: frame for frame in meta["frames"]}
    assert meta["camera_model"] in ("OPENCV", "PINHOLE")
    for frame in files.values():  # intrinsics in every frame, for sizes differ
        assert {"fl_x", "fl_y", "cx", "cy", "w", "h", "transform_matrix", "mask_path"} <= frame.keys()
    assert not {"fl_x", "k1", "w"} & meta.keys()
    said = {p["file"]: (p["name"], p["role"]) for p in about["pictures"]}
    assert said == {file: (frame["name"], frame["role"]) for file, frame in files.items()}
    held = {file for file, frame in files.items() if frame["role"] == "heldout"}
    assert set(meta["val_filenames"]) == set(meta["test_filenames"]) == held
    assert set(meta["train_filenames"]) == files.keys() - held
    points = read_points_ply(folder / meta["ply_file_path"])
    assert len(points) == about["points"]["to_start_from"] == 80
    assert points.dtype.names == ("x", "y", "z", "nx", "ny", "nz", "red", "green", "blue")  # as 3DGS wants it


def test_transforms_and_model_agree(laid: tuple[Path, dict]) -> None:
    folder, _ = laid
    cameras, images, _ = read_model(folder / "sparse" / "0")
    for frame in transforms(folder)["frames"]:
        taken = images[Path(frame["file_path"]).name]
        width, height, *pinhole = cameras[taken.camera]
        assert (frame["w"], frame["h"]) == (width, height)
        np.testing.assert_allclose([frame[k] for k in ("fl_x", "fl_y", "cx", "cy")], pinhole, rtol=1e-15)
        gl = np.array(frame["transform_matrix"]) @ np.diag([1.0, -1, -1, 1])
        np.testing.assert_allclose(np.linalg.inv(gl), taken.cam_from_world, atol=1e-12)


def test_confidence_becomes_masks_and_loss_weights(laid: tuple[Path, dict]) -> None:
    folder, about = laid
    assert about["masks"] == {"used_from_confidence": 0.5}
    ramp = np.linspace(0, 1, MADE[0])
    for frame in transforms(folder)["frames"]:
        with Image.open(folder / frame["mask_path"]) as image:
            assert (image.mode, image.size) == ("L", (frame["w"], frame["h"]))
            mask = np.asarray(image)
        if frame["role"] != "generated":
            assert (mask == 255).all()
            assert "weight_path" not in frame
            continue
        assert (mask[0] == np.where(ramp >= 0.5, 255, 0)).all()
        with Image.open(folder / frame["weight_path"]) as image:
            assert image.mode == "L"
            np.testing.assert_allclose(np.asarray(image)[0] / 255, 0.5 * ramp, atol=1 / 255)


def test_contradicted_pixels_are_masked_and_weigh_nothing(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    half = np.zeros((MADE[1], MADE[0]), np.uint8)
    half[: MADE[1] // 2] = 255
    folder = tmp_path / "run" / "recovery" / "round-1" / CONTRADICTED
    folder.mkdir()
    for row in json.loads((folder.parent / "frames.json").read_text()):
        Image.fromarray(half).save(folder / f"{row['name']}.png")
    write_dataset(tmp_path / "run", tmp_path / "dataset")
    made = [f for f in transforms(tmp_path / "dataset")["frames"] if f["role"] == "generated"]
    assert made
    for frame in made:
        for key in ("mask_path", "weight_path"):
            with Image.open(tmp_path / "dataset" / frame[key]) as image:
                pixels = np.asarray(image)
            assert (pixels[: MADE[1] // 2] == 0).all()
            assert pixels[MADE[1] // 2 :].any()


def test_it_reads_back_as_a_capture_and_in_pycolmap(laid: tuple[Path, dict]) -> None:
    folder, about = laid
    frames = {Path(f["file_path"]).name: f for f in transforms(folder)["frames"]}
    capture = read_capture(folder, max_side=MADE[0])  # generated frames are smaller than photos
    assert capture.kind == "transforms"
    assert set(capture.clip.names) == frames.keys()
    read = capture.clip.require_cameras()
    import pycolmap

    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    assert model.compute_num_observations() == about["points"]["observations"]
    by_name = {image.name: image for image in model.images.values()}
    for i, name in enumerate(capture.clip.names):
        gl = torch.tensor(frames[name]["transform_matrix"], dtype=torch.float64)
        pose = torch.linalg.inv(gl @ torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)))
        torch.testing.assert_close(read.cam_from_world[i], pose, atol=1e-9, rtol=0)
        scale = MADE[0] / frames[name]["w"]
        assert float(read.K[i, 0, 0]) == pytest.approx(frames[name]["fl_x"] * scale, abs=1e-6)
        assert float(read.K[i, 1, 2]) == pytest.approx(frames[name]["cy"] * scale, abs=1e-6)
        same = by_name[name].cam_from_world().matrix()
        np.testing.assert_allclose(same, pose[:3].numpy(), atol=1e-9)


def test_originals_of_a_pinhole_are_copied_byte_for_byte(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos" / "images", 4)
    run = make_run(tmp_path / "run", tmp_path / "photos", files, lens=STRAIGHT, known_poses=True)
    about = write_dataset(run, tmp_path / "out")
    for picture in about["pictures"]:
        if picture["role"] != "generated":
            original = tmp_path / "photos" / "images" / picture["name"]
            assert (tmp_path / "out" / picture["file"]).read_bytes() == original.read_bytes()
            assert picture["made"] == "copied"
    frame = transforms(tmp_path / "out")["frames"][0]
    assert [frame[k] for k in ("fl_x", "fl_y", "cx", "cy")] == pytest.approx(STRAIGHT.params, abs=1e-9)


def test_a_lens_in_the_capture_is_taken_out(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos" / "images", 4, suffix=".png")
    run = make_run(tmp_path / "run", tmp_path / "photos", files, known_poses=True)
    about = write_dataset(run, tmp_path / "out")
    assert {p["made"] for p in about["pictures"]} == {"undistorted", "stored"}
    assert all(p["file"].endswith(".png") for p in about["pictures"]), "what was lossless stays so"
    assert about["points"]["observations"] > 0


def test_a_photo_held_sideways_is_written_upright(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4)
    sideways = files[2]
    with Image.open(sideways) as image:
        exif = image.getexif()
        exif[0x0112] = 6  # turn a quarter clockwise to show
        image.transpose(Image.Transpose.ROTATE_90).save(sideways, exif=exif, quality=95)
    lens = Lens("SIMPLE_RADIAL", (150.0, 96.0, 64.0, 0.0), *FULL)
    run = make_run(tmp_path / "run", tmp_path / "photos", files, lens=lens)
    about = write_dataset(run, tmp_path / "out")
    made = {p["name"]: p for p in about["pictures"]}
    assert made[sideways.name]["made"] == "converted"
    assert made[files[1].name]["made"] == "copied"
    with Image.open(tmp_path / "out" / made[sideways.name]["file"]) as image:
        assert image.size == FULL
        assert image.getexif().get(0x0112, 1) == 1


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4, suffix=".tif")
    for file in files:
        cv2.imwrite(str(file), cv2.imread(str(file)).astype(np.uint16) * 257)
    lens = Lens("SIMPLE_RADIAL", (150.0, 96.0, 64.0, 0.0), *FULL)
    about = write_dataset(make_run(tmp_path / "run", tmp_path / "photos", files, lens=lens), tmp_path / "out")
    for picture, file in zip([p for p in about["pictures"] if p["role"] == "photo"], files[1:], strict=True):
        assert (picture["made"], picture["file"][-4:]) == ("converted", ".png")
        read = np.asarray(Image.open(tmp_path / "out" / picture["file"]))
        assert (read == (cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., ::-1] / 257).round()).all()


def test_changed_and_missing_originals_are_named_and_replaced(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 6)
    run = make_run(tmp_path / "run", tmp_path / "photos", files)
    with Image.open(files[5]) as image:
        image.crop((0, 0, 150, 128)).save(files[5])
    files[1].write_bytes(files[3].read_bytes())
    files[2].unlink()
    files[4].write_bytes(b"no picture")
    about = write_dataset(run, tmp_path / "out")
    made = {p["name"]: (p["made"], p["width"]) for p in about["pictures"]}
    assert [made[f.name] for f in files[1:]] == [
        ("stored", 96),
        ("stored", 96),
        ("undistorted", 192),
        ("stored", 96),
        ("stored", 96),
    ]
    reasons = ((1, "no longer"), (2, "not there"), (4, "decoded"), (5, "cropped from 150x128"))
    for file, why in ((files[i], why) for i, why in reasons):
        assert any(note.startswith(file.name) and why in note for note in about["notes"]), why
    model = read_model(tmp_path / "out" / "sparse" / "0")
    assert {camera[:2] for camera in model[0].values()} == {FULL, SEEN, MADE}


def test_photos_that_moved_are_found_where_one_says(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4)
    run = make_run(tmp_path / "run", tmp_path / "photos", files)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    about = write_dataset(run, tmp_path / "out")
    assert any("no longer at" in note for note in about["notes"])
    assert {p["made"] for p in about["pictures"]} == {"stored"}
    about = write_dataset(run, tmp_path / "out", photos=tmp_path / "elsewhere")
    assert {p["made"] for p in about["pictures"] if p["role"] != "generated"} == {"undistorted"}
    with pytest.raises(BridgeError, match="there is nothing"):
        write_dataset(run, tmp_path / "out", photos=tmp_path / "nowhere")
    assert (tmp_path / "out" / "dataset.json").is_file(), "what was there stays"


def test_video_frames_come_at_full_resolution(tmp_path: Path) -> None:
    import av

    stills = make_photos(tmp_path / "stills", 6, suffix=".png")
    with av.open(str(tmp_path / "video.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *FULL, "bgr0"
        for still in stills:
            frame = av.VideoFrame.from_ndarray(np.asarray(Image.open(still)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    numbered = tmp_path / "numbered"
    numbered.mkdir()
    files = [numbered / f"{i:05d}" for i in range(6)]
    for still, file in zip(stills, files, strict=True):
        still.rename(file)
    run = make_run(tmp_path / "run", tmp_path / "video.mkv", files)
    about = json.loads((run / "capture" / "capture.json").read_text())
    (run / "capture" / "capture.json").write_text(json.dumps(about | {"kind": "video"}))
    made = write_dataset(run, tmp_path / "out")
    assert {(p["made"], p["width"]) for p in made["pictures"] if p["role"] != "generated"} == {
        ("undistorted", FULL[0])
    }


def test_smaller_pictures_photos_alone_and_another_frame(run: Path, tmp_path: Path) -> None:
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    world = Sim3(torch.tensor(3.0, dtype=torch.float64), turn, torch.tensor([1.0, 2, 3], dtype=torch.float64))
    write_dataset(run, tmp_path / "plain", generated=False)
    about = write_dataset(run, tmp_path / "moved", generated=False, max_side=120, out_from_scene=world)
    assert {(p["role"], p["width"], p["height"]) for p in about["pictures"]} == {
        ("photo", 120, 80),
        ("heldout", 120, 80),
    }
    assert not (tmp_path / "moved" / "masks").exists()
    assert "mask_path" not in transforms(tmp_path / "moved")["frames"][0]
    cameras, images, points = read_model(tmp_path / "moved" / "sparse" / "0")
    _, before, points_before = read_model(tmp_path / "plain" / "sparse" / "0")
    for number, (xyz, *_) in points.items():
        np.testing.assert_allclose(xyz, 3 * turn.numpy() @ points_before[number][0] + [1, 2, 3], atol=1e-9)
    for name, taken in images.items():
        ray = taken.cam_from_world @ [*points[2][0], 1]
        np.testing.assert_allclose(ray[:3], 3 * (before[name].cam_from_world @ [*points_before[2][0], 1])[:3])
        _, _, fx, _, cx, _ = cameras[taken.camera]
        seen = taken.xy[list(taken.point_ids).index(2)][0]
        assert seen == pytest.approx(fx * ray[0] / ray[2] + cx, abs=1e-9)


def test_a_folder_of_other_things_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BridgeError, match="other things"):
        write_dataset(run, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    nerfies = tmp_path / "nerfies"
    nerfies.mkdir()
    (nerfies / "dataset.json").write_text('{"count": 3}')
    with pytest.raises(BridgeError, match="other things"):
        write_dataset(run, nerfies)
    assert (nerfies / "dataset.json").read_text() == '{"count": 3}'
    write_dataset(run, tmp_path / "own")
    write_dataset(run, tmp_path / "own")  # its own may be made anew
    (tmp_path / "own" / "trained.ckpt").touch()
    with pytest.raises(BridgeError, match=r"other things than a dataset of bridge4d \(trained\.ckpt\)"):
        write_dataset(run, tmp_path / "own")
    with pytest.raises(BridgeError, match="finished run"):
        write_dataset(tmp_path, tmp_path / "out")
    with pytest.raises(BridgeError, match="confidence"):
        write_dataset(run, tmp_path / "out", mask_from=1.5)


def test_pictures_that_see_no_point_are_named(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4)
    run = make_run(tmp_path / "run", tmp_path / "photos", files)
    tracks = load_tracks(run / "sfm" / "tracks.npz")
    save_tracks(Tracks.concatenate([tracks.of_image(0), tracks.of_image(2)]), run / "sfm" / "tracks.npz")
    about = write_dataset(run, tmp_path / "out")
    (blind,) = about["points"]["pictures_that_see_none"]
    assert files[2].stem in blind
    assert any(blind in note and "--depth_loss" in note for note in about["notes"])


def test_a_run_without_tracks_says_so(tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4)
    run = make_run(tmp_path / "run", tmp_path / "photos", files)
    for tracks in run.rglob("tracks.npz"):
        tracks.unlink()
    about = write_dataset(run, tmp_path / "out")
    assert about["points"]["observations"] == 0
    assert any("no tracks" in note for note in about["notes"])
    assert len(read_model(tmp_path / "out" / "sparse" / "0")[2]) == 40


@pytest.mark.parametrize(
    ("heldout", "photos", "generated", "asked", "every", "left"),
    [
        (3, 5, 32, None, 14, 0),
        (3, 15, 0, None, 8, 0),  # 8 wherever it does
        (25, 9, 16, None, 2, 0),
        (24, 9, 16, None, 3, 11),  # of held-out photos; every 2nd would judge 25, every 3rd 13
        (3, 5, 32, 8, 8, 16),
        (0, 5, 3, None, None, 0),
        (1, 2, 0, None, 8, 0),
    ],
)
def test_held_out_photos_and_nothing_else_lie_at_every_nth_place(
    heldout: int, photos: int, generated: int, asked: int | None, every: int | None, left: int
) -> None:
    held, taken, made = (
        [f"{kind}{i}" for i in range(n)] for kind, n in (("h", heldout), ("p", photos), ("g", generated))
    )
    found = arrange(held, taken, made, asked)
    assert (found.every, len(found.left_over)) == (every, left)
    assert sorted([*found.order, *found.left_over]) == sorted([*held, *taken, *made])
    assert not any(name.startswith("p") for name in found.left_over)
    if every:
        assert all((i % every == 0) == name.startswith("h") for i, name in enumerate(found.order))


def test_too_small_an_n_is_refused() -> None:
    with pytest.raises(BridgeError, match="give --test-every 6 or more"):
        arrange(["h"], list("abcde"), [], 3)


def test_ordinals_are_english() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 8, 11, 12, 13, 21, 22, 103, 112)] == [
        "1st", "2nd", "3rd", "4th", "8th", "11th", "12th", "13th", "21st", "22nd", "103rd", "112th",
    ]  # fmt: skip


@pytest.mark.parametrize("kept_round", [0, 1])
def test_frames_of_scenes_that_were_not_kept_are_said_to_be(kept_round: int, tmp_path: Path) -> None:
    files = make_photos(tmp_path / "photos", 4)
    run = make_run(tmp_path / "run", tmp_path / "photos", files)
    write_json(run / "report.json", {"kept_round": kept_round})
    about = write_dataset(run, tmp_path / "out")
    assert about["generated"] > 0
    assert any("no scene with them was kept" in note for note in about["notes"]) is (kept_round == 0)
