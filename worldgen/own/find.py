"""Find a user's model by its name: `file.py:Name`, `module:Name`, or an entry point of an installed package."""

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from recon.compute.files import hash_file
from recon.errors import BridgeError, did_you_mean
from worldgen.own.given import Given, stated_key
from worldgen.own.sources import module_sources, source_files

GROUP = "bridge4d.models"
"""Group of entry points in which an installed package names its world models."""
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
"""Of a Python object in a module, or of a module."""
_read: dict[str, str] = {}
"""Hash of each source file when it was last imported for a model."""
_read_by: dict[str, dict[str, str]] = {}
"""The same for the files of each model's module, by its name: what changed since is imported anew."""


@dataclass(frozen=True)
class Found:
    """A model's class, factory or object, before one is made."""

    name: str
    """As a run remembers it: a file without its folder."""
    target: Any
    files: tuple[Path, ...]
    """Source files."""
    key: Any = None
    """What decides the pictures besides, as JSON can say it; None: nothing."""
    is_made: bool = False
    """Whether `target` is an object that code handed over, with its options."""

    @property
    def description(self) -> str:
        """The first line of its docstring."""
        target = type(self.target) if self.is_made else self.target
        return (inspect.getdoc(target) or "a world model of your own").splitlines()[0]

    @property
    def spec(self) -> Any:
        """What it states of itself, where it does before it is made; else None."""
        spec = getattr(self.target, "spec", None)
        return None if isinstance(self.target, type) and not hasattr(spec, "conditions_on") else spec


def is_own(name: str) -> bool:
    """Whether a name has the form `file.py:Name` or `module:Name`, or is an entry point's; nothing is imported."""
    place, _, attribute = name.rpartition(":")
    if not place:
        return name.endswith(".py") or _entry_point(name) is not None
    return place.endswith(".py") or bool(NAME.fullmatch(place) and NAME.fullmatch(attribute))


def list_entry_points() -> list[EntryPoint]:
    """The models that installed packages name, one a name."""
    return list({point.name: point for point in entry_points(group=GROUP)}.values())


def find_own(name: str | Given) -> Found:
    """The model behind a name; its module is imported, and so runs.

    Raises:
        BridgeError: no such file, module or name in it; or its import fails.
    """
    if isinstance(name, Given):
        return Found(name.name, name.model, name.files, name.key, is_made=True)
    place, _, attribute = name.rpartition(":")
    if not place and (point := _entry_point(name)):
        place, attribute = point.module, point.attr
    if not place or not attribute:
        raise BridgeError(f"expected the name of a model behind the file, as in {name or attribute}:MyModel")
    if place.endswith(".py"):
        module, files = _import_file(Path(place).expanduser(), name)
    else:
        module, files = _import_module(place, name)
    target: Any = module
    for part in attribute.split("."):
        if not hasattr(target, part):
            known = [one for one in vars(module) if not one.startswith("_")]
            raise BridgeError(f"there is no {attribute!r} in {place}{did_you_mean(attribute, known)}")
        target = getattr(target, part)
    short = f"{Path(place).name}:{attribute}" if place.endswith(".py") else name
    return Found(short, target, files, stated_key(target))


def _entry_point(name: str) -> EntryPoint | None:
    return next((point for point in list_entry_points() if point.name == name), None)


def _import_file(file: Path, name: str) -> tuple[ModuleType, tuple[Path, ...]]:
    """The module of a file, which finds what lies beside it as a script would."""
    if not file.is_file():
        raise BridgeError(f"expected a file of Python at {file} for the world model {name}, there is none")
    file = file.resolve()
    files = source_files(file, file.parent)
    module_name = f"bridge4d_model_of_{re.sub(r'[^0-9a-zA-Z]', '_', str(file))}"
    _forget_changed(module_name, files)
    if module_name in sys.modules:
        return sys.modules[module_name], files
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _search(file.parent)
    sys.modules[module_name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, Exception):
            raise _cannot_import(file, error) from error
        raise
    return module, files


def _import_module(place: str, name: str) -> tuple[ModuleType, tuple[Path, ...]]:
    """A module that is installed, or lies in the working directory, and its sources."""
    _search(Path.cwd())
    importlib.invalidate_caches()
    top = place.partition(".")[0]
    try:
        there = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        there = None
    if there is None:
        raise BridgeError(
            f"there is no module {top!r} for the world model {name}, neither installed nor in {Path.cwd()}; "
            f"a file is named with its ending: path/to/{top}.py:Name"
        )
    try:
        spec = importlib.util.find_spec(place)
        file = None if spec is None or not spec.has_location else Path(str(spec.origin)).resolve()
        files = () if file is None else module_sources(file, place)
        _forget_changed(place, files)
        return importlib.import_module(place), files
    except BridgeError:
        raise
    except Exception as error:
        raise _cannot_import(place, error) from error


def _search(folder: Path) -> None:
    """Let imports find what lies in a folder, behind everything else."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _forget_changed(module_name: str, files: tuple[Path, ...]) -> None:
    """Drop a module and those beside it that were imported before their sources changed."""
    now = {str(file): hash_file(file) for file in files}
    read = {file: _read[file] for file in now if file in _read} | _read_by.get(module_name, {})
    if any(now.get(file) != content for file, content in read.items()):
        for other, module in list(sys.modules.items()):
            if other == module_name or getattr(module, "__file__", None) in now:
                del sys.modules[other]
        importlib.invalidate_caches()
    _read.update(now)
    _read_by[module_name] = now


def _cannot_import(what: object, error: Exception) -> BridgeError:
    said = " ".join(str(error).split())[:300]
    return BridgeError(
        f"{what} cannot be imported: {type(error).__name__}: {said}; mend it, or install what it needs"
    )
