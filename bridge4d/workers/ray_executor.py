"""The same crew of processes, one on each CPU that a Ray cluster gives.

Ray places items on nodes and outlives nodes that fall. On a node the task runs in a worker of `pool`, a child of
Ray's own process, so that crashes, limits and recycling are the same, and are told in the same words, as without Ray.
"""

import itertools
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bridge4d.workers.outcome import ExecutorError, Outcome, exception_sentence
from bridge4d.workers.pool import Crew, CrewOptions
from recon.errors import MissingDependencyError

IDLE_S = 30.0
"""After so long without an item, a node's worker gives its memory back."""
QUEUED = 2
"""Items submitted for each CPU: one under way, one that is there when it ends, and demand that an autoscaler sees."""
KNOCK_S = 10.0
STORE_BYTES = 128 * 2**20
"""Of a cluster started here: items and results are small."""


class _Seat:
    """What one of Ray's processes keeps between items: a crew of one worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crew: Crew | None = None
        self._asked: object = None
        self._release = threading.Timer(0, lambda: None)

    def run(self, task: bytes, paths: Sequence[str], options: CrewOptions, key: str, item: Any) -> Outcome:
        self._release.cancel()
        with self._lock:
            asked = (task, tuple(paths), options)
            if self._crew is None or asked != self._asked:
                self._leave()
                self._crew, self._asked = Crew(task, paths, options), asked
            (outcome,) = self._crew.run([(key, item)])
        self._release = threading.Timer(IDLE_S, self.leave)
        self._release.daemon = True
        self._release.start()
        return outcome

    def leave(self) -> None:
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._crew is not None:
            self._crew.close()
        self._crew = None


_seat = _Seat()


def run_one(task: bytes, paths: Sequence[str], options: CrewOptions, key: str, item: Any) -> Outcome:
    """What a node does with one item. Paths of the caller that this node has not are left to its own."""
    here = [path for path in paths if os.path.exists(path)]
    return _seat.run(task, [*here, *(path for path in sys.path if path not in here)], options, key, item)


def run_on_ray(
    task: bytes, paths: Sequence[str], items: Sequence[tuple[str, Any]], options: CrewOptions, *, workers: int
) -> Generator[Outcome, None, None]:
    """See `run_tasks`; `options` are those of one node's crew.

    Raises:
        MissingDependencyError: Ray is not installed.
        ExecutorError: no cluster answers at RAY_ADDRESS.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'expected Ray for the executor "ray", which is not installed; pip install "bridge4d[cluster]"'
        ) from error
    return _run(task, paths, items, options, workers)


def _run(
    task: bytes, paths: Sequence[str], items: Sequence[tuple[str, Any]], options: CrewOptions, workers: int
) -> Generator[Outcome, None, None]:
    import ray

    with _cluster(workers):
        # a worker that dies is the crew's matter; these retries are for nodes and for Ray's own processes
        remote = ray.remote(num_cpus=1, max_retries=options.attempts - 1)(run_one)
        shared = ray.put(task)
        fresh, flying = iter(items), dict[Any, str]()
        try:
            while True:
                room = (workers or QUEUED * _cpus()) - len(flying)
                for key, item in itertools.islice(fresh, max(0, room)):
                    flying[remote.remote(shared, list(paths), options, key, item)] = key
                if not flying:
                    return
                landed, _ = ray.wait(list(flying), num_returns=1)
                outcomes = [_outcome(ref, flying.pop(ref)) for ref in landed]
                yield from outcomes
        finally:
            for ref in flying:
                ray.cancel(ref, force=True)


def _outcome(reference: Any, key: str) -> Outcome:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ExecutorError):
            raise error.cause from None
        return Outcome(key, None, exception_sentence(error.cause or error))
    except RayError as error:  # its node fell, or Ray's process did
        sentence = f"its process on the cluster ended ({type(error).__name__})"
        return Outcome(key, None, sentence, lost=True)


def _cpus() -> int:
    """Of the cluster as it is now: it may grow."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """The cluster that this process is connected to already, or RAY_ADDRESS's, or one of its own until the end."""
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS")
    try:
        _knock(address)
        with _sigterm_kept():
            if address:
                ray.init(**quiet)
            else:
                os.environ.setdefault(
                    "RAY_USAGE_STATS_ENABLED", "0"
                )  # nobody was asked whether Ray may call home
                ray.init(
                    address="local",
                    num_cpus=workers or None,
                    include_dashboard=False,
                    object_store_memory=STORE_BYTES,
                    **quiet,
                )
    except (OSError, RuntimeError, ValueError) as error:
        where = f"a Ray cluster at RAY_ADDRESS={address}" if address else "a Ray cluster of its own to start"
        raise ExecutorError(f"expected {where}, got {exception_sentence(error)}; see `ray status`") from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Ray itself tries for minutes, and writes to standard error all the while, before it gives a wrong address up."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray puts a handler of its own in the place of whatever the caller had for SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
