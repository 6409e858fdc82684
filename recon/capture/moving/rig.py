"""A folder of frames or a video for each camera, with their poses beside them or without."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from recon.bounded import check_memory
from recon.camera_files.formats import llff
from recon.camera_files.requested import fit_to_pictures
from recon.cameras import Cameras
from recon.capture.moving.capture import LAYOUTS, MovingCapture
from recon.clip import Clip
from recon.clips.pairing import Sampling
from recon.clips.read import ReadClip, read_clip
from recon.clips.source import ClipSource
from recon.compute.progress import track
from recon.errors import CameraError, CaptureError
from recon.pictures.frame_files import find_frames, list_folder, natural_key
from recon.pictures.shape import PictureShape
from recon.videos.read import SUFFIXES as VIDEOS


def read_rig(path: Path, fps: float, max_side: int, max_frames: int, allow_outside: bool) -> MovingCapture:
    """Read what lies in a folder for each camera; with its cameras where there is a ``poses_bounds.npy``."""
    sources = _find_sources(path)
    names = [source.name for source in sources]
    poses = _list_poses(path, names)
    read: list[ReadClip] = []
    for source in track(sources, "reading cameras"):
        sampling = Sampling(frames=max_frames)
        read.append(read_clip(source, max_side=max_side, sampling=sampling, allow_outside=allow_outside))
        one = read[-1].clip.images
        check_memory(
            2 * one.nbytes * len(sources),  # they are put in the order of times
            f"{len(one)} frames of {len(sources)} cameras",
            "take fewer with --max-frames, or smaller ones with --max-side",
            error=CaptureError,
        )
    clips = [one.clip for one in read]
    if len({one.indices for one in read}) > 1:
        said = ", ".join(f"{s.name} {one.indices[-1] + 1}" for s, one in zip(sources, read, strict=True))
        raise CaptureError(
            f"expected as many frames of every camera in {path}, which were taken at the same times, got {said}; cut them to the same part"
        )
    notes = [
        f"{source.name}: {note}" for source, one in zip(sources, read, strict=True) for note in one.notes
    ]
    sizes = Counter((clip.width, clip.height) for clip in clips)
    if len(sizes) > 1:
        said = ", ".join(f"{w}x{h}" for w, h in sizes)
        raise CaptureError(f"expected frames of one size from all cameras in {path}, got {said}")
    count = len(clips[0])
    stated = clips[0].times_s
    times = torch.tensor(read[0].indices).double() / fps if stated is None else stated.double()
    times = times - times[0]
    rows = [(i, k) for i in range(count) for k in range(len(clips))]
    cameras = None
    if poses is not None:
        cameras, said = _fit_poses(poses, names, width=clips[0].width, height=clips[0].height)
        cameras = cameras[[k for _, k in rows]]
        notes += said
    clip = Clip(
        torch.stack([clips[k].images[i] for i, k in rows]),
        cameras,
        times_s=torch.stack([times[i] for i, _ in rows]),
        names=tuple(f"{sources[k].name}/{clips[k].names[i]}" for i, k in rows),
    )
    return MovingCapture(clip, tuple(k for _, k in rows), tuple(names), tuple(notes))


def _find_sources(path: Path) -> list[ClipSource]:
    """A source for each camera, in the natural order of their names; a folder beside a video of its name holds that one's frames."""
    if path.is_file():
        return [_source(path, path)]
    inside = list_folder(path)
    cameras = [p for p in inside if p.suffix.lower() in VIDEOS and p.is_file()]
    films = {p.stem for p in cameras}
    cameras += [p for p in inside if p.is_dir() and p.name not in films and len(find_frames(p)) > 1]
    if not cameras and len(find_frames(path)) > 1:
        cameras = [path]
    if not cameras:
        raise CaptureError(f"expected {LAYOUTS} in {path}, found none of them")
    return [_source(p, path) for p in sorted(cameras, key=lambda p: natural_key(p.name))]


def _source(path: Path, within: Path) -> ClipSource:
    return ClipSource(
        path.stem if path.is_file() else path.name, path.absolute(), None, "real", within=within.absolute()
    )


def _list_poses(path: Path, names: Sequence[str]) -> Path | None:
    """The poses beside the cameras, which have a row for each in the order of their names; None without them.

    Raises:
        CaptureError: two orders of the names, of which either may be meant.
    """
    file = path / llff.NAME
    if not file.is_file():
        return None
    if [*names] != sorted(names):
        raise CaptureError(
            f"{file} has its cameras in the order of their names, which are {', '.join(sorted(names)[:3])} … by letters and "
            f"{', '.join(names[:3])} … by numbers; name them with as many digits each, such as cam02 and cam10"
        )
    return file


def _fit_poses(
    file: Path, names: Sequence[str], *, width: int, height: int
) -> tuple[Cameras, tuple[str, ...]]:
    """The cameras of a ``poses_bounds.npy`` for pictures of one size, and notes.

    Raises:
        CaptureError: another number of cameras.
        CameraError: a camera that is none, or for pictures of another shape.
    """
    stated = llff.read(file)
    if len(stated.labels) != len(names):
        raise CaptureError(
            f"expected a row of {file} for each of {len(names)} cameras ({names[0]} … {names[-1]}), got {len(stated.labels)}; the "
            "rows are in the order of the names, so that neither may be missing"
        )
    found = fit_to_pictures(
        file,
        "llff",
        replace(stated, labels=tuple(names)),
        PictureShape(width, height),
        ("shown",),
        convention=None,
        keep_origin=True,
    )
    if not found.intrinsics_known:
        raise CameraError(f"{file}: {'; '.join(found.notes)}")
    return found.cameras, found.notes
