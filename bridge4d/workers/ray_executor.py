"""Run a task on the CPUs of a Ray cluster, with one worker process of `pool` on each.

Ray places items on nodes and survives nodes that fail. On a node the task runs in a child of Ray's own process, so
that crashes, limits and recycling work, and read, as they do without Ray.
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

IDLE_TIMEOUT_S = 30.0
"""Seconds without an item after which a node's worker is closed and its memory freed."""
ITEMS_PER_CPU = 2
"""Items submitted for each CPU: one under way and one waiting, which is also demand that an autoscaler sees."""
CONNECT_TIMEOUT_S = 10.0
"""Most seconds for a cluster's address to answer; Ray itself would try for minutes."""
OBJECT_STORE_BYTES = 128 * 2**20
"""Memory for objects of a cluster started here: items and results are small. Ray's default is 30% of the machine."""


class _NodeCrew:
    """A crew of one worker, which a process of Ray keeps from item to item."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crew: Crew | None = None
        self._setup: object = None
        self._release = threading.Timer(0, lambda: None)

    def run(self, task: bytes, paths: Sequence[str], options: CrewOptions, key: str, item: Any) -> Outcome:
        """Run one item, in a new crew where task, paths or options differ from the last ones."""
        self._release.cancel()
        with self._lock:
            setup = (task, tuple(paths), options)
            if self._crew is None or setup != self._setup:
                self._close()
                self._crew, self._setup = Crew(task, paths, options), setup
            (outcome,) = self._crew.run([(key, item)])
        self._release = threading.Timer(IDLE_TIMEOUT_S, self.close)
        self._release.daemon = True
        self._release.start()
        return outcome

    def close(self) -> None:
        """End the worker, from the timer's thread."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._crew is not None:
            self._crew.close()
        self._crew = None


_node_crew = _NodeCrew()
"""The one of this process."""


def run_one(task: bytes, paths: Sequence[str], options: CrewOptions, key: str, item: Any) -> Outcome:
    """Run one item on a node; import paths that exist only at the caller are replaced by the node's own."""
    here = [path for path in paths if os.path.exists(path)]
    return _node_crew.run(task, [*here, *(path for path in sys.path if path not in here)], options, key, item)


def run_on_ray(
    task: bytes, paths: Sequence[str], items: Sequence[tuple[str, Any]], options: CrewOptions, *, workers: int
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of items on a cluster, as `run_tasks`; `options` are those of the crew on one CPU.

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

    with _connect(workers):
        # the crew retries items of workers that die; these retries are for nodes and Ray's own processes
        remote = ray.remote(num_cpus=1, max_retries=options.attempts - 1)(run_one)
        shared = ray.put(task)
        fresh, pending = iter(items), dict[Any, str]()
        try:
            while True:
                room = (workers or ITEMS_PER_CPU * _count_cpus()) - len(pending)
                for key, item in itertools.islice(fresh, max(0, room)):
                    pending[remote.remote(shared, list(paths), options, key, item)] = key
                if not pending:
                    return
                finished, _ = ray.wait(list(pending), num_returns=1)
                outcomes = [_collect(ref, pending.pop(ref)) for ref in finished]
                yield from outcomes
        finally:
            for ref in pending:
                ray.cancel(ref, force=True)


def _collect(reference: Any, key: str) -> Outcome:
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


def _count_cpus() -> int:
    """CPUs of the cluster as it is now, at least 1; it may grow."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextmanager
def _connect(workers: int) -> Iterator[None]:
    """Connect to a cluster: the present connection, RAY_ADDRESS, or a local one that ends with the block."""
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS")
    try:
        _check_address(address)
        with _keep_sigterm_handler():
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
                    object_store_memory=OBJECT_STORE_BYTES,
                    **quiet,
                )
    except (OSError, RuntimeError, ValueError) as error:
        where = f"a Ray cluster at RAY_ADDRESS={address}" if address else "a Ray cluster of its own to start"
        raise ExecutorError(f"expected {where}, got {exception_sentence(error)}; see `ray status`") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str | None) -> None:
    """Refuse an address where nothing answers, before Ray tries it for minutes and fills standard error."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


@contextmanager
def _keep_sigterm_handler() -> Iterator[None]:
    """Restore the caller's handler of SIGTERM, which Ray replaces by its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
