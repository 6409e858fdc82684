"""Pictures from outside of what a person gave are named, and read only where that was allowed."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import prepare_photos
from bridge4d.dataset.originals import find_originals
from bridge4d.measuring.clip_task import WITHOUT_EFFECT
from bridge4d.runs.run import open_run
from bridge4d.runs.run_folder import AUGMENT
from recon.cameras import Cameras
from recon.capture.files_read import list_capture_files
from recon.capture.read import read_capture
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.colmap.write import write_colmap
from recon.errors import BridgeError, CaptureError
from recon.pictures.boundary import MAX_NAMED, Boundary

N = 6


def pictures(folder: Path, count: int = N, *, first: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{i}.png" for i in range(first, first + count)]
    for file in files:
        noise = np.random.default_rng(int(file.stem)).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    return files


def transforms(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    poses = [np.eye(4) + 0.1 * i * np.eye(4, k=3) for i in range(len(names))]
    frames = [
        {"file_path": name, "transform_matrix": pose.tolist()}
        for name, pose in zip(names, poses, strict=True)
    ]
    lens = {"fl_x": 40, "cx": 16, "cy": 12, "w": 32, "h": 24}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))
    return folder


def model(folder: Path, names: Sequence[str]) -> Path:
    poses = torch.eye(4, dtype=torch.float64).repeat(len(names), 1, 1)
    K = torch.tensor([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]], dtype=torch.float64).repeat(len(names), 1, 1)
    write_colmap(folder, Cameras(poses, K, 32, 24), list(names))
    return folder


def refused(photos: Path, name: str, **how: bool) -> None:
    """Reading stops before a picture is opened, with the name and the option in the sentence."""
    for read in (read_capture, list_capture_files):
        with pytest.raises(CaptureError) as caught:
            read(photos, **how)
        assert f"{name!r} (" in str(caught.value)
        assert "outside of" in str(caught.value)
        assert "--allow-outside" in str(caught.value)


# ---- names in camera files, and links ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["absolute", "one up", "two up", "link", "linked folder"])
def test_a_picture_from_outside_needs_to_be_allowed(how: str, tmp_path: Path) -> None:
    secret = pictures(tmp_path / "home", 1, first=9)[0]
    (tmp_path / "a").mkdir()
    shutil.copy(secret, tmp_path / "a" / "9.png")
    photos = tmp_path / "a" / "capture"
    pictures(photos)
    name = {"absolute": str(secret), "one up": "../9.png", "two up": "../../home/9.png"}.get(how, "in/9.png")
    if how == "link":
        (photos / "in").mkdir()
        (photos / "in" / "9.png").symlink_to(secret)
    if how == "linked folder":
        (photos / "in").symlink_to(tmp_path / "home")
    transforms(photos, [*(f"{i}.png" for i in range(N)), name])
    refused(photos, name)
    refused(photos / "transforms.json", name)
    read = read_capture(photos, allow_outside=True)
    assert len(read.clip) == N + 1
    truth = torch.from_numpy(np.asarray(Image.open(secret)).astype(np.float32) / 255)
    row = [file.name for file in read.files].index("9.png")
    torch.testing.assert_close(read.clip.images[row], truth, atol=1e-3, rtol=0)
    (said,) = [note for note in read.notes if "--allow-outside" in note]
    assert said.startswith(f"read from outside of {photos}")
    assert name in said
    assert not any(".." in each or each.startswith("/") for each in read.clip.names)


def test_what_is_not_there_is_not_outside(tmp_path: Path) -> None:
    pictures(tmp_path)
    transforms(tmp_path, [*(f"{i}.png" for i in range(N)), "../gone.png", "/gone/too.png"])
    assert len(read_capture(tmp_path).skipped) == 2


def test_pictures_within_are_read_whatever_leads_to_them(tmp_path: Path) -> None:
    """An absolute path into the capture, a detour by '..', a link within, and a capture that is a link itself."""
    photos = tmp_path / "disk" / "capture"
    pictures(photos / "images")
    (photos / "in").mkdir()
    (photos / "in" / "5.png").symlink_to(photos / "images" / "5.png")
    names = [str(photos / "images" / "0.png"), "in/../images/1.png", "../capture/images/2.png", "in/5.png"]
    transforms(photos, names)
    (tmp_path / "link").symlink_to(photos)
    for given in (photos, tmp_path / "link"):
        read = read_capture(given)
        assert len(read.clip) == 4
        assert not read.notes


def test_a_folder_of_photos_with_links(tmp_path: Path) -> None:
    pictures(tmp_path / "disk", 3)
    (tmp_path / "photos").mkdir()
    for i in range(3):
        (tmp_path / "photos" / f"{i}.png").symlink_to(tmp_path / "disk" / f"{i}.png")
    refused(tmp_path / "photos", "0.png")
    refused(tmp_path / "photos", "0.png", with_cameras=False)
    read = read_capture(tmp_path / "photos", allow_outside=True)
    assert len(read.clip) == 3
    assert all(f"{i}.png" in read.notes[0] for i in range(3))
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "images").symlink_to(tmp_path / "disk")
    refused(tmp_path / "capture", "images/0.png")


def test_a_linked_video_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "clip.mp4").symlink_to(tmp_path / "clip.mp4")
    refused(tmp_path / "capture", "clip.mp4")
    for given, how in ((tmp_path / "capture", True), (tmp_path / "capture" / "clip.mp4", False)):
        with pytest.raises(CaptureError, match="not a video"):
            read_capture(given, allow_outside=how)


def test_splits_with_a_picture_from_outside(tmp_path: Path) -> None:
    pictures(tmp_path / "capture")
    pictures(tmp_path / "other", 1, first=9)
    for split, names in (("train", ["0.png", "1.png", "2.png"]), ("test", ["../other/9.png"])):
        transforms(tmp_path / "capture", names)
        (tmp_path / "capture" / "transforms.json").rename(tmp_path / "capture" / f"transforms_{split}.json")
    refused(tmp_path / "capture", "../other/9.png")
    read = read_capture(tmp_path / "capture", allow_outside=True)
    assert read.heldout == ("test/outside/9.png",)
    assert any("../other/9.png" in note for note in read.notes)


# ---- COLMAP workspaces -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "place", "beside"),
    [
        ("cap", "cap/sparse/0", "cap/images"),
        ("cap/sparse/0", "cap/sparse/0", "cap/images"),
        ("cap/sparse", "cap/sparse/0", "cap/input"),
        ("cap/sparse", "cap/sparse", "cap"),
        ("cap/sparse/0", "cap/sparse/0", "cap"),
        ("cap/dense/0/sparse", "cap/dense/0/sparse", "cap/dense/0/images"),
        ("cap/distorted/sparse/0", "cap/distorted/sparse/0", "cap/input"),
        ("cap/mine", "cap/mine", "cap/images"),
        ("cap/mine", "cap/mine", "cap/mine"),
    ],
)
def test_pictures_of_a_workspace_are_not_outside(given: str, place: str, beside: str, tmp_path: Path) -> None:
    pictures(tmp_path / beside / "left", 3)
    model(tmp_path / place, [f"left/{i}.png" for i in range(3)])
    read = read_capture(tmp_path / given)
    assert read.clip.names == ("0.png", "1.png", "2.png")
    assert not read.notes


@pytest.mark.parametrize(
    ("given", "place", "name"),
    [
        ("home/cap", "home/cap/sparse/0", "../../taxes/9.png"),
        ("home/cap/sparse/0", "home/cap/sparse/0", "../../taxes/9.png"),
        ("home/cap/sparse/0", "home/cap/sparse/0", "{absolute}"),
        ("home/cap/images/mine", "home/cap/images/mine", "../../../taxes/9.png"),
    ],
)
def test_names_in_a_model_that_lead_out(given: str, place: str, name: str, tmp_path: Path) -> None:
    pictures(tmp_path / "home/cap/images", 3)
    secret = pictures(tmp_path / "home" / "taxes", 1, first=9)[0]
    name = name.format(absolute=secret)
    names = [f"{i}.png" for i in range(3)] if "mine" not in given else [f"../{i}.png" for i in range(3)]
    model(tmp_path / place, [*names, name])
    with pytest.raises(CaptureError, match=r"outside of .*--allow-outside"):
        read_capture(tmp_path / given)
    assert len(read_capture(tmp_path / given, allow_outside=True).clip) == 4


def test_a_downloaded_model_does_not_find_pictures_in_the_folders_above_it(tmp_path: Path) -> None:
    """Names were looked for two levels above: a model in Downloads could name any picture of its owner."""
    pictures(tmp_path / "home" / "taxes", 3)
    model(tmp_path / "home" / "Downloads" / "model", [f"taxes/{i}.png" for i in range(3)])
    with pytest.raises(CaptureError, match="not there"):
        read_capture(tmp_path / "home" / "Downloads" / "model")


# ---- clips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ["{absolute}", "../other/clip", "inside/clip"])
@pytest.mark.parametrize("column", ["clip", "cameras"])
def test_a_manifest_names_what_lies_outside_of_its_folder(column: str, row: str, tmp_path: Path) -> None:
    pictures(tmp_path / "m" / "ours")
    pictures(tmp_path / "other" / "clip")
    transforms(tmp_path / "other" / "clip", [f"{i}.png" for i in range(N)])
    (tmp_path / "m" / "inside").symlink_to(tmp_path / "other")
    name = row.format(absolute=tmp_path / "other" / "clip")
    table = f"clip,cameras\nours,\n{name},\n" if column == "clip" else f"clip,cameras\nours,{name}\n"
    (tmp_path / "m" / "clips.csv").write_text(table)
    with pytest.raises(CaptureError, match=r"clips\.csv names .*other/clip.*outside of .*--allow-outside"):
        find_clips(tmp_path / "m" / "clips.csv")
    found = find_clips(tmp_path / "m" / "clips.csv", allow_outside=True).sources
    for source in found:
        read = read_clip(source, allow_outside=True)
        assert any("--allow-outside" in note for note in read.notes) == (source.path.name == "clip")


def test_links_in_a_folder_of_clips(tmp_path: Path) -> None:
    pictures(tmp_path / "store" / "a")
    pictures(tmp_path / "set" / "b")
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store" / "a")
    with pytest.raises(CaptureError, match=r"set holds 'a' \(.*store/a\), which lies outside"):
        find_clips(tmp_path / "set")
    assert len(find_clips(tmp_path / "set", allow_outside=True).sources) == 2
    (alone,) = find_clips(tmp_path / "set" / "a").sources  # given itself
    assert len(read_clip(alone).clip) == N
    (tmp_path / "set" / "a").unlink()
    (tmp_path / "set" / "b" / "3.png").unlink()
    (tmp_path / "set" / "b" / "3.png").symlink_to(tmp_path / "store" / "a" / "3.png")
    (linked,) = find_clips(tmp_path / "set").sources
    for source in (linked, ClipSource("b", tmp_path / "set" / "b", None, "m")):
        with pytest.raises(CaptureError, match=r"'3\.png' \(.*outside of .*--allow-outside"):
            read_clip(source)
        assert any("3.png" in note for note in read_clip(source, allow_outside=True).notes)


def test_what_a_person_gave_lies_nowhere_outside(tmp_path: Path) -> None:
    pictures(tmp_path / "set" / "clip")
    cameras = transforms(tmp_path / "elsewhere" / "clip", [f"{i}.png" for i in range(N)])
    beside = transforms(tmp_path / "x", [f"{i}.png" for i in range(N)]) / "transforms.json"
    shutil.copy(beside, tmp_path / "set" / "clip.json")
    for path, given in (
        (tmp_path / "set", cameras),
        (tmp_path / "set", cameras.parent),
        (tmp_path / "set" / "clip", cameras / "transforms.json"),
        (tmp_path / "set" / "clip", None),  # its cameras lie beside it
        (cameras / "transforms.json", None),
    ):
        (source,) = find_clips(path, cameras=given).sources
        assert source.cameras is not None
    os.symlink(beside, tmp_path / "set" / "link.json")
    (tmp_path / "set" / "clip.json").unlink()
    (tmp_path / "set" / "link.json").rename(tmp_path / "set" / "clip.json")
    for path in (tmp_path / "set", tmp_path / "set" / "clip"):
        with pytest.raises(CaptureError, match=r"holds 'clip\.json' \("):
            find_clips(path)


# ---- runs --------------------------------------------------------------------------------------------------


def test_what_was_allowed_is_part_of_what_a_run_is_made_of(tmp_path: Path) -> None:
    pictures(tmp_path / "pics", 9)
    photos = transforms(tmp_path / "capture", [f"../pics/{i}.png" for i in range(9)])
    options = AugmentOptions(views=99, max_side=32, sfm_side=64)
    with open_run(tmp_path / "run", kind=AUGMENT) as run:
        with pytest.raises(BridgeError, match="--allow-outside"):
            prepare_photos(run, photos, options)
        prepared = prepare_photos(run, photos, replace(options, allow_outside=True))
        allowed = run.records["capture"].fingerprint
        assert any("../pics/0.png" in note for note in prepared.about["notes"])
        assert {n: o.photo.file.name for n, o in find_originals(run.folder).items()} == {
            f"outside_{i}.png": f"{i}.png" for i in range(9)
        }
        for file in (tmp_path / "pics").iterdir():
            shutil.copy(file, photos / file.name)
        transforms(photos, [f"{i}.png" for i in range(9)])
        prints = set()
        for how in (True, False):
            prepare_photos(run, photos, replace(options, allow_outside=how))
            prints.add(run.records["capture"].fingerprint)
        assert len(prints | {allowed}) == 3
    assert "allow_outside" not in WITHOUT_EFFECT  # by which a clip is not measured again


def test_a_note_names_so_many(tmp_path: Path) -> None:
    pictures(tmp_path / "b", MAX_NAMED + 3)
    named = [(f"../b/{i}.png", tmp_path / "b" / f"{i}.png") for i in range(MAX_NAMED + 3)]
    (tmp_path / "a").mkdir()
    (said,) = Boundary(tmp_path / "a", allow_outside=True).check(named, "x names")
    assert said.endswith("and 3 more")
    with pytest.raises(CaptureError, match=r"x names '\.\./b/0\.png' \(.*\) and 12 more, which lie outside"):
        Boundary(tmp_path / "a").check(named, "x names")
