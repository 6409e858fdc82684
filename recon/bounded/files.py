"""Files that a stranger names or wrote."""

import os
from pathlib import Path
from typing import BinaryIO

from recon.compute.files import NotRegularError, open_regular, stat_regular
from recon.errors import BridgeError

LARGEST_TEXT = 64 << 20
"""Bytes; a transforms.json of 10,000 photos has 10 MB, and JSON of empty lists takes 20 times its size as objects."""

STEP = 1 << 20
"""Bytes in which what a file has grown by is read."""
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def parse_path(text: str, what: str, *, error: type[BridgeError] = BridgeError) -> Path:
    """A path that some file names, as a `Path`.

    Args:
        text: the name as it stands there.
        what: says in the sentence where that is: ``"clips.csv, row 3"``.
        error: the class of what is raised.

    Raises:
        BridgeError: empty, a NUL or half a surrogate pair. Of one that is too long nothing is found (`os.path.exists`).
    """
    shown = ascii(text[:60])
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as e:
        raise error(f"{what}: {shown} cannot be the name of a file; write it in UTF-8") from e
    if not text or b"\0" in encoded:
        raise error(f"{what}: {shown} cannot be the name of a file; mend it")
    return Path(text)


def is_inside(folder: Path, path: Path) -> bool:
    """Whether a path, links followed, leads to something in `folder`; both may be absent."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_regular_file(path: Path, *, most: int | None = None, error: type[BridgeError] = BridgeError) -> int:
    """Bytes of a file, links followed. Pipes and devices, from which reading may never end, are refused.

    Raises:
        BridgeError: no such file, a folder, a pipe or device, or more than `most` bytes.
    """
    try:
        found = stat_regular(path)
    except NotRegularError as e:
        raise error(str(e)) from e
    except FileNotFoundError as e:
        raise error(f"expected a file at {path}, found nothing") from e
    except (OSError, ValueError) as e:
        raise error(f"{str(path)[:200]!a} cannot be opened ({getattr(e, 'strerror', None) or e})") from e
    if most is not None and found.st_size > most:
        raise error(f"{path} has {found.st_size / 2**20:,.0f} MiB; up to {most >> 20:,} MiB are read")
    return found.st_size


def read_bytes(path: Path, *, most: int, error: type[BridgeError] = BridgeError) -> bytes:
    """A whole file of at most `most` bytes, also where it grows meanwhile.

    Raises:
        BridgeError: as `check_regular_file`, or it may not be read.
    """
    size = check_regular_file(path, most=most, error=error)
    try:
        with open_regular(path) as file:
            data = read_stream(file, size=size, most=most)
    except OSError as e:
        raise error(f"{path} cannot be read ({e.strerror or e})") from e
    if len(data) > most:
        raise error(f"{path} has more than {most >> 20:,} MiB, which is not read")
    return data


def read_stream(file: BinaryIO, *, size: int, most: int) -> bytes:
    """What an open file holds, and of one of more than `most` bytes a byte too many, by which it is known.

    Args:
        file: at its beginning.
        size: its bytes when it was opened; it may have grown.
        most: bytes.
    """
    # no more than there is: Python takes the memory for what is asked before it reads
    data = file.read(min(size, most) + 1)
    while size < len(data) <= most and (more := file.read(min(STEP, most + 1 - len(data)))):
        data += more
    return data


def read_text(path: Path, *, most: int = LARGEST_TEXT, error: type[BridgeError] = BridgeError) -> str:
    """A whole text in UTF-8, with or without a byte order mark, or in UTF-16 with one (PowerShell writes it).

    Raises:
        BridgeError: as `read_bytes`, or it is neither.
    """
    data = read_bytes(path, most=most, error=error)
    try:
        return data.decode("utf-16" if data[:2] in UTF_16_MARKS else "utf-8-sig")
    except UnicodeDecodeError as e:
        raise error(f"{path} cannot be read as text ({e.reason} at byte {e.start}); save it as UTF-8") from e
