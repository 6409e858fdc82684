"""The run folder: stages that are skipped when they are done, redone when what they depend on changed.

A stage is a folder that appears whole or not at all: it is written beside, then renamed, with a
`stage.json` inside that says of what it was made (`bridge4d.runs.made_of`) and which files it consists of. Killing a run at any point loses
the stage in work and nothing else; a stage whose files were damaged since is redone.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bridge4d.runs.fingerprints import library_versions
from bridge4d.runs.made_of import MadeOf
from bridge4d.runs.own_files import own_file
from bridge4d.runs.run_folder import STAGES, lock_folder, refuse_links, set_aside
from bridge4d.runs.stages import (
    StageRecord,
    discard_stage,
    find_damage,
    mark_unfinished,
    read_stage,
    write_record,
)
from recon.compute.files import atomic_folder
from recon.compute.progress import note, progress
from recon.errors import RunFolderError

log = logging.getLogger(__name__)


@dataclass
class Run:
    """An open run folder; use `open_run`."""

    folder: Path
    records: dict[str, StageRecord] = field(default_factory=dict)
    """Every stage of this run in the order in which it was asked for."""
    set_aside: list[Path] = field(default_factory=list)
    """Where what lay in the place of a stage, and is not the run's, was moved to."""
    redone: dict[str, str] = field(default_factory=dict)
    """Stages that were there and had to be made again, and why."""

    def stage(
        self,
        name: str,
        work: Callable[[Path], None],
        *,
        depends_on: Any = None,
        version: int = 1,
        earlier: Mapping[str, str] | None = None,
        reads: Callable[[], str] | None = None,
        libraries: Mapping[str, str] | None = None,
    ) -> StageRecord:
        """Runs `work(folder)` unless that was done before of the same, and its files are as it left them.

        Args:
            name: also the path of the stage's folder inside the run.
            work: gets a fresh folder beside the final one and leaves its results there.
            depends_on: the options that decide its result: by their names, or anything else that JSON can say; None: none.
            version: of the program's part in it: a constant beside `work`, raised whenever what it writes of the same
                changes.
            earlier: fingerprints of the stages that it reads, by their names.
            reads: a fingerprint of the files outside the run that `work` reads; taken before and after.
            libraries: versions of what decides its numbers; by default `library_versions`.

        Raises:
            RunFolderError: those files changed meanwhile.
        """
        target = self.folder / name
        files = "" if reads is None else reads()
        made_of = MadeOf.of(
            version, depends_on, files, earlier or {}, library_versions() if libraries is None else libraries
        )
        wanted = made_of.fingerprint(name)
        found = read_stage(name, target)
        if found is not None:
            if found[0].fingerprint == wanted:
                why = find_damage(target, found[1])
            else:
                why = made_of.changes(found[0].made_of) or "its fingerprint changed"
            if not why:
                log.info("%s: done before, kept", name)
                note(f"{name}: done before, kept")
                self.records[name] = found[0]
                return found[0]
            log.info("%s: %s, redone", name, why)
            note(f"{name}: {why}, redoing")
            self.redone[name] = why

        def checked(folder: Path) -> None:
            work(folder)
            if reads is not None and reads() != files:
                raise RunFolderError(
                    f"{name}: the files that it is made of changed while they were read; start the same command again "
                    "when they are whole"
                )

        self.records[name] = self._perform(StageRecord(name, target, wanted, 0.0, 0.0), made_of, checked)
        return self.records[name]

    def _perform(self, record: StageRecord, made_of: MadeOf, work: Callable[[Path], None]) -> StageRecord:
        name, target = record.name, record.folder
        for place in (target, *target.relative_to(self.folder).parents):
            if (self.folder / place).is_symlink():  # made since the run was opened
                refuse_links(self.folder)
        with atomic_folder(target, discard=lambda folder: self._discard(name, folder)) as beside:
            start = time.perf_counter()
            with mark_unfinished(name, beside), peak_memory() as peak, progress(name):
                work(beside)
            seconds = time.perf_counter() - start
            record = replace(record, seconds=round(seconds, 3), peak_mb=float(round(peak.mb)))
            write_record(record, made_of, beside)
        return record

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Gives the path of a file beside the stages to write to in the block; what the run did not leave there is kept."""
        with own_file(self.folder, name, lambda foreign: self._aside(name, foreign)) as path:
            yield path

    def _discard(self, name: str, folder: Path) -> None:
        discard_stage(name, folder, lambda foreign: self._aside(name, foreign))

    def _aside(self, name: str, foreign: Path) -> None:
        moved = set_aside(foreign, self.folder, name)
        self.set_aside.append(moved)
        note(set_aside_sentence(name, moved))


def set_aside_sentence(name: str, moved: Path) -> str:
    if moved.is_dir():
        return f"{name}: what was there holds files that are not of this run; it is kept in {moved}"
    return f"{name}: what was there is not what this run left (another version's, or changed since); it is kept in {moved}"


@contextlib.contextmanager
def open_run(folder: Path, *, kind: str = STAGES) -> Iterator[Run]:
    """Creates or continues a run folder; one process at a time.

    Args:
        kind: of the command that writes it; runs of another kind are refused.

    Raises:
        RunFolderError: it cannot be written, holds files that are not a run's, a run of another kind or links, or is
            in use.
    """
    with lock_folder(folder, kind):
        _clear_leftovers(folder)
        yield Run(folder)


def _clear_leftovers(folder: Path) -> None:
    """Of stages that were being written when their process was killed; each says so itself."""
    for leftover in (*folder.glob(".*.part"), *folder.glob("*/.*.part")):
        name = str(leftover.relative_to(folder).with_name(leftover.name[1 : -len(".part")]))
        if leftover.is_dir():
            discard_stage(name, leftover, lambda foreign: None)


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
