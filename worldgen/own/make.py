"""Make a user's model, see that it is one, and tell what it does wrong in one sentence."""

import dataclasses
import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.scene import Scene
from worldgen.model import ChoosesCameras, ModelSpec, RecoversPoses, Request, Views, WorldModel


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
        with self._tell_faults("generate"):
            views = self.model.generate(request, generator=generator)
        if not isinstance(views, Views):
            raise BridgeError(
                f"expected Views from generate of the world model {self.name}, got {type(views).__name__}; return "
                "Views(Clip(images, request.targets)) of worldgen.model and recon.clip"
            )
        return views

    @contextmanager
    def _tell_faults(self, method: str) -> Iterator[None]:
        """Turn whatever the model raises in one of its methods into one sentence."""
        try:
            yield
        except (BridgeError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise BridgeError(
                f"the world model {self.name} failed in {method}: {_in_words(error)}"
            ) from error


class _RecoversPoses(Guarded):
    """A user's model that also tells the poses of videos."""

    def recover_poses(self, clip: Clip, *, generator: torch.Generator) -> Float[Tensor, "n 4 4"]:
        """The model's poses of a clip, world_from_cam.

        Raises:
            BridgeError: the model raised something, or answered with something else than n finite matrices.
        """
        with self._tell_faults("recover_poses"):
            poses = torch.as_tensor(self.model.recover_poses(clip, generator=generator))
        if poses.shape != (len(clip), 4, 4) or not bool(torch.isfinite(poses).all()):
            raise BridgeError(
                f"expected {len(clip)} finite matrices [n, 4, 4] from recover_poses of the world model {self.name}, got the shape "
                f"{list(poses.shape)}"
            )
        return poses.detach().cpu().double()


class _ChoosesCameras(Guarded):
    """A user's model that says itself from where it is asked."""

    def choose_targets(self, context: Clip, scene: Scene, *, count: int | None, part: int = 1) -> Cameras:
        """The model's choice.

        Raises:
            ReconstructionError: it has none left.
            BridgeError: the model raised something else, or answered with something else than cameras.
        """
        with self._tell_faults("choose_targets"):
            chosen = self.model.choose_targets(context, scene, count=count, part=part)
        if not isinstance(chosen, Cameras):
            raise BridgeError(
                f"expected Cameras from choose_targets of the world model {self.name}, got {type(chosen).__name__}"
            )
        size = (context.width, context.height)
        if (chosen.width, chosen.height) != size or not 0 < len(chosen) <= (count or len(chosen)):
            raise BridgeError(
                f"expected 1 to {count or 'any number of'} cameras of {size[0]}x{size[1]} from choose_targets of the world model {self.name}, "
                f"got {len(chosen)} of {chosen.width}x{chosen.height}"
            )
        return chosen.validate()


GUARDS: tuple[tuple[type, type[Guarded]], ...] = (
    (RecoversPoses, _RecoversPoses),
    (ChoosesCameras, _ChoosesCameras),
)
"""Protocols that a model may follow beside `WorldModel`, each with what guards its method."""


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
    guards = tuple(guard for able, guard in GUARDS if isinstance(model, able))
    return type("Guarded", (*guards, Guarded), {})(model, name)


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
