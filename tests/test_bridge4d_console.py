"""What people see of long work, with and without a terminal, and on terminals that print ASCII only."""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from bridge4d import console
from bridge4d.command_line.exit_status import BAD_INPUT
from recon.compute.progress import note, progress, report_everywhere, track, use_reporter

ROOT = Path(__file__).resolve().parents[1]


def reporter(**times: float) -> tuple[console.TerminalReporter, io.StringIO]:
    file = io.StringIO()
    return console.TerminalReporter(Console(file=file, soft_wrap=True, width=200), **times), file


def wait_for(file: io.StringIO, text: str) -> None:
    end = time.monotonic() + 20
    while text not in file.getvalue():
        assert time.monotonic() < end, file.getvalue()
        time.sleep(0.01)


def test_without_a_terminal_long_work_says_that_it_began_and_how_far_it_is() -> None:
    lines, file = reporter(patience_s=0.02, interval_s=0.05)
    with use_reporter(lines), progress("fitting splats", 800) as update:
        wait_for(file, "  fitting splats …\n")
        update(34, "loss 0.1")
        wait_for(file, "  fitting splats: 34/800 loss 0.1, 0 s so far\n")
        update(70, "")
        wait_for(file, "  fitting splats: 70/800, 0 s so far\n")


def test_without_a_terminal_each_piece_inside_another_is_told() -> None:
    lines, file = reporter(patience_s=0.02, interval_s=60.0)
    with use_reporter(lines), progress("sfm"):
        wait_for(file, "sfm …")
        with progress("matching"):
            wait_for(file, "matching …")
    assert file.getvalue().count("sfm") == 1


def test_short_work_is_not_worth_a_line() -> None:
    lines, file = reporter(patience_s=30.0)
    with use_reporter(lines):
        for _ in track(range(3), "reading photos"):
            pass
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt, "sfm interrupted after 5 s"),
        (ValueError, "sfm failed after 5 s"),
        (None, "sfm 5 s"),
    ],
)
def test_work_that_did_not_end_well_is_not_said_to_be_finished(
    error: type[BaseException] | None, said: str
) -> None:
    lines, file = reporter(patience_s=60.0)
    with contextlib.suppress(BaseException), use_reporter(lines), progress("sfm"):
        lines.pieces[0].began -= 5.0
        if error is not None:
            raise error
    assert file.getvalue() == f"  {said}\n"


def test_work_that_was_left_early_is_stopped() -> None:
    lines, file = reporter(patience_s=60.0)
    with use_reporter(lines):
        for _ in track(range(3), "rendering"):
            lines.pieces[0].began -= 5.0
            break
    assert file.getvalue() == "  rendering stopped after 5 s\n"


def test_nobody_talks_when_all_is_done() -> None:
    lines, file = reporter(patience_s=0.02, interval_s=0.02)
    with use_reporter(lines), progress("a"):
        wait_for(file, "a …")
    said = file.getvalue()
    time.sleep(0.2)
    assert file.getvalue() == said


def test_stages_are_pieces_of_work(tmp_path: Path) -> None:
    from bridge4d.runs.run import open_run

    lines, file = reporter(patience_s=0.02)
    with use_reporter(lines), open_run(tmp_path / "run") as run:
        run.stage("sfm", lambda folder: wait_for(file, "sfm …"), depends_on=1)


def test_one_line_shows_progress_in_a_script() -> None:
    code = "import bridge4d as b4; b4.show_progress(); from recon.compute.progress import note; note('three photos')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == "  three photos\n"


def test_a_block_may_still_report_elsewhere() -> None:
    everywhere, said = reporter()
    block, inside = reporter()
    quiet = type(everywhere)(Console(file=io.StringIO()))
    report_everywhere(everywhere)
    try:
        note("all")
        with use_reporter(block):
            note("block")
    finally:
        report_everywhere(quiet)
    assert (said.getvalue(), inside.getvalue()) == ("  all\n", "  block\n")


CALLS = {("--help",): 0, ("augment", "--help"): 0, ("models",): 0, ("exprt\N{MINUS SIGN}",): BAD_INPUT}
"""Arguments, and the status that each call ends with."""
CALL_ALL = """
import sys
from bridge4d.cli import main

for number, arguments in enumerate(eval(sys.argv.pop())):
    sys.argv = ["bridge4d", *arguments]
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code or 0
    print(f"call {number} ended with {status}")
"""


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-9"])
def test_terminals_without_the_characters_get_others(encoding: str) -> None:
    """All in one process, which takes 2 s to load its packages."""
    done = subprocess.run(
        [sys.executable, "-c", CALL_ALL, repr(list(CALLS))],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert b"Traceback" not in done.stderr
    said = (done.stdout + done.stderr).decode(encoding)
    for number, status in enumerate(CALLS.values()):
        assert f"call {number} ended with {status}\n" in said


def test_figures_keep_their_sign_in_ascii() -> None:
    code = "from bridge4d import console as c; c.print_whatever_the_terminal_can(); c.result('24.1 → 24.0 (−0.1 dB) é')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == b"24.1 -> 24.0 (-0.1 dB) ?\n"
