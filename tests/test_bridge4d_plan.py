"""`bridge4d measure --plan`: how many clips a comparison needs, in words and for scripts."""

import json
import re
import sys
from pathlib import Path

import pytest

from bridge4d.cli import main
from bridge4d.command_line.exit_status import BAD_INPUT
from bridge4d.planning.plan import make_plan, plan_text
from bridge4d.planning.plan_options import PlanOptions
from eval.stats.power import fisher_power, mcnemar_power
from eval.stats.sample_sizes import wilson_half_width

ROOT = Path(__file__).resolve().parents[1]


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["bridge4d", "measure", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_plan_for_scripts_holds_what_its_tests_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--plan --difference 0.2 0.3 --base-rate 0.6 --json", monkeypatch) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["base_rate"], plan["level"], plan["power"]) == (0.6, 0.05, 0.8)
    assert [row["difference"] for row in plan["differences"]] == [0.2, 0.3]
    row = plan["differences"][0]
    n = row["clips_each"]
    assert row["rate"] == 0.4
    assert fisher_power(n - 1, n - 1, 0.4, 0.6, 0.05) < 0.8 <= fisher_power(n, n, 0.4, 0.6, 0.05)
    assert wilson_half_width(0.6, row["clips_half_width"]) <= 0.2
    apart, alike = row["pairs"]
    assert (apart["correlation"], alike["correlation"]) == (0, 0.5)
    assert apart["discordant"] == pytest.approx(0.6 * 0.6 + 0.4 * 0.4)
    for pair in (apart, alike):
        only_control = (pair["discordant"] + 0.2) / 2
        power = mcnemar_power(pair["pairs"], pair["discordant"] - only_control, only_control, 0.05)
        assert 0.8 <= power < 0.83


def test_a_plan_for_people_is_a_small_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--plan --base-rate 0.6", monkeypatch) == 0
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if line.strip().startswith("10 points")]
    assert line.split() == ["10", "points", "50%", "60%", "404", "408", "211", "89"]
    assert len(text.splitlines()) < 24
    (line,) = [line for line in text.splitlines() if line.strip().startswith("40 points")]
    assert "–" in line, "20% and 60% cannot be half correlated"
    assert text.rstrip().endswith("–: no pairs have these rates and this correlation or share")


def test_the_documents_table_is_what_the_command_says() -> None:
    plan = make_plan(PlanOptions(plan=True, base_rate=0.6))
    text = (ROOT / "docs/measure.md").read_text()
    rows = re.findall(r"^\| (\d+) points \|(.*)\|$", text, re.MULTILINE)
    assert len(rows) == 4
    for points, cells in rows:
        (row,) = [row for row in plan.differences if round(100 * row.difference) == int(points)]
        assert [int(cell) for cell in cells.split("|")] == [
            row.clips_each,
            *(pair.pairs for pair in row.pairs),
            row.clips_half_width,
        ]


def test_a_share_of_discordant_pairs_and_many_comparisons() -> None:
    one = make_plan(PlanOptions(plan=True, difference=(0.1,), discordant=0.3)).differences[0]
    many = make_plan(PlanOptions(plan=True, difference=(0.1,), discordant=0.3, comparisons=45)).differences[0]
    (pair,) = one.pairs
    assert pair.pairs is not None
    assert mcnemar_power(pair.pairs, 0.1, 0.2, 0.05) >= 0.8
    assert (pair.discordant, pair.correlation) == (0.3, None)
    assert many.clips_each > 2 * one.clips_each
    assert many.clips_half_width == one.clips_half_width, "an interval is not corrected"
    low = make_plan(PlanOptions(plan=True, difference=(0.1,), base_rate=0.1)).differences[0]
    assert low.rate == pytest.approx(0.2), "there is more room above"
    assert "0.11% (5% over 45 comparisons)" in plan_text(make_plan(PlanOptions(plan=True, comparisons=45)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--plan --difference 10", "expected --difference from 0.01 to 1 (0.1 is ten points), got 10"),
        ("--plan --difference 0.7", "expected --difference of at most 0.5 beside --base-rate 0.5, got 0.7"),
        ("--plan --difference 0.1 far", "expected a number after --difference, got 'far'"),
        ("--plan --base-rate nan", "expected --base-rate from 0 to 1 (0.6 is 60%), got nan"),
        ("--plan --comparisons 0", "expected --comparisons from 1 to 1,000,000, got 0"),
        (f"--plan --comparisons 1{320 * '0'}", "expected --comparisons from 1 to 1,000,000, got 1000"),
        ("--plan --correlation 0.1 --discordant 0.2", "expected one of them, got both"),
        ("--plan --difference 0.1 --discordant 0.05", "got 0.05 for a difference of 0.1"),
        ("--plan clips", "expected neither CLIPS nor --model nor --out nor"),
        ("clips --out r --base-rate 0.5", "--base-rate belongs to a plan: give --plan too"),
        ("--out r", "bridge4d measure needs CLIPS; bridge4d measure --help shows how it is called"),
        ("clips", "bridge4d measure needs --out; bridge4d measure --help shows how it is called"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(
    line: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line, monkeypatch) == BAD_INPUT
    assert said in " ".join(capsys.readouterr().err.split())
