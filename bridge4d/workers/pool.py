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

WORKER_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from bridge4d.workers.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
"""What a worker's interpreter runs, with the caller's import paths."""
THREAD_VARIABLES = (  # of every library that would otherwise start a thread on each core, in each worker
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
MAX_FALSE_STARTS = 3
"""Processes in a row that may end before they are ready; a third one is no accident, and more would only take longer."""


@dataclass(frozen=True)
class CrewOptions:
    """Sizes and limits of a crew; see `run_tasks`."""

    workers: int
    threads: int
    """Threads of the numerical libraries in each worker."""
    seconds_limit: float | None
    recycle_mb: float
    recycle_after: int
    attempts: int


@dataclass(frozen=True)
class Job:
    """An item under way, and which attempt at it this is."""

    key: str
    item: Any
    attempt: int = 1


def count_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker(Process):
    """One process, and what it is busy with."""

    def __init__(self, task: bytes, paths: Sequence[str], threads: int) -> None:
        super().__init__(
            WORKER_PROGRAM,
            [json.dumps(list(paths)), str(threads)],
            environment=dict.fromkeys(THREAD_VARIABLES, str(threads)),
        )
        self.ready = False
        self.job: Job | None = None
        self.done = 0
        self.deadline: float | None = None
        with suppress(OSError):  # it ended already, which receiving finds
            self.connection.send_bytes(task)

    def send(self, job: Job, item: bytes, seconds_limit: float | None) -> None:
        """Send a pickled item to the process; from now on its time runs."""
        self.job = job
        self.deadline = None if seconds_limit is None else time.monotonic() + seconds_limit
        with suppress(OSError):  # as above
            self.connection.send_bytes(item)


class Crew:
    """Workers that stay from one `run` to the next, until `close`."""

    def __init__(self, task: bytes, paths: Sequence[str], options: CrewOptions) -> None:
        self.task, self.paths, self.options = task, tuple(paths), options
        self.workers: list[Worker] = []
        self.false_starts = 0

    def close(self) -> None:
        """Kill all workers."""
        while self.workers:
            self.workers.pop().stop()

    def run(self, items: Sequence[tuple[str, Any]]) -> Generator[Outcome, None, None]:
        """Yield the outcome of each item as it gets ready; closing early, or any exception, kills all workers."""
        fresh, again = iter(items), deque[Job]()
        left, ready = len(items), list[Outcome]()
        try:
            while True:
                ready += self._assign_items(
                    fresh, again, left - len(ready)
                )  # before the caller gets its turn, so that no worker idles meanwhile
                left -= len(ready)
                yield from ready
                if not left:
                    return
                ready = [
                    o
                    for worker in self._wait_for_workers()
                    if (o := self._receive(worker, again)) is not None
                ]
                ready += self._stop_overdue()
        except BaseException:
            self.close()
            raise

    def _assign_items(
        self, fresh: Iterator[tuple[str, Any]], again: deque[Job], left: int
    ) -> Iterator[Outcome]:
        """Start workers as needed and send idle ones an item; yields outcomes of items that cannot be pickled."""
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
                worker.send(job, item, self.options.seconds_limit)

    def _wait_for_workers(self) -> list[Worker]:
        """Wait until a worker answers, dies or is overdue; the workers to receive from."""
        expected = {w.connection: w for w in self.workers if w.job is not None or not w.ready}
        deadlines = [w.deadline for w in expected.values() if w.deadline is not None]
        patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        return [expected[c] for c in wait(list(expected), patience)] if expected else []  # type: ignore[index]

    def _receive(self, worker: Worker, again: deque[Job]) -> Outcome | None:
        """Take one message from a worker; None where it only became ready, or its item is tried again."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._handle_death(worker, again)
        if not worker.ready:
            self._mark_ready(worker, message)
            return None
        assert worker.job is not None
        key = worker.job.key
        resident_mb, answer = message
        worker.job, worker.deadline, worker.done = None, None, worker.done + 1
        if worker.done >= self.options.recycle_after or resident_mb > self.options.recycle_mb:
            self._stop_worker(worker)
        try:
            value, failed = pickle.loads(answer)
        except Exception as error:
            return Outcome(key, None, f"its result cannot be read: {exception_sentence(error)}")
        return Outcome(key, value, failed)

    def _mark_ready(self, worker: Worker, complaint: str | None) -> None:
        """Note that a process loaded the task.

        Raises:
            ExecutorError: it could not, for the reason `complaint`.
        """
        if complaint is not None:
            raise ExecutorError(
                "expected a task that another process can load by its module's name, got one that it cannot "
                f"({complaint}); move it from the script or notebook into a module beside it and import it from there"
            )
        worker.ready, self.false_starts = True, 0

    def _handle_death(self, worker: Worker, again: deque[Job]) -> Outcome | None:
        """Give the item of a dead worker another attempt, or give it up; stop after too many false starts."""
        job, sentence = worker.job, describe_ending(self._stop_worker(worker))
        if job is None:
            self.false_starts += 1
            if self.false_starts >= MAX_FALSE_STARTS:
                raise ExecutorError(
                    f"worker processes end before they are ready ({sentence}); see what they wrote to standard error"
                )
            return None
        if job.attempt >= self.options.attempts:
            return Outcome(job.key, None, sentence, lost=True)
        again.append(Job(job.key, job.item, job.attempt + 1))
        return None

    def _stop_overdue(self) -> Iterator[Outcome]:
        """Kill workers past their deadline; their items get no second attempt, which would take as long."""
        for worker in list(self.workers):
            if worker.deadline is None or time.monotonic() < worker.deadline or worker.connection.poll():
                continue
            assert worker.job is not None
            key = worker.job.key
            self._stop_worker(worker)
            yield Outcome(key, None, limit_sentence(self.options.seconds_limit or 0.0), lost=True)

    def _stop_worker(self, worker: Worker) -> int:
        """End a worker; its exit code."""
        self.workers.remove(worker)
        return worker.stop()
