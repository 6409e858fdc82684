"""Measure clips: find them, measure each in a process of its own, sum up, report."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bridge4d.measuring.build_report import (
    build_report,
    compare_known_lenses,
    list_skipped,
    list_versions,
    options_to_json,
)
from bridge4d.measuring.check_options import check_options
from bridge4d.measuring.clip_models import find_models, print_models
from bridge4d.measuring.clip_task import ClipTask
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.measuring.measure_tasks import drop_damaged_results, measure_tasks, set_earlier_clips_aside
from bridge4d.measuring.witness import ask_witness, check_witness
from bridge4d.runs.fingerprints import measuring_versions
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import GENERATE, kind_of
from bridge4d.runs.run_folder import MEASURE as MEASURE_RUN
from bridge4d.runs.stored_json import write_json
from eval.judging.rules import choose_rules
from eval.report.measure.page import write_clips_csv, write_measure_report, write_table_tex
from eval.results.measure import AskedModel, MeasureReport
from eval.results.reading import to_json
from recon.errors import BridgeError
from recon.sfm.features.describe import require as require_features


@dataclass(frozen=True)
class MeasureResult:
    """A finished measurement and the files it wrote."""

    report: MeasureReport
    run: Path
    report_html: Path
    clips_csv: Path
    table_tex: Path


def measure_clips(
    clips: Path | str,
    out: Path | str,
    options: MeasureOptions = MeasureOptions(),
    *,
    command: str = "",
    asked: dict[str, AskedModel] | None = None,
) -> MeasureResult:
    """Measure how well cameras can be recovered from clips, and how consistent the clips are.

    Clips that cannot be read are counted apart. Those on which COLMAP dies, or that take longer than
    `seconds_limit`, are failures under every rule. Neither stops the others.

    Args:
        clips: A folder of videos or of folders of frames, one such folder a model, or a manifest (CSV, JSON).
        out: The run folder. Start again with the same one to continue: finished clips are kept.
        options: What is measured, and how.
        command: The command line, quoted in the report.
        asked: World models that were asked for the clips, for the report.

    Raises:
        BridgeError: no clips there, options that contradict the clips, a run folder that cannot be used.

    Example:
        >>> measure_clips("generated", "runs/mine", MeasureOptions(control="real")).report.models
    """
    started = time.perf_counter()
    check_measuring(options)
    if kind_of(Path(clips)) == GENERATE:
        raise BridgeError(
            f"{clips} is a run of generate, which holds more than its clip; measure {Path(clips) / 'frames'}"
        )
    found = find_models(Path(clips), options)
    with open_run(Path(out), kind=MEASURE_RUN) as run:
        tasks = [
            ClipTask(source, options, run.folder.resolve(), measuring_versions()) for source in found.sources
        ]
        print_models(found, manifest=Path(clips).is_file())
        set_earlier_clips_aside(run, tasks)
        drop_damaged_results(tasks)
        results = measure_tasks(tasks, options)
        witnesses = ask_witness(run, tasks, results, options)
        report = build_report(
            results,
            options,
            control=found.control,
            lens_remark=compare_known_lenses(results, found.control),
            skipped=list_skipped(found.passed_over, Path(clips), run.folder),
            command=command,
        )
        seconds = {"total": round(time.perf_counter() - started, 3)}
        report = replace(
            report, grouping=found.remarks, seconds=seconds, asked=asked or {}, witnesses=witnesses
        )
        return _write_report(run, report, options, command)


def check_measuring(options: MeasureOptions) -> None:
    """Refuse options with which nothing can be measured: now, not after an hour.

    Raises:
        BridgeError: the first of them.
    """
    check_options(options)
    choose_rules(options.rules)
    require_features(options.features)
    check_witness(options)


def _write_report(run: Run, report: MeasureReport, options: MeasureOptions, command: str) -> MeasureResult:
    """Write the report in its four forms; ``run.json``, which marks the run as finished, comes last."""
    with run.file("report.json") as file:
        write_json(file, to_json(report))
    with run.file("report.html") as page:
        write_measure_report(report, run.folder, page)
    with run.file("clips.csv") as table:
        write_clips_csv(report, table)
    with run.file("table.tex") as tex:
        write_table_tex(report, tex)
    with run.file("run.json") as file:
        about = {
            "command": command,
            "options": options_to_json(asdict(options)),
            "versions": list_versions(),
        }
        write_json(file, {"kind": MEASURE_RUN, **about})
    return MeasureResult(report, run.folder, page, table, tex)
