"""Names and roles of photos are decided once, by where the photos lie, before names become names of files."""

import json
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.dataset.originals import find_originals
from bridge4d.runs.plain_names import plain_names
from bridge4d.runs.stored_json import read_json, write_json
from bridge4d.stages.capture import read_photos
from eval.judging.protocols import choose_held_out
from recon.capture.photo_names import photo_names
from recon.capture.read import list_capture, read_capture
from recon.errors import CaptureError
from recon.pictures.frame_files import natural_key


def add(folder: Path, name: str) -> None:
    """A photo of noise that depends on nothing but its name."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / name)


def capture(folder: Path, names: Sequence[str], *, stated: str = "") -> Path:
    """Photos with a transforms.json that names them, with `stated` before."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        add(folder, name)
    poses = [np.eye(4) + 0.1 * i * np.eye(4, k=3) for i in range(len(names))]
    frames = [
        {"file_path": stated + name, "transform_matrix": pose.tolist()}
        for name, pose in zip(names, poses, strict=True)
    ]
    lens = {"fl_x": 40, "cx": 16, "cy": 12, "w": 32, "h": 24}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))
    return folder


def read(photos: Path, run: Path, **options: object) -> dict:
    """What the stage `capture` says of the photos."""
    shutil.rmtree(run, ignore_errors=True)
    (run / "capture").mkdir(parents=True)
    read_photos(photos, run / "capture", AugmentOptions(views=99, **options))  # type: ignore[arg-type]
    return read_json(run / "capture" / "capture.json")


def files_of(about: dict, role: str) -> list[str]:
    return [about["originals"][name]["file"] for name in about[role]]


ALTERNATING = [f"{('left', 'right')[i % 2]}/{i:02d}.png" for i in range(18)]


def test_a_photo_in_another_folder_does_not_change_the_roles_of_those_before_it(tmp_path: Path) -> None:
    """Names were cut to the last part while these differed: one photo more gave most photos another name and role."""
    before = read(capture(tmp_path / "a", ALTERNATING), tmp_path / "run")
    after = read(capture(tmp_path / "a", [*ALTERNATING, "right/00.png"]), tmp_path / "run")
    assert files_of(before, "heldout") == ["left/00.png", "left/16.png", "right/15.png"]
    for role in ("heldout", "training"):
        ours = [[f for f in files_of(about, role) if f.startswith("left")] for about in (before, after)]
        assert ours[0] == ours[1]
    assert set(before["originals"]) < set(after["originals"])  # nobody is called otherwise


@pytest.mark.parametrize(
    "names",
    [
        [
            f"{folder}/{i}.png" for folder in ("a", "a1") for i in range(5)
        ],  # '/' sorts before '1', '_' after it
        [f"{folder}/{i}.png" for folder in ("a-b", "a.c", "a b", "a") for i in range(4)],
        ["a/b_c.png", "a_b/c.png", "z/c.png", *(f"z/{i}.png" for i in range(6))],  # one name when flattened
        ["0.jpg", "0.png", "1.jpg", "A/x.png", "a/x.png", *(f"z/{i}.png" for i in range(6))],
    ],
)
def test_roles_go_by_paths_and_not_by_names_of_files(names: list[str], tmp_path: Path) -> None:
    photos = capture(tmp_path / "a", names)
    about = read(photos, tmp_path / "run")
    assert files_of(about, "heldout") == sorted(choose_held_out(names), key=natural_key)
    assert files_of(about, "training") == sorted(set(names) - choose_held_out(names), key=natural_key)
    for role in ("heldout", "training"):
        clip = read_json(tmp_path / "run" / "capture" / role / "clip.json")
        assert clip["names"] == about[role]
        for name, file in zip(clip["names"], clip["files"], strict=True):
            stored = np.asarray(Image.open(tmp_path / "run" / "capture" / role / file)).astype(int)
            original = np.asarray(Image.open(photos / about["originals"][name]["file"]).convert("RGB"))
            assert np.abs(stored - original).mean() < 1


def test_originals_are_found_by_what_the_run_noted_whatever_came_since(tmp_path: Path) -> None:
    names = [f"left/{i}.png" for i in range(9)]
    photos = capture(tmp_path / "a", names)
    about = read(photos, tmp_path / "run")
    assert set(about["originals"]) == {f"{i}.png" for i in range(9)}
    (tmp_path / "run" / "sfm").mkdir()
    write_json(tmp_path / "run" / "sfm" / "sfm.json", {"lens": None})
    capture(photos, [*names, "right/0.png", "left/0.jpg"])
    found = find_originals(tmp_path / "run")
    assert {n: o.photo.file.relative_to(photos).as_posix() for n, o in found.items()} == {
        f"{i}.png": f"left/{i}.png" for i in range(9)
    }
    again = capture(tmp_path / "b", [f"photos/{i}.png" for i in range(9)])  # arranged anew: then by name
    found = find_originals(tmp_path / "run", again)
    assert {n: o.photo.file.name for n, o in found.items()} == {f"{i}.png": f"{i}.png" for i in range(9)}


def test_a_photo_that_is_gone_keeps_its_name_and_its_place(tmp_path: Path) -> None:
    """The camera file names folders of another machine; the missing photo lies where the others were moved to."""
    names = [f"{folder}/{i}.png" for folder in ("left", "right") for i in range(5)]
    photos = capture(tmp_path / "a", names, stated="/home/me/scan/")
    whole = read(photos, tmp_path / "run")
    (photos / "left" / "1.png").unlink()
    (photos / "right" / "3.png").unlink()  # held out
    left = read(photos, tmp_path / "run")
    assert [item["name"] for item in left["skipped"]] == ["left/1.png", "right/3.png"]
    for role in ("heldout", "training"):
        gone = {"left_1.png", "right_3.png"}
        assert left[role] == [name for name in whole[role] if name not in gone]
    assert {photo.file for photo in list_capture(photos).photos} == {photos / name for name in names}  # type: ignore[union-attr]


def test_a_frame_without_a_pose_is_named_by_its_place(tmp_path: Path) -> None:
    photos = capture(tmp_path / "a", [f"{folder}/{i}.png" for folder in ("left", "right") for i in range(3)])
    said = json.loads((photos / "transforms.json").read_text())
    del said["frames"][4]["transform_matrix"]
    (photos / "transforms.json").write_text(json.dumps(said))
    found = read_capture(photos)
    assert ("right/1.png", "transforms.json has no transform_matrix for it") in found.skipped
    assert found.listed == (
        "left/0.png",
        "left/1.png",
        "left/2.png",
        "right/0.png",
        "right/2.png",
        "right/1.png",
    )
    assert [str(f.relative_to(photos)) for f in found.files] == list(found.clip.names)


def test_one_picture_under_two_names_is_refused(tmp_path: Path) -> None:
    photos = capture(tmp_path / "a", ["0.png", "1.png", "2.png"])
    said = json.loads((photos / "transforms.json").read_text())
    said["frames"][1]["file_path"] = "x/../0.png"
    (photos / "x").mkdir()
    (photos / "transforms.json").write_text(json.dumps(said))
    with pytest.raises(CaptureError, match=r"one picture twice, as '0\.png' and as 'x/\.\./0\.png'"):
        list_capture(photos)


def test_names_begin_at_the_folder_that_holds_all_photos(tmp_path: Path) -> None:
    def names(*files: str) -> tuple[str, ...]:
        return photo_names([tmp_path / "cap" / f for f in files], tmp_path / "cap")

    assert names("images/1.png", "images/0.png") == ("1.png", "0.png")
    assert names("images/0.png", "0.png") == ("images/0.png", "0.png")
    assert names("../x/y/0.png", "images/0.png", "../z/0.png") == (
        "outside/x/y/0.png",
        "0.png",
        "outside/z/0.png",
    )
    assert names("../0.png", "outside/0.png", "1.png") == ("outside_/0.png", "outside/0.png", "1.png")
    assert not names()


def test_names_of_files_differ_whatever_the_photos_are_called() -> None:
    names = ["left/0.jpg", "left_0.png", "LEFT/0.jpg", "a/b.png", "x" * 300 + "/1.png", "x" * 300 + "/2.png"]
    plain = plain_names(names)
    stems = {Path(p).stem.casefold() for p in plain.values()}
    assert len(stems) == len(names)
    assert max(len(p.encode()) for p in plain.values()) < 230
    assert not any("/" in p for p in plain.values())
    assert plain["a/b.png"] == "a_b.png"
    for name in names:  # one photo more changes no other name, or one that it would have taken
        without = plain_names([n for n in names if n != name])
        assert all(without[n] in (plain[n], n.replace("/", "_")) for n in without)
        assert without.get("a/b.png", "a_b.png") == "a_b.png"
    guessed = plain_names(["a/b.png", "a_b.png"])["a_b.png"]
    assert len(set(plain_names(["a/b.png", "a_b.png", guessed]).values())) == 3
