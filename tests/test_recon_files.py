"""Files appear whole or not at all."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge4d.runs.run import open_run
from recon.compute.files import atomic_folder, atomic_write, hash_file, open_regular, require_regular
from recon.errors import BridgeError, RunFolderError


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "scene.ply"
    with atomic_write(path) as beside:
        assert beside.parent == tmp_path  # a rename from another disk would copy
        beside.write_text("half")
        assert not path.exists()
        beside.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_it_replaces_what_was_there(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("of before")
    with atomic_write(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "of before"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("written", [True, False])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, error, written):
    path = tmp_path / "report.json"
    path.write_text("of before")

    def fail() -> None:
        with atomic_write(path) as beside:
            if written:
                beside.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "of before"
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_cannot_be_put_in_place_nothing_is_left_beside(tmp_path):
    (tmp_path / "taken").mkdir()

    def write() -> None:
        with atomic_write(tmp_path / "taken") as beside:
            beside.write_text("whole")

    with pytest.raises(IsADirectoryError):
        write()
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_two_files_of_one_folder_are_written_at_a_time(tmp_path):
    with atomic_write(tmp_path / "a.npz") as a, atomic_write(tmp_path / "a.csv") as b:
        a.write_text("a")
        b.write_text("b")
    assert ((tmp_path / "a.npz").read_text(), (tmp_path / "a.csv").read_text()) == ("a", "b")


def test_what_a_kill_leaves_beside_is_gone_when_the_run_goes_on(tmp_path):
    """Also of the stage in work; whoever finds the folder in use clears nothing."""
    code = """
import os, signal, sys
from pathlib import Path
from bridge4d.runs.run import open_run
from bridge4d.runs.stored_json import write_json
from recon.compute.files import atomic_folder, atomic_write

def work(folder):
    with atomic_write(run.folder / "report.json") as beside:
        beside.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

with open_run(Path(sys.argv[1])) as run:
    write_json(run.folder / "run.json", {})
    run.stage("sfm", work, depends_on=1)
"""
    root = Path(__file__).resolve().parents[1]
    killed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*.part"))) == 2
    with open_run(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "run.json"}
        (tmp_path / ".being-written.1.part").touch()
        with pytest.raises(RunFolderError), open_run(tmp_path):
            pass
        assert (tmp_path / ".being-written.1.part").exists()


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with atomic_folder(target) as beside:
        (beside / "a").write_text("first")
        assert not target.exists()
    with contextlib.suppress(RuntimeError), atomic_folder(target) as beside:
        (beside / "b").write_text("never seen")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["a"]
    (target.parent / ".folder.part").mkdir()  # of a killed process
    (target.parent / ".folder.part" / "c").write_text("stale")
    with atomic_folder(target) as beside:
        (beside / "d").write_text("second")
    assert [p.name for p in target.iterdir()] == ["d"]
    assert [p.name for p in target.parent.iterdir()] == ["folder"]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would wait for ever."""
    file, pipe, link = tmp_path / "file", tmp_path / "pipe", tmp_path / "link"
    file.write_bytes(b"content")
    os.mkfifo(pipe)
    link.symlink_to(file)
    with open_regular(file) as stream:
        assert stream.read() == b"content"
    assert require_regular(link) == link
    assert hash_file(link) == hashlib.sha256(b"content").hexdigest()
    for path, kind in ((pipe, "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        for refused in (open_regular, require_regular, hash_file):
            with pytest.raises(BridgeError, match=f"expected a file at {path}, found {kind}"):
                refused(path)
    for refused in (open_regular, require_regular, hash_file):
        with pytest.raises(BridgeError, match="found a link"):
            refused(link, follow_links=False)
        with pytest.raises(FileNotFoundError):
            refused(tmp_path / "absent")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to tell which file is synced")
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch) -> None:
    """A power cut after the rename must not leave a name with nothing behind it."""
    events: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def watched_replace(source, target) -> None:
        events.append(("rename", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    with atomic_write(tmp_path / "a.json") as beside:
        beside.write_text("{}")
    assert events == [("sync", beside.name), ("rename", "a.json"), ("sync", tmp_path.name)]
    events.clear()
    with atomic_folder(tmp_path / "stage") as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "scene.ply").write_text("ply")
    assert events[-2:] == [("rename", "stage"), ("sync", tmp_path.name)]
    assert {name for _, name in events[:-2]} == {"scene.ply", "inside", ".stage.part"}


def test_a_folder_that_was_not_written_leaves_no_empty_ones_above(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for target in (tmp_path / "a" / "b" / "c", tmp_path / "kept" / "d"):
        with contextlib.suppress(RuntimeError), atomic_folder(target):
            raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]
