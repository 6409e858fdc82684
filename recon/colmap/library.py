"""The only import of pycolmap: ``from recon.colmap.library import pycolmap``, where it is used.

Importing pycolmap puts handlers of its own on SIGTERM and on the signals of crashes, from C, over those that Python
believes to be there; here they are put back. They print a trace of the stack and end the process, so that nothing would
be cleared away.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

CAUGHT_SIGNALS = ("SIGTERM", "SIGSEGV", "SIGILL", "SIGFPE", "SIGABRT", "SIGBUS")
"""Signals that `google::InstallFailureSignalHandler` takes over."""
SIGACTION_BYTES = 512
"""More than `struct sigaction` takes anywhere: 152 bytes on Linux, 16 on macOS."""


@contextmanager
def keep_signal_handlers() -> Iterator[None]:
    """Restores the signal handlers after the block, whatever it does; works in every thread."""
    if os.name != "posix":
        yield
        return
    libc = ctypes.CDLL(None)
    numbers = [int(getattr(signal, name)) for name in CAUGHT_SIGNALS]
    before = {number: ctypes.create_string_buffer(SIGACTION_BYTES) for number in numbers}
    for number, held in before.items():
        libc.sigaction(number, None, held)
    try:
        yield
    finally:
        for number, held in before.items():
            libc.sigaction(number, held, None)


with keep_signal_handlers():
    import pycolmap


def quiet(*, verbose: bool = False) -> None:
    """COLMAP writes to stderr on its own; only what leads to its death is wanted, and that from its own process."""
    level = pycolmap.logging.INFO if verbose else pycolmap.logging.FATAL
    pycolmap.logging.minloglevel = int(level)
    pycolmap.logging.logtostderr = True  # never a log file in /tmp


quiet()

__all__ = ["pycolmap", "quiet"]
