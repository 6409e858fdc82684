"""Recompute the tables of a measurement's report from the stored results of its clips, and compare."""

import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from bridge4d.measuring.build_report import build_report, compare_known_lenses
from bridge4d.measuring.check_options import check_options
from bridge4d.measuring.checking.differences import NOTHING, Difference, find_differences
from bridge4d.measuring.checking.stored_clips import match_clips
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.measuring.witness import read_witnesses
from bridge4d.runs.fingerprints import measuring_versions
from bridge4d.runs.stored_json import DamagedFileError, read_object
from bridge4d.runs.typed_json import misfit, understood
from eval.judging.rules import choose_rules
from eval.report.measure.page import write_clips_csv, write_table_tex
from eval.results.measure import PROTOCOL, MeasureReport, PoseWitness
from eval.results.reading import clean, read_report, to_json
from recon.bounded import read_bytes
from recon.bounded.files import LARGEST_TEXT
from recon.errors import BridgeError
from recon.words import count_noun

REPORT = "report.json"
TABLES = {
    "leaderboard": ("models",),
    "control": ("control",),
    "definitions": ("rules", "errors", "consistency", "published"),
    "settings": ("seed", "departures"),
}
"""Parts of a report that are recomputed, by what a person calls them."""
FILES = {"table.tex": write_table_tex, "clips.csv": write_clips_csv}
"""Tables beside the report that are written again."""
MAX_SHOWN = 20
"""Differences of one table that are printed; --json has all."""


@dataclass(frozen=True)
class CheckedTable:
    compared: int
    """Values."""
    differences: list[Difference]


@dataclass(frozen=True)
class ReportCheck:
    """What agrees in a report, and what does not."""

    report: str
    protocol: str
    """As the report states it; '' where it states none."""
    tables: dict[str, CheckedTable]
    remarks: list[str]
    """What a reader must know of a difference, in sentences."""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not any(table.differences for table in self.tables.values())


def check_report(path: Path) -> ReportCheck:
    """Recompute a report by the functions that build reports, from what its run stored of each clip; videos are not read.

    Args:
        path: A run folder, or the ``report.json`` in it.

    Raises:
        BridgeError: no report there, or one that is damaged or of another schema.
    """
    file = path / REPORT if path.is_dir() else path
    if not file.is_file():
        raise BridgeError(
            f"expected a run folder of bridge4d measure or its {REPORT}, but there is no file {file}"
        )
    if file.suffix != ".json":
        raise BridgeError(f"expected a run folder of bridge4d measure or its {REPORT}, got {file}")
    # `report` and the stored results are cleaned too
    stated = clean(read_object(file, "schema", "clips", "models", "control"))
    report = read_report(MeasureReport, stated)
    options = _read_options(file, report.settings)
    said = stated["clips"] if isinstance(stated["clips"], list) else []
    with understood(file, "its clips do not fit its settings"):
        matched = match_clips(report, said, file.parent)
        again = build_report(
            matched.clips,
            options,
            control=report.control.model,
            lens_remark=compare_known_lenses(matched.clips, report.control.model),
            skipped=[],
            command="",
        )
        again = replace(again, witnesses=_read_witnesses(report, file.parent))
        tables = {
            "protocol": _compare(stated, to_json(again), ("protocol",)),
            "clips": CheckedTable(matched.compared, matched.differences),
            **{name: _compare(stated, to_json(again), parts) for name, parts in TABLES.items()},
        }
        if report.witnesses or again.witnesses:
            tables["witness"] = _compare(stated, to_json(again), ("witnesses",))
        tables["settings"] = _add_asked(tables["settings"], report.settings, file.parent / "run.json")
        tables |= {
            name: _compare_text(again, file.parent / name) for name in FILES if (file.parent / name).is_file()
        }
    return ReportCheck(str(file), report.protocol, tables, _list_remarks(report, matched.without_result))


def _read_witnesses(report: MeasureReport, run: Path) -> dict[str, PoseWitness]:
    """Stored witnesses of the report's clips, in its order; none where none was asked for this report."""
    if report.settings.get("witness") is None:
        return {}
    stored = read_witnesses(run)
    return {clip.name: stored[clip.name] for clip in report.clips if clip.name in stored}


def _read_options(file: Path, settings: dict[str, Any]) -> MeasureOptions:
    """The options behind a report's settings.

    Raises:
        BridgeError: settings that could not have been asked for.
    """
    hints, found = get_type_hints(MeasureOptions), {}
    for field in fields(MeasureOptions):
        value = settings.get(field.name, field.default)
        if isinstance(field.default, tuple):
            if why := misfit(value, list[str], field.name) if field.name in settings else "":
                raise DamagedFileError(file, why)
            value = tuple(value)
        elif field.name == "cameras":
            value = None if value is None else Path(str(value))
        elif field.name in settings and (why := misfit(value, hints[field.name], field.name)):
            raise DamagedFileError(file, why)
        found[field.name] = value
    options = MeasureOptions(**found)
    check_options(options)
    choose_rules(options.rules)
    return options


def _compare(stated: dict[str, Any], again: dict[str, Any], parts: tuple[str, ...]) -> CheckedTable:
    count, differences = 0, []
    for part in parts:
        one, other = stated.get(part, NOTHING), again[part]
        compared, unlike = find_differences(one, other, part)
        count, differences = count + compared, differences + unlike
        if isinstance(one, dict) and set(one) == set(other) and list(one) != list(other):
            differences.append(Difference(f"{part} (their order)", ", ".join(one), ", ".join(other)))
    return CheckedTable(count, differences)


def _add_asked(table: CheckedTable, settings: dict[str, Any], file: Path) -> CheckedTable:
    """With the settings of a report beside the options that its run noted."""
    if not file.is_file():
        return table
    compared, unlike = find_differences(settings, read_object(file, "options")["options"], "settings")
    return CheckedTable(table.compared + compared, table.differences + unlike)


def _compare_text(again: MeasureReport, file: Path) -> CheckedTable:
    """Compare a table's file with a new one, line by line."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / file.name
        FILES[file.name](again, fresh)
        expected = fresh.read_text(encoding="utf-8").splitlines()
    try:
        found = read_bytes(file, most=LARGEST_TEXT).decode(errors="replace").splitlines()
    except BridgeError as error:  # larger than any that is written
        return CheckedTable(1, [Difference(file.name, str(error), f"{len(expected)} lines")])
    lines = max(len(found), len(expected))
    pairs = [[text[i] if i < len(text) else NOTHING for i in range(lines)] for text in (found, expected)]
    differences = [
        Difference(f"{file.name}, line {i}", one, other)
        for i, (one, other) in enumerate(zip(*pairs, strict=True), start=1)
        if one != other
    ]
    return CheckedTable(lines, differences)


def _list_remarks(report: MeasureReport, without_result: int) -> list[str]:
    remarks = ["report.html, the strips of frames and the videos were not looked at."]
    if report.protocol != PROTOCOL:
        remarks.append(
            f"The report is by {f'the {report.protocol}' if report.protocol else 'no protocol that it names'}, this version "
            f"of bridge4d by the {PROTOCOL}: other figures are to be expected."
        )
    others = {
        name: version
        for name, version in measuring_versions().items()
        if report.versions.get(name) != version
    }
    if others:
        listed = ", ".join(f"{name} {report.versions.get(name, '–')}" for name in others)
        remarks.append(f"It was made with other versions than are installed ({listed}).")
    if without_result:
        remarks.append(
            f"{count_noun(without_result, 'clip')} could not be measured or {'was' if without_result == 1 else 'were'} given "
            "up: the report alone says so, nothing is stored of them."
        )
    return remarks


def check_text(check: ReportCheck) -> str:
    """A check as lines for a terminal."""
    lines = [f"{check.report}: {check.protocol or 'no protocol'}", ""]
    for name, table in check.tables.items():
        unlike = len(table.differences)
        values = count_noun(table.compared, "line" if name in FILES else "value")
        lines.append(
            f"  {name:<12} {values}, "
            + (f"{unlike} DIFFER{'S' if unlike == 1 else ''}" if unlike else "all agree")
        )
        lines += [
            f"    {one.where}: stated {_short(one.stated)}, recomputed {_short(one.recomputed)}"
            for one in table.differences[:MAX_SHOWN]
        ]
        if unlike > MAX_SHOWN:
            lines.append(f"    and {unlike - MAX_SHOWN} more (--json lists all)")
    lines += ["", *check.remarks]
    lines.append(
        "The report is what its clips' results give."
        if check.agrees
        else "The report is NOT what its clips' results give."
    )
    return clean("\n".join(lines))  # a report may hold what a terminal obeys


def _short(value: Any) -> str:
    """A value in one line of 80 letters."""
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else text[:79] + "…"
