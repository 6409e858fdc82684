"""Untrusted numpy files: headers are checked before memory is taken, and nothing is unpickled."""

import math
import tokenize
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from recon.bounded.files import read_bytes
from recon.errors import BridgeError

LARGEST_ARCHIVE = 256 << 20
"""Largest file in bytes; a million matrices have 128 MB."""
MOST_ARRAYS = 1000
"""Arrays of a file at most; each costs time to open, however small."""
LONGEST_HEADER = 10_000
"""Longest header in bytes: numpy's own limit, above which evaluating it could crash the interpreter."""
PLAIN = "biuf"
"""numpy's kinds of numbers: boolean, signed, unsigned, floating."""
TEXT = "U"
"""numpy's kind of texts."""


def read_arrays(
    path: Path,
    *,
    most_bytes: int,
    largest_file: int = LARGEST_ARCHIVE,
    texts: bool = False,
    error: type[BridgeError] = BridgeError,
) -> np.ndarray | dict[str, np.ndarray]:
    """Read the array of an .npy file, or those of an .npz by name; arrays of other things than numbers are left out.

    Args:
        path: its first bytes tell the kind of file, not its name.
        most_bytes: largest sum of all arrays, unpacked.
        largest_file: bytes.
        texts: keep arrays of texts of an .npz.
        error: class of the error.

    Raises:
        BridgeError: neither of the two, damaged, too large, or an .npy of anything but numbers.
    """
    data = read_bytes(path, most=largest_file, error=error)
    try:
        if not data.startswith(b"PK"):
            array = _array(BytesIO(data), path, most_bytes, PLAIN, error)
            if array is None:
                raise error(f"{path} cannot be read: it holds objects or texts where numbers are expected")
            return array
        with zipfile.ZipFile(BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_ARRAYS:
                raise error(f"{path} holds {len(infos)} arrays; up to {MOST_ARRAYS} are read")
            found: dict[str, np.ndarray] = {}
            for info in infos:
                left = most_bytes - sum(array.nbytes for array in found.values())
                with archive.open(info) as stream:
                    array = _array(stream, path, left, PLAIN + TEXT * texts, error)
                if array is not None:
                    found[info.filename.removesuffix(".npy")] = array
            return found
    except BridgeError:
        raise
    except (
        OSError, ValueError, EOFError, RuntimeError, NotImplementedError, KeyError, TypeError, SyntaxError,
        AttributeError, OverflowError, RecursionError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
    ) as e:  # fmt: skip
        reason = " ".join(str(e).split())[:160]
        raise error(f"{path} cannot be read ({reason}); expected arrays of numbers, from numpy.save") from e


def _array(
    stream: Any, path: Path, most_bytes: int, kinds: str, error: type[BridgeError]
) -> np.ndarray | None:
    """Read one array; None where it holds other things than `kinds`."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise error(f"{path} is an .npy of version {version[0]}.{version[1]}; save it with plain numbers")
    shape, column_first, dtype = read(stream, max_header_size=LONGEST_HEADER)
    if dtype.kind not in kinds or dtype.itemsize == 0:
        return None
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > most_bytes:
        raise error(f"{path} says of an array that it is {list(shape)}, which is more than cameras take")
    content = stream.read(size)
    if len(content) != size:
        raise error(f"{path} is cut short: an array of it has {len(content):,} of {size:,} bytes")
    return np.array(np.frombuffer(content, dtype).reshape(shape, order="F" if column_first else "C"))
