"""A clip to be measured: its name, its path and that of its requested cameras."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recon.camera_files import holds_cameras
from recon.camera_files.formats.colmap import find_model
from recon.compute.files import shorten_name
from recon.pictures.boundary import Boundary
from recon.videos.read import SUFFIXES as VIDEOS

CAMERA_SUFFIXES = (".txt", ".json", ".npz", ".npy")
"""Endings of camera files beside a clip, the first that holds cameras is taken."""


@dataclass(frozen=True)
class ClipSource:
    """One clip to be read by `recon.clips.read.read_clip`."""

    name: str
    """Unique in its set, also as a file name once '/' is '__'."""
    path: Path
    """A video, or a folder of frames; absolute, links not followed."""
    cameras: Path | None
    """A camera file, or a folder with a COLMAP model, absolute; None where no cameras were requested."""
    model: str
    """What generated the clip: the unit of comparison."""
    group: str = ""
    """Clips of one scene or one camera path share it."""
    prompt: str = ""
    """Text that the clip was generated from."""
    format: str | None = None
    """Format of the camera file, where it must be told; see `recon.camera_files`."""
    convention: str | None = None
    """Convention of bare matrices, such as 'cam_from_world/opencv'."""
    within: Path | None = None
    """Path that a person gave, which must hold the clip and its frames; None: the clip itself."""

    @property
    def file_name(self) -> str:
        """`name` as one part of a path; a long one is cut, and a hash of the whole keeps it apart from others."""
        return shorten_name(self.name.replace("/", "__"))


@dataclass(frozen=True)
class ClipSet:
    """Clips to be measured together."""

    sources: tuple[ClipSource, ...]
    """In the order of the manifest, else in the natural order of their names."""
    skipped: tuple[tuple[str, str], ...]
    """(name, reason) of what was found and is not measured."""
    notes: tuple[str, ...] = ()
    """Sentences on how the clips were assigned to models."""


def absolute_path(path: Path) -> Path:
    """Absolute path, links not followed: a folder of links to clips names them, and their model, by the links."""
    plain = os.path.abspath(path)
    # 'link/..' is not where the link stands: only then must the link be followed.
    return Path(plain if os.path.realpath(plain) == os.path.realpath(path) else os.path.realpath(path))


def find_cameras_beside(path: Path) -> tuple[Path | None, list[Path]]:
    """Find the camera file inside or beside a clip, and other files with its name."""
    if path.is_dir():
        inside = path / "transforms.json"
        if inside.is_file() and holds_cameras(inside):
            return inside, []
        if find_model(path) is not None:
            return path, []
    stem = path.stem if path.is_file() else path.name
    named = [path / f"cameras{suffix}" for suffix in CAMERA_SUFFIXES] if path.is_dir() else []
    named += [path.parent / f"{stem}{suffix}" for suffix in CAMERA_SUFFIXES]
    there = [p for p in named if os.path.isfile(p)]  # False, not an error, for names too long for a file
    found = next((p for p in there if holds_cameras(p)), None)
    return found, [p for p in there if p != found]


def find_cameras_for(path: Path, cameras: Path) -> Path | None:
    """Find the camera file of a clip in what was given for all: one file, or a folder with one by stem."""
    if cameras.is_file() or find_model(cameras) is not None or (cameras / "transforms.json").is_file():
        return cameras
    stem = path.stem if os.path.isfile(path) else absolute_path(path).name
    for place in (cameras / parent_name(path), cameras):
        files = [p for suffix in CAMERA_SUFFIXES if os.path.isfile(p := place / f"{stem}{suffix}")]
        found = next((p for p in files if holds_cameras(p)), files[0] if files else None)
        inside = place / stem
        if found is None and os.path.isdir(inside) and os.path.realpath(inside) != os.path.realpath(path):
            found = find_cameras_beside(inside)[0]
        if found is not None:
            return found
    return None


def refuse_outside(sources: Sequence[ClipSource], boundary: Boundary, who: str, *given: Path | None) -> None:
    """Refuse clips and camera files that lie neither in the folder of `boundary` nor in a `given` path.

    Allowed ones are noted when each clip is read.

    Raises:
        CaptureError: a file from outside that was not allowed.
    """
    if boundary.allow_outside:
        return
    known = [Boundary(path) for path in given if path is not None]
    files = dict.fromkeys(p for s in sources for p in (s.path, s.cameras) if p is not None)
    strange = [p for p in files if not any(other.holds(p) for other in known)]
    boundary.check([(os.path.relpath(p, boundary.folder), p) for p in strange], who)


def safe_name(name: str) -> str:
    """Replace characters that a file system or a shell may misread; '/' stays."""
    parts = [re.sub(r"[^\w.+=@,()-]+", "_", part).strip(". ") for part in name.split("/")]
    return "/".join(part for part in parts if part) or "clip"


def make_names_unique(sources: Sequence[ClipSource]) -> list[ClipSource]:
    """Make names unique as file names in any case: by the suffix of a video, then by a number."""
    count = Counter(s.file_name.casefold() for s in sources)
    taken = {k for k, n in count.items() if n == 1}
    out = []
    for source in sources:
        name = source.name
        if count[source.file_name.casefold()] > 1:
            base = name + (source.path.suffix if source.path.suffix.lower() in VIDEOS else "")
            tries = (base, *(f"{base}-{number}" for number in range(2, len(sources) + 2)))
            name = next(t for t in tries if replace(source, name=t).file_name.casefold() not in taken)
        out.append(replace(source, name=name))
        taken.add(out[-1].file_name.casefold())
    return out


def parent_name(path: Path) -> str:
    """Name of the folder that a path lies in, links not followed."""
    return absolute_path(path).parent.name
