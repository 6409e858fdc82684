"""The container of an SPZ file: header, streams in gzip or zstd, and the extension that states the axes.

Versions 1 to 3 are one gzip stream of a 16-byte header, six streams and extensions. Version 4 is a 32-byte header,
extensions, a table of sizes, and a zstd stream for each of the six. Without spherical harmonics there are five.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import sh_bases
from recon.scenefiles.bounded import check_growth, inflate, read_file, take, unpack_zstd

MAGIC = 0x5053474E
"""First four bytes of the unpacked header: 'NGSP'."""
HEADER = struct.Struct("<IIIBBBB")
"""Magic, version, Gaussians, SH degree, fractional bits, flags, and from version 4 on the number of streams."""
HEADER_BYTES = {1: 16, 2: 16, 3: 16, 4: 32}
"""Bytes of the header, by version."""
ANTIALIASED, EXTENDED = 1, 2
"""Flags of the header."""
COORDINATE_SYSTEM = 0xADBE0003
"""Type of the extension SPZ_ADOBE_coordinate_system."""
LONGEST_EXTENSIONS = 1 << 16
"""Bytes of extensions that are looked at; the two known ones take 32."""
LARGEST_DEGREE, MOST_FRACTIONAL_BITS = 4, 24
"""Limits of the header's fields; larger numbers are damage."""
GZIP_LEVEL, ZSTD_LEVEL = 6, 12
"""The reference library's."""
BLOCK = 1 << 20
"""Bytes that are deflated at a time, each block by itself so that cores share the work; costs 0.02% in size."""
NAMES = ("", "LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU", "RBU")  # fmt: skip
"""Coordinate systems by the number that the extension stores; 0 says nothing."""


@dataclass(frozen=True)
class Packed:
    """What an SPZ file holds before its numbers are unpacked."""

    version: int
    g: int
    """Number of Gaussians."""
    degree: int
    fractional_bits: int
    """Fractional bits of positions."""
    antialiased: bool
    axes: str
    """One of `NAMES`; '' where the file does not say."""
    streams: Sequence[bytes | memoryview]
    """Positions, alphas, colours, scales, rotations and, above degree 0, spherical harmonics; each for all Gaussians."""


def write_packed(packed: Packed, path: Path) -> None:
    """Write version 3, which cannot say its axes, or 4; the same bytes on every machine."""
    head = (MAGIC, packed.version, packed.g, packed.degree, packed.fractional_bits)
    flags = ANTIALIASED if packed.antialiased else 0
    with atomic_write(path) as beside, open(beside, "wb") as file:
        if packed.version == 3:
            file.writelines(_gzip(HEADER.pack(*head, flags, 0) + b"".join(packed.streams)))
            return
        extension = struct.pack("<III", COORDINATE_SYSTEM, 4, NAMES.index(packed.axes))
        file.write(HEADER.pack(*head, flags | EXTENDED, len(packed.streams)))
        file.write(struct.pack("<I12x", HEADER_BYTES[4] + len(extension)) + extension)
        small = [_zstd(stream) for stream in packed.streams]
        sizes = zip(small, packed.streams, strict=True)
        file.writelines(struct.pack("<QQ", len(one), len(stream)) for one, stream in sizes)
        file.writelines(small)


def _gzip(data: bytes) -> Iterator[bytes]:
    """One gzip stream, deflated block by block on all cores; the same bytes on every machine."""

    def deflate_block(start: int) -> bytes:
        """Compress the block that starts at a byte."""
        deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -15)
        last = start + BLOCK >= len(data)
        block = deflate.compress(memoryview(data)[start : start + BLOCK])
        return block + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(deflate_block, range(0, len(data), BLOCK))
    yield struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _zstd(data: bytes | memoryview) -> bytes:
    import zstandard

    # −1 is all cores; the bytes do not depend on how many those are
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=-1).compress(data)


def read_packed(path: Path) -> Packed:
    """The streams of a file of any version, unpacked from gzip and zstd.

    Raises:
        SceneFileError: no such file, no SPZ, of another version, damaged or cut short.
    """
    data = read_file(path)
    if data[:2] == b"\x1f\x8b":
        return _inflate(data, path)
    if _header(data, path)[0] == 4:
        return _zstd_streams(data, path)
    return _sequence(data, path)  # not compressed, as some tests of other programs are


def _header(data: bytes | memoryview, path: Path) -> tuple[int, ...]:
    """Version, Gaussians, SH degree, fractional bits, flags, streams."""
    head = HEADER.unpack(take(data, "u1", HEADER.size, 0, path).tobytes())
    if head[0] != MAGIC:
        raise SceneFileError(f"{path} is no SPZ file: it does not begin as one")
    version, degree, fractional_bits = head[1], head[3], head[4]
    if version not in HEADER_BYTES:
        raise SceneFileError(f"{path} is of version {version} of SPZ, expected 1 to 4")
    if degree > LARGEST_DEGREE or fractional_bits > MOST_FRACTIONAL_BITS:
        raise SceneFileError(
            f"{path} is damaged: spherical harmonics of degree {degree}, {fractional_bits} fractional bits"
        )
    return head[1:]


def _stream_sizes(version: int, g: int, degree: int) -> list[int]:
    """Bytes of each stream; without spherical harmonics there are five."""
    bytes_each = [6 if version == 1 else 9, 1, 3, 3, 3 if version < 3 else 4, 3 * (sh_bases(degree) - 1)]
    return [g * size for size in bytes_each if size]


def _inflate(data: bytes, path: Path) -> Packed:
    version, g, degree = _header(inflate(data, path, expected=HEADER.size), path)[:3]
    size = HEADER.size + sum(_stream_sizes(version, g, degree))
    check_growth(size, len(data), path)
    return _sequence(inflate(data, path, expected=size + LONGEST_EXTENSIONS), path)


def _sequence(data: bytes, path: Path) -> Packed:
    """Versions 1 to 3: header, streams, extensions, one after the other."""
    version, g, degree, fractional_bits, flags, _ = _header(data, path)
    if version == 4:
        raise SceneFileError(f"{path} is damaged: version 4 of SPZ is not wrapped in gzip")
    offset, streams = HEADER.size, []
    for size in _stream_sizes(version, g, degree):
        streams.append(take(data, "u1", size, offset, path).data)
        offset += size
    axes = _stated_axes(memoryview(data)[offset:]) if flags & EXTENDED else ""
    return Packed(version, g, degree, fractional_bits, bool(flags & ANTIALIASED), axes, streams)


def _zstd_streams(data: bytes, path: Path) -> Packed:
    """Version 4: header, extensions, table of sizes, zstd streams."""
    version, g, degree, fractional_bits, flags, count = _header(data, path)
    table = int(take(data, "<u4", 1, HEADER.size, path)[0])
    expected = _stream_sizes(version, g, degree)
    sizes = take(data, "<u8", 2 * count, table, path).reshape(-1, 2).tolist()
    if table < HEADER_BYTES[version] or [raw for _, raw in sizes] != expected:
        raise SceneFileError(f"{path} is damaged: its streams are not those of {g:,} Gaussians")
    check_growth(sum(expected), len(data), path)
    offset, streams = table + 16 * count, []
    for small, raw in sizes:
        stream = take(data, "u1", small, offset, path).data
        streams.append(memoryview(unpack_zstd(stream, raw, path)))
        offset += small
    axes = _stated_axes(memoryview(data)[HEADER_BYTES[version] : table]) if flags & EXTENDED else ""
    return Packed(version, g, degree, fractional_bits, bool(flags & ANTIALIASED), axes, streams)


def _stated_axes(extensions: memoryview) -> str:
    """The name of the coordinate system that an extension states, else ''."""
    rest = extensions[:LONGEST_EXTENSIONS]
    while len(rest) >= 8:
        kind, size = struct.unpack_from("<II", rest)
        if kind == COORDINATE_SYSTEM and size == 4 and len(rest) >= 12:
            number = struct.unpack_from("<I", rest, 8)[0]
            return NAMES[number] if number < len(NAMES) else ""
        rest = rest[8 + size :]
    return ""
