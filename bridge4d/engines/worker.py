"""The process that does the work: takes one item after another from a pipe and answers each.

It is started as an interpreter of its own, not by `multiprocessing`, so that the caller's script or notebook is
not run a second time in it; the task is found by its module's name.
"""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from bridge4d.engines.outcome import exception_sentence

STDIN = 0


def end_with_parent() -> None:
    """Leaves at once when the other end of standard input closes, which is when the parent is gone, however it went.

    A thread sees that on every system, but only while the task lets go of the interpreter's lock. On Linux the
    kernel is asked besides to send SIGIO, whose default is to end the process: to this one and to what it started.
    """

    def watch() -> None:
        while os.read(STDIN, 1):
            pass
        os._exit(1)

    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(STDIN, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(STDIN, fcntl.F_SETFL, fcntl.fcntl(STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=watch, name="parent", daemon=True).start()


def use_threads(threads: int) -> None:
    """For libraries that were loaded before they could read it from the environment."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def answer(task: Callable[[Any], Any], item: bytes) -> bytes:
    """A pickled (value, None) or (None, sentence); whatever the task raises is an answer."""
    try:
        return pickle.dumps((task(pickle.loads(item)), None), protocol=pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return pickle.dumps((None, exception_sentence(error)))


def resident_mb() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def main(descriptor: int, threads: int) -> None:
    """Reads the pickled task, says None or why it cannot be loaded, then answers items with (megabytes, answer)."""
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
        reply = answer(task, item)
        connection.send((resident_mb(), reply))
