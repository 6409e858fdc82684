"""Captures of what moves: several cameras that filmed it at the same times, or one."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recon.bounded import check_memory
from recon.camera_files.formats.transforms import has_cameras, list_frames, picture_path, read_object
from recon.capture.photos import read_photos
from recon.capture.posed.photo import check_poses
from recon.capture.posed.transforms import list_transforms
from recon.clip import Clip
from recon.clips.pairing import Sampling, spread_indices
from recon.clips.read import ReadClip, read_clip
from recon.clips.source import ClipSource
from recon.compute.progress import track
from recon.errors import CaptureError
from recon.pictures.frame_files import find_frames, list_folder, natural_key
from recon.videos.read import SUFFIXES as VIDEOS

SAME_CAMERA = 1e-4
"""Largest difference of rotations, of places in units of the rig, and of focal lengths in widths, of one camera that stands still: a tenth of
a pixel where pictures are a thousand wide."""
SPLIT = "transforms_train.json"
"""Of NeRF's synthetic scenes."""
LAYOUTS = (
    "a folder for each camera with as many frames in each (cam00/ cam01/ …), a video for each (cam00.mp4 …), or a transforms.json "
    "whose frames have a time"
)


@dataclass(frozen=True)
class MovingCapture:
    """Frames of one camera or several, in the order of their times."""

    clip: Clip
    """With times, and with cameras where they came along."""
    camera_of: tuple[int, ...]
    """Number of the camera that took each frame."""
    camera_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Remarks on the reading, for a person."""

    def __getitem__(self, rows: Sequence[int]) -> "MovingCapture":
        return replace(self, clip=self.clip[list(rows)], camera_of=tuple(self.camera_of[i] for i in rows))

    def frames_of(self, camera: int) -> list[int]:
        """Rows of one camera, in the order of their times."""
        return [i for i, one in enumerate(self.camera_of) if one == camera]


def read_moving_capture(
    path: Path, *, fps: float, max_side: int, max_frames: int, allow_outside: bool = False
) -> MovingCapture:
    """Read a capture of what moves.

    Args:
        path: a folder for each camera with its frames, videos, or a folder with a ``transforms.json`` whose frames have a ``time``;
            in seconds. The first one counts as 0.
        fps: frames a second of folders; videos and camera files state their times.
        max_side: long side in pixels at most.
        max_frames: most times, spread evenly over all.

    Raises:
        CaptureError: none of these; cameras with different numbers of frames, or of other sizes.
    """
    if not path.exists():
        raise CaptureError(f"expected {LAYOUTS} at {path}, there is nothing")
    file = path if path.suffix.lower() == ".json" else path / "transforms.json"
    if has_cameras(file):
        return _read_transforms(file, max_side, max_frames, allow_outside)
    if path.is_dir() and (path / SPLIT).is_file():
        raise CaptureError(
            f"{path} holds the frames of one moving camera in splits ({SPLIT}), which cannot be reconstructed yet; expected {LAYOUTS}"
        )
    return _read_cameras(path, fps, max_side, max_frames, allow_outside)


def _read_transforms(file: Path, max_side: int, max_frames: int, allow_outside: bool) -> MovingCapture:
    listing = list_transforms(file, allow_outside=allow_outside)
    frames = [f for f in list_frames(read_object(file), file) if "transform_matrix" in f]
    frames.sort(key=lambda f: natural_key(picture_path(f)))
    times = [_parse_time(f.get("time")) for f in frames]
    if missing := times.count(None):
        raise CaptureError(
            f'expected a time for each frame of {file}, {missing} of {len(times)} have none; add "time" in seconds to each, or '
            "leave out --moving"
        )
    if len(listing.photos) != len(frames):
        raise CaptureError(
            f"expected the pictures of all {len(frames)} frames of {file}, found {len(listing.photos)}"
        )
    time_of = {p.name: float(t) for p, t in zip(listing.photos, times, strict=True)}  # type: ignore[arg-type]
    every = sorted(set(time_of.values()))
    kept = {every[i] for i in spread_indices(len(every), min(max_frames, len(every)))}
    photos = [p for p in listing.photos if time_of[p.name] in kept]
    check_poses(photos, file)
    read = read_photos(photos, file, max_side=max_side)
    clip = read.clip if isinstance(read.clip, Clip) else read.clip.load()
    times_s = torch.tensor([time_of[name] for name in clip.names], dtype=torch.float64)
    times_s = times_s - times_s.min()  # seconds since 1970 are too coarse in single precision
    clip = replace(clip, times_s=times_s)[torch.argsort(times_s, stable=True).tolist()]
    camera_of = _find_cameras(clip)
    names = tuple(f"camera {i}" for i in range(max(camera_of) + 1))
    notes = (*listing.notes, *read.notes, *(f"{name}: {reason}" for name, reason in read.skipped))
    return MovingCapture(clip, camera_of, names, notes)


def _parse_time(value: object) -> float | None:
    """A finite number of seconds; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def _find_cameras(clip: Clip) -> tuple[int, ...]:
    """Number of the camera of each frame: one camera where no two frames share a time, else frames of one pose are of one camera."""
    assert clip.times_s is not None
    if len(clip.times_s.unique()) == len(clip):
        return (0,) * len(clip)
    cameras = clip.require_cameras()
    size = float((cameras.centers - cameras.centers.mean(0)).norm(dim=1).max()) + 1e-12
    stands = torch.cat(
        [
            cameras.cam_from_world[:, :3, :3].flatten(1),
            cameras.centers / size,
            cameras.K.flatten(1) / cameras.width,
        ],
        1,
    )
    found: list[int] = []
    firsts: list[torch.Tensor] = []
    for row in stands:
        near = [i for i, first in enumerate(firsts) if float((first - row).abs().max()) < SAME_CAMERA]
        if not near:
            firsts.append(row)
        found.append(near[0] if near else len(firsts) - 1)
    return tuple(found)


def _read_cameras(
    path: Path, fps: float, max_side: int, max_frames: int, allow_outside: bool
) -> MovingCapture:
    sources = _find_sources(path)
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
    clip = Clip(
        torch.stack([clips[k].images[i] for i, k in rows]),
        times_s=torch.stack([times[i] for i, _ in rows]),
        names=tuple(f"{sources[k].name}/{clips[k].names[i]}" for i, k in rows),
    )
    return MovingCapture(clip, tuple(k for _, k in rows), tuple(s.name for s in sources), tuple(notes))


def _find_sources(path: Path) -> list[ClipSource]:
    """A source for each camera, in the natural order of their names."""
    if path.is_file():
        return [_source(path, path)]
    inside = list_folder(path)
    cameras = [p for p in inside if p.suffix.lower() in VIDEOS and p.is_file()]
    cameras += [p for p in inside if p.is_dir() and len(find_frames(p)) > 1]
    if not cameras and len(find_frames(path)) > 1:
        cameras = [path]
    if not cameras:
        raise CaptureError(f"expected {LAYOUTS} in {path}, found none of them")
    return [_source(p, path) for p in sorted(cameras, key=lambda p: natural_key(p.name))]


def _source(path: Path, within: Path) -> ClipSource:
    return ClipSource(
        path.stem if path.is_file() else path.name, path.absolute(), None, "real", within=within.absolute()
    )
