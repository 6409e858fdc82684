"""What is wrong with a command line, in one sentence: what came, what was expected, and the nearest name.

The parser behind it knows more; this answers what people mistype: names of options, and values of numbers and choices.
"""

import dataclasses
import types
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from recon.errors import BridgeError, did_you_mean

HELP = ("-h", "--help")
RENAMED = {"--engine": "--executor"}
"""Former names of options, which are too unlike the present ones for a guess by spelling."""
WORDS = {int: "a whole number", float: "a number"}


def check_arguments(
    name: str, command: type, given: Sequence[str], *, prefix: str = "--", help_with: str = ""
) -> None:
    """Refuse unknown options, values of the wrong kind, and missing required options.

    Args:
        name: of what has the options, for messages: 'bridge4d augment'.
        command: a dataclass whose fields are the options.
        given: what follows the command's name.
        prefix: what the options begin with.
        help_with: the command that lists them; by default `name` with --help.

    Raises:
        BridgeError: the first of them.
    """
    if any(one in HELP for one in given):
        return
    help_with = help_with or f"{name} --help"
    options = {_flag(prefix, field.name): kind for field, kind in _fields(command)}
    switches = {f"{prefix}no-{flag.removeprefix(prefix)}" for flag, kind in options.items() if kind is bool}
    for place, word in enumerate(given):
        if not word.startswith("--") or word == "--":
            continue
        flag, _, value = word.replace("_", "-", word.split("=")[0].count("_")).partition("=")
        if flag not in options and flag not in switches:
            present = RENAMED.get(flag)
            known = [*options, *switches]
            near = f"; it is called {present} now" if present in known else _nearest(flag, known, prefix)
            raise BridgeError(f"{name} has no option {flag}{near or f'; {help_with} lists them'}")
        if flag in switches or options[flag] is bool:
            if "=" in word:
                raise BridgeError(
                    f"{flag} takes no value; expected {flag} or its opposite alone, got {word!r}"
                )
            continue
        following = given[place + 1 : place + 2]
        if value or "=" in word:
            following = [value]
        if number := _element_of_numbers(options[flag]):
            for one in takewhile(lambda one: not one.startswith("--"), given[place + 1 :]):
                _check_value(flag, number, one)
            continue
        _check_value(flag, options[flag], following[0] if following else None)
    spelt = {word.split("=")[0].replace("_", "-") for word in given}
    for field, _ in _fields(command):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and not _is_positional(command, field.name) and _flag(prefix, field.name) not in spelt:
            raise BridgeError(f"{name} needs {_flag(prefix, field.name)}; {help_with} shows how it is called")


def _element_of_numbers(kind: Any) -> type | None:
    """float of ``tuple[float, ...]``, which takes any number of values; None of other types."""
    inside = get_args(kind) if get_origin(kind) is tuple else ()
    return inside[0] if len(inside) == 2 and inside[0] in WORDS and inside[1] is Ellipsis else None


def _nearest(flag: str, known: Sequence[str], prefix: str) -> str:
    """The words that suggest another option; a prefix in common does not make names alike."""
    plain = did_you_mean("--" + flag.removeprefix(prefix), ["--" + one.removeprefix(prefix) for one in known])
    return plain.replace("mean --", f"mean {prefix}")


def _check_value(flag: str, kind: Any, value: str | None) -> None:
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if value is None or (value.startswith("--") and len(value) > 2):
        if not any(get_origin(one) in (tuple, list) for one in kinds):  # these may be empty
            raise BridgeError(f"expected a value after {flag}, got none")
        return
    if value == "None" and types.NoneType in kinds:
        return
    choices = [choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    numbers = [one for one in kinds if one in WORDS]
    if choices and not numbers and value not in map(str, choices):
        near = did_you_mean(value, [str(choice) for choice in choices])
        raise BridgeError(f"expected {flag} {', '.join(map(str, choices))}, got {value!r}{near}")
    if numbers and not choices and not set(kinds) - {int, float, types.NoneType}:
        try:
            numbers[0](value)
        except ValueError:
            raise BridgeError(f"expected {WORDS[numbers[0]]} after {flag}, got {value!r}") from None


def _fields(kind: Any) -> Iterator[tuple[dataclasses.Field, Any]]:
    """Those of a command and of the options inside it, with their types; options inside options have no outer name."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name])
        elif get_origin(hints[field.name]) is not dict:  # those have options of their own: --model.X
            yield field, hints[field.name]


def _is_positional(command: type, name: str) -> bool:
    from tyro.conf import Positional

    hint = get_type_hints(command, include_extras=True).get(name)
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return any(mark in get_args(Positional[Path])[1:] for mark in marks)


def _flag(prefix: str, name: str) -> str:
    return prefix + name.replace("_", "-")
