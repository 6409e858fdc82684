"""The run folder: stages that are skipped when they are done, redone when what they depend on changed.

A stage is a folder that appears whole or not at all: it is written beside, then renamed, with a
`stage.json` inside that says of what it was made. Killing a run at any point loses the stage in work and
nothing else.
"""

import contextlib
import functools
import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recon.errors import RunFolderError, explain_os_error
from recon.files import folder_written_whole, written_whole
from recon.progress import note
from recon.splats.native import loading

log = logging.getLogger(__name__)

STAGE_FILE = "stage.json"
LEAST_FREE_MB = 200


def fingerprint(*parts: Any) -> str:
    """A short hash of anything JSON can say; equal inputs give equal hashes on every machine."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_files(path: Path, *, but: Path | None = None) -> str:
    """A hash of the names and bytes of a file, or of all files below a folder but those below `but`.

    A camera file (.json) stands for the folder it lies in, because its photos lie there. Hidden files do not count.
    """
    if path.suffix.lower() == ".json":
        path = path.parent
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        inside = file.relative_to(path.parent)
        if any(part.startswith(".") for part in inside.parts[1:]):
            continue
        if but is not None and file.resolve().is_relative_to(but.resolve()):
            continue
        digest.update(
            inside.name.encode() if len(inside.parts) == 1 else str(Path(*inside.parts[1:])).encode()
        )
        digest.update(b"\0")
        try:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            digest.update(f"unreadable: {error.errno}".encode())
    return digest.hexdigest()[:16]


@functools.cache
def engine_versions() -> dict[str, str]:
    """Of what decides the numbers: results of other versions are not mixed with these."""
    packages = {package: version(package) for package in ("bridge4d", "torch", "pycolmap", "numpy")}
    return packages | {"splats": loading.version()}


@functools.cache
def measuring_versions() -> dict[str, str]:
    """Of what decides the figures of a clip, this project's own code included: what it measured before an edit is
    not mixed with what it measures after."""
    packages = ("opencv-python-headless", "av", "pillow", "scipy", "kornia")
    found = {name: _version(name) for name in packages}
    return engine_versions() | found | {"code": code_version("recon", "eval", "bridge4d")}


@functools.cache
def code_version(*packages: str) -> str:
    """A hash of the code, and of the weights that lie in it, of packages of this project."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for package in packages:
        for file in sorted(f for f in (root / package).rglob("*") if f.suffix in (".py", ".safetensors")):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # another build of it, opencv-python for instance
        return "unknown"


def write_json(path: Path, content: Any) -> None:
    """Atomic, indented, NaN refused (it is not JSON); the file is whole or absent."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a file name in no known encoding
        data = (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
    with written_whole(path) as beside:
        beside.write_bytes(data)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage says of itself."""

    name: str
    folder: Path
    fingerprint: str
    seconds: float
    peak_mb: float


@dataclass
class Run:
    """An open run folder; use `open_run`."""

    folder: Path
    records: dict[str, StageRecord] = field(default_factory=dict)
    """Every stage of this run in the order in which it was asked for."""
    code: str = ""
    """`code_version` of what makes all stages; '' where each says in `depends_on` what it is made by."""

    def stage(self, name: str, work: Callable[[Path], None], *, depends_on: Any) -> StageRecord:
        """Runs `work(folder)` unless it was already done with the same `depends_on`.

        `name` is also the path of the stage's folder inside the run. `work` gets a fresh folder beside the
        final one and leaves its results there.
        """
        target = self.folder / name
        wanted = fingerprint(name, depends_on, engine_versions(), self.code)
        found = _record(name, target)
        if found is not None and found.fingerprint == wanted:
            log.info("%s: done before, kept", name)
            note(f"{name}: done before, kept")
        else:
            if found is not None:
                log.info("%s: its inputs or options changed, redone", name)
                note(f"{name}: its inputs or options changed, redoing")
            found = self._perform(name, target, wanted, work)
        self.records[name] = found
        return found

    def _perform(self, name: str, target: Path, wanted: str, work: Callable[[Path], None]) -> StageRecord:
        with folder_written_whole(target) as beside:
            start = time.perf_counter()
            with peak_memory() as peak:
                work(beside)
            seconds = time.perf_counter() - start
            record = {
                "name": name,
                "fingerprint": wanted,
                "seconds": round(seconds, 3),
                "peak_mb": round(peak.mb),
            }
            write_json(beside / STAGE_FILE, record)
        return StageRecord(name, target, wanted, record["seconds"], record["peak_mb"])


def _record(name: str, folder: Path) -> StageRecord | None:
    try:
        content: Mapping[str, Any] = read_json(folder / STAGE_FILE)
        return StageRecord(name, folder, content["fingerprint"], content["seconds"], content["peak_mb"])
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def open_run(folder: Path, *, code: str = "") -> Iterator[Run]:
    """Creates or continues a run folder; one process at a time. With a `code_version`, stages of other code are redone.

    Raises:
        RunFolderError: it cannot be written, holds files that are not a run's, or is in use.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunFolderError(
            f"expected a folder for the run at {folder}, there is a file of that name"
        ) from None
    except OSError as error:
        raise explain_os_error(error, folder) from error
    strangers = [p.name for p in folder.iterdir() if p.name != "run.json" and not p.name.startswith(".")]
    if strangers and not (folder / ".lock").exists() and not (folder / "run.json").exists():
        raise RunFolderError(
            f"{folder} holds files that are no run's ({', '.join(sorted(strangers)[:3])}); "
            "choose an empty or new folder for --out"
        )
    try:
        lock = open(folder / ".lock", "a")  # noqa: SIM115 (closed by the with below)
    except OSError as error:
        raise explain_os_error(error, folder) from error
    with lock:
        if shutil.disk_usage(folder).free < LEAST_FREE_MB * 1e6:  # COLMAP aborts where it cannot write
            raise RunFolderError(
                f"no space left on the disk of {folder}: less than {LEAST_FREE_MB} MB are free; "
                "free some and start the same command again, finished stages are kept"
            )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunFolderError(
                f"another process is working in {folder}; wait for it or choose another --out"
            ) from None
        _clear_leftovers(folder)
        yield Run(folder, code=code)


def _clear_leftovers(folder: Path) -> None:
    """Of processes that were killed while they wrote; that nobody else is writing, the lock says."""
    for leftover in folder.glob(".*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()


@dataclass
class _Peak:
    mb: float = 0.0


@contextlib.contextmanager
def peak_memory(interval_s: float = 0.05) -> Iterator[_Peak]:
    """Largest resident set of this process inside the block, in MB, sampled by a thread."""
    import psutil

    process, peak, stop = psutil.Process(), _Peak(), threading.Event()

    def sample() -> None:
        while True:
            peak.mb = max(peak.mb, process.memory_info().rss / 1e6)
            if stop.wait(interval_s):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
