"""The clips of a measure report as a table for a spreadsheet: one row a clip."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.report.measure.complete import complete_measure
from eval.report.measure.headline import clip_words
from eval.report.page import write_text
from eval.results.measure import ClipResult, MeasureReport

_BEFORE = ("name", "model", "group", "frames", "registered", "recovered", "in_words", "status")
_AFTER = ("poses", "poses_because", "motion", "moving_share", "causes", "failed")

_WITNESS = ("rotation_deg", "position_share", "undefined_because")
"""Of `PoseWitness`, where one was asked."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell instead of showing it (OWASP, 'CSV Injection'); the wide forms count too."""


def write_clips_csv(report: MeasureReport | Mapping[str, Any], out: Path) -> None:
    """One row a clip, in the report's order; UTF-8, comma, a dot for decimals.

    After the clip's own columns: ``rule:<name>`` (the share in [0, 1]; 1 met, 0 not), ``error:<name>`` (of what was recovered) and
    ``failures_as_worst:<name>`` (the same, and of a clip that was not registered the worst that the error can be),
    ``consistency:<name>``, in the units of the report; flags are 1 and 0. ``poses`` are those to hand to Gaussian splatting: requested, recovered or
    either. ``moving_share`` is the share of the pictures that moves. ``witness:<name>`` are errors of the poses that `--witness` tells. What is undefined is an empty cell. Text that a spreadsheet
    would run as a formula gets a leading apostrophe.

    Raises:
        BridgeError: a report of another schema.
    """
    r = complete_measure(report)
    columns = [
        *_BEFORE,
        *(f"rule:{rule}" for rule in r.rules),
        *(f"{kind}:{error}" for error in r.errors for kind in ("error", "failures_as_worst")),
        *(f"consistency:{metric}" for metric in r.consistency),
        *(f"witness:{name}" for name in (_WITNESS if r.witnesses else ())),
        *_AFTER,
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    for clip in r.clips:
        row = _row(clip)
        if (witness := r.witnesses.get(clip.name)) is not None:
            row |= {f"witness:{name}": getattr(witness, name) for name in _WITNESS}
        writer.writerow([_cell(row.get(column)) for column in columns])
    write_text(out, text.getvalue())


def _row(clip: ClipResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        column: getattr(clip, column)
        for column in (*_BEFORE, *_AFTER)
        if column not in ("in_words", "poses", "poses_because", "moving_share")
    }
    row |= {"poses": clip.pose_choice.poses, "poses_because": clip.pose_choice.because}
    row["moving_share"] = clip.still.moving_share
    row["in_words"] = clip_words(clip)
    row["causes"] = "; ".join(str(cause) for cause in clip.causes)
    if clip.failed is not None:
        row["recovered"] = row["registered"] = None  # nothing was tried, so nothing failed
    for rule, verdict in clip.verdicts.items():
        row[f"rule:{rule}"] = verdict.success if verdict.share is None else verdict.share
    for name, error in clip.errors.items():
        row[f"error:{name}"] = error.value
        row[f"failures_as_worst:{name}"] = error.worst if error.value is None else error.value
    for name, value in clip.consistency.items():
        row[f"consistency:{name}"] = value.value
    return row


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return value
    text = str(value)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text
