"""COLMAP in a process of its own: what goes wrong there is a sentence here, and models are not believed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import colmap_calls
import numpy as np
import psutil
import pytest

from recon.colmap.counts import STEPS, check_counts
from recon.colmap.library import pycolmap
from recon.colmap.model import read_model
from recon.errors import BridgeError, CaptureError, ReconstructionError, RunFolderError

TESTS = Path(__file__).parent


def gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def script(text: str, *arguments: str) -> subprocess.Popen:
    code = f"import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]\n" + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_one_process_stays_and_has_no_torch() -> None:
    first, modules, note = colmap_calls.process_and_modules(note="words")
    assert (first, note) != (os.getpid(), "")
    assert "pycolmap" in modules
    assert not {"torch", "cv2", "scipy"} & set(modules)
    assert colmap_calls.process_and_modules()[0] == first


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("bad input", CaptureError, "^expected a model, got none; name one$"),
        ("", ValueError, "^of no use$"),
        ("unpicklable", BridgeError, "^LocalError: of a class that nobody else knows$"),
    ],
)
def test_exceptions_come_through(kind: str, error: type[Exception], words: str) -> None:
    before = colmap_calls.process_and_modules()[0]
    with pytest.raises(error, match=words):
        colmap_calls.fail(kind)
    assert colmap_calls.process_and_modules()[0] == before


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("  what():  [database_sqlite.cc:1737] SQLite error: database or disk is full", RunFolderError,
         "^no space left on the disk of .*finished stages are kept$"),
        ("  what():  std::bad_alloc", ReconstructionError, "^COLMAP ran out of memory; try a smaller"),
        ("  what():  [x.cc:1] Check failed: y", ReconstructionError,
         r"^COLMAP gave up: its process ended \(signal 6, SIGABRT\); its last words: \[x\.cc:1\] Check failed: y; start"),
        ("", ReconstructionError, r"^COLMAP gave up: its process ended \(signal 6, SIGABRT\); start again"),
    ],
)  # fmt: skip
def test_death_is_a_sentence_and_the_next_call_starts_anew(
    words: str, error: type[BridgeError], said: str, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    before = colmap_calls.process_and_modules()[0]
    with pytest.raises(error, match=said):
        colmap_calls.die(words, tmp_path)
    assert capfd.readouterr().err == ""
    assert gone(before)
    assert colmap_calls.process_and_modules()[0] != before


def test_an_exception_of_colmap_on_a_full_disk_is_the_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a database cannot even be started COLMAP says: No registered database factory succeeded."""
    with pytest.raises(RuntimeError, match="factory"):
        colmap_calls.start_no_database(tmp_path)
    monkeypatch.setattr(sys.modules["recon.colmap.elsewhere"], "_is_full", lambda folder: folder == tmp_path)
    with pytest.raises(RunFolderError, match="no space left"):
        colmap_calls.start_no_database(tmp_path)


def test_memory_and_time_have_limits() -> None:
    assert colmap_calls.allocate(1 << 20, 1 << 28) == 1 << 20
    with pytest.raises(MemoryError):
        colmap_calls.allocate(1 << 30, 1 << 28)
    assert colmap_calls.allocate(1 << 28, 1 << 30) == 1 << 28  # the limit of before is gone
    with pytest.raises(ReconstructionError, match="SIGXCPU"):
        colmap_calls.spin()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_whoever_waits(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C is answered at once while the other process is deep in C++ (or sleeps), and ends it."""
    started = tmp_path / "started"
    waiting = script(
        """
        from pathlib import Path
        import colmap_calls
        colmap_calls.sleep(60, Path(sys.argv[1]))
        """,
        str(started),
    )
    end = time.monotonic() + 60
    while not started.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    child = int(started.read_text())
    asked = time.perf_counter()
    waiting.send_signal(number)
    _, err = waiting.communicate(timeout=30)
    assert time.perf_counter() - asked < 10  # 0.2 s where nothing else runs
    assert waiting.returncode == -number
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert gone(child)


def test_a_process_that_may_be_lost_works_in_place_and_quietly(tmp_path: Path) -> None:
    running = script(
        """
        import os
        from pathlib import Path
        from PIL import Image
        from recon.compute import process
        import colmap_calls
        process._expendable = True
        print(colmap_calls.process_and_modules()[0] == os.getpid())
        from recon.colmap import database
        folder = Path(sys.argv[1])
        for name in ("a.png", "b.png"):
            Image.effect_noise((200, 150), 60).save(folder / name)
        database.extract(folder / "a.db", folder, ["a.png", "b.png"], one_camera=True, threads=1, sift={})
        database.match_guided(folder / "a.db", seed=0, sequential=False)
        """,
        str(tmp_path),
    )
    assert running.communicate(timeout=60) == ("True\n", "")


@pytest.mark.parametrize("thread", [False, True])
def test_importing_colmap_takes_no_signal(thread: bool) -> None:
    """pycolmap puts handlers on SIGTERM and SIGABRT from C, in whatever thread it is imported."""
    running = script(
        """
        import os, signal, threading, time
        signal.signal(signal.SIGTERM, lambda *_: print("ours", flush=True))
        def load():
            from recon.colmap.library import pycolmap
        if sys.argv[1] == "True":
            other = threading.Thread(target=load); other.start(); other.join()
        else:
            load()
        assert "pycolmap" in sys.modules
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        print("survived", flush=True)
        os.abort()
        """,
        str(thread),
    )
    out, err = running.communicate(timeout=60)
    assert out == "ours\nsurvived\n"
    assert running.returncode == -signal.SIGABRT
    assert "stack trace" not in err


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with tracks, as binary and text."""
    options = pycolmap.SyntheticDatasetOptions()
    options.num_frames_per_rig, options.num_points3D = 4, 30
    model = pycolmap.synthesize_dataset(options)
    folder = tmp_path_factory.mktemp("model")
    for kind in ("binary", "text"):
        (folder / kind).mkdir()
    model.write_binary(str(folder / "binary"))
    model.write_text(str(folder / "text"))
    return folder


@pytest.mark.parametrize("kind", ["binary", "text"])
def test_models_are_read_as_colmap_reads_them(synthetic: Path, kind: str) -> None:
    model, ours = pycolmap.Reconstruction(str(synthetic / kind)), read_model(synthetic / kind)
    assert len(ours.names) == model.num_reg_images() > 4
    for row, (image_id, name) in enumerate(zip(ours.image_ids, ours.names, strict=True)):
        image = model.image(image_id)
        assert image.name == name
        assert np.array_equal(ours.cam_from_world[row, :3], image.cam_from_world().matrix())
        assert ours.cameras[row].model == image.camera.model_name
        assert list(ours.cameras[row].params) == list(image.camera.params)
        assert (ours.cameras[row].width, ours.cameras[row].height) == (
            image.camera.width,
            image.camera.height,
        )
    ids = sorted(model.points3D)
    assert np.array_equal(ours.xyz, [model.point3D(i).xyz for i in ids])
    assert np.array_equal(ours.rgb, [model.point3D(i).color for i in ids])
    assert np.array_equal(ours.error_px, [model.point3D(i).error for i in ids])


@pytest.mark.parametrize("name", STEPS)
def test_a_binary_file_that_is_cut_or_says_too_much_is_refused(
    synthetic: Path, tmp_path: Path, name: str
) -> None:
    for file in (synthetic / "binary").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    check_counts(tmp_path)
    whole = (tmp_path / name).read_bytes()
    damaged = [
        whole[:end]
        for end in (0, 3, 8, len(whole) // 2, len(whole) - 1)
        if name != "cameras.bin" or end < len(whole) - 8
    ]
    damaged += [
        count.to_bytes(8, "little") + whole[8:]
        for count in (10**9, 2**63, int.from_bytes(whole[:8], "little") + 99)
    ]
    for data in damaged:
        (tmp_path / name).write_bytes(data)
        began = time.perf_counter()
        with pytest.raises(CaptureError, match=f"^the COLMAP model in .* is damaged or cut off: {name} has"):
            check_counts(tmp_path)
        assert time.perf_counter() - began < 1


def test_a_track_or_a_row_of_features_longer_than_its_file_is_refused(
    synthetic: Path, tmp_path: Path
) -> None:
    for file in (synthetic / "binary").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    points = bytearray((tmp_path / "points3D.bin").read_bytes())
    points[8 + 43 : 8 + 51] = (10**12).to_bytes(8, "little")
    (tmp_path / "points3D.bin").write_bytes(points)
    with pytest.raises(CaptureError, match=r"damaged or cut off: points3D\.bin has"):
        read_model(tmp_path)


def test_models_that_colmap_trips_over_are_refused(synthetic: Path, tmp_path: Path) -> None:
    for file in (synthetic / "binary").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    images = (tmp_path / "images.bin").read_bytes()
    name = read_model(tmp_path).names[0].encode()
    (tmp_path / "images.bin").write_bytes(images.replace(name, b"\xf0" + name[1:]))
    with pytest.raises(CaptureError, match=r"cannot be read \('utf-8' codec"):
        read_model(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "images.bin").unlink()
    (tmp_path / "images.bin").symlink_to(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="found a pipe"):
        read_model(tmp_path)
