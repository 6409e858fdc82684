"""Options of a world model on the command line: ``--model.detail-steps 8`` for a field of its Config."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import tyro

from bridge4d.command_line.arguments import check_arguments
from recon.errors import BridgeError
from worldgen.registry import model_config

PREFIX = "--model."


def split_model_arguments(given: Sequence[str], default_model: str) -> tuple[list[str], dict[str, Any]]:
    """A command line without the options of its model, and these, parsed.

    Args:
        given: what follows the command's name.
        default_model: the model where `--model` does not name one.

    Returns:
        The other arguments, and the values that were given, by field name.

    Raises:
        BridgeError: the model has no such option, or not with such a value.
    """
    if not any(word.startswith(PREFIX) for word in given):
        return list(given), {}
    model = _named_model(given) or default_model
    config = model_config(model)
    if config is None:
        option = next(word for word in given if word.startswith(PREFIX))
        raise BridgeError(f"the world model {model!r} has no options, got {option}")
    switches = {
        f"{sign}{_with_dashes(field.name)}"
        for field in dataclasses.fields(config)
        if field.type in (bool, "bool")
        for sign in (PREFIX, f"{PREFIX}no-")
    }
    rest: list[str] = []
    own: list[str] = []
    words = iter(given)
    for word in words:
        if not word.startswith(PREFIX):
            rest.append(word)
            continue
        own.append(word)
        if (
            "=" not in word
            and _with_dashes(word) not in switches
            and (value := next(words, None)) is not None
        ):
            own.append(value)
    check_arguments(
        f"the world model {model}", config, own, prefix=PREFIX, help_with=f"bridge4d models {model}"
    )
    plain = ["--" + word.removeprefix(PREFIX) if word.startswith(PREFIX) else word for word in own]
    parsed = tyro.cli(config, prog=f"bridge4d … --model {model}", args=plain)
    spelt = {_with_dashes(word.split("=")[0]).removeprefix(PREFIX).removeprefix("no-") for word in own}
    names = [field.name for field in dataclasses.fields(config) if _with_dashes(field.name) in spelt]
    return rest, {name: getattr(parsed, name) for name in names}


def describe_options(model: str) -> list[dict[str, str]]:
    """The options of a model: how each is spelt, its default and its meaning.

    Raises:
        BridgeError: an unknown model.
    """
    config = model_config(model)
    if config is None:
        return []
    meanings = _field_docs(config)
    rows = []
    for field in dataclasses.fields(config):
        flag = PREFIX + _with_dashes(field.name)
        if field.type in (bool, "bool"):
            flag = f"{flag}, {PREFIX}no-{_with_dashes(field.name)}"
        default = "" if field.default is dataclasses.MISSING else str(field.default)
        rows.append({"option": flag, "default": default, "meaning": meanings.get(field.name, "")})
    return rows


def _field_docs(config: type) -> dict[str, str]:
    """The strings below the fields of a dataclass and of those that it extends, each on one line."""
    kinds = [kind for kind in reversed(config.__mro__) if dataclasses.is_dataclass(kind)]
    bodies = [ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body for kind in kinds]  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(below.value.value.split())
        for body in bodies
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }  # fmt: skip


def _named_model(given: Sequence[str]) -> str | None:
    """The last one wins, as for the parser."""
    named = None
    for word, following in zip(given, [*given[1:], ""], strict=True):
        if word == "--model":
            named = following
        elif word.startswith("--model="):
            named = word.partition("=")[2]
    return named


def _with_dashes(name: str) -> str:
    return name.replace("_", "-")
