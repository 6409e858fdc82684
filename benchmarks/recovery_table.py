"""What is said of recovered cameras, frame by frame and in all."""

import statistics
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from benchmarks.output import Table, number
from benchmarks.recovery_protocols import ERRORS, Row
from eval.judging.published import PUBLISHED
from eval.results.measure import Published
from eval.stats.intervals import wilson95

REAL = "real"
"""The model whose frames are the photos themselves."""
RATE_BAR, ROTATION_BAR_DEG = 0.95, 0.5
"""What the built-in model has to reach: share recovered, and median rotation error."""


def summarise(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """By capture and over all of them, by path and over all of them."""

    def key(row: Row) -> tuple[Any, ...]:
        return (row["contexts"], row["capture"], row["path"], row["protocol"], row["model"])

    everywhere = [row | {"capture": "all"} for row in rows]
    invented = [row | {"path": "all"} for row in [*rows, *everywhere] if row["model"] != REAL]
    copies = sorted([*rows, *everywhere, *invented], key=key)
    out = []
    for (contexts, capture, path, protocol, model), group in groupby(copies, key):
        about = {"contexts": contexts, "capture": capture, "path": path, "protocol": protocol, "model": model}
        out.append(about | figures(list(group)))
    ceiling = {_place(line): line for line in out if line["model"] == REAL}
    for line in out:
        line["real"] = ceiling.get(_place(line)) if line["model"] != REAL else None
    lost = {_frame(row) for row in rows if row["model"] == REAL and not row["registered"]}
    for line in out:
        of = [r for r in rows if r["model"] == line["model"] and _belongs(r, line) and not r["registered"]]
        line["lost_as_real"] = sum(_frame(r) in lost for r in of) if line["real"] else None
    return out


def _place(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[k] for k in ("contexts", "capture", "path", "protocol"))


def _frame(row: Row) -> tuple[Any, ...]:
    return (*_place(row), row["frame"])


def _belongs(row: Row, line: dict[str, Any]) -> bool:
    same = all(row[k] == line[k] for k in ("contexts", "protocol"))
    return same and all(line[k] in ("all", row[k]) for k in ("capture", "path"))


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    recovered = sum(row["registered"] for row in rows)
    interval = wilson95(recovered, len(rows))
    out: dict[str, Any] = {
        "frames": len(rows), "recovered": recovered, "rate": recovered / len(rows),
        "rate_interval95": None if interval is None else list(interval),
        "placed": sum(row["position_share"] is not None for row in rows),
    }  # fmt: skip
    for error in ERRORS:
        known = [row[error] for row in rows if row[error] is not None]
        out[f"{error}_median"] = statistics.median(known) if known else None
        out[f"{error}_worst"] = max(known) if known else None
    return out


def table(summary: Sequence[dict[str, Any]]) -> str:
    columns = (
        "contexts", "capture", "path", "protocol", "model", "recovered", "rate [95%]", "rot ° med", "rot ° worst",
        "pos % med", "pos % worst", "dir ° med", "real: recovered", "rot ° med", "lost by both",
    )  # fmt: skip
    out = Table(columns)
    for line in summary:
        if line["model"] == REAL:
            continue
        low, high = line["rate_interval95"]
        real = line["real"] or {}
        percent = [line[f"position_share_{k}"] for k in ("median", "worst")]
        out.add(
            *(line[k] for k in ("contexts", "capture", "path", "protocol", "model")),
            f"{line['recovered']}/{line['frames']}", f"{line['rate']:.0%} [{low:.0%}, {high:.0%}]",
            number(line["rotation_deg_median"], "{:.3f}"), number(line["rotation_deg_worst"], "{:.2f}"),
            *(number(None if p is None else 100 * p) for p in percent), number(line["direction_deg_median"]),
            f"{real['recovered']}/{real['frames']}" if real else "–",
            number(real.get("rotation_deg_median"), "{:.3f}"),
            "–" if line["lost_as_real"] is None else line["lost_as_real"],
        )  # fmt: skip
    return str(out)


def verdicts(summary: Sequence[dict[str, Any]]) -> str:
    """What the bar says of every model, over all captures and paths."""
    lines = [f"bar: at least {RATE_BAR:.0%} recovered, median rotation error at most {ROTATION_BAR_DEG}°"]
    for line in summary:
        if (line["capture"], line["path"]) == ("all", "all"):
            median = line["rotation_deg_median"]
            met = line["rate"] >= RATE_BAR and median is not None and median <= ROTATION_BAR_DEG
            lines.append(
                f"- {line['model']}, {line['contexts']} contexts, {line['protocol']}: {'met' if met else 'not met'} "
                f"({line['rate']:.1%}, {number(median, '{:.3f}')}°)"
            )
    return "\n".join(lines)


def for_scale() -> list[Published]:
    return [line for line in PUBLISHED if line.who == "Cosmos, camera-conditioned"]


def published() -> str:
    said = ", ".join(f"{line.what} {line.value}" for line in for_scale())
    who = f"{for_scale()[0].who} (7B)"
    return f"For scale only, on other data and by other rules, so no comparison: {who} reports {said}."
