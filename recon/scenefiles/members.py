"""Files of a scene that lie in one folder or archive; nothing outside is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recon.bounded import decode_json
from recon.errors import SceneFileError
from recon.scenefiles.bounded import plain_member, read_file, read_zip

LARGEST_JSON = 16 << 20
"""Bytes; the tree of a streamed scene of a billion Gaussians takes a quarter of it."""


@dataclass(frozen=True)
class Members:
    """A folder, or a place in an archive, whose files are named relative to it."""

    path: Path
    """The archive or folder, for errors."""
    archive: Mapping[str, bytes] | None = None
    """Everything in the archive; None: a folder on disk."""
    place: str = ""
    """Folder inside the archive, '' or ending with a slash."""

    def __contains__(self, name: str) -> bool:
        plain_member(name, self.path)
        if self.archive is not None:
            return str(PurePosixPath(self.place, name)) in self.archive
        try:
            return (self.path / name).is_file()
        except (OSError, ValueError):  # names that the disk cannot hold
            return False

    def read(self, name: str, **bounds: int) -> bytes:
        """A whole file; bounds are those of `read_file`.

        Raises:
            SceneFileError: it is not there, or its name leads elsewhere.
        """
        if name not in self:
            raise SceneFileError(f"{self.path} lacks its file {name!r:.80}")
        if self.archive is None:
            return read_file(self.path / name, **bounds)
        return self.archive[str(PurePosixPath(self.place, name))]

    def size(self) -> int:
        """Bytes of the files that lie here, those in further folders left out."""
        if self.archive is None:
            return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())
        here = PurePosixPath(self.place)
        return sum(len(data) for name, data in self.archive.items() if PurePosixPath(name).parent == here)

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file.

        Raises:
            SceneFileError: it is not there, larger than 16 MiB, or no JSON object.
        """
        raw = self.read(name, most=LARGEST_JSON)
        if len(raw) > LARGEST_JSON:
            raise SceneFileError(
                f"{self.path / name} has {len(raw):,} bytes; up to {LARGEST_JSON:,} are read of a JSON file"
            )
        try:
            parsed = decode_json(raw, nan=True)
        except ValueError as error:
            raise SceneFileError(f"{self.path / name} is damaged: it {error}") from error
        if not isinstance(parsed, dict):
            raise SceneFileError(f"{self.path / name} is damaged: it holds no JSON object")
        return parsed

    def beside(self, name: str) -> "Members":
        """The files that lie beside one of these."""
        parent = str(PurePosixPath(plain_member(name, self.path)).parent)
        if self.archive is None:
            return Members(self.path / parent)
        place = PurePosixPath(self.place, parent)
        return Members(self.path, self.archive, "" if str(place) == "." else f"{place}/")


def open_members(path: Path, name: str) -> Members:
    """Open the files beside `path`, where that is called `name`, or those beside `name` in the archive `path`.

    Raises:
        SceneFileError: no such file, no archive, or none of that name in it.
    """
    if path.name.lower() == name:
        return Members(path.parent)
    archive = read_zip(path)
    found = [PurePosixPath(inside) for inside in archive if PurePosixPath(inside).name == name]
    if not found:
        raise SceneFileError(f"{path} holds no {name}, expected an archive with one")
    # some archivers put everything into one folder
    first = min(found, key=lambda inside: (len(inside.parts), str(inside)))
    return Members(path, archive).beside(str(first))
