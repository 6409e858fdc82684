"""JSON files of the project's own making: written whole, checked when they are read."""

import json
import os
from pathlib import Path
from typing import Any

from recon.bounded import decode_json, read_stream
from recon.bounded.files import LARGEST_TEXT
from recon.compute.files import atomic_write, open_regular
from recon.errors import RunFolderError


class DamagedFileError(RunFolderError, ValueError):
    """A file that this project wrote no longer holds what it wrote."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged ({why}); remove it and start the command that made it again")


def write_json(path: Path, content: Any) -> None:
    """Atomic, indented, NaN refused (it is not JSON); the file is whole or absent."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a file name in no known encoding
        data = (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
    with atomic_write(path) as beside:
        beside.write_bytes(data)


def read_json(path: Path) -> Any:
    """What a file holds; numbers are read as `recon.bounded.decode_json` reads those of strangers.

    Raises:
        DamagedFileError: it is not JSON, not in UTF-8, nested too deeply, or larger than any that is written.
        OSError: it is not there or may not be read.
    """
    with open_regular(path) as stream:
        data = read_stream(stream, size=os.fstat(stream.fileno()).st_size, most=LARGEST_TEXT)
    if len(data) > LARGEST_TEXT:
        raise DamagedFileError(path, f"it has more than {LARGEST_TEXT >> 20} MiB")
    try:
        return decode_json(data, half_pairs=True)  # `write_json` writes file names in no known encoding so
    except ValueError as error:
        raise DamagedFileError(path, f"it {error}") from error


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """What a file holds, an object with at least these keys.

    Raises:
        DamagedFileError: it is none.
        OSError: it is not there or may not be read.
    """
    found = read_json(path)
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    if missing or not isinstance(found, dict):
        raise DamagedFileError(path, f"it has no {missing[0]}" if missing else "it is no object")
    return found
