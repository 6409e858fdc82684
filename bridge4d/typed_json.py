"""Whether what was read from JSON has the shape that a type states."""

from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict


def misfit(value: Any, kind: Any, where: str = "it") -> str:
    """Where `value` is not of a type made of TypedDict, dict, list, unions and plain values; '' where it is.

    Whole numbers count as floats; more keys than the type names are allowed.
    """
    if kind is Any:
        return ""
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return f"{where} is no object"
        inner = ((value.get(key, ...), hint, key) for key, hint in get_type_hints(kind).items())
        return next((said for one, hint, key in inner if (said := misfit(one, hint, key))), "")
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        said = [misfit(value, one, where) for one in inside]
        return said[0] if all(said) else ""
    if origin in (list, dict):
        if not isinstance(value, origin):
            return f"{where} is no {'list' if origin is list else 'object'}"
        values = value.values() if isinstance(value, dict) else value
        return next((said for one in values if (said := misfit(one, inside[-1], where))), "")
    allowed = {float: (float, int), None: NoneType}.get(kind, kind)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        return f"{where} is missing" if value is ... else f"{where} is no {getattr(kind, '__name__', kind)}"
    return ""
