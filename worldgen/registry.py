"""Names of world models, and how to get one; nothing heavy is imported before a model is asked for, torch included.

A model is named as in `MODELS`, by an entry point of the group ``bridge4d.models``, as ``file.py:Name`` or ``module:Name``; or it is an
object of Python, as `Given`.
"""

import importlib
import importlib.util
from dataclasses import MISSING, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from recon.compute.files import stamp_folder
from recon.errors import BridgeError, MissingDependencyError, did_you_mean
from worldgen.entries import MODELS, ModelEntry
from worldgen.own.find import Found, find_own, is_own, list_entry_points
from worldgen.own.given import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recon.gaussians import Gaussians
    from recon.sequence import MovingScene
    from worldgen.model import WorldModel

BACK_ENDS = "world"
"""Extra of the models whose weights are looked for when frames are made."""


def available_models() -> list[dict[str, str]]:
    """Every known model: name, description, what it needs, and why it cannot run here ('' if it can).

    Of the entry points of installed packages nothing is imported.
    """
    return [describe(name) for name in MODELS] + [
        _said(point.name, f"{point.value}{_of_package(point.dist)}")
        for point in list_entry_points()
        if point.name not in MODELS
    ]


def describe(name: str | Given, options: "Mapping[str, Any] | None" = None) -> dict[str, "Any"]:
    """One model, without loading it; a user's own is imported.

    Args:
        options: of a model that runs elsewhere, whose licence they may state.

    Raises:
        BridgeError: an unknown name; the message lists the known ones.
    """
    if found := _find_own(name):
        spec = found.spec
        return _said(str(name), found.description, getattr(spec, "needs", ""), getattr(spec, "license", ""))
    assert isinstance(name, str)
    entry = _entry(name)
    missing = f"pip install 'bridge4d[{entry.extra}]'" if _missing_packages(entry) else ""
    license = str((options or {}).get("license", "")) if entry.argument else entry.license
    return _said(name, entry.description, entry.needs, license, entry.note, missing)


def check_model(
    name: str | Given, options: "Mapping[str, Any] | None" = None, *, has_scene: bool = False
) -> None:
    """Refuse what `load_model` would refuse, before long work.

    Without options no model is imported; with some, and always one of a user, it is made once, to see that it can be.

    Args:
        name: as `load_model` takes it.
        options: as `load_model` takes them.
        has_scene: whether `load_model` will be given Gaussians.

    Raises:
        BridgeError: an unknown name or option, a bad value, a file of one that is not there, a model that needs a scene and has none, a file after a model
            that takes none; an own model that cannot be imported or made, or is none.
        MissingDependencyError: its packages are not installed; the message has the command.
    """
    if found := _find_own(name):
        model_files(name, options or {})
        _make_own(found, options or {})
        return
    assert isinstance(name, str)
    _refuse(name, options, has_scene=has_scene)
    entry = _entry(name)
    if (options and not entry.renders_scene) or entry.argument:
        load_model(name, options)  # weights, devices and programs are looked for when a model is made


def warn_early(name: str | Given, options: "Mapping[str, Any] | None" = None) -> str:
    """What a model lacks here that shows only when frames are made, after long work; '' where nothing is known.

    Args:
        name, options: as `check_model` let pass.
    """
    if _find_own(name) or _entry(str(name)).extra != BACK_ENDS:
        return ""
    config = _configure(name, options or {})
    return "" if config is None else f"{name}: {said}" if (said := config.warn_early()) else ""


def load_model(
    name: str | Given,
    options: "Mapping[str, Any] | None" = None,
    *,
    gaussians: "Gaussians | None" = None,
    folder: Path | None = None,
) -> "WorldModel":
    """The model behind a name.

    A scene file may follow the name: `splat:room.spz`; so does what others need: `program:COMMAND`.

    Args:
        options: of its options, by name, those that are not to be the defaults.
        gaussians: a scene to render.
        folder: where a model that runs elsewhere keeps its requests and answers; None: nowhere.

    Raises:
        BridgeError: as `check_model`, or a file that is no scene.
        MissingDependencyError: its packages are not installed; the message has the command.
    """
    if found := _find_own(name):
        return _make_own(found, options or {})
    assert isinstance(name, str)
    _refuse(name, options, has_scene=gaussians is not None)
    entry, file = _entry(name), name.partition(":")[2]
    factory = getattr(importlib.import_module(entry.module), entry.factory)
    if entry.renders_scene:
        return factory(_read_scene(Path(file)) if file else gaussians)
    config = _configure(name, options or {})
    if entry.argument:
        return factory(file, config, folder=folder)
    return factory() if config is None else factory(config)


def _read_scene(file: Path) -> "Gaussians | MovingScene":
    """The scene of a file or a run folder; of one that moves all of it."""
    from recon.scenefiles import read_scene
    from recon.scenefiles.formats.motion_tensors import load_sequence

    for name in ("scene.ply", "scene.safetensors"):
        if (kept := file / "exports" / name).is_file():
            file = kept
    if file.suffix == ".safetensors":
        return load_sequence(file)  # at any time, not only at those at which players show it
    found = read_scene(file)
    return found.gaussians if found.moving is None else found.moving


def model_config(name: str | Given) -> type | None:
    """The dataclass of a model's options; None where it has none.

    Raises:
        BridgeError: an unknown name, or an own model that cannot be imported.
    """
    if found := _find_own(name):
        from worldgen.own.make import config_of

        return None if found.is_made else config_of(found.target)
    assert isinstance(name, str)
    entry = _entry(name)
    return getattr(importlib.import_module(entry.module), entry.config) if entry.config else None


def _configure(name: str | Given, options: "Mapping[str, Any]") -> "Any | None":
    """The model's Config with these values; None where it has none."""
    return _options_of(str(name), model_config(name), options)


def _options_of(name: str, kind: type | None, options: "Mapping[str, Any]") -> "Any | None":
    known = [] if kind is None else [field.name for field in fields(kind)]
    for option in options:
        if option not in known:
            raise BridgeError(
                f"the world model {name!r} has no option {option!r}{did_you_mean(option, known)}; "
                f"it has {', '.join(known) or 'none'}"
            )
    if kind is None:
        return None
    lacking = [
        field.name
        for field in fields(kind)
        if field.init and field.default is MISSING and field.default_factory is MISSING
    ]
    if needed := [one for one in lacking if one not in options]:
        raise BridgeError(f"the world model {name!r} needs --model.{needed[0].replace('_', '-')}")
    return kind(**options)


def model_files(name: str | Given, options: "Mapping[str, Any]") -> list[Path]:
    """Files that decide what a model answers: weights that the values of its options name, the sources of a user's own.

    Raises:
        BridgeError: an unknown model, or a name that is no file.
    """
    found = _find_own(name)
    named = _named_files(name)
    if not found and not options:
        return named
    kind = model_config(name)
    hints = {} if kind is None else get_type_hints(kind)
    values = dict(options)
    if found and kind is not None:  # defaults of a user's Config are files that he may replace
        config = _configure(name, options)
        values = {field.name: getattr(config, field.name) for field in fields(kind)}
    files = [
        Path(value)
        for option, value in values.items()
        if value is not None and (hints.get(option) is Path or Path in get_args(hints.get(option)))
    ]
    for file in files:
        if not (file.exists() if found else file.is_file()):
            raise BridgeError(
                f"expected a file for an option of the world model {str(name)!r}, there is none at {str(file)!r}"
            )
    return files + (list(found.files) if found else named)


def _named_files(name: str | Given) -> list[Path]:
    """Files in the command of a program; those of a finished clip."""
    if isinstance(name, str) and name.startswith("finished:"):
        path = Path(name.partition(":")[2])
        return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if not isinstance(name, str) or not name.startswith("program:"):
        return []
    from recon.compute.programs import command_files, split_command

    return command_files(split_command(name.partition(":")[2], "--model"))


def model_key(name: str | Given, options: "Mapping[str, Any] | None" = None) -> "dict[str, Any]":
    """What decides a model's answers besides its options and files, as JSON can say it.

    A folder of weights counts by the names, sizes and times of its files, because reading tens of gigabytes takes minutes.

    Raises:
        BridgeError: an unknown name, or an own model that cannot be imported.
        MissingDependencyError: its packages are not installed.
    """
    found = _find_own(name)
    if not found:
        assert isinstance(name, str)
        said: dict[str, Any] = {"model": name}
        if packages := _entry(name).packages:
            _refuse_missing(name)
            said["packages"] = {package: version(package) for package in packages}
        folder = Path(str((options or {}).get("weights", ""))).expanduser()
        if folder.name and folder.is_dir():
            said["weights"] = stamp_folder(folder)
        return said
    return {"model": found.name} | ({} if found.key is None else {"model_key": found.key})


def chooses_cameras(name: str | Given) -> bool:
    """Whether a model is asked from cameras that it chooses itself; it is not made for that.

    Raises:
        BridgeError: an unknown name, or an own model that cannot be imported.
    """
    return _is_able(name, "choose_targets", lambda entry: entry.chooses_cameras)


def recovers_poses(name: str | Given) -> bool:
    """Whether a model also tells the poses of a video; it is not made for that.

    Raises:
        BridgeError: an unknown name, or an own model that cannot be imported.
    """
    return _is_able(name, "recover_poses", lambda entry: entry.recovers_poses)


def _is_able(name: str | Given, method: str, stated: "Callable[[ModelEntry], bool]") -> bool:
    """Whether an own model has a method, or the entry of another states it."""
    if found := _find_own(name):
        return callable(getattr(found.target, method, None))
    assert isinstance(name, str)
    return stated(_entry(name))


def scene_file(name: str | Given) -> Path | None:
    """The scene file behind a name, `splat:room.spz`; None of other models."""
    if isinstance(name, Given):
        return None
    name, _, file = name.partition(":")
    return Path(file) if file and name in MODELS and MODELS[name].renders_scene else None


def _find_own(name: str | Given) -> Found | None:
    if isinstance(name, Given) or (name.partition(":")[0] not in MODELS and is_own(name)):
        return find_own(name)
    return None


def _refuse(name: str, options: "Mapping[str, Any] | None", *, has_scene: bool) -> None:
    """Refuse what can be told from a name, options and packages; see `check_model`."""
    _refuse_missing(name)
    entry, (name, _, file) = _entry(name), name.partition(":")
    renders = entry.renders_scene
    if entry.argument and not file:
        raise BridgeError(
            f'the world model {name!r} needs more behind a colon, as in --model "{name}:{entry.argument}"'
        )
    if file and not renders and not entry.argument:
        raise BridgeError(f"the world model {name!r} takes no scene file, got {file!r}")
    if renders and not (file or has_scene):
        raise BridgeError(
            f"the world model {name!r} cannot run without a splat scene to render; name its file after a colon, "
            f"--model {name}:scene.ply, or choose another model (in Python: pass gaussians=…)"
        )
    if options:
        _configure(name, options)
        model_files(name, options)


def _refuse_missing(name: str) -> None:
    entry = _entry(name)
    if missing := _missing_packages(entry):
        raise MissingDependencyError(
            f"the world model {name.partition(':')[0]!r} needs {', '.join(missing)}, not installed here; "
            f"run: pip install 'bridge4d[{entry.extra}]'"
        )


def _make_own(found: Found, options: "Mapping[str, Any]") -> "WorldModel":
    from worldgen.own.make import config_of, make_own

    config = _options_of(found.name, None if found.is_made else config_of(found.target), options)
    return make_own(found.target, found.name, config)


def _said(
    name: str, description: str, needs: str = "", license: str = "", note: str = "", missing: str = ""
) -> dict[str, str]:
    return {
        "name": name,
        "description": description,
        "needs": needs,
        "license": license,
        "note": note,
        "missing": missing,
    }


def _of_package(package: "Any | None") -> str:
    return "" if package is None else f" of the installed package {package.name} {package.version}"


def _entry(name: str) -> ModelEntry:
    name = name.partition(":")[0]
    if name in MODELS:
        return MODELS[name]
    known = [*MODELS, *(point.name for point in list_entry_points())]
    raise BridgeError(
        f"expected one of the world models {', '.join(sorted(known))}, or a model of your own as file.py:Name, got "
        f"{name!r}{did_you_mean(name, known)}"
    )


def _missing_packages(entry: ModelEntry) -> list[str]:
    return [package for package in entry.packages if importlib.util.find_spec(package) is None]
