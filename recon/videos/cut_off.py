"""Detection of truncated video files by the sizes that their containers state."""

from pathlib import Path

from recon.compute.files import open_regular

GIF_END = b"\x3b"
"""Last byte of a whole GIF."""
SEGMENT = b"\x18\x53\x80\x67"
"""Identifier of Matroska's and WebM's element that holds all but the header."""
HEAD_BYTES = 4096
"""Bytes searched for `SEGMENT`; the EBML header before it takes some dozens."""
MAX_BOXES = 1000
"""Top-level boxes of an MP4 that are walked; fragmented files have one a second or so."""


def is_cut_off(path: Path) -> bool:
    """Whether an MP4, Matroska, WebM, AVI or GIF is shorter than it states; False where it states no size."""
    size = path.stat().st_size
    with open_regular(path) as stream:
        head = stream.read(HEAD_BYTES)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return _boxes_end(stream, size) > size
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_end(head) > size
        if head[:4] == b"RIFF":
            return 8 + int.from_bytes(head[4:8], "little") > size
        if head[:3] == b"GIF":
            stream.seek(max(0, size - 1))
            return stream.read(1) != GIF_END
    return False


def _boxes_end(stream, size: int) -> int:
    """Stated end of the last box of an MP4, in bytes."""
    at = 0
    for _ in range(MAX_BOXES):
        stream.seek(at)
        box = stream.read(16)
        if len(box) < 8:
            break
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if length < 8:  # 0: to the end of the file
            break
        at += length
        if at >= size:
            break
    return at


def _segment_end(head: bytes) -> int:
    """Stated end of Matroska's segment, in bytes; 0 where its size is not stated."""
    at = head.find(SEGMENT)
    if at < 0 or at + 12 > len(head):
        return 0
    first = head[at + 4]
    length = 9 - first.bit_length()
    if not 1 <= length <= 8:
        return 0
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
    return 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value
