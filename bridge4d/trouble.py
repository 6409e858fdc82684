"""What is said of errors that nobody expected: out of memory, or a fault that a trace is kept of."""

import dataclasses
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from bridge4d.runs.own_files import own_file
from bridge4d.runs.run_folder import set_aside
from recon.compute.files import atomic_write

TRACE = "error.txt"
"""Where a run folder keeps the trace of its last fault."""
SAVES_MEMORY = (
    "max_side", "sfm_side", "max_gaussians", "max_features", "texture", "width", "height", "workers", "sh_degree"
)  # fmt: skip
"""Options with which smaller values take less memory, the most telling first."""
SAID = 3
"""So many of them are named."""
ALLOCATORS = (
    "not enough memory: you tried to allocate",  # torch on a CPU
    "defaultcpuallocator: can't allocate memory",
    "cuda out of memory",
    "cuda error: out of memory",
    "cublas_status_alloc_failed",
    "std::bad_alloc",  # C++, COLMAP
    "insufficient memory",  # OpenCV
    "unable to allocate",  # numpy
)
"""What allocators say, in lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the machine or of its GPU, ran out; any other error of CUDA is none of this."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    torch = sys.modules.get("torch")  # not imported for the question
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return any(words in str(error).lower() for words in ALLOCATORS)


def memory_sentence(command: Any) -> str:
    """That memory ran out, with the options of this command that take less."""
    has = set() if command is None else set(_options(type(command)))
    flags = [f"--{name.replace('_', '-')}" for name in SAVES_MEMORY if name in has][:SAID]
    if not flags:
        return "not enough memory; close other programs, or take a machine with more"
    return f"not enough memory; try a smaller {' or '.join(', '.join(flags).rsplit(', ', 1))}"


def _options(kind: Any) -> Iterator[str]:
    """The names of a command's options; those of options inside options are given without the outer name."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _options(hints[field.name])
        else:
            yield field.name


def keep_trace(error: BaseException, run: Path | None) -> Path:
    """Writes the trace of a fault down: into the run folder where there is one, else into a temporary file."""
    text = f"{sys.argv}\n\n{''.join(traceback.format_exception(error))}"
    data = text.encode(errors="backslashreplace")
    if run is not None and (run / ".lock").is_file():
        try:
            with (
                own_file(run, TRACE, lambda foreign: set_aside(foreign, run, TRACE)) as path,
                atomic_write(path) as beside,
            ):
                beside.write_bytes(data)
            return run / TRACE
        except OSError:
            pass  # full or read-only, which may be the fault
    descriptor, name = tempfile.mkstemp(prefix="bridge4d-", suffix=".txt")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return Path(name)


def fault_sentence(error: BaseException, trace: Path) -> str:
    """That something failed that should not have, what it says itself, and where the trace is."""
    said = " ".join(str(error).split())[:300]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{what}; this should not happen, please report it with {trace}, which says where"
