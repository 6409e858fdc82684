"""Run one task over thousands of items, in processes of this machine or on a Ray cluster, with the same results."""

import os
import pickle
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, TypeVar

from bridge4d.workers.outcome import ExecutorError, Outcome, exception_sentence
from bridge4d.workers.pool import Crew, CrewOptions, count_cores

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
    """Yield the outcome of `task` for every (key, item) as it gets ready, in no fixed order.

    A task runs in a process of its own, even with one worker, so that one that aborts, hangs or leaks fails alone:
    its `Outcome` has `failed`, as of one that raises. A fresh interpreter imports the task by its module's name, so
    it must live in a module, not in a script or a notebook cell. Items and results are pickled; only those under way
    are in memory beside what the caller holds. Closing the iterator, Ctrl-C, and the end of this process, by SIGKILL
    too, end all workers at once.

    With 'ray' the same happens on the nodes of the cluster that RAY_ADDRESS names, else on a local one that is
    started and shut down here. On a cluster, this package must be installed on every node, and paths in items
    (clips, the run folder) must lie on storage that all nodes share.

    Args:
        task: A function of one item, at the top of a module.
        items: Pairs of a key and what the task takes.
        executor: Where the workers are: 'pool' here, 'ray' on a cluster.
        workers: Processes at a time; 0 is one per core (pool), or as many as the cluster has CPUs (ray). Numerical
            libraries get cores / workers threads each, at least one; one on Ray.
        seconds_limit: A task that takes longer is killed and fails; it is not tried again. None is no limit.
        recycle_mb: A worker whose resident memory is above this after a task is replaced by a fresh one.
        recycle_after: Tasks after which a worker is replaced.
        attempts: How often an item is tried whose process dies; one that raises is tried once.

    Raises:
        ExecutorError: the task cannot be loaded by another process, workers do not start, no cluster answers.
        MissingDependencyError: 'ray' without Ray.
    """
    _check_limits(workers, attempts, recycle_after, seconds_limit)
    pickled = _pickle_task(task)
    paths = [os.path.abspath(path) for path in sys.path]  # an empty one is the working directory
    if executor == "ray":
        from bridge4d.workers.ray_executor import run_on_ray

        options = CrewOptions(1, 1, seconds_limit, recycle_mb, recycle_after, attempts)
        return run_on_ray(pickled, paths, items, options, workers=workers)
    count = workers or count_cores()
    threads = max(1, count_cores() // count)
    options = CrewOptions(count, threads, seconds_limit, recycle_mb, recycle_after, attempts)
    return _run_here(Crew(pickled, paths, options), items)


def _check_limits(workers: int, attempts: int, recycle_after: int, seconds_limit: float | None) -> None:
    """Refuse numbers with which nothing would run."""
    if workers < 0 or attempts < 1 or recycle_after < 1 or (seconds_limit is not None and seconds_limit <= 0):
        raise ExecutorError(
            "expected workers of 0 or more, attempts and recycle_after of 1 or more and a positive seconds_limit, "
            f"got workers={workers}, attempts={attempts}, recycle_after={recycle_after}, seconds_limit={seconds_limit}"
        )


def _pickle_task(task: Callable[[T], Any]) -> bytes:
    """The task as bytes for another process; a lambda or a local function has none."""
    try:
        return pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise ExecutorError(
            "expected a task that can be pickled (a function at the top of a module, or functools.partial of one), "
            f"got {task!r} ({exception_sentence(error)})"
        ) from error


def _run_here(crew: Crew, items: Sequence[tuple[str, Any]]) -> Generator[Outcome, None, None]:
    """Run items in processes of this machine, which end with the iterator."""
    try:
        yield from crew.run(items)
    finally:
        crew.close()
