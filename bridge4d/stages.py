"""What a finished stage says of itself: of what it was made, and which files it consists of.

A stage is believed only as far as its files are those that its ``stage.json`` lists. What it does not list is not
the run's, and never deleted.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge4d.stored_json import read_object, write_json
from recon.files import file_hash, remove_empty

STAGE_FILE = "stage.json"
Files = Mapping[str, tuple[int, str]]
"""Of each file, by its path inside the stage: bytes and SHA-256."""


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage says of itself."""

    name: str
    folder: Path
    fingerprint: str
    seconds: float
    peak_mb: float


def begin(name: str, folder: Path) -> None:
    """Marks a folder as one that a stage of this name is being written into, from its first moment on."""
    write_json(folder / STAGE_FILE, {"name": name, "unfinished": True})


def finish(record: StageRecord, folder: Path) -> None:
    """Writes down the stage that lies in `folder`, with all files that lie there now."""
    files = {
        inside: {
            "bytes": os.lstat(folder / inside).st_size,
            "sha256": file_hash(folder / inside, follow_links=False),
        }
        for inside in sorted(_files(folder))
        if inside != STAGE_FILE
    }
    about = {"name": record.name, "fingerprint": record.fingerprint}
    write_json(
        folder / STAGE_FILE, about | {"seconds": record.seconds, "peak_mb": record.peak_mb, "files": files}
    )


def read_stage(name: str, folder: Path) -> tuple[StageRecord, Files] | None:
    """The stage in a folder; None where there is none, or none that lists its files, as of earlier versions."""
    said = _said(name, folder)
    try:
        files = {
            inside: (int(entry["bytes"]), str(entry["sha256"])) for inside, entry in said["files"].items()
        }
        numbers = float(said["seconds"]), float(said["peak_mb"])
        return StageRecord(name, folder, str(said["fingerprint"]), *numbers), files
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def damage(folder: Path, files: Files) -> str:
    """What is wrong with the files of a stage; '' where all are as they were written.

    Sizes are compared before any file is read, so that a cut one is found at once.
    """
    for inside, (size, _) in files.items():
        try:
            found = os.lstat(folder / inside).st_size
        except OSError:
            return f"{inside} is missing"
        if found != size:
            return f"{inside} has {found} bytes, not {size}"
    for inside, (_, digest) in files.items():
        try:
            if file_hash(folder / inside, follow_links=False) != digest:
                return f"{inside} is not what was written"
        except OSError:
            return f"{inside} cannot be read"
    return ""


def discard_stage(name: str, folder: Path, set_aside: Callable[[Path], None]) -> None:
    """Removes a stage, finished or not, or an empty folder; anything else in its place is given to `set_aside`.

    Of a stage, files that it does not list are given to `set_aside` as a whole with it.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink():
        return set_aside(folder)
    said = _said(name, folder)
    listed = said.get("files")
    # in work, and of earlier versions: all that lies there was written by the stage
    whole = bool(said) and (listed is None or _files(folder) <= {*listed, STAGE_FILE})
    if whole:
        shutil.rmtree(folder)
        return None
    remove_empty([folder])
    return set_aside(folder) if folder.exists() else None


def _said(name: str, folder: Path) -> dict[str, Any]:
    """What ``stage.json`` says; empty where it is not of this stage."""
    try:
        said = read_object(folder / STAGE_FILE, "name")
    except (OSError, ValueError):
        return {}
    return said if said["name"] == name else {}


def _files(folder: Path) -> set[str]:
    """Everything below a folder that is no folder; paths relative to it."""
    found = set()
    for place, folders, files in os.walk(folder):
        links = [one for one in folders if os.path.islink(os.path.join(place, one))]
        found |= {os.path.relpath(os.path.join(place, one), folder) for one in [*files, *links]}
    return found
