"""Files and folders: only regular files are read, and no half-written one is ever found."""

import contextlib
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from recon.errors import BridgeError

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)


class NotRegularError(BridgeError, OSError):
    """A pipe, a device, a folder or a link where a file was expected; reading it might block or never end."""

    def __str__(self) -> str:
        return str(self.args[0])


def open_regular(path: Path | str, *, follow_links: bool = True) -> io.BufferedReader:
    """Opens a file for reading if it is a regular one; never waits for a pipe or a device.

    What is opened is what was looked at, so nothing can be exchanged in between. For readers that open a path
    themselves, see `require_regular`.

    Raises:
        NotRegularError: something else is there; without `follow_links`, a link too.
        OSError: nothing is there, or it may not be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if not follow_links:
        require_regular(path, follow_links=False)
        flags |= os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        _require(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path: Path | str, *, follow_links: bool = True) -> Path:
    """The path, if a regular file is there: for libraries that open it themselves and would wait for a pipe.

    Raises:
        NotRegularError: something else is there; without `follow_links`, a link too.
        OSError: nothing is there.
    """
    _require(os.stat(path, follow_symlinks=follow_links), path)
    return Path(path)


def _require(found: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((words for test, words in KINDS if test(found.st_mode)), "something else")
        raise NotRegularError(
            f"expected a file at {path}, there is {kind}; replace it by a file, or leave it out"
        )


def file_hash(path: Path | str, *, follow_links: bool = True) -> str:
    """The SHA-256 of a regular file in hexadecimal digits, read in pieces.

    Raises:
        NotRegularError: see `open_regular`.
        OSError: it cannot be read.
    """
    with open_regular(path, follow_links=follow_links) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; it takes the place of `path` when the block ends well.

    Where the block raises, what it wrote is removed and a `path` of before stays as it was. The name beside is
    hidden and holds the process's number, so that two processes that write the same file do not mix; it has no
    suffix of its own kind, which `numpy.savez` would add: give such writers an open file.

    Raises:
        OSError: the folder is absent or cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Gives an empty folder beside `path` to fill; it takes the place of `path`, a folder or nothing, when the block
    ends well.

    Where the block raises, what it wrote is removed and a `path` of before stays as it was. Two processes must not
    write the same folder at once; what a killed one left is removed.

    Raises:
        OSError: the folder above cannot be written.
    """
    beside, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
