"""The folder of a run: which command it belongs to, what may be deleted in it, and who works in it."""

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge4d.runs.stages import STAGE_FILE
from bridge4d.runs.stored_json import read_json
from recon.compute.files import make_folders, open_regular, remove_empty
from recon.errors import RunFolderError, explain_os_error

LOCK = ".lock"
SET_ASIDE = "set-aside"
"""Folder in a run for foreign files that lay where the run writes."""
LEAST_FREE_MB = 200
"""Least free space, 10^6 bytes, with which a run starts: COLMAP aborts where its database cannot grow."""
AUGMENT, MEASURE, GENERATE, MOVING, STAGES = "augment", "measure", "generate", "moving", "stages"
"""Kinds of runs: of the commands, and any other that consists of stages."""
KIND_OF_SCHEMA = {"bridge4d/augment": AUGMENT, "bridge4d/measure": MEASURE, "bridge4d/moving": MOVING}
"""Schema of a ``report.json``, without its version → kind of the run."""
PART_OF_FILE = re.compile(
    r"\.(run\.json|report\.json|report\.html|clips\.csv|table\.tex|error\.txt|generate\.json|generated\.csv|asked\.json|\.written\.json)\.\d+\.part"
)
"""What `atomic_write` leaves beside the files of a run when it is killed."""


@contextlib.contextmanager
def lock_folder(folder: Path, kind: str) -> Iterator[None]:
    """Make a run folder, or open one that is there, and lock it for this process.

    From the first second on its lock file says of which kind the run is. Where the block raises before anything was
    written, the folders that were made for it are removed.

    Raises:
        RunFolderError: it cannot be written, holds files that are no run's, a run of another kind or links, or is
            in use.
    """
    made = _make_folder(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, made)
        refuse_links(folder)
        found = kind_of(folder)
        if found is None and (strangers := _visible(folder)):
            raise RunFolderError(
                f"{folder} holds files that are no run's ({', '.join(sorted(strangers)[:3])}); "
                "choose an empty or new folder for --out"
            )
        stack.enter_context(_hold_lock(folder))
        found = kind_of(folder)
        if found not in (None, kind):
            whose = (
                f"a run of bridge4d {found}"
                if found in (AUGMENT, MEASURE, GENERATE, MOVING)
                else "another command's run"
            )
            raise RunFolderError(f"{folder} holds {whose}; choose an empty or new folder for --out")
        if shutil.disk_usage(folder).free < LEAST_FREE_MB * 1e6:  # COLMAP aborts where it cannot write
            raise RunFolderError(
                f"no space left on the disk of {folder}: less than {LEAST_FREE_MB} MB are free; "
                "free some and start the same command again, finished stages are kept"
            )
        _note_kind(folder, kind)
        _clear_parts_of_files(folder)
        yield


def kind_of(folder: Path) -> str | None:
    """The kind of the run in a folder; None where there is no run.

    The lock file states it; of runs of earlier versions, what lies in the folder tells.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError), open_regular(folder / LOCK) as lock:
        said = lock.read(64).decode().strip()
        if re.fullmatch("[a-z][a-z-]*", said):
            return said
    about, report = (_read_object(folder / name) for name in ("run.json", "report.json"))
    if "kind" in about:
        return str(about["kind"])
    kind = KIND_OF_SCHEMA.get(str(report.get("schema", "")).rpartition("/")[0])
    if kind is not None:
        return kind
    killed_early = (folder / LOCK).exists()  # before anything but its first folder was there
    if (
        "asked" in about
        or _is_stage(folder / "capture")
        or (killed_early and (folder / ".capture.part").is_dir())
    ):
        return AUGMENT
    if {"command", "options", "versions"} <= about.keys() or (
        killed_early and _holds_clips(folder / "clips")
    ):
        return MEASURE
    return STAGES if any(map(_is_stage, _folders(folder, depth=3))) else None


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Folders inside a folder, `depth` levels deep."""
    inside: list[Path] = []
    with contextlib.suppress(OSError):
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    for path in inside:
        yield path
        if depth > 1:
            yield from _folders(path, depth - 1)


def refuse_links(folder: Path) -> None:
    """Refuse a run folder with a link inside, through which files elsewhere would be written or deleted.

    Raises:
        RunFolderError: which names the link.
    """
    for entry in _entries(folder):
        if entry.is_symlink():
            raise RunFolderError(
                f"{entry.path} is a link, and a run follows none inside its folder; put what it points to in its place, "
                "remove it, or choose another --out"
            )


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def set_aside(path: Path, run: Path, name: str) -> Path:
    """Move foreign files in the place of a stage or file of the run to ``set-aside``; where they are now."""
    place = run / SET_ASIDE
    place.mkdir(exist_ok=True)
    stem, suffix = (
        os.path.splitext(name.replace("/", "_")) if path.is_file() else (name.replace("/", "_"), "")
    )
    number = 1
    while os.path.lexists(target := place / f"{stem}-{number}{suffix}"):
        number += 1
    os.rename(path, target)
    return target


def _make_folder(folder: Path) -> list[Path]:
    try:
        return [] if folder.is_dir() else make_folders(folder)
    except (FileExistsError, NotADirectoryError):
        raise RunFolderError(
            f"expected a folder for the run at {folder}, there is a file of that name"
        ) from None
    except OSError as error:
        raise explain_os_error(error, folder) from error


@contextlib.contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock file; where the block raises, remove a new one from a folder that got nothing else."""
    path = folder / LOCK
    new = not path.exists()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(path, flags, 0o644)
    except OSError as error:
        raise explain_os_error(error, folder) from error
    try:
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            raise RunFolderError(f"expected a file at {path}, there is something else; remove it")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = not path.exists() or not os.path.samestat(os.fstat(lock), os.stat(path))
        except OSError:
            taken, new = True, False
        if taken:  # or removed just now by another process that did nothing
            raise RunFolderError(
                f"another process is working in {folder}; wait for it or choose another --out"
            ) from None
        try:
            yield
        except BaseException:
            if new and (not path.stat().st_size or os.listdir(folder) == [LOCK]):
                path.unlink()
            raise
    finally:
        os.close(lock)


def _note_kind(folder: Path, kind: str) -> None:
    lock = folder / LOCK
    if not lock.stat().st_size:
        lock.write_text(f"{kind}\n")  # in place: another file would not be locked


def _clear_parts_of_files(folder: Path) -> None:
    """Delete what processes left that were killed while they wrote; the lock says that none is writing now."""
    for leftover in folder.glob(".*.part"):
        if PART_OF_FILE.fullmatch(leftover.name) and leftover.is_file():
            with contextlib.suppress(OSError):
                leftover.unlink()


def _visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_stage(folder: Path) -> bool:
    return _read_object(folder / STAGE_FILE).keys() >= {"name", "fingerprint"}


def _holds_clips(folder: Path) -> bool:
    """Whether a measurement was writing there."""
    if not folder.is_dir():
        return False
    inside = list(folder.iterdir())
    return all((clip / "result.json").is_file() or clip.name.endswith(".part") for clip in inside)
