"""Names of world models, and how to get one; nothing heavy is imported before a model is asked for, torch included."""

import importlib
import importlib.util
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

from recon.errors import BridgeError, MissingDependencyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from recon.gaussians import Gaussians
    from worldgen.model import WorldModel


@dataclass(frozen=True)
class ModelEntry:
    """One line of the registry."""

    module: str
    factory: str
    description: str
    config: str = ""
    """Name of its dataclass of options, which the factory takes; '' where it has none."""
    renders_scene: bool = False
    """It draws a splat scene, which the factory is given: from the file behind its name, or the request's."""
    needs: str = ""
    """What must be there to run it, for people."""
    packages: tuple[str, ...] = ()
    """Importable names that its extra brings."""
    extra: str = ""
    note: str = ""
    """What a reader of its results should know."""
    license: str = "Apache-2.0"
    """Of the model and what it generates."""


MODELS: dict[str, ModelEntry] = {
    "bridge": ModelEntry(
        "worldgen.models.bridge.model", "Bridge", "the default: learned blending and repair of the warped photos, "
        "holes filled by sampling, a calibrated confidence; ships in the package",
        config="BridgeOptions",
        note="It starts from the photos' own geometry, so COLMAP is expected to recover most of its frames; "
        "the gate has more to say about models that invent more.",
    ),
    "warp": ModelEntry(
        "worldgen.models.warp", "Warp", "moves the photos themselves by their multi-view depth; invents nothing",
        config="WarpOptions",
        note="It moves the photos by their own geometry, so COLMAP is expected to recover its frames; "
        "the gate has more to say about models that invent.",
    ),
    "splat": ModelEntry(
        "worldgen.models.splat", "SplatModel", "renders a splat scene: an oracle for tests, or a better scene as teacher",
        renders_scene=True, needs="a scene to render, without which it cannot run: --model splat:FILE",
    ),
    "synthetic": ModelEntry(
        "worldgen.models.synthetic", "SyntheticRoom",
        "a ray-traced room with exact pictures: truth for tests and demonstrations",
    ),
}  # fmt: skip


def available_models() -> list[dict[str, str]]:
    """Every known model: name, description, what it needs, and why it cannot run here ('' if it can)."""
    return [describe(name) for name in MODELS]


def describe(name: str) -> dict[str, str]:
    """One model, without loading it.

    Raises:
        BridgeError: an unknown name; the message lists the known ones.
    """
    entry = _entry(name)
    missing = _missing_packages(entry)
    return {
        "name": name,
        "description": entry.description,
        "needs": entry.needs,
        "license": entry.license,
        "note": entry.note,
        "missing": f"pip install 'bridge4d[{entry.extra}]'" if missing else "",
    }


def check_model(name: str, options: "Mapping[str, Any] | None" = None, *, has_scene: bool = False) -> None:
    """Refuse what `load_model` would refuse, before long work; no file is read, and without options no model is imported.

    Args:
        name: as `load_model` takes it.
        options: as `load_model` takes them.
        has_scene: whether `load_model` will be given Gaussians.

    Raises:
        BridgeError: an unknown name or option, a bad value, a file of one that is not there, a model that needs a scene and has none, a file after a model
            that takes none.
        MissingDependencyError: its packages are not installed; the message has the command.
    """
    entry, (name, _, file) = _entry(name), name.partition(":")
    missing = _missing_packages(entry)
    if missing:
        raise MissingDependencyError(
            f"the world model {name!r} needs {', '.join(missing)}, not installed here; "
            f"run: pip install 'bridge4d[{entry.extra}]'"
        )
    renders = entry.renders_scene
    if file and not renders:
        raise BridgeError(f"the world model {name!r} takes no scene file, got {file!r}")
    if renders and not (file or has_scene):
        raise BridgeError(
            f"the world model {name!r} cannot run without a splat scene to render; name its file after a colon, "
            f"--model {name}:scene.ply, or choose another model (in Python: pass gaussians=…)"
        )
    if options:
        _configure(name, options)
        option_files(name, options)


def load_model(
    name: str,
    options: "Mapping[str, Any] | None" = None,
    *,
    gaussians: "Gaussians | None" = None,
) -> "WorldModel":
    """The model behind a name.

    A scene file may follow the name: `splat:room.spz`.

    Args:
        options: of its options, by name, those that are not to be the defaults.
        gaussians: a scene to render.

    Raises:
        BridgeError: as `check_model`, or a file that is no scene.
        MissingDependencyError: its packages are not installed; the message has the command.
    """
    check_model(name, options, has_scene=gaussians is not None)
    entry, file = _entry(name), name.partition(":")[2]
    if file:
        from recon.scenefiles import read_scene

        kept = Path(file) / "exports" / "scene.ply"  # of a run folder
        gaussians = read_scene(kept if kept.is_file() else file).gaussians
    factory = getattr(importlib.import_module(entry.module), entry.factory)
    if entry.renders_scene:
        return factory(gaussians)
    config = _configure(name, options or {})
    return factory() if config is None else factory(config)


def model_config(name: str) -> type | None:
    """The dataclass of a model's options; None where it has none.

    Raises:
        BridgeError: an unknown name.
    """
    entry = _entry(name)
    return getattr(importlib.import_module(entry.module), entry.config) if entry.config else None


def _configure(name: str, options: "Mapping[str, Any]") -> "Any | None":
    """The model's Config with these values; None where it has none."""
    kind = model_config(name)
    known = [] if kind is None else [field.name for field in fields(kind)]
    for option in options:
        if option not in known:
            raise BridgeError(
                f"the world model {name!r} has no option {option!r}{did_you_mean(option, known)}; "
                f"it has {', '.join(known) or 'none'}"
            )
    return None if kind is None else kind(**options)


def option_files(name: str, options: "Mapping[str, Any]") -> list[Path]:
    """Files that the values of a model's options name: weights.

    Raises:
        BridgeError: an unknown model, or a name that is no file.
    """
    kind = model_config(name)
    hints = {} if kind is None else get_type_hints(kind)
    files = [
        Path(value)
        for option, value in options.items()
        if value is not None and Path in get_args(hints.get(option))
    ]
    for file in files:
        if not file.is_file():
            raise BridgeError(
                f"expected a file for an option of the world model {name!r}, there is none at {str(file)!r}"
            )
    return files


def _entry(name: str) -> ModelEntry:
    name = name.partition(":")[0]
    if name in MODELS:
        return MODELS[name]
    hint = did_you_mean(name, MODELS)
    raise BridgeError(f"expected one of the world models {', '.join(sorted(MODELS))}, got {name!r}{hint}")


def _missing_packages(entry: ModelEntry) -> list[str]:
    return [package for package in entry.packages if importlib.util.find_spec(package) is None]
