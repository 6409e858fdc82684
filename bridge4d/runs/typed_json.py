"""Whether what was read from JSON has the shape that a type states."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from bridge4d.runs.stored_json import DamagedFileError, read_json
from recon.errors import BridgeError


def read_typed(path: Path, kind: Any) -> Any:
    """What a JSON file of the project's own making holds, in the shape that a type states (see `misfit`).

    Raises:
        DamagedFileError: it is not JSON, or of another shape.
        OSError: it is not there or may not be read.
    """
    found = read_json(path)
    if why := misfit(found, kind):
        raise DamagedFileError(path, why)
    return found


@contextmanager
def understood(path: Path, why: str) -> Iterator[None]:
    """Turns what values of the right types and no meaning trip, in the block, into one sentence about their file.

    Raises:
        DamagedFileError: with the reason `why`.
    """
    try:
        yield
    except DamagedFileError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RuntimeError, BridgeError) as error:
        raise DamagedFileError(path, why) from error


def misfit(value: Any, kind: Any, where: str = "it") -> str:
    """Where `value` is not of a type made of dataclasses, TypedDict, tuple, dict, list, Literal, unions and plain values; '' where it is.

    Whole numbers count as floats, which are finite; more keys than the type names are allowed.
    """
    if value is ...:
        return f"{where} is missing"
    if kind is Any or kind is object:
        return ""
    if is_typeddict(kind) or is_dataclass(kind):
        if not isinstance(value, dict):
            return f"{where} is no object"
        hints = get_type_hints(kind)
        required = getattr(kind, "__required_keys__", hints)  # of a dataclass, all
        inner = (
            (value.get(key, ...), hint, key) for key, hint in hints.items() if key in required or key in value
        )
        return next((said for one, hint, key in inner if (said := misfit(one, hint, key))), "")
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "" if isinstance(value, str) and value in inside else f"{where} is none of {', '.join(inside)}"
    if origin in (Union, UnionType):
        said = [misfit(value, one, where) for one in inside]
        return said[0] if all(said) else ""
    if origin is tuple:
        if not isinstance(value, list) or len(value) != len(inside):
            return f"{where} is no list of {len(inside)}"
        return next(
            (said for one, hint in zip(value, inside, strict=True) if (said := misfit(one, hint, where))), ""
        )
    if origin in (list, dict):
        if not isinstance(value, origin):
            return f"{where} is no {'list' if origin is list else 'object'}"
        values = value.values() if isinstance(value, dict) else value
        return next((said for one in values if (said := misfit(one, inside[-1], where))), "")
    allowed = {float: (float, int), None: NoneType}.get(kind, kind)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        return f"{where} is no {getattr(kind, '__name__', kind)}"
    if kind is float and not math.isfinite(value):
        return f"{where} is no finite number"
    return ""
