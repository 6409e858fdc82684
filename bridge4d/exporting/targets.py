"""What may be written to: nothing that the scene was read from, nothing twice, nothing of a run's own."""

from collections.abc import Sequence
from pathlib import Path

from bridge4d.runs.stored_json import read_json
from bridge4d.scenes import LoadedScene, is_run
from recon.errors import BridgeError

SCHEMA = "bridge4d/export/1"
"""Mark by which a later export knows the file as one of its own."""
SIDECAR = "export.json"


def name_targets(targets: Sequence[Path | str]) -> str:
    """Names of the files to be written, with a remark on those that replace a file."""
    return ", ".join(
        f"{one} (replaces the one that is there)" if Path(one).is_file() else str(one) for one in targets
    )


def refuse_duplicates(names: Sequence[Path | str]) -> None:
    """Refuse two names of one file, however they are spelt.

    Raises:
        BridgeError: there are.
    """
    places = [Path(name).resolve() for name in names]
    if len(set(places)) < len(places):
        raise BridgeError(
            f"expected different files to write, and one name comes twice: {' '.join(map(str, names))}"
        )


def refuse_source(scene: LoadedScene, target: Path) -> None:
    """Refuse a file that the scene was read from, or that a run folder holds.

    Raises:
        BridgeError: the target is one.
    """
    place = target.resolve()
    for source, file in scene.parts or ((scene.source, scene.file),):
        if place in (source.resolve(), file.resolve()) or _is_within(place, source):
            raise BridgeError(
                f"{target} lies where the scene that is exported does; choose another name or folder"
            )
    for _, file in scene.versions:
        if place == file.resolve():
            raise BridgeError(f"{target} is a scene of the run that is exported; choose another name")


def _is_within(place: Path, source: Path) -> bool:
    """Whether a place belongs to a scene of several files, or is a file that a run made."""
    source = source.resolve()
    if is_run(source):
        return place.is_relative_to(source) and place.exists() and not _is_exported(place)
    folder = source if source.is_dir() else source.parent if source.name.endswith(".json") else None
    return folder is not None and place.parent == folder


def _is_exported(place: Path) -> bool:
    """Whether an earlier export wrote this file or folder."""
    sidecar = place.parent / SIDECAR
    return sidecar.is_file() and place.name in read_sidecar(sidecar)


def read_sidecar(file: Path) -> dict:
    """Entries of earlier exports.

    Raises:
        BridgeError: a file of that name is something else.
    """
    if not file.exists():
        return {}
    try:
        said = read_json(file)
        if said["schema"] == SCHEMA and isinstance(said["files"], dict):
            return said["files"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise BridgeError(
        f"{file} is not a note of bridge4d's exports, and would be overwritten; move it or choose another folder"
    )
