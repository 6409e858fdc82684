"""Functions that run in COLMAP's process, for tests of it."""

import os
import signal
import sys
import time
from pathlib import Path

from recon.colmap import run_in_child
from recon.colmap.limits import limit_resources
from recon.errors import CaptureError


@run_in_child
def process_and_modules(*, note: str = "") -> tuple[int, list[str], str]:
    return os.getpid(), sorted(sys.modules), note


@run_in_child
def fail(kind: str) -> None:
    if kind == "bad input":
        raise CaptureError("expected a model, got none; name one")
    if kind == "unpicklable":

        class LocalError(Exception):
            pass

        raise LocalError("of a class that nobody else knows")
    raise ValueError("of no use")


@run_in_child
def die(words: str, folder: Path) -> Path:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGABRT)
    return folder


@run_in_child
def start_no_database(folder: Path) -> None:
    raise RuntimeError(f"No registered database factory succeeded in {folder}.")


@run_in_child
def sleep(seconds: float, started: Path) -> None:
    started.write_text(str(os.getpid()))
    time.sleep(seconds)


@run_in_child
def allocate(size: int, allowed: int) -> int:
    with limit_resources(memory=allowed, cpu_s=60):
        return len(bytearray(size))


@run_in_child
def spin() -> None:
    with limit_resources(memory=1 << 30, cpu_s=0.5):
        while True:
            pass
