"""Readers of untrusted scene files: sizes are checked before memory is taken and archives are unpacked."""

import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np

from recon.bounded import check_regular_file, read_bytes
from recon.errors import SceneFileError

LARGEST_FILE = 8 << 30
"""Largest file in bytes: 30 million Gaussians at degree 3 as PLY, more than any viewer shows."""
LARGEST_INFLATION = 200
"""Largest ratio of unpacked to packed size. Real scenes grow 1.5 to 20 times; deflate can reach 1032."""
SMALL = 1 << 20
"""Bytes that are always granted: tiny test scenes may compress better than `LARGEST_INFLATION`."""
LARGEST_ZSTD_WINDOW = 1 << 27
"""Largest zstd window in bytes: the zstd tool's own default. Writers of scenes use 8 MiB at most."""


def file_size(path: Path, *, most: int = LARGEST_FILE) -> int:
    """Bytes of a file that may be read.

    Raises:
        SceneFileError: there is none, it is no regular file, or larger than `most`.
    """
    return check_regular_file(path, most=most, error=SceneFileError)


def read_file(path: Path, *, most: int = LARGEST_FILE) -> bytes:
    """A whole file.

    Raises:
        SceneFileError: there is none, it is no regular file, unreadable, or larger than `most` bytes.
    """
    return read_bytes(path, most=most, error=SceneFileError)


def take(data: bytes | memoryview, dtype: str | np.dtype, count: int, offset: int, path: Path) -> np.ndarray:
    """`count` numbers at `offset`, without a copy.

    Raises:
        SceneFileError: the file ends before that.
    """
    size = np.dtype(dtype).itemsize
    if count < 0 or offset < 0 or offset + count * size > len(data):
        raise SceneFileError(
            f"{path} is cut short: it has {len(data):,} bytes where at least {max(0, offset + count * size):,} are expected"
        )
    return np.frombuffer(data, dtype, count, offset)


def check_growth(size: int, packed: int, path: Path) -> None:
    """Refuse to unpack `packed` bytes that are said to become `size` where no scene grows so much.

    Raises:
        SceneFileError: more than `LARGEST_INFLATION` times as large, and not small.
    """
    if size > max(SMALL, LARGEST_INFLATION * packed):
        raise SceneFileError(
            f"{path} is damaged: its {packed:,} bytes are said to hold {size:,}, which no scene does"
        )


def unpack_zstd(data: bytes | memoryview, size: int, path: Path) -> bytes:
    """The content of a zstd stream of known size; what the stream says of itself is not believed.

    Args:
        data: the stream.
        size: bytes that it must hold, already checked (`check_growth`).
        path: what an error names.

    Raises:
        SceneFileError: no zstd stream, damaged, or of another size.
    """
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_ZSTD_WINDOW)
    try:
        with unpacker.stream_reader(data, read_across_frames=True) as reader:
            content = reader.read(size + 1)
    except zstandard.ZstdError as error:
        raise SceneFileError(f"{path} is damaged: a zstd stream in it cannot be read ({error})") from error
    if len(content) != size:
        raise SceneFileError(f"{path} is damaged: a zstd stream in it holds not the {size:,} bytes it should")
    return content


def inflate(data: bytes, path: Path, *, expected: int | None = None) -> bytes:
    """The content of a gzip stream, up to `LARGEST_INFLATION` times as large as the stream.

    Args:
        data: the stream.
        path: what an error names.
        expected: bytes after which the rest is not looked at.

    Raises:
        SceneFileError: not gzip, damaged, or growing beyond bounds.
    """
    limit = max(SMALL, LARGEST_INFLATION * len(data)) if expected is None else expected
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise SceneFileError(f"{path} is damaged: its gzip stream cannot be read ({error})") from error
    if len(content) > limit and expected is None:
        raise SceneFileError(f"{path} grows beyond {limit:,} bytes when unpacked, which no scene does")
    return content[:limit]


def read_zip(path: Path) -> Mapping[str, bytes]:
    """All files of a ZIP archive, in memory; nothing is written to disk.

    Raises:
        SceneFileError: not a ZIP, damaged, a name that leads out of the archive, or growing beyond bounds.
    """
    raw = read_file(path)
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            whole = sum(info.file_size for info in infos)
            if whole > max(SMALL, LARGEST_INFLATION * len(raw)) or len(infos) > 1000:
                raise SceneFileError(
                    f"{path} grows to {whole:,} bytes in {len(infos)} files, which no scene does"
                )
            for info in infos:
                plain_member(info.filename, path)
            return {info.filename: archive.read(info) for info in infos}
    except SceneFileError:
        raise
    except Exception as error:  # zipfile raises whatever its parsing trips over
        raise SceneFileError(f"{path} is not a readable ZIP archive ({error})") from error


def plain_member(name: str, path: Path) -> str:
    """A name inside an archive or folder that stays there.

    Raises:
        SceneFileError: it is absolute or leads upwards.
    """
    if (
        not name
        or PurePosixPath(name).is_absolute()
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name
    ):
        raise SceneFileError(f"{path} names {name!r}, which leads out of it; it is not opened")
    return name
