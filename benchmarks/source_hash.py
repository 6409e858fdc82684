"""Hashes of the code that figures come from: what was kept is made again where its code changed."""

import ast
import zlib
from functools import cache
from pathlib import Path

from bridge4d.runs.fingerprints import fingerprint
from recon.errors import BridgeError
from worldgen.registry import MODELS

ROOT = Path(__file__).parents[1]
PACKAGES = ("recon", "worldgen", "eval", "bridge4d", "benchmarks")


@cache
def sources(*modules: str) -> str:
    """A hash of modules of the project and of all that they import of it, wherever in them; of packages, also of the
    weights that lie in them. What it hashes decides figures; an edit elsewhere leaves them valid."""
    files: dict[Path, None] = {}
    waiting = list(modules)
    while waiting:
        path = ROOT.joinpath(*waiting.pop().split("."))
        if path.is_dir():
            files |= dict.fromkeys(f for f in path.iterdir() if f.suffix == ".safetensors")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file in files or not file.is_file():  # `from package import name`: not every name is a module
            continue
        files[file] = None
        waiting += imported(file)
    return fingerprint([(str(f.relative_to(ROOT)), zlib.crc32(f.read_bytes())) for f in sorted(files)])


def imported(file: Path) -> list[str]:
    """Dotted names of what a file may import of the project, a name out of a package as if it were a module."""
    out: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            parts = node.module.split(".")
            out += [".".join(parts[: i + 1]) for i in range(len(parts))]
            out += [f"{node.module}.{alias.name}" for alias in node.names]
    return out


def model_code(name: str) -> str:
    """A hash of what decides a model's pictures.

    Raises:
        BridgeError: an unknown name.
    """
    if name not in MODELS:
        raise BridgeError(f"expected one of the world models {', '.join(sorted(MODELS))}, got {name!r}")
    return sources(*parents(MODELS[name].module))


def parents(module: str) -> list[str]:
    """The packages it lies in, and itself: their weights are its own."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(1, len(parts))]
