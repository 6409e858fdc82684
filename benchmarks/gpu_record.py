"""The one file of figures that `benchmarks.gpu` and its steps write; imports nothing that a bare machine lacks."""

import json
import os
from pathlib import Path
from typing import Any

NAME = "gpu.json"


def read_record(out: Path) -> dict[str, Any]:
    path = out / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"steps": {}}


def write_record(out: Path, record: dict[str, Any]) -> None:
    """Replaces the file at once: whoever is cut off leaves the one before."""
    beside = out / f".{NAME}.part"
    beside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os.replace(beside, out / NAME)


def change_step(out: Path, step: str, **values: Any) -> None:
    """Sets values of a step: ok, seconds, error."""
    record = read_record(out)
    record["steps"].setdefault(step, {"figures": {}}).update(values)
    write_record(out, record)


def add_figures(out: Path, step: str, figures: dict[str, Any]) -> None:
    record = read_record(out)
    record["steps"].setdefault(step, {"figures": {}})["figures"].update(figures)
    write_record(out, record)
