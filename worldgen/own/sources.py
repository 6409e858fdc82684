"""The source files that a user's model is made of: its own, and what they import from beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from recon.errors import BridgeError

OURS = frozenset({"recon", "worldgen", "eval", "bridge4d"})
"""Packages of this project: their versions are told otherwise."""
MOST_FILES = 500
"""Source files of a model; a research repository has some hundred."""


def module_sources(file: Path, module: str) -> tuple[Path, ...]:
    """The source files of a module by its dotted name; of an installed one those of its own package alone.

    Raises:
        BridgeError: as `source_files`.
    """
    depth = module.count(".") + (file.name == "__init__.py")
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return source_files(file, file.parents[depth], module.partition(".")[0] if installed else None)


def source_files(file: Path, root: Path, package: str | None = None) -> tuple[Path, ...]:
    """A source file and all that it and they import that lies in `root`, wherever they import it; sorted.

    Nothing is run: the files are parsed. What cannot be parsed counts as a file and is not followed.

    Args:
        file: of Python.
        root: the folder that is searched for modules.
        package: name of the one top-level package whose modules count; None: all in `root` but this project's.

    Raises:
        BridgeError: more than `MOST_FILES`.
    """
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found.add(at)
        if len(found) > MOST_FILES:
            raise BridgeError(
                f"{file} imports more than {MOST_FILES} files from {root}; put the model into a package of its own"
            )
        for place, dotted in _imports(at, root):
            top = dotted.partition(".")[0]
            if place == root and (top in OURS or (package is not None and top != package)):
                continue
            waiting += _files_of(place, dotted)
    return tuple(sorted(found))


def _imports(file: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Folder in which a module is looked for, and its dotted name; a name out of a module as if it were one."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((root, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            place = root if node.level == 0 else file.parents[min(node.level, len(file.parents)) - 1]
            for alias in node.names:
                yield place, f"{node.module}.{alias.name}" if node.module else alias.name


def _files_of(place: Path, dotted: str) -> list[Path]:
    """The files that an import of a dotted name runs: packages on the way, and the module."""
    files = []
    for part in dotted.split("."):
        package, module = place / part / "__init__.py", place / f"{part}.py"
        if package.is_file():
            files.append(package)
        elif module.is_file():
            return [*files, module]
        elif not (place / part).is_dir():
            return files
        place = place / part
    return files
