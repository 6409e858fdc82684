"""Files and folders: reading of regular files only, and atomic writing."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
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
"""Tests of what lies at a path, and the words for it in an error."""


def stamp_folder(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every file below a folder: of files too large to be hashed."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


class NotRegularError(BridgeError, OSError):
    """A pipe, a device, a folder or a link where a file was expected; reading it might block or never end."""

    def __str__(self) -> str:
        return str(self.args[0])


def open_regular(path: Path | str, *, follow_links: bool = True) -> io.BufferedReader:
    """Open a regular file for reading; never waits for a pipe or a device.

    The opened file is the checked one: nothing can be exchanged in between. For readers that open a path themselves, see
    `require_regular`.

    Raises:
        NotRegularError: not a regular file; without `follow_links`, a link too.
        OSError: no file, or an unreadable one.
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
    """Check that a path is a regular file, for libraries that open it themselves and would wait for a pipe.

    Raises:
        NotRegularError: not a regular file; without `follow_links`, a link too.
        OSError: no file.
    """
    stat_regular(path, follow_links=follow_links)
    return Path(path)


def stat_regular(path: Path | str, *, follow_links: bool = True) -> os.stat_result:
    """`os.stat` of a regular file.

    Raises:
        NotRegularError: not a regular file; without `follow_links`, a link too.
        OSError: no file.
    """
    found = os.stat(path, follow_symlinks=follow_links)
    _require(found, path)
    return found


def _require(found: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((words for test, words in KINDS if test(found.st_mode)), "something else")
        raise NotRegularError(
            f"expected a file at {path}, found {kind}; replace it by a file, or leave it out"
        )


MAX_NAME_BYTES = 200
"""Longest file name that is kept whole; file systems hold 255, and suffixes are added later."""


def shorten_name(name: str) -> str:
    """Shorten a file name that file systems may not hold, to its beginning and a hash of the whole."""
    encoded = name.encode("utf-8", "replace")
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    tail = "-" + hashlib.sha256(encoded).hexdigest()[:10]
    return encoded[: MAX_NAME_BYTES - len(tail)].decode("utf-8", "ignore") + tail


def hash_file(path: Path | str, *, follow_links: bool = True) -> str:
    """SHA-256 of a regular file in hexadecimal digits, read in pieces.

    Raises:
        NotRegularError: see `open_regular`.
        OSError: an unreadable file.
    """
    with open_regular(path, follow_links=follow_links) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: yields a path beside `path`, which replaces it when the block ends well.

    Where the block raises, the new file is removed and an old `path` stays. The name beside is hidden and holds the
    process's number, so that two processes that write the same file do not mix; it has no suffix of its own kind, which
    `numpy.savez` would add: give such writers an open file. The bytes are on the disk before they get their name, so that
    a power cut leaves one file or the other.

    Raises:
        OSError: the folder is absent or cannot be written.

    Example:
        >>> with atomic_write(Path("report.json")) as beside:
        ...     beside.write_text("{}")
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        _sync(beside)
        os.replace(beside, path)
        _sync(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(path: Path, *, discard: Callable[[Path], None] = _discard) -> Iterator[Path]:
    """Write a folder whole or not at all: yields an empty folder beside `path`, which replaces it in the end.

    Where the block raises, the new folder is removed, with the parents that were made for it, and an old `path` stays. Two
    processes must not write the same folder at once; leftovers of a killed one are removed. All files are on the disk
    before the folder gets its name.

    Args:
        discard: removes an old folder, and leftovers of a killed process; both may be absent.

    Raises:
        OSError: the folder above cannot be written.
    """
    beside, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    discard(beside)
    made = make_folders(beside)
    try:
        yield beside
        sync_tree(beside)
        discard(old)
        if os.path.lexists(path):
            os.replace(path, old)
        os.replace(beside, path)
        _sync(path.parent)
        discard(old)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        remove_empty(made)
        raise


def make_folders(path: Path) -> list[Path]:
    """Make a folder and its parents; returns the new ones, the innermost first.

    Raises:
        FileExistsError: `path` exists already.
        OSError: the folder cannot be made.
    """
    missing = [path, *(above for above in path.parents if not above.exists())]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            try:
                folder.mkdir()
                made.insert(0, folder)
            except FileExistsError:  # made by another process meanwhile
                if folder == path or not folder.is_dir():
                    raise
    except OSError:
        remove_empty(made)
        raise
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders in order, up to the first that is not empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            if folder.exists():
                folder.rmdir()


def sync_tree(folder: Path) -> None:
    """Wait until a folder and all files in it are on the disk.

    Raises:
        OSError: they cannot be written, for instance because the disk is full.
    """
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(place, name))
        _sync(Path(place))


def _sync(path: Path) -> None:
    kind = os.lstat(path).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:  # some file systems sync no folders, and not every folder may be read
        if not stat.S_ISDIR(kind) or error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise
