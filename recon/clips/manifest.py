"""Manifests: tables of clips, with what is known of each."""

import difflib
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from recon.bounded import parse_path, read_csv, read_json, read_text
from recon.clips.models import split_models
from recon.clips.source import (
    ClipSet,
    ClipSource,
    absolute_path,
    find_cameras_beside,
    find_cameras_for,
    make_names_unique,
    parent_name,
    refuse_outside,
    safe_name,
)
from recon.errors import CaptureError
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import INSIDE

COLUMNS = ("clip", "cameras", "model", "group", "prompt", "format", "convention", "name")
"""Known columns; only ``clip`` is required."""


def read_manifest(
    file: Path, *, cameras: Path | None = None, model: str | None = None, allow_outside: bool = False
) -> ClipSet:
    """Read the clips of a .csv (also tabs or semicolons) or .json (a list of objects, or {"clips": [...]}).

    Only the column ``clip`` is required; paths are relative to the manifest. Without a column ``cameras`` they are searched
    as by `find_clips`; an empty cell means none, unless `cameras` is given. A missing clip is reported when it is read.
    Columns that begin with '_' are for people and ignored.

    Args:
        model: for rows without a model.
        allow_outside: take clips and cameras outside the folder of the manifest.

    Raises:
        CaptureError: not such a table; unknown columns; a row without a clip; one clip or one name twice; one from outside.
    """
    rows = _json_rows(file) if file.suffix.lower() == ".json" else _csv_rows(file)
    if not rows:
        raise CaptureError(f"expected clips in {file}, found no rows; its columns are {', '.join(COLUMNS)}")
    columns = {key for row in rows for key in row}
    unknown = sorted(columns - {*COLUMNS})
    if unknown:
        near = difflib.get_close_matches(unknown[0], COLUMNS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise CaptureError(
            f"{file}: unknown column {unknown[0]!r}{meant} Known are {', '.join(COLUMNS)}; let the name of a column "
            "that is only for people begin with '_'"
        )
    sources = [
        _source(row, f"{file}, row {number}", file.parent, "cameras" in columns, cameras, model)
        for number, row in enumerate(rows, 1)
    ]
    _refuse_repeats(rows, sources, file)
    refuse_outside(sources, Boundary(file.parent, allow_outside), f"{file} names", cameras)
    sources = [replace(source, within=absolute_path(file.parent)) for source in sources]
    unstated = [i for i, row in enumerate(rows) if not row.get("model") and model is None]
    apart, notes = split_models([sources[i] for i in unstated])
    for i, source in zip(unstated, apart, strict=True):
        sources[i] = source
    models = {source.model for source in sources}
    named = [
        source if row.get("name") or len(models) == 1 else _with_model(source)
        for row, source in zip(rows, sources, strict=True)
    ]
    return ClipSet(tuple(make_names_unique(named)), (), tuple(notes))


def _source(
    row: dict[str, str], where: str, base: Path, has_cameras: bool, cameras: Path | None, model: str | None
) -> ClipSource:
    if not row.get("clip"):
        raise CaptureError(f"{where}: expected the path of a clip in the column 'clip', got nothing")
    path = absolute_path(base / parse_path(row["clip"], f"{where}: clip", error=CaptureError))
    folder = path.parent if path.name in INSIDE else path
    if row.get("cameras"):
        found = absolute_path(base / parse_path(row["cameras"], f"{where}: cameras", error=CaptureError))
    elif cameras is not None:
        found = find_cameras_for(folder, absolute_path(cameras))
    else:
        found = None if has_cameras or not os.path.exists(path) else find_cameras_beside(folder)[0]
    stem = folder.name if os.path.isdir(folder) else folder.stem
    return ClipSource(
        name=safe_name(row.get("name") or stem),
        path=path,
        cameras=found,
        model=row.get("model") or model or parent_name(folder),
        group=row.get("group", ""),
        prompt=row.get("prompt", ""),
        format=row.get("format") or None,
        convention=row.get("convention") or None,
    )


def _with_model(source: ClipSource) -> ClipSource:
    return replace(source, name=safe_name(f"{source.model.replace('/', '_')}/{source.name}"))


def _refuse_repeats(rows: list[dict[str, str]], sources: list[ClipSource], file: Path) -> None:
    """Refuse a clip or a given name that comes twice: it would count twice, or overwrite.

    Raises:
        CaptureError: names the row.
    """
    names = Counter(s.file_name.casefold() for row, s in zip(rows, sources, strict=True) if row.get("name"))
    paths = Counter(os.path.realpath(s.path) for s in sources)
    for number, (row, source) in enumerate(zip(rows, sources, strict=True), 1):
        if row.get("name") and names[source.file_name.casefold()] > 1:
            raise CaptureError(
                f"{file}, row {number}: the name {row['name']!r} is given twice; names must differ"
            )
        if not row.get("name") and paths[os.path.realpath(source.path)] > 1:
            raise CaptureError(
                f"{file}, row {number}: the clip {row['clip']!r} is listed twice; remove one row, or tell them "
                "apart with a column 'name'"
            )


def _csv_rows(file: Path) -> list[dict[str, str]]:
    text = read_text(file, error=CaptureError)
    heading = text.splitlines()[0] if text.strip() else ""
    delimiter = max("\t;,", key=heading.count)
    rows = read_csv(text, file, delimiter=delimiter, error=CaptureError)
    table = [row for row in rows if any(cell.strip() for cell in row)]
    columns = [c.strip().lower() for c in table[0]] if table else []
    if "clip" not in columns:
        raise CaptureError(
            f"{file}: expected a first line with the columns {', '.join(COLUMNS)}, got {heading[:80]!r}"
        )
    rows = []
    for number, row in enumerate(table[1:], 1):
        if len(row) > len(columns):
            raise CaptureError(
                f"{file}, row {number}: expected {len(columns)} cells, got {len(row)}; put quotes about text with "
                "commas"
            )
        rows.append({c: v.strip() for c, v in zip(columns, row, strict=False) if not c.startswith("_") and c})
    return rows


def _json_rows(file: Path) -> list[dict[str, str]]:
    data: Any = read_json(file, error=CaptureError)
    items = data.get("clips") if isinstance(data, dict) else data
    if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        raise CaptureError(
            f'{file}: expected a manifest, a list of objects such as {{"clip": "a.mp4", "cameras": "a.txt"}} or '
            '{"clips": [...]}'
        )
    return [
        {
            str(k).strip().lower(): "" if v is None else str(v)
            for k, v in i.items()
            if not str(k).startswith("_")
        }
        for i in items
    ]
