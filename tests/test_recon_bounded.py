"""What strangers write is read or refused in one sentence, in bounded memory."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from child_memory import memory_taken

from bridge4d.runs import stored_json
from recon import bounded
from recon.bounded import budget
from recon.errors import BridgeError, CameraError, CaptureError

DEEP = "[" * 100_000


def sentence(caught: pytest.ExceptionInfo[BridgeError]) -> str:
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def test_json_is_read_and_whole_numbers_become_floats_before_they_hurt() -> None:
    assert bounded.parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, true]}', "x") == {"a": [1, 2.5, None, True]}
    assert bounded.parse_json("9" * 18, "x") == int("9" * 18)
    assert bounded.parse_json("1" + "0" * 400, "x") == float("inf")
    assert bounded.parse_json("9" * 5000, "x") == float("inf")
    assert bounded.parse_json('"\\ud83d\\ude00 a\\u0000b"', "x") == "😀 a\0b"


@pytest.mark.parametrize("digits", [1, 17, 18, 19, 30, 300, 400, 5000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_files_of_strangers_and_of_our_own_hold_the_same_numbers(
    digits: int, sign: str, tmp_path: Path
) -> None:
    text = f'{{"a": [{sign}{"9" * digits}, 1.0, true, null]}}'
    (tmp_path / "a.json").write_text(text)
    stored, read = stored_json.read_json(tmp_path / "a.json"), bounded.read_json(tmp_path / "a.json")
    assert stored == read == bounded.parse_json(text, "x")
    assert [type(value) for value in stored["a"]] == [type(value) for value in read["a"]]


@pytest.mark.parametrize("text", [DEEP, "{", "", "NaN", "[-Infinity]", "\ufeff{", "nul"])
def test_files_of_strangers_and_of_our_own_are_refused_alike(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BridgeError) as theirs:
        bounded.read_json(tmp_path / "a.json")
    with pytest.raises(stored_json.DamagedFileError) as ours:
        stored_json.read_json(tmp_path / "a.json")
    why = sentence(theirs).removeprefix(f"{tmp_path / 'a.json'} ").removesuffix("; export it again")
    assert f"(it {why})" in sentence(ours)


def test_our_own_files_hold_names_in_no_known_encoding(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    stored_json.write_json(tmp_path / "a.json", {"files": [name]})
    assert stored_json.read_json(tmp_path / "a.json") == {"files": [name]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "x.json is nested too deeply"),
        ('{"a":' * 50_000, "nested too deeply"),
        ("{", "x.json is not JSON"),
        ("NaN", "NaN is no number of JSON"),
        ("[-Infinity]", "no number of JSON"),
        ('{"clip": "a\\ud800"}', "half a surrogate pair"),
        ('{"\\udfff": 1}', "half a surrogate pair"),
        ("", "is not JSON"),
    ],
)
def test_json_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(CaptureError) as caught:
        bounded.parse_json(text, "x.json", error=CaptureError)
    assert said in sentence(caught)


def test_nan_in_json_is_taken_where_it_is_asked_for() -> None:
    assert np.isnan(bounded.parse_json("[NaN]", "x", nan=True)[0])


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    for name, said in [
        ("pipe", "found a pipe"), ("link", "found a pipe"), (".", "found a folder"), ("absent", "found nothing"),
        ("loop", "cannot be opened"), ("latin", "save it as UTF-8"), ("large", "up to 1 MiB"),
        ("a\0b", "cannot be opened"), ("a" * 300, "cannot be opened"),
    ]:  # fmt: skip
        with pytest.raises(CaptureError) as caught:
            bounded.read_text(tmp_path / name, most=1 << 20, error=CaptureError)
        assert said in sentence(caught), name
    with pytest.raises(BridgeError, match="expected a file at /dev/zero, found a device"):
        bounded.check_regular_file(Path("/dev/zero"))


def test_one_door_asks_whether_a_file_is_a_regular_one(tmp_path: Path) -> None:
    """Scenes, texts and stored files refuse a pipe in the same words, at once."""
    from recon.compute.files import require_regular
    from recon.scenefiles import read_scene
    from recon.scenefiles.bounded import file_size

    pipe = tmp_path / "scene.ply"
    os.mkfifo(pipe)
    said = set()
    for refused in (require_regular, bounded.check_regular_file, bounded.read_text, file_size, read_scene):
        with pytest.raises(BridgeError) as caught:
            refused(pipe)
        said.add(sentence(caught))
    assert said == {f"expected a file at {pipe}, found a pipe; replace it by a file, or leave it out"}


def test_a_file_is_read_whole_without_memory_for_all_that_might_be_read() -> None:
    stated_empty = Path("/proc/self/status")  # as a file that grows meanwhile, it has more than it states
    if stated_empty.is_file():
        assert b"VmPeak" in bounded.read_bytes(stated_empty, most=8 << 30)
        with pytest.raises(BridgeError, match="more than 0 MiB"):
            bounded.read_bytes(stated_empty, most=20)


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800"])
def test_names_that_no_disk_holds_are_refused(text: str) -> None:
    with pytest.raises(CaptureError) as caught:
        bounded.parse_path(text, "m.csv, row 3", error=CaptureError)
    assert sentence(caught).startswith("m.csv, row 3: ")
    sentence(caught).encode()


def test_what_lies_outside_is_seen_through_links(tmp_path: Path) -> None:
    folder, outside = tmp_path / "a", tmp_path / "ab"
    folder.mkdir()
    outside.mkdir()
    (folder / "link").symlink_to(outside)
    assert bounded.is_inside(folder, folder / "x" / "y.png")
    assert bounded.is_inside(folder, folder / "x" / ".." / "y.png")
    for path in (outside, folder / ".." / "ab", folder / "link" / "y.png", Path("/etc/passwd")):
        assert not bounded.is_inside(folder, path)
    (tmp_path / "b").symlink_to(folder)
    assert bounded.is_inside(tmp_path / "b", tmp_path / "b" / "x.png")


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**400, "1e999", "9" * 5000, "x", "", None, True, [1], {}, "1" * 101],
)
def test_numbers_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(CameraError) as caught:
        bounded.parse_number(value, "t.json: fl_x of a", error=CameraError)
    assert sentence(caught).startswith("t.json: fl_x of a: expected a ")
    assert len(sentence(caught)) < 150


def test_numbers_keep_to_their_bounds() -> None:
    assert bounded.parse_number("1e3", "x") == 1000.0
    assert bounded.parse_number(np.float32(2), "x", least=1) == 2.0
    assert bounded.parse_integer(3.0, "x") == 3
    assert bounded.parse_numbers((1, "2"), "x", count=2) == [1.0, 2.0]
    with pytest.raises(BridgeError, match="of at least 1"):
        bounded.parse_number(0, "x", least=1)
    with pytest.raises(BridgeError, match="between 0 and 10"):
        bounded.parse_number(11, "x", least=0, most=10)
    with pytest.raises(BridgeError, match="whole number"):
        bounded.parse_integer(2.5, "x")
    with pytest.raises(BridgeError, match="expected 3 numbers, got 2"):
        bounded.parse_numbers([1, 2], "x", count=3)
    with pytest.raises(BridgeError, match="list of numbers"):
        bounded.parse_numbers("123", "x")


def test_tables_are_read_with_long_cells_and_refused_without_end() -> None:
    limit = __import__("csv").field_size_limit()
    assert bounded.read_csv('a;b\n"1\n2";' + "x" * 200_000, "m", delimiter=";")[1][0] == "1\n2"
    for text, said in [('a\n"' + "x" * 2_000_000, "never closed"), ("a\n\0", "NUL")]:
        with pytest.raises(CaptureError) as caught:
            bounded.read_csv(text, "m.csv", error=CaptureError)
        assert said in sentence(caught)
    assert __import__("csv").field_size_limit() == limit


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + content


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    poses, K = (
        np.arange(24.0).reshape(2, 3, 4),
        np.asfortranarray(np.arange(9, dtype=np.float32).reshape(3, 3)),
    )
    np.save(tmp_path / "a.npy", poses)
    np.savez_compressed(tmp_path / "b.npz", poses=poses, K=K, names=["a", "b"], objects=np.array([{}]))
    assert np.array_equal(np.asarray(bounded.read_arrays(tmp_path / "a.npy", most_bytes=1 << 20)), poses)
    found = bounded.read_arrays(tmp_path / "b.npz", most_bytes=1 << 20)
    assert isinstance(found, dict)
    assert list(found) == ["poses", "K"]
    assert np.array_equal(found["K"], K)
    assert found["K"].dtype == np.float32


def test_arrays_that_are_none_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([{}, print]), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros((20, 1 << 17)))
    (tmp_path / "claim.npy").write_bytes(
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 16)}")
    )
    (tmp_path / "negative.npy").write_bytes(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"))
    (tmp_path / "code.npy").write_bytes(npy("__import__('os').system('touch ran')"))
    (tmp_path / "deep.npy").write_bytes(npy("(" * 5000))
    (tmp_path / "short.npy").write_bytes(
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}", bytes(31))
    )
    (tmp_path / "v3.npy").write_bytes(npy("{}", version=b"\x03\x00"))
    (tmp_path / "none.npy").write_bytes(b"P")
    (tmp_path / "none.npz").write_bytes(b"PK\x03\x04rest")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("a.txt", "x" * 100)
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for i in range(1001):
            archive.writestr(f"{i}.npy", "")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(CaptureError) as caught:
            bounded.read_arrays(path, most_bytes=1 << 20, error=CaptureError)
        assert path.name in sentence(caught)
    assert not Path("ran").exists()


def test_a_bomb_takes_no_more_memory_than_was_granted(tmp_path: Path) -> None:
    """100 kB that say they are 100 MB, and are."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.save(header, np.zeros((100 << 17, 1)))
        archive.writestr("a.npy", header.getvalue())
    refused = (
        "try: bounded.read_arrays(Path(sys.argv[1]), most_bytes=1 << 20)\n"
        "except BridgeError: pass\n"
        "else: sys.exit('it was read')"
    )
    imports = "from recon import bounded; from recon.errors import BridgeError"
    assert memory_taken(imports, refused, tmp_path / "bomb.npz") < 20 << 20


def test_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded.check_pixels(16000, 9000, "a.png")
    for width, height in [(20_000, 20_000), (0, 5), (2**31, 2**31)]:
        with pytest.raises(CaptureError) as caught:
            bounded.check_pixels(width, height, "a.png", error=CaptureError)
        assert "a.png" in sentence(caught)
    bounded.check_memory(1 << 20, "three frames", "take fewer")
    with pytest.raises(CaptureError, match=r"^three frames would take 1,024\.0 GiB .*; take fewer$"):
        bounded.check_memory(1 << 40, "three frames", "take fewer", error=CaptureError)
    assert budget.MOST_PIXELS >= 100_000_000


def test_safetensors_that_are_none_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.arange(3.0)}, tmp_path / "whole")
    with bounded.open_safetensors(tmp_path / "whole", most=1 << 20) as file:
        assert file.get_tensor("a").tolist() == [0, 1, 2]
    data = (tmp_path / "whole").read_bytes()
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "claim").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "header").write_bytes((2**62).to_bytes(8, "little") + data[8:])
    (tmp_path / "short").write_bytes(data[:-1])
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    for name in ("claim", "header", "short", "large", "absent", "."):
        with (
            pytest.raises(CaptureError) as caught,
            bounded.open_safetensors(tmp_path / name, most=1 << 20, error=CaptureError),
        ):
            pass
        sentence(caught)
    with pytest.raises(BridgeError), bounded.open_safetensors(tmp_path / "whole", most=1 << 20) as file:
        file.get_tensor("b")


TRANSFORM = {"fl_x": 50, "fl_y": 50, "cx": 16, "cy": 12, "w": 32, "h": 24}
EYE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def transforms(folder: Path, text: str = "", **changes: object) -> Path:
    """A transforms.json of two frames, with something changed in it, or of this text."""
    frames = [{"file_path": name, "transform_matrix": EYE} for name in ("a.png", "b.png")]
    path = folder / "transforms.json"
    path.write_text(text or json.dumps({**TRANSFORM, "frames": frames, **changes}))
    return path


@pytest.mark.parametrize(
    "text_or_change",
    [
        {"text": DEEP}, {"text": '{"frames":' + DEEP}, {"fl_x": 10**400}, {"cx": float("nan")}, {"h": 1e300},
        {"w": None}, {"fl_x": True},
        {"frames": [{"file_path": "/", "transform_matrix": EYE}, {"file_path": "x", "transform_matrix": EYE}]},
        {"frames": [{"file_path": "a\0", "transform_matrix": EYE}]},
        {"frames": [{"file_path": "a", "transform_matrix": [[10**400] * 4] * 4}]},
        {"frames": [{"file_path": "a", "transform_matrix": [[1] * 4]}]},
        {"frames": [{"file_path": "a" * 5000, "transform_matrix": EYE}]},
    ],
)  # fmt: skip
def test_transforms_of_strangers_are_refused(tmp_path: Path, text_or_change: dict) -> None:
    from recon.capture.read import read_capture

    transforms(tmp_path, **text_or_change)
    with pytest.raises(BridgeError) as caught:
        read_capture(tmp_path)
    sentence(caught)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "clip\n" + "x" * 2_000_000),
        ("m.csv", 'clip\n"a\0b"\n'),
        ("m.json", '[{"clip": "a\\u0000b"}]'),
        ("m.json", '[{"clip": "a\\ud800b"}]'),
        ("m.json", DEEP),
        ("m.json", '[{"clip": "a", "cameras": "a\\u0000"}]'),
    ],
)
def test_manifests_of_strangers_are_refused(tmp_path: Path, name: str, text: str) -> None:
    from recon.clips.manifest import read_manifest

    (tmp_path / name).write_text(text)
    with pytest.raises(CaptureError) as caught:
        read_manifest(tmp_path / name)
    sentence(caught)


def test_a_caption_that_is_nested_without_end_beside_one_clip_is_a_matter_of_that_clip(
    tmp_path: Path,
) -> None:
    from recon.camera_files import holds_cameras, read_requested

    (tmp_path / "a.json").write_text(DEEP)
    assert holds_cameras(tmp_path / "a.json")
    with pytest.raises(CaptureError, match="nested too deeply"):
        read_requested(tmp_path / "a.json", width=32, height=24)


def test_matrices_of_strangers_are_refused(tmp_path: Path) -> None:
    from recon.camera_files import read_requested

    (tmp_path / "huge.npy").write_bytes(
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000, 16)}")
    )
    (tmp_path / "huge.json").write_text(json.dumps([[[10**400] * 4] * 3] * 2))
    for name in ("huge.npy", "huge.json"):
        with pytest.raises(BridgeError) as caught:
            read_requested(tmp_path / name, width=32, height=24, convention="cam_from_world/opencv")
        sentence(caught)
