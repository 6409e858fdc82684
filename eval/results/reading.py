"""Dataclasses of results to JSON and back; what old or damaged files lack becomes the default of its field."""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from recon.errors import BridgeError

T = TypeVar("T")

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (a terminal obeys them), overrides of the writing direction (they disguise names) and
lone surrogates (file names that are not UTF-8; no page can be encoded with them)."""


def to_json(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists, at every depth; plain values stay as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    return value


def from_json(kind: type[T], value: Any) -> T:
    """A dataclass with every field, at every depth, from JSON that may lack any of them.

    What is missing, null or of another type gets the default of its field; keys that are no field are dropped.
    NaN and infinity become None, characters that cannot be printed or encoded U+FFFD. Lists lose elements that are of
    another type, unless their type allows None, which then stands in their place.
    """
    return _read(clean(value), kind, None)


def read_report(kind: type[T], report: T | Mapping[str, Any]) -> T:
    """A report as a page shows it (see `from_json`), from one that may have holes: a run may have been cut short, a
    file edited.

    Args:
        kind: the dataclass of a report; the default of its `schema` is what the report must have there.
        report: one of these, or as in ``report.json``.

    Raises:
        BridgeError: a report of another schema.
    """
    expected, given = to_json(from_json(kind, {}))["schema"], to_json(report)
    if given.get("schema") != expected:
        raise BridgeError(
            f"expected a report of schema {expected}, got {given.get('schema')!r}; "
            "write it again with this version of bridge4d"
        )
    return from_json(kind, given)


def clean(value: Any) -> Any:
    """Text that can be printed, numbers that are numbers; what JSON would not hold becomes text."""
    if value is None or type(value) in (int, bool):
        return value
    if isinstance(value, float):  # most of a report; asked before what is rarer
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [clean(part) for part in value]
    return clean(str(value))


def _read(value: Any, kind: Any, default: Any) -> Any:
    """`default` where the value is not of that type."""
    if kind is Any or kind is object:
        return value
    if is_dataclass(kind):
        given = value if isinstance(value, dict) else {}
        return kind(  # type: ignore[operator]
            **{
                field.name: _read(given.get(field.name), hint, _default(field))
                for field, hint in _typed_fields(kind)
            }
        )
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None:
            return default
        return next((_read(value, one, default) for one in inside if one is not NoneType), default)
    if value is None:
        return default
    if origin is list:
        return _elements(value, inside[0]) if isinstance(value, list) else default
    if origin is tuple:
        read = _elements(value, inside[0]) if isinstance(value, list) else []
        return tuple(read) if len(read) == len(inside) == len(value) else default
    if origin is dict:
        if not isinstance(value, dict):
            return default
        read = {key: _read(part, inside[1], MISSING) for key, part in value.items()}
        return {key: part for key, part in read.items() if part is not MISSING}
    if kind is str:
        return value if isinstance(value, str) else str(value)
    if isinstance(value, bool) is not (kind is bool):
        return default
    if kind is float:
        return float(value) if isinstance(value, float) or _fits_float(value) else default
    if kind is int:
        return int(value) if isinstance(value, int | float) and value == int(value) else default
    return value if isinstance(value, kind) else default


def _fits_float(value: Any) -> bool:
    """Whether it is a whole number that a float can hold."""
    return isinstance(value, int) and abs(value) < 2**1023


def _elements(values: list[Any], kind: Any) -> list[Any]:
    """Those of that type; None in the place of others where the type allows it."""
    optional = NoneType in get_args(kind)
    if is_dataclass(kind):
        values = [value for value in values if isinstance(value, dict)]
    read = [_read(value, kind, None if optional else MISSING) for value in values]
    return [value for value in read if value is not MISSING]


@cache
def _typed_fields(kind: type) -> list[tuple[Field, Any]]:
    hints = get_type_hints(kind)
    return [(field, hints[field.name]) for field in fields(kind)]  # type: ignore[arg-type]


def _default(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
