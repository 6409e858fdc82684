"""Running of functions in COLMAP's child process, whose failures come back as one sentence."""

import errno
import functools
import importlib
import json
import logging
import os
import pickle
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from recon.compute.process import Process, describe_ending, is_expendable
from recon.errors import BridgeError, ReconstructionError, explain_os_error

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from recon.colmap.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
"""Code of the child: the parent's import path comes first, so that it finds the same modules."""
POLL_S = 0.1
"""Seconds between looks at whether the process still lives: soon enough for Ctrl-C, and no load."""
LAST_WORDS_BYTES = 8000
"""Bytes at the end of COLMAP's output that are searched for the reason of its death: a hundred lines."""
NEARLY_FULL = 1 << 20
"""Bytes free on a disk that is full: SQLite asks for pages, and its files were rolled back by the time one looks."""


def run_in_child(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to run in COLMAP's process; arguments and result are pickled.

    Ctrl-C ends that process at once. In a process that may itself be lost (a worker of `bridge4d measure`), and where
    there are no such processes (Windows), the function runs in place.

    Raises:
        BridgeError: the process died: the disk is full, memory ran out, or COLMAP gave up. Exceptions of the function come
            through as they are.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in the child process."""
        if is_expendable() or os.name != "posix":
            return function(*args, **kwargs)
        return _the_process().call(function.__module__, function.__qualname__, args, kwargs)

    return call


class _Colmap:
    """One process, and the thread that waits for it."""

    def __init__(self) -> None:
        verbose = log.isEnabledFor(logging.DEBUG)
        self.words = None if verbose else tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        self.process = Process(BOOT, [paths, str(int(verbose))], stderr=self.words)
        self.lock = threading.Lock()
        self.owner = os.getpid()
        self.stop = weakref.finalize(self, _stop_if_own, self.process, self.owner)

    def call(self, module: str, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call the function in the child process."""
        while not self.lock.acquire(timeout=POLL_S):
            pass
        try:
            request = pickle.dumps((module, name, args, kwargs), protocol=pickle.HIGHEST_PROTOCOL)
            try:
                self.process.connection.send_bytes(request)
                while not self.process.connection.poll(POLL_S):  # so that Ctrl-C is heard
                    pass
                answer = self.process.connection.recv_bytes()
            except (EOFError, OSError):
                self._raise_death_error(args)
            except BaseException:
                _forget(self)
                raise
        finally:
            self.lock.release()
        kind, value = pickle.loads(answer)
        if kind == "raised":
            if isinstance(value, RuntimeError):  # COLMAP's, whose words for a full disk are many
                _raise_if_full(_folders(args))
            raise value
        return value

    def _raise_death_error(self, args: tuple) -> None:
        with suppress(Exception):
            self.process.process.wait(2)  # so that it is known how it ended
        code = self.process.process.returncode
        _forget(self)
        words = self._last_words()
        log.info("COLMAP died: %s", words)
        folders = _folders(args)
        if "disk is full" in words:
            raise _no_space(folders[0] if folders else Path.cwd())
        _raise_if_full(folders)
        if "bad_alloc" in words or "annot allocate memory" in words:
            raise ReconstructionError(
                "COLMAP ran out of memory; try a smaller --sfm-side or --max-side, or close other programs, and start "
                "again: finished stages are kept"
            )
        how = describe_ending(code if code is not None else 1)
        said = f"; its last words: {reason}" if (reason := _reason(words)) else ""
        raise ReconstructionError(f"COLMAP gave up: {how}{said}; start again, finished stages are kept")

    def _last_words(self) -> str:
        if self.words is None:
            return ""
        self.words.seek(max(0, os.fstat(self.words.fileno()).st_size - LAST_WORDS_BYTES))
        return self.words.read().decode("utf-8", "replace")


_process: _Colmap | None = None
"""The one child of this process, started by the first call."""
_starting = threading.Lock()
"""Held while the child is started or replaced."""


def _the_process() -> _Colmap:
    global _process  # noqa: PLW0603
    with _starting:
        if _process is None or _process.owner != os.getpid():  # a fork's parent keeps its own
            _process = _Colmap()
        return _process


def _forget(process: _Colmap) -> None:
    """Ends a broken process; the next call starts another."""
    global _process  # noqa: PLW0603
    process.stop()
    with _starting:
        if _process is process:
            _process = None


def _stop_if_own(process: Process, owner: int) -> None:
    if os.getpid() == owner:
        process.stop()


def _folders(args: tuple) -> list[Path]:
    """Folders among the arguments, in which the function works."""
    return [path if path.is_dir() else path.parent for path in args if isinstance(path, Path)]


def _raise_if_full(folders: list[Path]) -> None:
    for folder in folders:
        if _is_full(folder):
            raise _no_space(folder)


def _no_space(folder: Path) -> BridgeError:
    return explain_os_error(OSError(errno.ENOSPC, "No space left on device"), folder)


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < NEARLY_FULL


def _reason(words: str) -> str:
    """The line of a C++ exception or of a failed check among what COLMAP wrote, if there is one."""
    lines = [line.strip() for line in words.splitlines()]
    what = [line.removeprefix("what():").strip() for line in lines if line.startswith("what():")]
    return (what or [line for line in lines if "Check failed" in line] or [""])[-1][:200]


def answer(module: str, name: str, args: tuple, kwargs: dict[str, Any]) -> tuple[str, Any]:
    """Runs in the process: the function's result, or the exception that it raised."""
    try:
        function = getattr(importlib.import_module(module), name)
        return "value", function.__wrapped__(*args, **kwargs)
    except BaseException as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return "raised", BridgeError(f"{type(error).__name__}: {error}")
        return "raised", error
