"""The run folder: stages that are skipped when they are done, redone when what they depend on changed.

A stage is a folder that appears whole or not at all: it is written beside, then renamed, with a
`stage.json` inside that says of what it was made and which files it consists of. Killing a run at any point loses
the stage in work and nothing else; a stage whose files were damaged since is redone.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bridge4d.fingerprints import engine_versions, fingerprint
from bridge4d.run_folder import STAGES, held, refuse_links, set_aside
from bridge4d.stages import StageRecord, begin, damage, discard_stage, finish, read_stage
from recon.errors import RunFolderError
from recon.files import folder_written_whole
from recon.progress import note, progress

log = logging.getLogger(__name__)


@dataclass
class Run:
    """An open run folder; use `open_run`."""

    folder: Path
    records: dict[str, StageRecord] = field(default_factory=dict)
    """Every stage of this run in the order in which it was asked for."""
    code: str = ""
    """`code_version` of what makes all stages; '' where each says in `depends_on` what it is made by."""
    set_aside: list[Path] = field(default_factory=list)
    """Where what lay in the place of a stage, and is not the run's, was moved to."""

    def stage(
        self,
        name: str,
        work: Callable[[Path], None],
        *,
        depends_on: Any,
        reads: Callable[[], str] | None = None,
    ) -> StageRecord:
        """Runs `work(folder)` unless it was already done with the same `depends_on` and its files are as it left them.

        Args:
            name: also the path of the stage's folder inside the run.
            work: gets a fresh folder beside the final one and leaves its results there.
            depends_on: anything JSON can say.
            reads: a fingerprint of the files outside the run that `work` reads; taken before and after.

        Raises:
            RunFolderError: those files changed meanwhile.
        """
        target = self.folder / name
        before = [] if reads is None else [reads()]
        wanted = fingerprint(name, depends_on, engine_versions(), self.code, *before)
        found = read_stage(name, target)
        why = "its inputs or options changed"
        if found is not None and found[0].fingerprint == wanted and not (why := damage(target, found[1])):
            log.info("%s: done before, kept", name)
            note(f"{name}: done before, kept")
            self.records[name] = found[0]
            return found[0]
        if found is not None:
            log.info("%s: %s, redone", name, why)
            note(f"{name}: {why}, redoing")

        def checked(folder: Path) -> None:
            work(folder)
            if reads is not None and [reads()] != before:
                raise RunFolderError(
                    f"{name}: the files that it is made of changed while they were read; start the same command again "
                    "when they are whole"
                )

        self.records[name] = self._perform(StageRecord(name, target, wanted, 0.0, 0.0), checked)
        return self.records[name]

    def _perform(self, record: StageRecord, work: Callable[[Path], None]) -> StageRecord:
        name, target = record.name, record.folder
        for place in (target, *target.relative_to(self.folder).parents):
            if (self.folder / place).is_symlink():  # made since the run was opened
                refuse_links(self.folder)
        with folder_written_whole(target, discard=lambda folder: self._discard(name, folder)) as beside:
            begin(name, beside)
            start = time.perf_counter()
            with peak_memory() as peak, progress(name):
                work(beside)
            seconds = time.perf_counter() - start
            record = replace(record, seconds=round(seconds, 3), peak_mb=float(round(peak.mb)))
            finish(record, beside)
        return record

    def _discard(self, name: str, folder: Path) -> None:
        def aside(foreign: Path) -> None:
            moved = set_aside(foreign, self.folder, name)
            self.set_aside.append(moved)
            note(set_aside_sentence(name, moved))

        discard_stage(name, folder, aside)


def set_aside_sentence(name: str, moved: Path) -> str:
    return f"{name}: what was there holds files that are not of this run; it is kept in {moved}"


@contextlib.contextmanager
def open_run(folder: Path, *, kind: str = STAGES, code: str = "") -> Iterator[Run]:
    """Creates or continues a run folder; one process at a time. With a `code_version`, stages of other code are redone.

    Args:
        kind: of the command that writes it; runs of another kind are refused.

    Raises:
        RunFolderError: it cannot be written, holds files that are not a run's, a run of another kind or links, or is
            in use.
    """
    with held(folder, kind):
        _clear_leftovers(folder)
        yield Run(folder, code=code)


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
