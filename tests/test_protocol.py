"""docs/protocol.md says what the code does: its constants, its version, its rules, and what reports state of it."""

import ast
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge4d.measuring.build_report import build_report, list_departures
from bridge4d.measuring.measure_options import MeasureOptions
from eval.judging.rules import RULES
from eval.paths.fault import PathFault
from eval.report.measure.page import summary_text, write_measure_report, write_table_tex
from eval.results.measure import PROTOCOL, PROTOCOL_VERSION
from eval.results.reading import to_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "protocol.md").read_text()
CONSTANT = re.compile(r"^\| (.+?) \| (.+?) \| `([\w.]+):([\w.]+)` \|$", re.MULTILINE)
SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
WITHOUT_TABLE = ("For a paper", "Versions of the protocol")
COMMON = {0.95, 0.5}
"""Numbers that are no constants of the code: 95% of intervals, a half."""


def constant(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("what", "value", "module", "name"), CONSTANT.findall(TEXT))
def test_constants_are_those_of_the_code(what: str, value: str, module: str, name: str) -> None:
    assert ast.literal_eval(value.strip("`")) == constant(module, name), what


def test_the_document_states_many_constants() -> None:
    """So that the test above cannot pass by finding nothing."""
    rows = [line for line in TEXT.splitlines() if re.search(r"`\w+(\.\w+)+:", line)]
    assert len(CONSTANT.findall(TEXT)) == len(rows) > 50


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_numbers_in_sentences_stand_in_the_tables(section: str) -> None:
    """Every number with a unit, per cent or decimals that a sentence states is a constant, or follows from one."""
    title, _, text = section.partition("\n")
    if title in WITHOUT_TABLE:
        return
    constants = {
        abs(float(value))
        for _, value, _, _ in CONSTANT.findall(TEXT)
        if re.fullmatch(r"-?[\d.]+", value.strip("`"))
    }
    prose = "\n".join(line for line in text.splitlines() if not CONSTANT.match(line))
    prose = re.sub(r"[\w`]*@\d+|`[^`]*`|\]\([^)]*\)", "", prose).replace(",000", "000")
    stated = [
        float(number.replace(",", "")) / (100 if unit == "%" else 1)
        for number, unit in re.findall(
            r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(%|°| px| rad| s\b| times| points)?", prose
        )
        if unit or "." in number or float(number.replace(",", "")) > 9
    ]
    unknown = [
        number
        for number in stated
        if not any(number == pytest.approx(known) for known in constants | COMMON | {180.0, 16384.0})
    ]
    assert unknown == []


def test_the_document_is_of_this_version_and_knows_every_rule_and_fault() -> None:
    assert TEXT.splitlines()[0].endswith(f"version {PROTOCOL_VERSION}")
    assert f"**{PROTOCOL}**" in TEXT
    assert f"\n| {PROTOCOL_VERSION} |" in TEXT
    assert not re.findall(rf"protocol (?!{re.escape(PROTOCOL_VERSION)})\d", TEXT), (
        "no other version in a sentence"
    )
    assert PROTOCOL in " ".join((DOCS / "measure.md").read_text().split())
    for rule in RULES:
        assert re.search(rf"^\|.*{re.escape(rule)}", TEXT, re.MULTILINE), rule
    for fault in PathFault:
        assert re.search(rf"^\|.*{re.escape(fault.value)}", TEXT, re.MULTILINE), fault


def test_settings_that_are_not_the_protocols_are_named() -> None:
    assert list_departures(MeasureOptions()) == []
    assert (
        list_departures(MeasureOptions(control="real", seed=5, workers=2, rules=("camco",), metrics="all"))
        == []
    )
    assert list_departures(MeasureOptions(max_side=320, frames=12, intrinsics="shared", trials=3)) == [
        "trials 3 instead of each rule's own",
        "intrinsics shared instead of auto",
        "max_side 320 instead of 640",
        "frames 12 instead of all",
    ]


def test_every_form_of_a_report_names_the_protocol(tmp_path: Path) -> None:
    def forms(options: MeasureOptions) -> list[str]:
        r = build_report([], options, control=None, lens_remark="", skipped=[], command="")
        write_measure_report(r, tmp_path, tmp_path / "r.html")
        write_table_tex(r, tmp_path / "t.tex")
        written = [(tmp_path / name).read_text() for name in ("r.html", "t.tex")]
        return [json.dumps(to_json(r)), summary_text(r), *written]

    for text in forms(MeasureOptions()):
        assert PROTOCOL in text
        assert "instead of 640" not in text
    *whole, tex = forms(MeasureOptions(max_side=320))
    for text in whole:
        assert PROTOCOL in text
        assert "max_side 320 instead of 640" in text
    comment, caption = (line for line in tex.splitlines() if PROTOCOL in line)
    assert comment.startswith("% Measured by the bridge4d")
    assert r"max\_side 320 instead of 640" in caption
