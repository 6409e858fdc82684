"""Writing files and folders so that no half-written one is ever found."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


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
