"""The files that a run writes beside its stages, such as its reports: one of such a name that it did not write, or that
somebody changed since, is never replaced."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from recon.compute.files import hash_file
from recon.errors import BridgeError

RECORD = ".written.json"
"""SHA-256 of each, by its name."""


@contextlib.contextmanager
def own_file(run: Path, name: str, set_aside: Callable[[Path], object]) -> Iterator[Path]:
    """Gives the path of a file of the run, to be written whole in the block and remembered at its end.

    Args:
        set_aside: does away with what lies there and is not as the run left it.
    """
    path, written = run / name, _read_record(run)
    if os.path.lexists(path) and _hash(path) != written.get(name, ""):
        set_aside(path)
    yield path
    write_json(run / RECORD, written | {name: hash_file(path, follow_links=False)})


def _read_record(run: Path) -> dict[str, str]:
    try:
        return read_typed(run / RECORD, dict[str, str])
    except (OSError, BridgeError):  # nothing is known then, and nothing replaced
        return {}


def _hash(path: Path) -> str | None:
    try:
        return hash_file(path, follow_links=False)
    except OSError:
        return None
