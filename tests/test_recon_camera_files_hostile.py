"""Numbers that no camera has, in every place of every format: read, or refused in one sentence; never anything else."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz_captures import read_cameras, read_photos, seeds
from benchmarks.fuzz_readers import ending
from recon.camera_files import read_path

NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
HOSTILE = {
    "beyond floats": b"1e400",
    "below floats": b"-1e400",
    "400 digits": b"9" * 400,
    "5,000 digits": b"1" * 5000,
    "nearly too large": b"1e308",
    "nothing": b"0",
    "negative": b"-3",
    "no number": b"nan",
    "NUL": b"\0",
    "half a surrogate pair": b"\xed\xa0\x80",
    "words": b"null",
    "empty": b"",
}
NEVER_READ = ("beyond floats", "below floats", "400 digits", "5,000 digits", "NUL", "half a surrogate pair")
PLACES = 30
"""So many of the numbers of a file are exchanged, spread over all of it."""
TEXTS = (
    "realestate.txt", "kitti.txt", "tum.txt", "matrices.txt", "matrices.json", "matrices_list.json", "camera_path.json",
    "recammaster.json", "frames.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return seeds(tmp_path_factory.mktemp("seeds"))


def read(reader, target: Path) -> bool:
    """Whether it is read rather than refused in a sentence."""
    kind, words = ending(reader, target)
    assert kind in ("read", "refused"), words
    return kind == "read"


def exchanged(data: bytes, token: bytes) -> list[bytes]:
    """The file with one of its numbers replaced, for several of them."""
    found = [match.span() for match in NUMBER.finditer(data)]
    picked = [found[i] for i in sorted({round(i) for i in np.linspace(0, len(found) - 1, PLACES)})]
    return [data[:begin] + token + data[end:] for begin, end in picked]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", TEXTS)
def test_hostile_numbers_in_text(whole: dict[str, list[Path]], name: str, kind: str, tmp_path: Path) -> None:
    file = next(file for file in whole["cameras"] if file.name == name)
    target = tmp_path / name
    convention = "cam_from_world/opencv" if name.startswith("matrices") else None
    for data in exchanged(file.read_bytes(), HOSTILE[kind]):
        target.write_bytes(data)
        was_read = read(read_cameras, target)
        of_a_camera = name != "frames.json" or b'"n_frames": 4' in data
        assert not (was_read and of_a_camera and kind in NEVER_READ), data
        read(lambda path: read_path(path, width=32, height=24, convention=convention), target)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_numbers_in_a_transforms_json_of_photos(
    whole: dict[str, list[Path]], kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(whole["transforms"][0], folder)
    file = folder / "transforms.json"
    for data in exchanged(file.read_bytes(), HOSTILE[kind]):
        file.write_bytes(data)
        assert not (read(read_photos, folder) and kind in NEVER_READ), data


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("part", ["cameras", "images"])
def test_hostile_numbers_in_a_text_model(
    whole: dict[str, list[Path]], part: str, kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(next(p for p in whole["colmap"] if p.name == "text"), folder)
    file = folder / f"{part}.txt"
    for data in exchanged(file.read_bytes(), HOSTILE[kind])[::4]:
        file.write_bytes(data)
        read(read_cameras, folder)


SPECIAL = (np.inf, -np.inf, np.nan, 1e308, -3.0, 0.0, 2**63)


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_hostile_numbers_in_arrays(whole: dict[str, list[Path]], name: str, tmp_path: Path) -> None:
    file = next(file for file in whole["cameras"] if file.name == name)
    pose = np.load(next(file for file in whole["cameras"] if file.name == "a.npy"))
    K = np.array([[40.0, 0, 16], [0, 40, 12], [0, 0, 1]])
    for value in SPECIAL:
        for key, size in (("w2c", pose.size), ("K", K.size), ("width", 1), ("height", 1)):
            for place in range(0, size, 3):
                arrays = {
                    "w2c": pose.copy(),
                    "K": K.copy(),
                    "width": np.array(32.0),
                    "height": np.array(24.0),
                }
                arrays[key].reshape(-1)[place] = value
                if file.suffix == ".npy":
                    np.save(tmp_path / name, arrays["w2c"])
                else:
                    np.savez(tmp_path / name, **arrays)
                was_read = read(read_cameras, tmp_path / name)
                read(
                    lambda p: read_path(p, width=32, height=24, convention="cam_from_world/opencv"),
                    tmp_path / name,
                )
                assert not (
                    was_read and not np.isfinite(value) and (key == "w2c" or file.suffix == ".npz")
                ), (key, place)
