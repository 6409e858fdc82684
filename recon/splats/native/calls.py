"""Calls of the compiled engine, made by a thread of their own so that Ctrl-C can stop them."""

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

Outcome = SimpleQueue[int | Exception]
"""Queue on which a call leaves its status, or the exception that it raised."""
Calls = SimpleQueue[tuple[Callable[..., int], tuple[object, ...], Outcome]]
"""Queue of calls: the function, its arguments, and the queue for its outcome."""


@cache
def call_queue() -> Calls:
    """Queue of calls that one dedicated thread makes in turn.

    Outcomes come on plain queues, not futures: the locks of the latter stay locked when Ctrl-C comes at the wrong moment.
    """
    calls = Calls()
    threading.Thread(target=_make_calls, args=(calls,), name="splats", daemon=True).start()
    return calls


def _make_calls(calls: Calls) -> None:
    # a daemon thread: it ends with the process
    while True:
        _make_call(*calls.get())


def _make_call(function: Callable[..., int], arguments: tuple[object, ...], outcome: Outcome) -> None:
    try:
        outcome.put(function(*arguments))
    except Exception as error:  # arguments that ctypes does not take
        outcome.put(error)


# A forked child inherits the queue but not its thread: it starts one of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=call_queue.cache_clear)
