"""Whether a video file ends before its container says that it does."""

from pathlib import Path

from recon.compute.files import open_regular

GIF_END = b"\x3b"
SEGMENT = b"\x18\x53\x80\x67"
"""The element of Matroska and WebM that holds everything after the first lines."""
HEAD_BYTES = 4096
"""The EBML header before it takes some dozens of bytes."""
MOST_BOXES = 1000
"""Of an MP4 at the top; fragmented ones have one for each second or so, and a cut one is found at its end anyway."""


def is_cut_off(path: Path) -> bool:
    """By the sizes that MP4, Matroska, WebM, AVI and GIF state; False for what states none, as a live stream."""
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
    """Where the last box of an MP4 says that it ends."""
    at = 0
    for _ in range(MOST_BOXES):
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
    """Where the segment ends; 0 where its size is not known yet."""
    at = head.find(SEGMENT)
    if at < 0 or at + 12 > len(head):
        return 0
    first = head[at + 4]
    length = 9 - first.bit_length()
    if not 1 <= length <= 8:
        return 0
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
    return 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value
