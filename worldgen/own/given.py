"""A world model that Python code hands over: `AugmentOptions(model=MyModel())`."""

import dataclasses
import inspect
from enum import Enum
from pathlib import Path
from typing import Any

from recon.errors import BridgeError
from worldgen.own.sources import OURS, module_sources, source_files


class Given:
    """A model that exists already, as the model of a run.

    What is made of it depends on its source files and its plain attributes (numbers, words, paths), as they were when it was
    handed over; or on its attribute `key` alone, where it has one.
    """

    def __init__(self, model: Any) -> None:
        kind = type(model)
        self.model = model
        self.name = (
            kind.__qualname__ if kind.__module__ == "__main__" else f"{kind.__module__}:{kind.__qualname__}"
        )
        self.files = _sources(kind)
        self.key = stated_key(model)
        if self.key is None:
            if not self.files and kind.__module__.partition(".")[0] not in OURS:
                raise BridgeError(
                    f"bridge4d cannot tell when the world model {self.name} changes, because its source lies in no file; give it "
                    "an attribute key, such as key = 'version 1', and change that whenever its pictures would change"
                )
            self.key = _plain(getattr(model, "__dict__", {}))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.model is self.model

    def __hash__(self) -> int:
        return id(self.model)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Given":
        return self  # options are copied into JSON, where its name stands for it


def stated_key(model: Any) -> Any | None:
    """What a model, or its class, states as its attribute key; None where it states none."""
    key = getattr(model, "key", None)
    return None if callable(key) or isinstance(key, property) else key


def _sources(kind: type) -> tuple[Path, ...]:
    top = kind.__module__.partition(".")[0]
    if top in OURS:
        return ()
    try:
        file = Path(str(inspect.getsourcefile(kind))).resolve()
    except TypeError:
        return ()
    if not file.is_file():
        return ()
    return source_files(file, file.parent) if top == "__main__" else module_sources(file, kind.__module__)


_NOTHING = object()
DEEPEST = 5
"""Levels of lists and dataclasses in an attribute that are looked at; what refers to itself ends there."""


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON can say of a value, without its other parts: networks, tensors, functions."""
    if depth > DEEPEST:
        return _NOTHING
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path | Enum):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain for one in value if (plain := _plain(one, depth + 1)) is not _NOTHING]
    if isinstance(value, dict):
        said = {str(name): _plain(one, depth + 1) for name, one in value.items()}
        return {name: plain for name, plain in said.items() if plain is not _NOTHING}
    return _NOTHING
