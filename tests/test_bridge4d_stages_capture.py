"""Photos that are due to judge and cannot: others take their part, and have decided nothing either."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.stages import capture, depth, sfm
from bridge4d.stages.capture import read_photos
from recon.errors import BridgeError


def write_deep(folder: Path, count: int, *, full: int) -> list[Path]:
    """Grey pictures of 16 bits that use 12, but for one that uses all."""
    folder.mkdir()
    random = np.random.default_rng(0)
    files = [folder / f"{i}.png" for i in range(count)]
    for i, file in enumerate(files):
        values = random.integers(0, 65535 if i == full else 4095, (24, 32)).astype(np.uint16)
        Image.fromarray(values).save(file)
    return files


@pytest.mark.parametrize("why", ["unreadable", "a copy"])
def test_the_next_photo_judges_and_takes_no_part_in_the_levels(why: str, tmp_path: Path) -> None:
    files = write_deep(tmp_path / "photos", 5, full=1)
    files[0].write_bytes(files[2].read_bytes() if why == "a copy" else b"")
    (tmp_path / "out").mkdir()
    read_photos(tmp_path / "photos", tmp_path / "out", AugmentOptions())
    about = json.loads((tmp_path / "out" / "capture.json").read_text())
    assert about["heldout"] == ["1.png"]
    assert about["levels"] == [0.0, 4095 / 65535]
    assert len(about["training"]) == 3


def test_where_no_photo_can_judge_it_is_said(tmp_path: Path) -> None:
    files = write_deep(tmp_path / "photos", 4, full=-1)
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())
    (tmp_path / "out").mkdir()
    with pytest.raises(BridgeError, match=r"expected at least|at least two usable"):
        read_photos(tmp_path / "photos", tmp_path / "out", AugmentOptions())


def test_lenses_are_listed_with_the_focal_lengths_that_training_photos_state(tmp_path: Path) -> None:
    """Photos 0 and 8 are held out: the first lies about the phone's focal length, the other is by a lens that no other has."""
    random = np.random.default_rng(0)
    for i in range(9):
        exif = Image.Exif()
        exif[0x110] = "wide" if i % 3 == 1 else "phone"
        if i == 8:
            exif[0x110] = "tele"
        exif.get_ifd(0x8769)[0x920A] = 4.0
        # by resolution, which tells no lenses apart
        exif.get_ifd(0x8769)[0xA20E] = 1000.0 if i == 0 else 10.0 + i % 3
        exif.get_ifd(0x8769)[0xA210] = 4
        pixels = random.integers(0, 255, (24, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg", exif=exif)
    read_photos(tmp_path, tmp_path / "out", AugmentOptions())
    record = capture.load_record(tmp_path / "out")
    assert record["heldout"] == ["0.jpg", "8.jpg"]
    names = [(lens["name"], lens["photos"]) for lens in record["lenses"]]
    assert names == [
        ("32x24 wide 4 mm", ["1.jpg", "4.jpg", "7.jpg"]),
        ("32x24 phone 4 mm", ["2.jpg", "3.jpg", "5.jpg", "6.jpg", "0.jpg"]),
        ("32x24 tele 4 mm", ["8.jpg"]),
    ]
    assert [lens["focal_prior_px"] for lens in record["lenses"]] == [44.0, 40.0, None]
    assert capture.group_photos(record, ["0.jpg", "1.jpg", "8.jpg"]) == [1, 0, 2]


def test_the_example_of_the_docs_runs(room_photos: Path, tmp_path: Path) -> None:
    """docs/augment.md, with fewer and smaller pictures."""
    options = AugmentOptions(sfm_side=360, views=5)
    capture.read_photos(room_photos, tmp_path / "capture", options)
    sfm.recover_cameras(tmp_path / "capture", tmp_path / "sfm", options.recipe, options.rungs)
    depth.estimate_depth(tmp_path / "sfm", tmp_path / "depth", max_side=96, max_points=500, seed=0)
    photos = sfm.load_photos(tmp_path / "sfm")
    assert len(photos.require_cameras()) >= 4
    assert depth.load_record(tmp_path / "depth")["surface_points"] > 100
    maps = depth.load_maps(tmp_path / "depth")
    assert maps is not None
