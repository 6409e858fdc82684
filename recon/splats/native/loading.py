"""Search for the compiled engine: the best library for this machine that was built from these sources."""

import ctypes
import os
from functools import cache
from pathlib import Path

from recon.errors import BridgeError
from recon.splats.native import build
from recon.splats.native.structs import ABI, declare

INSTRUCTION_SET = "BRIDGE4D_SPLATS_ISA"
"""Environment variable: takes this instruction set instead of the best."""
FOLDER = "BRIDGE4D_SPLATS_LIB"
"""Environment variable: where the libraries lie, instead of beside this file."""


class EngineUnavailable(BridgeError):
    """There is no compiled engine to draw with; the message says why and what to do."""


@cache
def load() -> ctypes.CDLL:
    """The engine's library. What fails is tried again by the next call.

    Raises:
        EngineUnavailable: not compiled, compiled from other sources, or not for this machine.
    """
    folder = Path(os.environ.get(FOLDER) or build.LIBRARIES)
    generic = _open(build.GENERIC, folder)
    runs = _up_to(generic.splats_cpu_level().decode())
    wanted = os.environ.get(INSTRUCTION_SET)
    if wanted and wanted not in runs:
        raise EngineUnavailable(
            f"{INSTRUCTION_SET}={wanted} asks for an instruction set that this machine does not run; "
            f"it runs {', '.join(runs)}"
        )
    compiled = [name for name in runs if build.library_path(name, folder).exists()]
    best = wanted or compiled[-1]
    return generic if best == build.GENERIC else _open(best, folder)


def unavailable() -> str | None:
    """Why there is no compiled engine, or None where there is one."""
    try:
        load()
    except EngineUnavailable as error:
        return str(error)
    return None


def describe_build() -> tuple[str, str]:
    """Instruction set and compiler of the library that `load` returns."""
    name, compiler, _ = _stamp(load())
    return name, compiler


def version() -> str:
    """A hash of the sources that the engine was compiled from; "none" where there is no engine."""
    try:
        return _stamp(load())[2]
    except EngineUnavailable:
        return "none"


def _up_to(level: str) -> list[str]:
    names = list(build.instruction_sets())
    return names[: names.index(level) + 1]


def _open(name: str, folder: Path) -> ctypes.CDLL:
    path = build.library_path(name, folder)
    if not path.exists():
        raise EngineUnavailable(_why_not_compiled(path))
    try:
        library = ctypes.CDLL(str(path))
        declare(library)
    except (OSError, AttributeError) as error:  # not for this system; a function is missing
        raise EngineUnavailable(
            f"The CPU splatting engine cannot be loaded ({error}); run {build.REBUILD}"
        ) from error
    has_sources = any(build.SOURCES.glob("*.cpp"))
    if library.splats_abi() != ABI or (has_sources and _stamp(library)[2] != build.source_hash()):
        raise EngineUnavailable(
            f"The CPU splatting engine {path.name} was compiled from other sources than these; run {build.REBUILD}"
        )
    return library


def _stamp(library: ctypes.CDLL) -> list[str]:
    """Instruction set, compiler and hash of the sources."""
    return [part.strip() for part in library.splats_build().decode().split(";")]


def _why_not_compiled(path: Path) -> str:
    report = path.parent / build.REPORT
    told = report.read_text(encoding="utf-8").strip() if report.exists() else ""
    if "not compiled" in told:
        return told
    return f"The CPU splatting engine was not compiled: there is no {path}; run {build.REBUILD}"
