"""A small crew of processes for tasks that may crash, hang or leak.

`concurrent.futures` and `multiprocessing.Pool` break as a whole or hang when a process of theirs is killed, and
their processes run the caller's script again. Here each process has a pipe of its own: one that dies costs one
item one attempt.
"""

import json
import os
import pickle
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from bridge4d.workers.outcome import (
    ExecutorError,
    Outcome,
    exception_sentence,
    limit_sentence,
)
from recon.compute.process import Process, describe_ending

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from bridge4d.workers.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
FALSE_STARTS = 3
"""So many processes in a row may end before they are ready; then something is wrong with all of them."""


@dataclass(frozen=True)
class CrewOptions:
    workers: int
    threads: int
    """For the numerical libraries of each worker."""
    seconds_limit: float | None
    recycle_mb: float
    recycle_after: int
    attempts: int


@dataclass(frozen=True)
class Job:
    key: str
    item: Any
    attempt: int = 1


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker(Process):
    """One process, and what it is busy with."""

    def __init__(self, task: bytes, paths: Sequence[str], threads: int) -> None:
        super().__init__(
            BOOT,
            [json.dumps(list(paths)), str(threads)],
            environment=dict.fromkeys(THREAD_VARIABLES, str(threads)),
        )
        self.ready = False
        self.job: Job | None = None
        self.done = 0
        self.deadline: float | None = None
        with suppress(OSError):  # it ended already, which reading tells
            self.connection.send_bytes(task)

    def give(self, job: Job, item: bytes, seconds_limit: float | None) -> None:
        self.job = job
        self.deadline = None if seconds_limit is None else time.monotonic() + seconds_limit
        with suppress(OSError):  # the same
            self.connection.send_bytes(item)


class Crew:
    """Workers that stay from one `run` to the next, until `close`."""

    def __init__(self, task: bytes, paths: Sequence[str], options: CrewOptions) -> None:
        self.task, self.paths, self.options = task, tuple(paths), options
        self.workers: list[Worker] = []
        self.false_starts = 0

    def close(self) -> None:
        while self.workers:
            self.workers.pop().stop()

    def run(self, items: Sequence[tuple[str, Any]]) -> Generator[Outcome, None, None]:
        """Each item's outcome as it gets ready. Closing it early, or any exception, kills all workers at once."""
        fresh, again = iter(items), deque[Job]()
        left, ready = len(items), list[Outcome]()
        try:
            while True:
                ready += self._give_out(
                    fresh, again, left - len(ready)
                )  # nobody idles while the caller works
                left -= len(ready)
                yield from ready
                if not left:
                    return
                ready = [o for worker in self._heard() if (o := self._read(worker, again)) is not None]
                ready += self._overdue()
        except BaseException:
            self.close()
            raise

    def _give_out(self, fresh: Iterator[tuple[str, Any]], again: deque[Job], left: int) -> Iterator[Outcome]:
        """Starts workers as needed and gives idle ones an item; an outcome only where it cannot be sent."""
        while len(self.workers) < min(self.options.workers, left):
            self.workers.append(Worker(self.task, self.paths, self.options.threads))
        for worker in self.workers:
            while worker.ready and worker.job is None:
                job = again.popleft() if again else next((Job(*pair) for pair in fresh), None)
                if job is None:
                    return
                try:
                    item = pickle.dumps(job.item, protocol=pickle.HIGHEST_PROTOCOL)
                except Exception as error:
                    yield Outcome(job.key, None, f"cannot be sent to a worker: {exception_sentence(error)}")
                    continue
                worker.give(job, item, self.options.seconds_limit)

    def _heard(self) -> list[Worker]:
        """Waits until a worker has something to say, has ended, or is overdue."""
        expected = {w.connection: w for w in self.workers if w.job is not None or not w.ready}
        deadlines = [w.deadline for w in expected.values() if w.deadline is not None]
        patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        return [expected[c] for c in wait(list(expected), patience)] if expected else []  # type: ignore[index]

    def _read(self, worker: Worker, again: deque[Job]) -> Outcome | None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._ended(worker, again)
        if not worker.ready:
            self._started(worker, message)
            return None
        assert worker.job is not None
        key = worker.job.key
        resident_mb, answer = message
        worker.job, worker.deadline, worker.done = None, None, worker.done + 1
        if worker.done >= self.options.recycle_after or resident_mb > self.options.recycle_mb:
            self._dismiss(worker)
        try:
            value, failed = pickle.loads(answer)
        except Exception as error:
            return Outcome(key, None, f"its result cannot be read: {exception_sentence(error)}")
        return Outcome(key, value, failed)

    def _started(self, worker: Worker, complaint: str | None) -> None:
        if complaint is not None:
            raise ExecutorError(
                "expected a task that another process can load by its module's name, got one that it cannot "
                f"({complaint}); move it from the script or notebook into a module beside it and import it from there"
            )
        worker.ready, self.false_starts = True, 0

    def _ended(self, worker: Worker, again: deque[Job]) -> Outcome | None:
        """A worker died: its item gets another attempt, or is given up."""
        job, sentence = worker.job, describe_ending(self._dismiss(worker))
        if job is None:
            self.false_starts += 1
            if self.false_starts >= FALSE_STARTS:
                raise ExecutorError(
                    f"worker processes end before they are ready ({sentence}); see what they wrote to standard error"
                )
            return None
        if job.attempt >= self.options.attempts:
            return Outcome(job.key, None, sentence, lost=True)
        again.append(Job(job.key, job.item, job.attempt + 1))
        return None

    def _overdue(self) -> Iterator[Outcome]:
        """Those that hang are killed; their items get no second attempt, which would take as long."""
        for worker in list(self.workers):
            if worker.deadline is None or time.monotonic() < worker.deadline or worker.connection.poll():
                continue
            assert worker.job is not None
            key = worker.job.key
            self._dismiss(worker)
            yield Outcome(key, None, limit_sentence(self.options.seconds_limit or 0.0), lost=True)

    def _dismiss(self, worker: Worker) -> int:
        self.workers.remove(worker)
        return worker.stop()
