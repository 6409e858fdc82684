"""Unpack an answer that came as a zip archive: only files of an answer, in their places, up to a size."""

import re
import zipfile
import zlib
from pathlib import Path

from recon.errors import BridgeError

LARGEST_REPLY = (2 << 30) - 1
"""Bytes of an archive, as many as zip holds without its 64-bit form: 961 frames of 1280x704, the longest of any model known, take 1.3 GB
as PNG."""
LARGEST_DIRECTORY = 1 << 24
"""Bytes of an archive's directory, which Python reads at once; 20,000 entries take 2 MB."""
LARGEST_ANSWER = 8 << 30
"""Bytes of all its files, unpacked; PNGs hardly shrink, so that an archive of much more is a bomb."""
MOST_FILES = 20_000
"""Entries of an archive."""
MEMBER = re.compile(r"(frames|confidence)/[0-9]{5}\.png|cameras\.npz|answer\.json|error\.json")
"""Names of an answer's files; whatever else an archive holds is left in it."""
ZIP64_LOCATOR = 20
"""Bytes of the record before the end of a zip64 archive."""
LONGEST_END = 22 + 65_535
"""Bytes of the end of an archive: a record and a comment."""
STEP = 1 << 20
"""Bytes of one piece that is unpacked."""


def unpack_answer(archive: Path, folder: Path, who: str) -> None:
    """Unpack the files of an answer into a folder; ``answer.json`` comes last.

    Raises:
        BridgeError: no zip archive, a damaged one, or too many or too large files.
    """
    try:
        _check_directory(archive, who)
        with zipfile.ZipFile(archive) as opened:
            infos = {info.filename: info for info in opened.infolist() if MEMBER.fullmatch(info.filename)}
            if len(opened.infolist()) > MOST_FILES:
                raise BridgeError(
                    f"{who} answered with {len(opened.infolist()):,} files; up to {MOST_FILES:,} are read"
                )
            left = LARGEST_ANSWER
            for name in sorted(infos, key=lambda name: (name == "answer.json", name)):
                left -= _unpack(opened, infos[name], folder / name, left, who)
    except BridgeError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        OSError,
    ) as error:
        reason = " ".join(str(error).split())[:160]
        raise BridgeError(f"{who} answered with no zip archive that can be read ({reason})") from error


def _check_directory(archive: Path, who: str) -> None:
    """Refuse an archive whose directory would take much memory, before it is read."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - LONGEST_END))
        end = file.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) < at + 16:
        raise zipfile.BadZipFile("it has no end")
    if end[max(0, at - ZIP64_LOCATOR) : at].startswith(
        b"PK\6\7"
    ):  # a second directory, which would be believed instead
        raise BridgeError(f"{who} answered with a zip64 archive; write a plain one, answers are small enough")
    size = int.from_bytes(end[at + 12 : at + 16], "little")
    if size > LARGEST_DIRECTORY:
        raise BridgeError(
            f"{who} answered with an archive whose directory has {size:,} bytes, too many to be an answer"
        )


def _unpack(opened: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path, most: int, who: str) -> int:
    """Write one file; returns its bytes, whatever its header says."""
    file.parent.mkdir(exist_ok=True)
    size = 0
    with opened.open(info) as stream, file.open("wb") as out:
        while piece := stream.read(STEP):
            size += len(piece)
            if size > most:
                raise BridgeError(
                    f"{who} answered with more than {LARGEST_ANSWER >> 30} GiB of files; make smaller frames"
                )
            out.write(piece)
    return size
