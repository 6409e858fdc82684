"""Search for the clips to be measured: videos and folders of frames, with their requested cameras."""

import os
from dataclasses import replace
from pathlib import Path

from recon.camera_files import holds_cameras, is_transforms
from recon.clips.manifest import read_manifest
from recon.clips.models import split_models
from recon.clips.source import (
    ClipSet,
    ClipSource,
    absolute_path,
    find_cameras_beside,
    find_cameras_for,
    make_names_unique,
    parent_name,
    refuse_outside,
    safe_name,
)
from recon.errors import CaptureError
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import INSIDE, find_frames, list_folder, natural_key
from recon.pictures.images import SUFFIXES as PICTURES
from recon.videos.read import SUFFIXES as VIDEOS

__all__ = ["ClipSet", "ClipSource", "find_clips"]

DOCUMENTS = (".md", ".pdf", ".html", ".log")
"""Files that people keep beside clips; skipped without a note."""


def find_clips(
    path: Path, *, cameras: Path | None = None, model: str | None = None, allow_outside: bool = False
) -> ClipSet:
    """Find the clips of a video, a folder of frames, a folder of either, one such folder a model, or a manifest.

    A folder with frames and cameras is one clip, whatever videos lie beside. Links are not followed for names and models;
    one that leads nowhere, or back to a folder that it lies in, is skipped.

    Args:
        cameras: one file for all clips, or a folder with one for each, by stem. None: cameras are searched beside a clip
            (``<stem>.txt``, .json, .npz, .npy) and inside a folder of frames (``transforms.json``, a COLMAP model,
            ``cameras.*``).
        model: what generated the clips. None: the folder's name, or words in the clips' names (`recon.clips.models`).
        allow_outside: take clips and cameras that links or a manifest bring in from outside the folder.

    Raises:
        CaptureError: no such path, no clips in it, an invalid manifest, two clips of one name, or one from outside.
    """
    if not os.path.exists(path):
        raise CaptureError(f"expected clips, but {path} does not exist")
    if cameras is not None and not os.path.exists(cameras):
        raise CaptureError(f"expected cameras, but {cameras} does not exist")
    path, cameras = absolute_path(path), None if cameras is None else absolute_path(cameras)
    finder = _Finder(cameras, model)
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv", ".json") and not is_transforms(path):
            return read_manifest(path, cameras=cameras, model=model, allow_outside=allow_outside)
        finder.add_file(path)
    elif _is_clip(path):
        finder.add(path, prefix="")
    else:
        finder.add_folder(path)
    if not finder.sources:
        raise CaptureError(
            f"expected videos or folders of frames in {path}, found none; {_describe_contents(path)}"
        )
    if cameras is not None and all(source.cameras is None for source in finder.sources):
        names = ", ".join(source.path.name for source in finder.sources[:3])
        raise CaptureError(
            f"expected camera files in {cameras} that are named as the clips ({names} …), found none"
        )
    alone = path.is_file() or finder.sources[0].path == path  # its cameras may lie beside it
    folder = path.parent if alone else path
    refuse_outside(finder.sources, Boundary(folder, allow_outside), f"{folder} holds", path, cameras)
    within = path if path.is_dir() else None
    found = [replace(source, within=within) for source in make_names_unique(finder.sources)]
    named, notes = split_models(found) if model is None else (found, [])
    sources = sorted(named, key=lambda source: natural_key(source.name))
    return ClipSet(tuple(sources), tuple(finder.skipped), tuple(notes))


class _Finder:
    """Gathers clips from at most two levels of folders."""

    def __init__(self, cameras: Path | None, model: str | None) -> None:
        self.cameras, self.model = cameras, model
        self.sources: list[ClipSource] = []
        self.skipped: list[tuple[str, str]] = []

    def add_file(self, path: Path) -> None:
        """Add a video, or the clip of a ``transforms.json``.

        Raises:
            CaptureError: a file of another kind.
        """
        if path.suffix.lower() in VIDEOS:
            self.add(path, prefix="")
        elif is_transforms(path):
            source = ClipSource(safe_name(path.parent.name), path.parent, path, parent_name(path.parent))
            self.sources.append(replace(source, model=self.model or source.model))
        else:
            hint = "; give the folder it lies in" if path.suffix.lower() in PICTURES else ""
            raise CaptureError(f"expected a video, a folder of clips or a manifest, got {path.name}{hint}")

    def add_folder(self, folder: Path, prefix: str = "") -> None:
        """Add all clips of a folder; without a `prefix` those of its sub-folders as well."""
        given = None if self.cameras is None else os.path.realpath(self.cameras)
        inside = [p for p in list_folder(folder) if os.path.realpath(p) != given]
        videos = any(p.suffix.lower() in VIDEOS for p in inside)
        used: set[str] = set()
        rest: list[Path] = []
        for p in inside:
            try:
                if (astray := _explain_bad_link(p)) is not None:
                    self.skip(prefix + p.name, astray)
                elif videos and p.is_dir() and p.name.lower() in INSIDE:
                    self.skip(prefix + p.name, "pictures beside videos, taken to belong to these")
                elif _holds_clip(p):
                    used |= {os.path.realpath(q) for q in (p, *self.add(p, prefix))}
                elif p.is_dir() and not prefix and any(_holds_clip(q) for q in list_folder(p)):
                    self.add_folder(p, f"{p.name}/")
                elif (
                    _is_one_frame(p) and self._cameras_of(p)[0] is not None
                ):  # its reading says that this is no clip
                    used |= {os.path.realpath(q) for q in (p, *self.add(p, prefix))}
                else:
                    rest.append(p)
            except CaptureError as e:  # a folder that may not be read costs itself only
                self.skip(prefix + p.name, str(e))
        for p in rest:
            if os.path.realpath(p) not in used:
                self._skip_rest(p, prefix)

    def add(self, path: Path, prefix: str) -> list[Path]:
        """Add one clip; returns the camera files beside it."""
        found, others = self._cameras_of(path)
        name = path.stem if path.is_file() else path.name
        model = self.model or parent_name(path)
        self.sources.append(ClipSource(safe_name(prefix + name), path, found, model))
        if path.is_dir():
            for video in (p for p in list_folder(path) if p.suffix.lower() in VIDEOS):
                self.skip(f"{prefix}{name}/{video.name}", "a video beside frames; the frames are read")
        if self.cameras is not None and found is None:
            self.skip(f"cameras of {prefix}{name}", f"none in {self.cameras} are named {name}")
        for other in others:
            self.skip(prefix + other.name, f"not the cameras of {path.name}: {_why_not(other, found)}")
        return [*others, *([found] if found else [])]

    def skip(self, what: str, reason: str) -> None:
        """Note a file or folder that is not measured."""
        self.skipped.append((what, reason))

    def _cameras_of(self, path: Path) -> tuple[Path | None, list[Path]]:
        """Cameras of a clip, and other files that are named as if they were."""
        if self.cameras is not None:
            return find_cameras_for(path, self.cameras), []
        return find_cameras_beside(path)

    def _skip_rest(self, path: Path, prefix: str) -> None:
        if path.suffix.lower() in DOCUMENTS:
            return
        if path.is_dir():
            deep = bool(prefix) and any(_holds_clip(q) for q in list_folder(path))
            reason = (
                "clips lie too deep here; give their folder itself"
                if deep
                else "a single frame"
                if _is_one_frame(path)
                else "no clip and no folder of clips"
            )
        elif path.suffix.lower() in PICTURES:
            reason = "a single picture"
        elif path.suffix.lower() in (".csv", ".tsv"):
            reason = "a table; give it itself if it lists the clips"
        else:
            reason = "neither a video nor a folder of frames"
        self.skip(prefix + path.name, reason)


def _is_clip(folder: Path) -> bool:
    """Whether a folder is one clip: frames alone, or frames with cameras, whatever videos lie beside."""
    if len(find_frames(folder)) < 2:
        return False
    if not any(p.suffix.lower() in VIDEOS for p in list_folder(folder)):
        return True
    found = find_cameras_beside(folder)[0]
    return found is not None and folder in (found, found.parent)


def _is_one_frame(path: Path) -> bool:
    return path.is_dir() and len(find_frames(path)) == 1


def _holds_clip(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() in VIDEOS
    return path.is_dir() and _is_clip(path)


def _explain_bad_link(path: Path) -> str | None:
    """Reason to skip a link; None for a sound link or no link."""
    if not path.is_symlink():
        return None
    if not os.path.exists(path):
        return "a link that leads nowhere"
    if Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(path)):
        return "a link back to a folder that it lies in"
    return None


def _why_not(other: Path, found: Path | None) -> str:
    if found is not None and holds_cameras(other):
        return f"{found.name} is taken"
    return "no numbers of cameras in it"


def _describe_contents(path: Path) -> str:
    if path.is_file():
        return "it is a file of another kind"
    inside = [p.name for p in list_folder(path)]
    return f"it holds {', '.join(inside[:5])}{' …' if len(inside) > 5 else ''}" if inside else "it is empty"
