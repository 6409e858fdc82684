"""Streamed SOG (PlayCanvas): a tree of SOGs in several levels of detail, of which the finest that is there is read.

A folder with lod-meta.json, or the same as an archive (.ssog). Nodes of the tree name, for each level, a run of
Gaussians in one of the files; level 0 is the finest.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import concatenate
from recon.scenefiles.bounded import check_growth
from recon.scenefiles.formats.sog.images import read_sog
from recon.scenefiles.formats.sog.meta import META
from recon.scenefiles.members import Members, open_members
from recon.scenefiles.scene_file import SceneFile

LOD_META = "lod-meta.json"
BYTES = 4 * (3 + 4 + 3 + 1 + 3 * 16)
"""What a Gaussian of degree 3 takes in memory."""

Runs = dict[int, list[tuple[int, int]]]
"""File → first Gaussian and number of Gaussians of each of its runs."""


def read(path: Path) -> SceneFile:
    """All Gaussians of the finest level whose files are all there; an environment is left out.

    Raises:
        SceneFileError: no such file, damaged, or no level is whole.
    """
    members = open_members(path, LOD_META)
    meta = members.read_json(LOD_META)
    if meta.get("version", 1) != 1:
        raise SceneFileError(f"{path} is of version {meta['version']!r:.20} of streamed SOG, expected 1")
    try:
        names, levels = _names(meta), _levels(meta)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SceneFileError(
            f"{path} is damaged: its tree of levels makes no sense ({error!s:.80})"
        ) from error
    whole = [level for level in sorted(levels) if all(names[file] in members for file in levels[level])]
    if not whole:
        raise SceneFileError(f"{path} lacks files in each of its {len(levels)} levels of detail")
    finest = whole[0]
    _check_size(members, [names[file] for file in levels[finest]], levels[finest], path)
    parts = [_read_runs(members, names[file], runs) for file, runs in sorted(levels[finest].items())]
    modes = {part.render_mode for part in parts}
    return replace(
        parts[0],
        gaussians=concatenate([part.gaussians for part in parts]),
        render_mode=modes.pop() if len(modes) == 1 else "default",
        files=() if members.archive is not None else (path, *(file for part in parts for file in part.files)),
        notes=(*_notes(meta, finest, len(levels)), *dict.fromkeys(n for part in parts for n in part.notes)),
    )


def _names(meta: dict[str, Any]) -> list[str]:
    names = meta["filenames"]
    for name in names:
        if not isinstance(name, str) or PurePosixPath(name).name != META:
            raise ValueError(f"a file {name!r:.40} that is no {META}")
    if not isinstance(names, list) or len({PurePosixPath(name) for name in names}) < len(names):
        raise ValueError("its filenames are no list of different files")
    return names


def _check_size(members: Members, names: list[str], runs: Runs, path: Path) -> None:
    """Refuse a level that is said to hold more than its files could: each file by itself may grow to a limit."""
    claimed = sum(count for one in runs.values() for _, count in one)
    size = sum(members.beside(name).size() for name in names)
    check_growth(claimed * BYTES, size, path)


def _levels(meta: dict[str, Any]) -> dict[int, Runs]:
    """What the nodes of the tree say of each level."""
    levels: dict[int, Runs] = {}
    nodes = [meta["tree"]]
    while nodes:
        node = nodes.pop()
        nodes += reversed(node.get("children") or [])
        for level, run in (node.get("lods") or {}).items():
            file, offset, count = (_whole(run[key]) for key in ("file", "offset", "count"))
            if file >= len(meta["filenames"]):
                raise ValueError(f"file {file} of {len(meta['filenames'])}")
            if count:
                levels.setdefault(_whole(int(level)), {}).setdefault(file, []).append((offset, count))
    return levels


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} where a number belongs")
    return value


def _read_runs(members: Members, name: str, runs: list[tuple[int, int]]) -> SceneFile:
    """The Gaussians of one file, in its order, that are in the runs."""
    found = read_sog(members.beside(name))
    count = len(found.gaussians)
    rows = sorted(runs)
    ends = [0, *(offset + length for offset, length in rows)]
    if any(offset < end for (offset, _), end in zip(rows, ends, strict=False)) or ends[-1] > count:
        raise SceneFileError(
            f"{members.path / name} is damaged: its {count:,} Gaussians are not what {LOD_META} says of them"
        )
    chosen: Int[Tensor, "n"] = torch.cat([torch.arange(offset, offset + length) for offset, length in rows])
    return found if len(chosen) == count else replace(found, gaussians=found.gaussians[chosen])


def _notes(meta: dict[str, Any], finest: int, levels: int) -> list[str]:
    notes = [f"its finest of {levels} levels of detail was read"]
    if finest:
        notes = [
            f"level {finest} of detail was read, for files of the {finest} finer of its {levels} levels are not there"
        ]
    if meta.get("environment"):
        notes.append(
            f"its environment {meta['environment']!r:.80} was left out; it can be imported by itself"
        )
    return notes
