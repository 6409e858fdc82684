"""Make a user's model, see that it is one, and tell what it does wrong in one sentence."""

import dataclasses
import inspect
import traceback
from pathlib import Path
from typing import Any, get_type_hints

import torch

from recon.errors import BridgeError
from worldgen.model import ModelSpec, Request, Views, WorldModel


class Guarded:
    """A user's model, whose faults are told in one sentence."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return self.model.spec

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """The model's answer, as it is.

        Raises:
            BridgeError: the model raised something, or answered with something else.
        """
        try:
            views = self.model.generate(request, generator=generator)
        except (BridgeError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise BridgeError(
                f"the world model {self.name} failed in generate: {_in_words(error)}"
            ) from error
        if not isinstance(views, Views):
            raise BridgeError(
                f"expected Views from generate of the world model {self.name}, got {type(views).__name__}; return "
                "Views(Clip(images, request.targets)) of worldgen.model and recon.clip"
            )
        return views


def config_of(target: Any) -> type | None:
    """The dataclass of a model's options: its attribute Config, or the type of an argument that makes it."""
    config = getattr(target, "Config", None)
    if isinstance(config, type) and dataclasses.is_dataclass(config):
        return config
    found = _config_argument(target)
    return None if found is None else found[1]


def make_own(target: Any, name: str, config: Any | None) -> WorldModel:
    """The model: made of a class or by a function, or the object itself.

    Raises:
        BridgeError: it cannot be made, or is no world model.
    """
    model = target
    if isinstance(target, type) or not hasattr(target, "generate"):
        if not callable(target):
            raise BridgeError(
                f"expected a world model behind {name}, an object or class with spec and generate, got "
                f"{_a(target)}"
            )
        arguments = {} if config is None else _config_arguments(target, name, config)
        try:
            model = target(**arguments)
        except (BridgeError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise BridgeError(f"the world model {name} cannot be made: {_in_words(error)}") from error
    check_model_object(model, name)
    return Guarded(model, name)


def check_model_object(model: Any, name: str) -> None:
    """Refuse what is no world model.

    Raises:
        BridgeError: it lacks spec or generate, or they are of other types.
    """
    if not callable(getattr(model, "generate", None)):
        raise BridgeError(
            f"the world model {name} lacks generate; expected generate(request, *, generator) that returns Views"
        )
    try:
        spec = getattr(model, "spec", None)
    except Exception as error:
        raise BridgeError(f"the spec of the world model {name} fails: {_in_words(error)}") from error
    if not isinstance(spec, ModelSpec):
        raise BridgeError(
            f"the world model {name} lacks spec; expected a ModelSpec of worldgen.model, got {_a(spec)}"
        )
    names = _parameters(model.generate)
    if names and "generator" not in names and not any(one.startswith("**") for one in names):
        raise BridgeError(
            f"generate of the world model {name} takes ({', '.join(names)}), expected (request, *, generator)"
        )


def _config_argument(target: Any) -> tuple[str, type] | None:
    """Name and type of the first argument that is a dataclass."""
    made = target.__init__ if isinstance(target, type) else target
    try:
        hints = get_type_hints(made)
    except Exception:  # annotations of a user that mean nothing at run time
        return None
    for one, kind in hints.items():
        if one != "return" and isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return one, kind
    return None


def _config_arguments(target: Any, name: str, config: Any) -> dict[str, Any]:
    found = _config_argument(target)
    if found is not None and isinstance(config, found[1]):
        return {found[0]: config}
    names = [one for one in _parameters(target) if not one.startswith("*")]
    if not names:
        raise BridgeError(
            f"the world model {name} has a Config, and nothing takes it; expected __init__(self, config)"
        )
    return {names[0]: config}


def _parameters(function: Any) -> list[str]:
    """Names of what a function takes, with their stars; empty where Python cannot tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    return [str(one).partition(":")[0].partition("=")[0] for one in signature.parameters.values()]


def _a(thing: Any) -> str:
    return "nothing" if thing is None else f"a {type(thing).__name__}"


def _in_words(error: Exception) -> str:
    """Kind and words of an error, and where the innermost line of code stands."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {said}{where}; BRIDGE4D_TRACE=1 shows where it came from"
