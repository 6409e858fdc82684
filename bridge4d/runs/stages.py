"""What a stage says of itself: of what it was made, and which files it consists of.

A stage is believed only as far as its files are those that its ``stage.json`` lists. What it does not list is not
the run's, and never deleted. A stage in work lists none yet: what a killed one leaves is known by its place, its marker
and the time in which it was written.
"""

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from bridge4d.runs.made_of import MadeOf, MadeOfSaid
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from recon.bounded import parse_path
from recon.compute.files import hash_file, remove_empty
from recon.errors import BridgeError

STAGE_FILE = "stage.json"
PART_OF_STAGE_FILE = re.compile(r"\.stage\.json\.\d+\.part")
"""What `atomic_write` leaves of it when it is killed."""
BEAT_S = 1.0
"""Seconds between signs of life of a stage that is being written."""
SLACK_S = 10.0
"""A killed stage may have written for so long after its last beat: the work of another thread, and of COLMAP, which ends
when it finds that it is alone."""
CLOCK_S = 2.0
"""Coarsest rounding of file times among file systems, seconds: FAT's."""
Files = Mapping[str, tuple[int, str]]
"""Of each file, by its path inside the stage: bytes and SHA-256."""


class FileSaid(TypedDict):
    bytes: int
    sha256: str


class StageSaid(TypedDict):
    """``stage.json`` of a finished stage."""

    name: str
    fingerprint: str
    made_of: NotRequired[MadeOfSaid]
    seconds: float
    peak_mb: float
    files: dict[str, FileSaid]


class UnfinishedSaid(TypedDict):
    """``stage.json`` of a stage in work, whose own time is that of the last beat."""

    name: str
    unfinished: bool
    begun_s: float
    """Time of the file system at which it began."""


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage says of itself."""

    name: str
    folder: Path
    fingerprint: str
    seconds: float
    """How long it took."""
    peak_mb: float
    """Largest resident memory meanwhile, 10^6 bytes."""
    made_of: MadeOfSaid | None = None
    """None of stages of earlier versions."""


@contextlib.contextmanager
def mark_unfinished(name: str, folder: Path) -> Iterator[None]:
    """Mark a folder as one that a stage is written into, and as alive while the block lasts."""
    marker = folder / STAGE_FILE
    # the time of the file system, with which those of the files are compared
    write_json(marker, {"name": name, "unfinished": True, "begun_s": folder.stat().st_mtime})
    ended = threading.Event()

    def beat() -> None:
        """Touch the marker until the work ends."""
        while not ended.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(marker)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def write_record(record: StageRecord, made_of: MadeOf, folder: Path) -> None:
    """Write the record of a finished stage, with all files in its folder."""
    files = {
        inside: {
            "bytes": os.lstat(folder / inside).st_size,
            "sha256": hash_file(folder / inside, follow_links=False),
        }
        for inside in sorted(_files(folder))
        if inside != STAGE_FILE
    }
    about = {"name": record.name, "fingerprint": record.fingerprint, "made_of": asdict(made_of)}
    write_json(
        folder / STAGE_FILE, about | {"seconds": record.seconds, "peak_mb": record.peak_mb, "files": files}
    )


def read_stage(name: str, folder: Path) -> tuple[StageRecord, Files] | None:
    """The stage in a folder; None where there is none, or none that lists its files, all of them inside it."""
    file = folder / STAGE_FILE
    try:
        said: StageSaid = read_typed(file, StageSaid)
        files = {inside: (about["bytes"], about["sha256"]) for inside, about in said["files"].items()}
        if said["name"] != name or not all(_lies_inside(inside, file) for inside in files):
            return None
    except (OSError, BridgeError):
        return None
    numbers = float(said["seconds"]), float(said["peak_mb"])
    return StageRecord(name, folder, said["fingerprint"], *numbers, said.get("made_of")), files


def find_damage(folder: Path, files: Files) -> str:
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
            if hash_file(folder / inside, follow_links=False) != digest:
                return f"{inside} is not what was written"
        except OSError:
            return f"{inside} cannot be read"
    return ""


def discard_stage(name: str, folder: Path, set_aside: Callable[[Path], None]) -> None:
    """Remove a stage that consists of the files that it lists, what a killed stage left, or an empty folder.

    Anything else in its place is given to `set_aside`, a stage with other files in it as a whole.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink():
        return set_aside(folder)
    found = read_stage(name, folder)
    there = {inside for inside in _files(folder) if not PART_OF_STAGE_FILE.fullmatch(inside)}
    if (
        there <= {*found[1], STAGE_FILE}
        if found is not None
        else not there or _is_leftover(name, folder, there)
    ):
        shutil.rmtree(folder)
        return None
    remove_empty([folder])
    return set_aside(folder) if folder.exists() else None


def _is_leftover(name: str, folder: Path, files: set[str]) -> bool:
    """Whether a folder is where a stage of this name is written, says so, and holds only what was written meanwhile."""
    if not (folder.name.startswith(".") and folder.name.endswith(".part")):
        return False
    marker = folder / STAGE_FILE
    try:
        said: UnfinishedSaid = read_typed(marker, UnfinishedSaid)
        last_s = marker.stat().st_mtime + SLACK_S
        times = [os.lstat(folder / inside).st_mtime for inside in files]
    except (OSError, BridgeError):
        return False
    begun_s = said["begun_s"] - CLOCK_S
    return said["name"] == name and said["unfinished"] and all(begun_s <= time <= last_s for time in times)


def _lies_inside(inside: str, file: Path) -> bool:
    """Whether a name that a ``stage.json`` lists is one of a file below its folder.

    Raises:
        BridgeError: it can be no name of a file.
    """
    path = parse_path(inside, str(file))
    return not path.is_absolute() and ".." not in path.parts and os.path.normpath(inside) == inside


def _files(folder: Path) -> set[str]:
    """Everything below a folder that is no folder; paths relative to it."""
    found = set()
    for place, folders, files in os.walk(folder):
        links = [one for one in folders if os.path.islink(os.path.join(place, one))]
        found |= {os.path.relpath(os.path.join(place, one), folder) for one in [*files, *links]}
    return found
