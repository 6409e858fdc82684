"""Runs COLMAP where Ctrl-C can reach it, and keeps it quiet."""

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

POLL_S = 0.1
GRACE_S = 0.5


def interruptible(work: Callable[[Any], T]) -> T:
    """Calls ``work(cancellation_token)`` in a thread and waits for its result, its exception, or Ctrl-C.

    COLMAP runs long without the interpreter. On KeyboardInterrupt its token is cancelled, it gets half a second
    to stop, and the interrupt goes on to the caller; work that ignores its token is left to a daemon thread.
    """
    import pycolmap

    quiet()
    token = pycolmap.CancellationToken()
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = work(token)
        except BaseException as e:
            outcome["error"] = e

    thread = threading.Thread(target=run, name="colmap", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL_S)
    except KeyboardInterrupt:
        token.cancel()
        thread.join(GRACE_S)
        raise
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def quiet() -> None:
    """COLMAP writes to stderr on its own; only what this project's loggers let through is wanted."""
    import pycolmap

    verbose = log.isEnabledFor(logging.DEBUG)
    pycolmap.logging.minloglevel = int(pycolmap.logging.INFO if verbose else pycolmap.logging.FATAL)
    pycolmap.logging.logtostderr = True  # never a log file in /tmp
