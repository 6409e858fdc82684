"""Untrusted files and paths."""

import os
from pathlib import Path
from typing import BinaryIO

from recon.compute.files import NotRegularError, open_regular, stat_regular
from recon.errors import BridgeError

LARGEST_TEXT = 64 << 20
"""Largest text in bytes; a transforms.json of 10,000 photos has 10 MB, and JSON of empty lists takes 20 times its size as
objects."""
STEP = 1 << 20
"""Bytes of a step in which the rest of a growing file is read."""
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16, low byte first and high byte first."""


def parse_path(text: str, what: str, *, error: type[BridgeError] = BridgeError) -> Path:
    """Parse a path that an untrusted file names.

    Args:
        text: the path as it is written.
        what: its place, for the error: ``"clips.csv, row 3"``.
        error: class of the error.

    Raises:
        BridgeError: empty, a NUL or half a surrogate pair. A path that is too long passes: no file is found there.
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
    """Whether a path, links followed, lies in `folder`; both may be absent."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_regular_file(path: Path, *, most: int | None = None, error: type[BridgeError] = BridgeError) -> int:
    """Check that a path is a regular file, links followed; returns its bytes.

    Reading from a pipe or a device may never end.

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
    """Read a whole file of at most `most` bytes, also where it grows meanwhile.

    Raises:
        BridgeError: as `check_regular_file`, or an unreadable file.
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
    """Read an open file; one of more than `most` bytes gives a byte too many, for the caller to refuse.

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
    """Read a whole text in UTF-8, or in UTF-16 with a byte order mark (PowerShell writes it).

    Raises:
        BridgeError: as `read_bytes`, or another encoding.
    """
    data = read_bytes(path, most=most, error=error)
    try:
        return data.decode("utf-16" if data[:2] in UTF_16_MARKS else "utf-8-sig")
    except UnicodeDecodeError as e:
        raise error(f"{path} cannot be read as text ({e.reason} at byte {e.start}); save it as UTF-8") from e
