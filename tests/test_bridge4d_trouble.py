"""Whatever goes wrong ends in one sentence that is true, and the trace of a fault is kept."""

import errno
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge4d import cli
from bridge4d.command_line.exit_status import BAD_INPUT, FAULT
from bridge4d.commands.augment import Augment
from bridge4d.commands.export import Export
from bridge4d.commands.measure import Measure
from bridge4d.commands.mesh import Mesh
from bridge4d.commands.models import Models
from bridge4d.commands.render import Render
from bridge4d.trouble import is_out_of_memory, memory_sentence
from recon.compute.files import NotRegularError
from recon.errors import BridgeError


def allocation_error(allocate) -> BaseException:
    """What this machine really raises."""
    try:
        allocate()
    except (MemoryError, RuntimeError) as error:
        return error
    raise AssertionError("so much memory was there")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_ran_out_is_told(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_what_the_allocators_here_say_is_known() -> None:
    assert is_out_of_memory(allocation_error(lambda: torch.empty(2**48)))
    assert is_out_of_memory(allocation_error(lambda: np.empty(2**48)))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("expected tensors to be on one device; memory format was channels_last"),
        RuntimeError("CUDA driver version is insufficient for CUDA runtime version"),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("memory"),
    ],
)
def test_other_errors_are_not_called_memory(error: Exception, capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert not is_out_of_memory(error)
    cli.explain(error, Models())
    assert "not enough memory" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        Augment(Path("photos"), Path("run")),
        Measure(Path("clips"), Path("run")),
        Render(Path("a.ply"), (Path("a.mp4"),)),
        Mesh(Path("a.ply"), (Path("a.glb"),)),
        Export((Path("a.ply"),), ["b.spz"]),
    ],
    ids=lambda command: type(command).__name__,
)
def test_out_of_memory_names_options_that_the_command_has(command, capsys, monkeypatch) -> None:
    said = memory_sentence(command)
    named = {word.strip(",") for word in said.split() if word.startswith("--")}
    assert named
    monkeypatch.setattr(sys, "argv", ["bridge4d", type(command).__name__.lower(), "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().out
    assert not [flag for flag in named if f"{flag} " not in shown.replace("\n", " ")]


def test_a_command_without_such_options_names_none() -> None:
    assert not fields(Models)[0].name.startswith("max")
    assert "--" not in memory_sentence(Models())
    assert "--" not in memory_sentence(None)


def test_a_fault_is_one_sentence_and_its_trace_lies_in_the_run(tmp_path: Path, capsys) -> None:
    (tmp_path / ".lock").touch()

    def deep() -> None:
        raise ZeroDivisionError("three\nlines\nof it")

    with pytest.raises(ZeroDivisionError) as caught:
        deep()
    assert cli.explain(caught.value, Augment(Path("photos"), tmp_path)) == FAULT
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert "ZeroDivisionError: three lines of it" in said
    assert str(tmp_path / "error.txt") in said
    assert "in deep" in (tmp_path / "error.txt").read_text()


def test_elsewhere_the_trace_is_a_temporary_file(tmp_path: Path, capsys, monkeypatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "photos").mkdir()
    for command in (Augment(Path("photos"), tmp_path / "absent"), Models(), None):
        assert cli.explain(KeyError("sfm"), command) == FAULT
    assert len(list(tmp_path.glob("bridge4d-*.txt"))) == 3
    assert not (tmp_path / "absent").exists()
    said = capsys.readouterr().err
    assert all(str(file) in said for file in tmp_path.glob("*.txt"))


def test_the_trace_is_shown_where_it_is_asked_for(capsys, monkeypatch) -> None:
    monkeypatch.setenv("BRIDGE4D_TRACE", "1")
    assert cli.explain(BridgeError("too few photos"), Models()) == BAD_INPUT
    said = capsys.readouterr().err
    assert "recon.errors.BridgeError: too few photos" in said
    assert "error: too few photos" in said


def test_an_os_error_without_a_number_is_no_matter_of_the_disk(capsys, monkeypatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cli.explain(OSError("image file is truncated"), Models()) == FAULT
    assert cli.explain(NotRegularError("expected a file, there is a pipe"), Models()) == BAD_INPUT
    assert cli.explain(FileNotFoundError(errno.ENOENT, "No such file", "a.ply"), Models()) == BAD_INPUT


def test_faults_anywhere_in_a_command_are_caught(tmp_path: Path) -> None:
    code = (
        "import sys; from bridge4d import cli; from bridge4d.commands.models import Models\n"
        "def run(self): raise RecursionError('deep')\n"
        "Models.run = run; sys.argv = ['bridge4d', 'models']; cli.main()"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == FAULT
    assert "Traceback" not in done.stderr
    assert "RecursionError: deep" in done.stderr
    assert "in run" in next(tmp_path.glob("bridge4d-*.txt")).read_text()
