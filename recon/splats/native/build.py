"""Compiles the splatting engine: `python -m recon.splats.native.build`.

One shared library for each instruction set, all from the same sources, in `lib/` beside this file; the loader takes
the best one that the machine runs. What came of it is left in `lib/build.txt`, because installers hide what a build
prints. Only the standard library is needed: the installer loads this file by its path.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "src"
"""Folder of the C++ sources."""
LIBRARIES = Path(__file__).resolve().parent / "lib"
"""Folder of the compiled libraries, one for each instruction set."""
REPORT = "build.txt"
"""File in `LIBRARIES` that says what was built, or why not."""
REBUILD = "python -m recon.splats.native.build"

# Never -ffast-math: it lets NaN vanish, and at link time it sets flush-to-zero for the whole process.
FLAGS = (
    *("-std=c++17", "-fPIC", "-pthread", "-fvisibility=hidden"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
OPTIMISED = ("-O3",)
"""Options of the engine that people use."""
SANITIZED = (
    *("-O1", "-g", "-fno-omit-frame-pointer"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
    "-DSPLATS_MOST_ENTRIES=500",  # so that small pictures are drawn in bands
)

GENERIC = "generic"
"""Runs on every machine of its kind; the loader asks this one what the machine can do."""

_V3 = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt")
"""Options of the x86-64-v3 level, which processors since 2013 have."""
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl")
"""Options of the x86-64-v4 level."""
_X86_64 = {
    GENERIC: (),
    "x86-64-v3": _V3,
    "x86-64-v4": (*_V3, *_AVX512, "-mprefer-vector-width=512"),
}

NO_COMPILER = (
    "no C++17 compiler was found; install g++ or clang++ (Debian and Ubuntu: apt install g++; macOS: "
    f"xcode-select --install) or pip install ziglang, then run {REBUILD}"
)
COMPILERS = ("c++", "g++", "clang++")
"""Names of compilers that are tried in order."""
WORKERS = min(4, os.cpu_count() or 1)
"""Compilers that run at a time; each takes a few hundred MB."""


@dataclass(frozen=True)
class Compiler:
    """A command that takes the options of g++."""

    command: tuple[str, ...]
    description: str
    flags: tuple[str, ...] = ()
    """Flags that it needs besides `FLAGS`."""


@dataclass(frozen=True)
class Report:
    """The outcome of a build."""

    built: tuple[str, ...]
    """Instruction sets."""
    sentence: str


def instruction_sets(machine: str | None = None) -> dict[str, tuple[str, ...]]:
    """Instruction sets that get a library of their own on a machine (default: this one), least first, with options."""
    machine = machine or platform.machine()
    return _X86_64 if machine.lower() in ("x86_64", "amd64") else {GENERIC: ()}


def library_path(instruction_set: str, folder: Path = LIBRARIES) -> Path:
    """Path of the library for an instruction set."""
    return folder / f"splats-{instruction_set}.so"


def libraries(folder: Path = LIBRARIES) -> set[Path]:
    """Paths of the compiled libraries that exist, for any instruction set."""
    return set(folder.glob(library_path("*").name))


def source_hash(sources: Path = SOURCES) -> str:
    """16 hexadecimal digits that change with any source or option; a library carries those it was made from."""
    digest = hashlib.sha256(repr((FLAGS, OPTIMISED, _X86_64)).encode())
    for path in sorted([*sources.glob("*.cpp"), *sources.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def find_compiler(environment: Mapping[str, str] = os.environ) -> Compiler | None:
    """$CXX, else c++, g++ or clang++ where it compiles C++17, else the zig of the PyPI package ziglang, else None."""
    if environment.get("CXX"):
        return _usable(tuple(shlex.split(environment["CXX"])))
    for name in COMPILERS:
        path = shutil.which(name, path=environment.get("PATH"))
        compiler = _usable((path,)) if path else None
        if compiler:
            return compiler
    return _zig()


def _usable(command: tuple[str, ...]) -> Compiler | None:
    """Whether a compiler runs; macOS has a `c++` that only asks to be installed."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.cpp")
        probe.write_text("#include <thread>\n#include <vector>\nstatic_assert(__cplusplus >= 201703L);\n")
        if _run([*command, "-std=c++17", "-c", str(probe), "-o", str(probe.with_suffix(".o"))]):
            return None
    return Compiler(command, _first_line([*command, "--version"]))


def _zig() -> Compiler | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    zig = (sys.executable, "-m", "ziglang")
    # Without -mcpu zig compiles for this very machine; without the other it may trap what UBSan objects to.
    return Compiler(
        (*zig, "c++"), f"zig {_first_line([*zig, 'version'])}", ("-mcpu=baseline", "-fno-sanitize=all")
    )


def _first_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    return (done.stdout.splitlines() or [command[0]])[0].strip()


def _run(command: Sequence[str], **variables: str) -> str | None:
    """Runs a compiler; returns None, or one line that says why it failed."""
    environment = {**os.environ, "LC_ALL": "C", **variables}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", env=environment
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), f"exit status {done.returncode}")


def build(
    output: Path = LIBRARIES,
    *,
    sources: Path = SOURCES,
    compiler: Compiler | None = None,
    sanitize: bool = False,
) -> Report:
    """Compiles `sources` for every instruction set of this machine into `output`, and leaves the sentence there.

    A library is replaced whole or not at all; every one that was not made is removed, so that no old one is taken
    for it. One that fails does not prevent the others. Nothing is raised for what may go wrong on a machine without
    a compiler or with a read-only folder: the report says so.

    Args:
        compiler: `find_compiler()` by default, then ziglang where that one, not being $CXX, makes nothing.
        sanitize: for tests: with the address and undefined-behaviour sanitizers of g++ or clang++.
    """
    optimisation = SANITIZED if sanitize else OPTIMISED
    compilers = [compiler] if compiler else _compilers()
    reports = [Report((), _not_compiled(_why_no_compiler()))] if not compilers else []
    for candidate in compilers:
        reports.append(_build_with(candidate, sources, output, optimisation))
        if reports[-1].built:
            break
    report = reports[-1] if reports[-1].built else reports[0]
    _leave(report, output)
    return report


def _compilers() -> list[Compiler]:
    """The compiler found first, and ziglang to fall back on."""
    found = [find_compiler()]
    if not os.environ.get("CXX"):
        found.append(_zig())
    return [compiler for i, compiler in enumerate(found) if compiler and compiler not in found[:i]]


def _build_with(compiler: Compiler, sources: Path, output: Path, optimisation: tuple[str, ...]) -> Report:
    try:
        return _report(compiler, _compile_all(compiler, sources, output, optimisation))
    except OSError as error:
        return Report((), _not_compiled(f"{error.filename}: {error.strerror}"))


def _leave(report: Report, output: Path) -> None:
    """Writes the report and removes libraries that it does not list."""
    with contextlib.suppress(OSError):
        output.mkdir(parents=True, exist_ok=True)
        (output / REPORT).write_text(report.sentence + "\n", encoding="utf-8")
        for old in libraries(output) - {library_path(name, output) for name in report.built}:
            old.unlink()


@dataclass(frozen=True)
class _Workbench:
    """A temporary folder in which one build compiles."""

    compiler: Compiler
    sources: tuple[Path, ...]
    version: str
    optimisation: tuple[str, ...]
    folder: Path

    def object(self, source: Path, instruction_set: str) -> Path:
        """Object file of a source for an instruction set."""
        return self.folder / f"{instruction_set}-{source.stem}.o"

    def compile(self, source: Path, instruction_set: str, features: tuple[str, ...]) -> str | None:
        """Compiles an object; returns None, or why it could not be made."""
        defined = (
            f'-DSPLATS_SOURCE_HASH="{self.version}"',
            f'-DSPLATS_INSTRUCTION_SET="{instruction_set}"',
        )
        target = self.object(source, instruction_set)
        return self._call(*features, *defined, "-c", str(source), "-o", str(target))

    def link(self, instruction_set: str, library: Path) -> str | None:
        """Links a library; returns None, or why it could not be made, in which case none is left."""
        made = self.folder / library.name
        objects = (str(self.object(source, instruction_set)) for source in self.sources)
        # Without the instruction set: zig compiles its C++ library along, a minute for each set of options.
        failure = self._call("-shared", *objects, "-o", str(made))
        if failure:
            library.unlink(missing_ok=True)
        else:
            os.replace(made, library)
        return failure

    def _call(self, *arguments: str) -> str | None:
        options = (*FLAGS, *self.optimisation, *self.compiler.flags)
        # zig keeps what it compiled in the home folder unless told otherwise
        cache = str(self.folder / "zig")
        return _run(
            [*self.compiler.command, *options, *arguments],
            ZIG_GLOBAL_CACHE_DIR=cache,
            ZIG_LOCAL_CACHE_DIR=cache,
        )


def _compile_all(
    compiler: Compiler, sources: Path, output: Path, optimisation: tuple[str, ...]
) -> dict[str, str | None]:
    """Compiles every instruction set; None for each that worked, else why it has no library."""
    output.mkdir(parents=True, exist_ok=True)
    files = tuple(sorted(sources.glob("*.cpp")))
    with (
        tempfile.TemporaryDirectory(prefix=".build-", dir=output) as folder,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        bench = _Workbench(compiler, files, source_hash(sources), optimisation, Path(folder))
        compiled = {
            name: [pool.submit(bench.compile, source, name, features) for source in files]
            for name, features in instruction_sets().items()
        }
        failures: dict[str, str | None] = {}
        for name, objects in compiled.items():
            failure = next((why for done in objects if (why := done.result())), None)
            library = library_path(name, output)
            if failure:
                library.unlink(missing_ok=True)
            failures[name] = failure or bench.link(name, library)
        return failures


def _report(compiler: Compiler, failures: dict[str, str | None]) -> Report:
    if failures[GENERIC]:  # nothing else is loaded without it
        return Report((), _not_compiled(f"{compiler.description} stopped at {failures[GENERIC]}"))
    built = tuple(name for name, failure in failures.items() if failure is None)
    failed = "; ".join(f"{name} failed: {failure}" for name, failure in failures.items() if failure)
    sentence = f"The CPU splatting engine was compiled by {compiler.description} for {', '.join(built)}"
    return Report(built, f"{sentence}; {failed}" if failed else f"{sentence}.")


def _not_compiled(why: str) -> str:
    return f"The CPU splatting engine was not compiled: {why}"


def _why_no_compiler() -> str:
    wanted = os.environ.get("CXX")
    return f"CXX={wanted} does not compile C++17; unset it, then run {REBUILD}" if wanted else NO_COMPILER


def main() -> int:
    """The command line; its exit status is 0 where there is an engine now."""
    parser = argparse.ArgumentParser(prog=REBUILD, description="Compiles the CPU splatting engine.")
    parser.add_argument(
        "--output", type=Path, help="folder of the libraries (default: where they are looked for)"
    )
    parser.add_argument(
        "--sanitize", action="store_true", help="for tests: with sanitizers, into lib/sanitized"
    )
    arguments = parser.parse_args()
    default = LIBRARIES / "sanitized" if arguments.sanitize else LIBRARIES
    report = build(arguments.output or default, sanitize=arguments.sanitize)
    print(report.sentence)
    return 0 if report.built else 1


if __name__ == "__main__":
    sys.exit(main())
