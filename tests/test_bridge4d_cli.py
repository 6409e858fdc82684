"""The command line: help, and bad input of every kind ends in one clear sentence and a non-zero status."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from bridge4d.augmenting.options import QUALITIES, AugmentOptions, quality_options
from bridge4d.cli import COMMANDS, main, parse
from bridge4d.command_line.arguments import check_arguments
from bridge4d.command_line.exit_status import BAD_INPUT, INTERRUPTED, NO_RECONSTRUCTION
from bridge4d.commands.augment import Augment
from bridge4d.exporting.targets import name_targets

BRIDGE4D = [sys.executable, "-m", "bridge4d"]
SMALL = [
    "--model",
    "warp",
    "--views",
    "4",
    "--max-side",
    "96",
    "--sfm-side",
    "320",
    "--iterations",
    "20",
    "--novel",
    "2",
    "--rounds",
    "1",
]


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process: a new one takes 2 s to load its packages."""
    line = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    status: str | int | None = 0
    with (
        mock.patch.object(sys, "argv", ["bridge4d", *line]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    return subprocess.CompletedProcess(line, int(status or 0), out.getvalue(), err.getvalue())


def call_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process of its own."""
    return subprocess.run(
        [*BRIDGE4D, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )


def sentence(done: subprocess.CompletedProcess[str], status: int = BAD_INPUT) -> str:
    """The one error line of a failed call; no traceback, the expected status."""
    assert done.returncode == status, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    return errors[0]


def picture(path: Path, seed: int, *, width: int = 160, height: int = 120) -> None:
    """Smooth noise: features enough, nothing in common with another seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=95)


def test_help_names_every_command() -> None:
    done = call_process("--help")
    assert done.returncode == 0
    for command in ("augment", "reconstruct", "view", "sample", "models", "doctor"):
        assert command in done.stdout
    assert len(done.stdout.splitlines()) < 20


def test_a_misspelt_command_is_one_sentence() -> None:
    said = sentence(call("exprt", "scene.ply"))
    assert "did you mean bridge4d export?" in said


def test_augment_help_shows_how_it_is_called() -> None:
    done = call("augment", "--help")
    assert "bridge4d augment photos/ --out" in done.stdout
    assert "--views" in done.stdout


def test_models_and_doctor_speak_json() -> None:
    models = json.loads(call("models", "--json").stdout)
    assert {"warp", "splat", "synthetic"} <= {model["name"] for model in models}
    assert "torch" in json.loads(call("doctor", "--json").stdout)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "there is nothing" in sentence(
        call_process("augment", tmp_path / "none", "--out", tmp_path / "run")
    )


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "photos" in sentence(call("augment", tmp_path / "photos", "--out", tmp_path / "run"))


def test_one_photo(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture(tmp_path / "photos" / "a.jpg", 0)
    sentence(call("augment", tmp_path / "photos", "--out", tmp_path / "run"))


def test_two_identical_photos(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture(tmp_path / "photos" / "a.png", 0)
    shutil.copy(tmp_path / "photos" / "a.png", tmp_path / "photos" / "b.png")
    sentence(call("augment", tmp_path / "photos", "--out", tmp_path / "run"))


def test_all_black_photos(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.new("RGB", (160, 120 + 0 * i)).save(tmp_path / "photos" / f"{i}.png")
    assert "black" in sentence(call("augment", tmp_path / "photos", "--out", tmp_path / "run"))


@pytest.mark.parametrize("command", ["augment", "measure"])
def test_pictures_from_elsewhere_are_refused_with_the_flag_that_allows_them(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    for i in range(4):
        picture(tmp_path / f"{i}.jpg", i)
        (tmp_path / "given" / f"{i}.jpg").symlink_to(tmp_path / f"{i}.jpg")
    (tmp_path / "clips.csv").write_text("clip\n../clips\n")
    (tmp_path / "clips.csv").rename(tmp_path / "given" / "clips.csv")
    (tmp_path / "clips").mkdir()
    given = tmp_path / "given" / ("clips.csv" if command == "measure" else "")
    said = sentence(call(command, given, "--out", tmp_path / "run"))
    assert "outside of" in said
    assert "--allow-outside" in said
    assert ("0.jpg" if command == "augment" else "../clips") in said
    assert "--allow-outside" in call(command, "--help").stdout


def test_photos_without_overlap_end_in_a_report(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(4):
        picture(tmp_path / "photos" / f"{i}.jpg", i)
    done = call("augment", tmp_path / "photos", "--out", tmp_path / "run", *SMALL)
    assert "COLMAP could not reconstruct" in sentence(done, NO_RECONSTRUCTION)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["status"] == "no-reconstruction"
    assert report["heldout"]["psnr"] is None
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_a_truncated_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    sentence(call("augment", tmp_path / "clip.mp4", "--out", tmp_path / "run"))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [("nan", "NaN"), ("mirror", "left-handed"), ("size", "640")],
)
def test_cameras_that_are_none(tmp_path: Path, damage: str, expected: str) -> None:
    frames = []
    for i in range(4):
        picture(tmp_path / f"{i}.jpg", i)
        matrix = np.eye(4)
        matrix[0, 3] = i
        frames.append({"file_path": f"{i}.jpg", "transform_matrix": matrix.tolist()})
    shared = {"fl_x": 150.0, "fl_y": 150.0, "cx": 80.0, "cy": 60.0, "w": 160, "h": 120}
    if damage == "nan":
        frames[2]["transform_matrix"][1][3] = float("nan")
    elif damage == "mirror":
        frames[2]["transform_matrix"][0][0] = -1.0
    else:
        shared |= {"w": 640, "h": 200}
    (tmp_path / "transforms.json").write_text(json.dumps(shared | {"frames": frames}))
    assert expected in sentence(call("augment", tmp_path, "--out", tmp_path / "run"))


def test_an_output_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    assert "thesis.tex" in sentence(call("augment", tmp_path / "photos", "--out", tmp_path / "out"))
    assert (tmp_path / "out" / "thesis.tex").read_text() == "precious"


def test_an_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    sentence(call("augment", tmp_path / "photos", "--out", "/proc/bridge4d-run"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root"
)
def test_a_full_disk(tmp_path: Path, room_photos: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let tests mount a small disk")
    try:
        assert "no space left" in sentence(
            call_process("augment", room_photos, "--out", small / "run", *SMALL)
        )
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_options_out_of_range() -> None:
    assert "--views" in sentence(call("augment", "photos", "--out", "run", "--views", "1"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "augment p --out r --max-sid 3",
            "bridge4d augment has no option --max-sid; did you mean --max-side?",
        ),
        ("augment p --out r --max-rotaton-deg=3", "did you mean --max-rotation-deg?"),
        ("augment p --out r --no-weigh-by-confidense", "did you mean --no-weigh-by-confidence?"),
        ("render a.ply --to x.mp4 --widht 3", "bridge4d render has no option --widht; did you mean --width?"),
        ("measure p --out r --engine ray", "has no option --engine; it is called --executor now"),
        ("models --zzzzzz", "bridge4d models has no option --zzzzzz; bridge4d models --help lists them"),
        ("augment p --out r --max-side abc", "expected a whole number after --max-side, got 'abc'"),
        ("augment p --out r --max_side 1.5", "expected a whole number after --max-side, got '1.5'"),
        ("augment p --out r --support=abc", "expected a number after --support, got 'abc'"),
        ("render a.ply --to x.mp4 --width big", "expected a whole number after --width, got 'big'"),
        ("augment p --out r --max-side", "expected a value after --max-side, got none"),
        ("augment p --out --views 3", "expected a value after --out, got none"),
        (
            "augment p --out r --protocol known-pose",
            "expected --protocol auto, known-poses, from-scratch, got 'known-pose'; did you mean known-poses?",
        ),
        ("measure clips", "bridge4d measure needs --out; bridge4d measure --help shows how it is called"),
        ("measure p --out r --rules cosmoss", "got 'cosmoss'; did you mean cosmos?"),
        ("augment p --out r --model wrap", "got 'wrap'; did you mean warp?"),
        (
            "augment p --out r --quality hihg",
            "expected --quality draft, standard, high, got 'hihg'; did you mean high?",
        ),
    ],
)
def test_mistyped_options_are_one_sentence_with_the_nearest_name(
    arguments: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bridge4d", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == BAD_INPUT
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_quality_sets_sizes_and_lengths_that_are_not_stated() -> None:
    def options_of(*words: str):
        command = parse("augment", ["photos", "--out", "run", *words])
        assert isinstance(command, Augment)
        return command.loop

    assert options_of() == options_of("--quality", "draft") == AugmentOptions()
    standard = options_of("--quality=standard")
    assert (standard.max_side, standard.sfm_side) == (1600, 1600)
    assert standard.longest > AugmentOptions().longest
    assert standard.iterations is None, "still chosen"
    assert standard.baselines == "none", "fits take most of the time there"
    expected = AugmentOptions(**quality_options("standard") | {"max_side": 900})
    for words in (
        ("--max-side", "900", "--quality", "standard"),
        ("--quality", "standard", "--max-side=900"),
    ):
        assert options_of(*words) == expected, "what is stated wins, wherever it stands"
    longest = [quality_options(quality, gpu=True)["longest"] for quality in QUALITIES]
    assert longest == [800, 30_000, 30_000]


def test_every_option_that_there_is_may_be_given() -> None:
    """Negative numbers, lists, switches, underscores and values that look like nothing else."""
    for arguments in (
        "export a b --to c.ply d.ply --box -1 -1 -1 1 1 1 --no-check",
        "augment p --out r --max_side 640 --weigh-by-confidence --start None",
        "measure p --out=r --rules share@90 cosmos --frames None --every 2",
        "render a --to x.mp4 --at -1.5 --json",
        "augment --help --nonsense",
    ):
        name, *given = arguments.split()
        check_arguments(name, COMMANDS[name], given)


def test_an_unknown_model(tmp_path: Path, room_photos: Path) -> None:
    said = sentence(call("augment", room_photos, "--out", tmp_path / "run", "--model", "wrap"))
    assert "warp" in said
    assert not (tmp_path / "run" / "splats").exists(), "a typo is answered before the long work"


def test_interrupted_and_continued_gives_the_same_result(tmp_path: Path, room_photos: Path) -> None:
    arguments = [*BRIDGE4D, "augment", str(room_photos), *SMALL, "--out", str(tmp_path / "a")]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "sfm").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == INTERRUPTED, said
    assert re.search(r"start the same command again", said)
    assert "Traceback" not in said
    assert re.search(r"interrupted after \d+ s", said)
    assert not re.search(r"splats/photos_only \d+ s", said)
    again, whole = (call("augment", room_photos, *SMALL, "--out", tmp_path / run) for run in "ab")
    assert again.returncode == 0, again.stderr
    assert "sfm: done before, kept" in again.stderr
    assert whole.returncode == 0, whole.stderr
    assert (tmp_path / "a/exports/scene.ply").read_bytes() == (tmp_path / "b/exports/scene.ply").read_bytes()
    reports = [json.loads((tmp_path / run / "report.json").read_text()) for run in "ab"]
    for report in reports:
        del report["stages"], report["command"], report["sfm"]["seconds"]
    assert reports[0] == reports[1]


def test_a_file_that_will_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.spz").write_bytes(b"")
    named = name_targets([tmp_path / "a.spz", tmp_path / "b.spz", tmp_path])
    assert named == f"{tmp_path}/a.spz (replaces the one that is there), {tmp_path}/b.spz, {tmp_path}"


def test_an_interrupt_that_python_wraps_is_an_interrupt_and_no_other_error_is() -> None:
    from bridge4d.cli import comes_from_interrupt

    def caught(kind: type[Exception], cause: BaseException) -> Exception:
        try:
            raise kind("Error calling __set_name__") from cause
        except Exception as error:
            return error

    assert comes_from_interrupt(caught(RuntimeError, KeyboardInterrupt()))
    assert not comes_from_interrupt(caught(RuntimeError, OSError("no such file")))
    assert not comes_from_interrupt(caught(OSError, KeyboardInterrupt()))  # a failed clean-up is told
