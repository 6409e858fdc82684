"""Runs one task over thousands of items, on this machine's processes or on a Ray cluster, with the same results."""

import os
import pickle
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, TypeVar

from bridge4d.workers.outcome import ExecutorError, Outcome, exception_sentence
from bridge4d.workers.pool import Crew, CrewOptions, cores

T = TypeVar("T")

__all__ = ["ExecutorError", "Outcome", "run_tasks"]


def run_tasks(
    task: Callable[[T], Any],
    items: Sequence[tuple[str, T]],
    *,
    executor: Literal["pool", "ray"] = "pool",
    workers: int = 0,
    seconds_limit: float | None = None,
    recycle_mb: float = 1500.0,
    recycle_after: int = 50,
    attempts: int = 2,
) -> Generator[Outcome, None, None]:
    """The outcome of `task` for every (key, item), each as it gets ready: the order is not fixed.

    A task runs in a process of its own, also with one worker, so that one that aborts, hangs or leaks costs
    itself only: it is an `Outcome` with `failed`, like one that raises. The task is found by its module's name
    in a fresh interpreter, so it lives in a module, not in a script or a notebook's cell; items and results are
    pickled, and only those under way are in memory besides what the caller holds. Closing the iterator, Ctrl-C,
    and the end of this process, also by SIGKILL, end all workers at once.

    With 'ray' the same happens on the nodes of the cluster that RAY_ADDRESS names, or else on a local one that
    is started and shut down here. On a cluster, this package must be installed on every node, and paths in items
    (clips, the run folder) must lie on storage that all nodes share.

    Args:
        workers: Processes at a time; 0 is one per core (pool), or as many as the cluster has CPUs (ray). Numerical
            libraries get cores / workers threads each, at least one; one on Ray.
        seconds_limit: A task that takes longer is killed and fails; it is not tried again. None is no limit.
        recycle_mb: A worker whose resident memory is above this after a task makes room for a fresh one.
        recycle_after: So does one that did so many tasks.
        attempts: How often an item is tried whose process dies; one that raises is tried once.

    Raises:
        ExecutorError: the task cannot be loaded by another process, workers do not start, no cluster answers.
        MissingDependencyError: 'ray' without Ray.
    """
    if workers < 0 or attempts < 1 or recycle_after < 1 or (seconds_limit is not None and seconds_limit <= 0):
        raise ExecutorError(
            "expected workers of 0 or more, attempts and recycle_after of 1 or more and a positive seconds_limit, "
            f"got workers={workers}, attempts={attempts}, recycle_after={recycle_after}, seconds_limit={seconds_limit}"
        )
    try:
        pickled = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise ExecutorError(
            "expected a task that can be pickled (a function at the top of a module, or functools.partial of one), "
            f"got {task!r} ({exception_sentence(error)})"
        ) from error
    paths = [os.path.abspath(path) for path in sys.path]  # an empty one is this folder
    count = workers or cores()
    if executor == "ray":
        from bridge4d.workers.ray_executor import run_on_ray

        options = CrewOptions(1, 1, seconds_limit, recycle_mb, recycle_after, attempts)
        return run_on_ray(pickled, paths, items, options, workers=workers)
    threads = max(1, cores() // count)
    options = CrewOptions(count, threads, seconds_limit, recycle_mb, recycle_after, attempts)
    return _run_here(Crew(pickled, paths, options), items)


def _run_here(crew: Crew, items: Sequence[tuple[str, Any]]) -> Generator[Outcome, None, None]:
    try:
        yield from crew.run(items)
    finally:
        crew.close()
