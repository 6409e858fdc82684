"""Short hashes of what decides a result: options, files, versions of libraries."""

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recon.compute.files import hash_file
from recon.splats.native import loading


def fingerprint(*parts: Any) -> str:
    """A short hash of anything JSON can say; equal inputs give equal hashes on every machine."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_files(path: Path) -> str:
    """A hash of the names and bytes of a file, or of all files below a folder.

    A file of JSON (.json) stands for the folder it lies in, because what it names lies there. Hidden files and
    folders do not count, what is no regular file counts by its name alone, and linked folders count by what lies in them.
    """
    if path.suffix.lower() == ".json":
        path = path.parent
    if path.is_file():
        return fingerprint_list([path], path.parent)
    return fingerprint_list(sorted(_visible(path)), path)


def fingerprint_list(files: Iterable[Path], root: Path) -> str:
    """A hash of the bytes of files and of their names relative to a folder, in this order; one that cannot be read
    counts by its name and the reason."""
    digest = hashlib.sha256()
    top = os.path.abspath(root)
    for file in files:
        name = os.path.relpath(os.path.abspath(file), top)
        try:
            content = hash_file(file)
        except OSError as error:
            content = f"unreadable: {error.errno}"
        digest.update(os.fsencode(name) + b"\0" + content.encode() + b"\0")
    return digest.hexdigest()[:16]


def _visible(folder: Path) -> Iterator[Path]:
    """Links to folders are followed, each folder once, so that links in a circle end."""
    seen = {os.path.realpath(folder)}
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = {name: os.path.realpath(os.path.join(place, name)) for name in sorted(folders)}
        folders[:] = [name for name, real in inside.items() if not name.startswith(".") and real not in seen]
        seen.update(inside[name] for name in folders)
        yield from (Path(place, name) for name in files if not name.startswith("."))


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the numbers of a run; results of different ones are not mixed."""
    packages = {package: version(package) for package in ("torch", "pycolmap", "numpy")}
    return packages | {"splats": loading.version()}


@functools.cache
def measuring_versions() -> dict[str, str]:
    """Versions of the libraries that decide the figures of a clip."""
    packages = ("opencv-python-headless", "av", "pillow", "scipy", "kornia")
    return library_versions() | {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # another build of it, opencv-python for instance
        return "unknown"


def fingerprint_scenes(files: Iterable[Path]) -> str:
    """A hash of scene and weights files that a run reads."""
    return fingerprint(*[fingerprint_files(file) for file in files])


def pick_options(options: object, *names: str) -> dict[str, Any]:
    """Some of the options by their names, as a stage depends on them."""
    return {name: getattr(options, name) for name in names}


def options_to_json(options: object) -> dict[str, Any]:
    """A dataclass of options as JSON."""
    return json.loads(json.dumps(asdict(options), default=str))  # type: ignore[call-overload]
