"""Child interpreters at the other end of a pipe, which may die and end when this process does."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from typing import IO

STDIN = 0
"""Descriptor of standard input, whose end means that the parent is gone."""
_expendable = False


class Process:
    """A child interpreter that runs `boot`, a line of Python, with its pipe's descriptor as last argument.

    It is started by its own command, not by `multiprocessing`, so that the caller's script or notebook is not run a
    second time in it. Ctrl-C does not reach it; it should begin with `end_with_parent`.
    """

    def __init__(
        self,
        boot: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        self.connection, theirs = Pipe()
        descriptor = theirs.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", boot, *arguments, str(descriptor)],
            stdin=subprocess.PIPE,  # never written to: it closes when this process ends
            stderr=stderr,
            pass_fds=[descriptor],
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is this process's business, and the other's children end with it
        )
        theirs.close()

    def stop(self) -> int:
        """Kill the process with all that it started; returns its exit code."""
        kill_group(self.process)
        self.connection.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return self.process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group of its own, and all that it started."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of the dead
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def end_with_parent() -> None:
    """Exit as soon as the other end of standard input closes, which is when the parent has ended in any way.

    A thread notices that on every system, but only while the task releases the interpreter's lock. On Linux the kernel also
    sends SIGIO, whose default is to end the process: to this one and to those that it started.
    """
    global _expendable  # noqa: PLW0603
    _expendable = True

    def watch() -> None:
        """Wait for the end of standard input."""
        while os.read(STDIN, 1):
            pass
        os._exit(1)

    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(STDIN, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(STDIN, fcntl.F_SETFL, fcntl.fcntl(STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=watch, name="parent", daemon=True).start()


def is_expendable() -> bool:
    """Whether this process is itself a child that may die, so that it need not isolate anything."""
    return _expendable


def describe_ending(returncode: int) -> str:
    """Clause on how a process ended.

    Args:
        returncode: of `subprocess`, negative for a signal.
    """
    if returncode >= 0:
        return f"its process ended (exit code {returncode})"
    number = -returncode
    known = {s.value: s.name for s in signal.Signals}
    hint = "; perhaps memory ran out" if number == signal.SIGKILL else ""
    return f"its process ended (signal {number}, {known.get(number, 'unknown')}{hint})"
