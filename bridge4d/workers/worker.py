"""The program of a worker process: takes one item after another from a pipe and answers each.

It is started as an interpreter of its own, not by `multiprocessing`, so that the caller's script or notebook is
not run a second time in it; the task is found by its module's name.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from bridge4d.workers.outcome import exception_sentence
from recon.compute.process import end_with_parent


def use_threads(threads: int) -> None:
    """Limit the threads of libraries that were loaded before they could read the environment."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def run_task(task: Callable[[Any], Any], item: bytes) -> bytes:
    """The pickled answer, (value, None) or (None, why the task failed); raises nothing."""
    try:
        return pickle.dumps((task(pickle.loads(item)), None), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return pickle.dumps((None, exception_sentence(error)))


def resident_mb() -> float:
    """Resident memory of this process, 10^6 bytes."""
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def main(threads: int, descriptor: int) -> None:
    """Load the task, send None or why that failed, then answer each item with (resident MB, answer).

    Args:
        threads: of the numerical libraries.
        descriptor: file descriptor of the pipe to the parent.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        task = pickle.loads(connection.recv_bytes())
    except BaseException as error:
        connection.send(exception_sentence(error))
        os._exit(1)
    use_threads(threads)
    connection.send(None)
    while True:
        try:
            item = connection.recv_bytes()
        except EOFError:
            os._exit(0)
        reply = run_task(task, item)
        connection.send((resident_mb(), reply))
