"""`bridge4d measure --check`: a report that was left alone agrees with its run, and every edit is named."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_and_resume import write_room_clips
from bridge4d.cli import main
from bridge4d.command_line.exit_status import BAD_INPUT, DIFFERS
from bridge4d.measuring.checking.check_report import ReportCheck, check_report, check_text
from bridge4d.measuring.checking.differences import find_differences
from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.results.measure import PROTOCOL
from recon.bounded.files import LARGEST_TEXT
from recon.errors import BridgeError


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two real clips, two generated ones and one that cannot be read; the clips are gone."""
    folder = tmp_path_factory.mktemp("checked")
    clips = write_room_clips(folder / "clips", frames=8, width=160, height=112)
    for name in ("walk", "noise"):
        shutil.copytree(clips / name, clips / f"{name}2")
    shutil.copytree(clips / "noise", clips / "be\aep")  # a name that a terminal would obey
    (clips / "broken.mp4").write_bytes(b"\0" * 3000)
    rows = ["walk,real", "walk2,real", "exchanged,gen", "noise2,gen", "noise,gen", "broken.mp4,gen"]
    rows += ["be\aep,o\add"]
    (clips / "clips.csv").write_text("\n".join(["clip,model", *rows]) + "\n")
    options = MeasureOptions(
        control="real", rules=("share@90", "follows@15"), metrics="none", workers=1, max_side=320
    )
    measure_clips(clips / "clips.csv", folder / "run", options)
    shutil.rmtree(clips)
    return folder / "run"


@pytest.fixture
def run(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "run"))


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    """Change what a JSON file holds, in place or by what the change returns."""
    content = json.loads(file.read_text())
    changed = change(content)
    file.write_text(json.dumps(content if changed is None else changed))


def named(check: ReportCheck) -> dict[str, list[str]]:
    """Where what differs, by table; tables that agree are left out."""
    return {name: [one.where for one in t.differences] for name, t in check.tables.items() if t.differences}


def result_of(run: Path, name: str) -> Path:
    (file,) = run.glob(f"clips/*__{name}/result.json")
    return file


def test_a_report_that_was_left_alone_agrees(
    measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(*line: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bridge4d", "measure", *line])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert status("--check", str(measured)) == 0
    said = capsys.readouterr().out
    assert said.endswith("The report is what its clips' results give.\n")
    assert "1 clip could not be measured or was given up" in said
    assert status("--check", str(measured / "report.json"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["agrees"], found["protocol"]) == (True, PROTOCOL)
    assert found["tables"]["leaderboard"]["compared"] > 300
    assert found["tables"]["control"]["compared"] > 100
    assert set(found["tables"]) >= {"clips", "definitions", "settings", "table.tex", "clips.csv"}
    assert status("--check", str(measured), "--out", "x") == BAD_INPUT
    assert status("--check", str(measured), "--plan") == BAD_INPUT


def test_an_edited_rate_is_named_with_both_values(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flatter(report: dict[str, Any]) -> None:
        report["models"]["gen"]["rules"]["share@90"]["rate"] = 0.75

    edit(run / "report.json", flatter)
    monkeypatch.setattr(sys, "argv", ["bridge4d", "measure", "--check", str(run)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == DIFFERS
    said = capsys.readouterr().out
    assert "models.gen.rules.share@90.rate: stated 0.75, recomputed 0.3333333333333333" in said
    assert "1 DIFFERS" in said
    assert "NOT what its clips' results give" in said
    assert named(check_report(run)) == {"leaderboard": ["models.gen.rules.share@90.rate"]}


def test_an_edited_result_of_a_clip_is_named(run: Path) -> None:
    def flatter(stored: dict[str, Any]) -> None:
        stored["result"]["registered"] = 8

    edit(result_of(run, "noise"), flatter)
    found = named(check_report(run))
    assert "clips.gen/noise.registered" in found["clips"]
    assert "clips/gen__noise/result.json" in found["clips"], "its fingerprint is not that of what was written"
    assert "models.gen.registered_share.mean" in found["leaderboard"]


def test_a_result_that_was_edited_in_both_places_is_named_by_its_fingerprint(run: Path) -> None:
    def flatter(result: dict[str, Any]) -> None:
        result["verdicts"]["share@90"] |= {"success": True, "share": 1.0}

    edit(result_of(run, "noise"), lambda stored: flatter(stored["result"]))
    edit(
        run / "report.json",
        lambda report: flatter(next(clip for clip in report["clips"] if clip["name"] == "gen/noise")),
    )
    found = named(check_report(run))
    assert found["clips"] == ["clips/gen__noise/result.json"]
    assert "models.gen.rules.share@90.rate" in found["leaderboard"]
    assert "control.comparisons.gen.rule:share@90.p_value" in found["control"]
    assert any(where.startswith("clips.csv, line") for where in found["clips.csv"])


def test_missing_and_added_clips_are_named(run: Path) -> None:
    def drop(report: dict[str, Any]) -> None:
        report["clips"] = [clip for clip in report["clips"] if clip["name"] != "gen/noise"]

    shutil.rmtree(result_of(run, "walk2").parent)
    found = check_report(run)
    assert named(found) == {"clips": ["clips.real/walk2"]}
    assert "stated a measured clip, recomputed no stored result" in check_text(found)
    edit(run / "report.json", drop)
    found = check_report(run)
    assert set(named(found)["clips"]) == {"clips.real/walk2", "clips.gen/noise"}
    assert "clips.gen/noise: stated nothing, recomputed a stored result" in check_text(found)
    assert "models.gen.n" in named(found)["leaderboard"]


def test_a_result_of_an_earlier_version_is_not_called_damaged(run: Path) -> None:
    def forget(stored: dict[str, Any]) -> None:
        del stored["result"]["pose_choice"]

    edit(result_of(run, "walk"), forget)
    said = check_text(check_report(run))
    assert "of another version of bridge4d: pose_choice is missing" in said
    edit(result_of(run, "walk"), lambda stored: stored["result"].update(frames="many"))
    assert "damaged: frames is no int" in check_text(check_report(run))


def test_a_second_result_of_a_clip_is_named(run: Path) -> None:
    shutil.copytree(result_of(run, "walk").parent, run / "clips" / "z")
    assert named(check_report(run))["clips"] == ["clips/z/result.json"]


def test_neither_endless_tables_nor_pipes_are_read(run: Path) -> None:
    with (run / "clips.csv").open("ab") as file:
        file.truncate(LARGEST_TEXT + 1)
    stored = result_of(run, "walk")
    stored.unlink()
    os.mkfifo(stored)
    found = check_report(run)
    assert named(found)["clips.csv"] == ["clips.csv"]
    assert "MiB" in found.tables["clips.csv"].differences[0].stated
    assert "clips/real__walk/result.json" in named(found)["clips"]


def test_a_clip_that_is_said_to_be_unreadable_and_was_measured_is_named(run: Path) -> None:
    def excuse(report: dict[str, Any]) -> None:
        (clip,) = [clip for clip in report["clips"] if clip["name"] == "gen/noise"]
        clip["failed"] = "cannot be read"

    edit(run / "report.json", excuse)
    assert "clips.gen/noise.failed" in named(check_report(run))["clips"]


@pytest.mark.parametrize("stated", ["bridge4d pose-recovery protocol 0.9", None])
def test_a_report_of_another_protocol_is_named(run: Path, stated: str | None) -> None:
    def older(report: dict[str, Any]) -> None:
        report["protocol"] = stated
        if stated is None:
            del report["protocol"]

    edit(run / "report.json", older)
    found = check_report(run)
    assert named(found)["protocol"] == ["protocol"]
    (remark,) = [remark for remark in found.remarks if PROTOCOL in remark]
    assert (stated or "no protocol that it names") in remark
    assert "other figures are to be expected" in remark


def test_settings_that_were_edited_are_named(run: Path) -> None:
    def hide(report: dict[str, Any]) -> None:
        report["settings"]["max_side"] = 640
        report["departures"] = []

    edit(run / "report.json", hide)
    found = named(check_report(run))
    assert found["settings"] == ["settings.max_side"]
    edit(run / "report.json", lambda report: report.update(departures=["frames 3 instead of all"]))
    assert "departures" in named(check_report(run))["settings"]


def test_an_edited_table_is_named_by_its_line(run: Path) -> None:
    table = run / "table.tex"
    lines = table.read_text().splitlines()
    (row,) = [i for i, line in enumerate(lines) if line.strip().startswith("gen ")]
    lines[row] = lines[row].replace("33", "83")
    table.write_text("\n".join(lines) + "\n")
    assert named(check_report(run)) == {"table.tex": [f"table.tex, line {row + 1}"]}


def test_a_damaged_result_is_named_and_the_others_are_checked(run: Path) -> None:
    result_of(run, "noise").write_text("{")
    found = named(check_report(run))
    assert found["clips"] == ["clips/gen__noise/result.json", "clips.gen/noise"]
    (result_of(run, "walk").parent / "stage.json").unlink()
    assert "clips/real__walk/result.json" in named(check_report(run))["clips"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda report: [], "it has no schema"),
        (lambda report: {"schema": "bridge4d/measure/1"}, "it has no clips"),
        (lambda report: report | {"schema": "bridge4d/augment/1"}, "expected a report of schema"),
        (lambda report: report | {"settings": {"rules": 3}}, "rules is no list"),
        (lambda report: report | {"settings": {"rules": ["best"]}}, "expected rules out of"),
        (lambda report: report | {"settings": {"seed": -1}}, "expected --seed from 0"),
        (lambda report: report | {"settings": {"max_side": "wide"}}, "max_side is no int"),
        (
            lambda report: report | {"settings": {"rules": ["cosmos"]}},
            "its clips do not fit its settings",
        ),
    ],
)
def test_a_damaged_report_ends_in_one_sentence(run: Path, change: Callable[[Any], Any], said: str) -> None:
    edit(run / "report.json", change)
    with pytest.raises(BridgeError, match=said) as ended:
        check_report(run)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report | {"clips": 3},
        lambda report: report | {"clips": [None, {}, {"name": 7}, {"name": "real/walk", "verdicts": []}]},
        lambda report: report | {"models": [1, 2], "control": "real"},
        lambda report: report | {"control": {"model": "nobody"}},
        lambda report: report | {"clips": [*report["clips"], *report["clips"]]},
        lambda report: report | {"errors": None, "departures": {"a": 1}, "protocol": ["x"]},
    ],
)
def test_a_hostile_report_differs_or_ends_in_one_sentence(run: Path, change: Callable[[Any], Any]) -> None:
    edit(run / "report.json", change)
    with contextlib.suppress(BridgeError):
        assert not check_report(run).agrees


def test_text_that_a_terminal_would_obey_is_not_printed(run: Path) -> None:
    edit(run / "report.json", lambda report: report.update(departures=["\x1b[2Jall is well\udc80"]))
    text = check_text(check_report(run))
    assert "all is well" in text
    assert "\x1b" not in text
    assert text.encode()


@pytest.mark.parametrize("text", ["", "no json", "[" * 100_000, '{"schema": NaN'])
def test_what_is_no_json_ends_in_one_sentence(run: Path, text: str) -> None:
    (run / "report.json").write_text(text)
    with pytest.raises(BridgeError, match="damaged"):
        check_report(run)


def test_no_report_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BridgeError, match="expected a run folder of bridge4d measure"):
            check_report(path)


def test_differences_count_values_and_find_those_that_differ() -> None:
    one = {"a": [1.0, 2], "b": {"c": True}, "d": None}
    assert find_differences(one, {"a": [1.0 + 1e-12, 2], "b": {"c": True}, "d": None}, "r") == (4, [])
    count, unlike = find_differences(one, {"a": [1.0, 2.1], "b": {"c": 1}, "e": 0}, "r")
    assert count == 5
    assert {one.where for one in unlike} == {"r.a[1]", "r.b.c", "r.d", "r.e"}
    assert find_differences([1], [1, 2], "r")[1][0].where == "r"
