"""A ``transforms.json`` whose frames have a time, or one for each split."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recon.camera_files.formats.transforms import has_cameras, list_frames, picture_path, read_object
from recon.capture.listing import Listing
from recon.capture.moving.capture import MovingCapture
from recon.capture.photos import read_photos
from recon.capture.posed.photo import PosedPhoto, check_poses
from recon.capture.posed.transforms import SPLITS, list_transforms
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.errors import CaptureError
from recon.pictures.frame_files import natural_key

SAME_CAMERA = 1e-4
"""Largest difference of rotations, of places in units of the rig, and of focal lengths in widths, of one camera that stands still: a tenth of
a pixel where pictures are a thousand wide."""

STEM = "transforms_"
"""How the names of files of splits begin."""


def read_transforms(file: Path, max_side: int, max_frames: int, allow_outside: bool) -> MovingCapture:
    """Read frames with times and cameras; those of one place are of one camera.

    Raises:
        CaptureError: frames without a time or a picture.
        CameraError: as `list_transforms`.
    """
    timed = _list_timed(file, max_frames, allow_outside)
    clip, notes = _read_photos(timed.photos, timed.time_of, file, max_side)
    camera_of = _find_cameras(clip)
    names = tuple(f"camera {i}" for i in range(max(camera_of) + 1))
    return MovingCapture(clip, camera_of, names, (*timed.listing.notes, *notes))


def read_splits(folder: Path, max_side: int, max_frames: int, allow_outside: bool) -> MovingCapture:
    """Read the frames of one moving camera from ``transforms_train.json``, as D-NeRF has them; those of another split judge.

    Transparent pictures are put on white.

    Args:
        max_frames: most times of each split.

    Raises:
        CaptureError: frames without a time or a picture; no frames that judge.
        CameraError: as `list_transforms`.
    """
    train, judge = folder / SPLITS[0], next((p for s in SPLITS[1:] if has_cameras(p := folder / s)), None)
    if judge is None:
        raise CaptureError(
            f"expected frames that judge in {folder}, in {' or '.join(SPLITS[1:])}, beside {train.name}, found none"
        )
    photos: list[PosedPhoto] = []
    time_of: dict[str, float] = {}
    said: list[str] = []
    for file in (train, judge):
        timed = _list_timed(file, max_frames, allow_outside)
        split = file.stem.removeprefix(STEM)
        photos += [replace(p, name=f"{split}/{p.name}") for p in timed.photos]
        time_of |= {f"{split}/{name}": time_s for name, time_s in timed.time_of.items()}
        said += timed.listing.notes
    held = {p.name for p in photos if p.name.startswith(f"{judge.stem.removeprefix(STEM)}/")}
    clip, notes = _read_photos(photos, time_of, train, max_side, heldout=held)
    judging = f"{train.name} is trained on, {judge.name} judges; other splits are not read"
    return MovingCapture(
        clip,
        (0,) * len(clip),
        ("camera 0",),
        (*dict.fromkeys(said), *notes, judging),
        heldout=tuple(name in held for name in clip.names),
    )


@dataclass(frozen=True)
class _Timed:
    """Frames of a file that are to be read."""

    listing: Listing
    photos: list[PosedPhoto]
    time_of: dict[str, float]
    """Seconds as the file states them, by the names of photos."""


def _list_timed(file: Path, max_frames: int, allow_outside: bool) -> _Timed:
    """The photos of a file at times that are spread evenly."""
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
    return _Timed(listing, [p for p in listing.photos if time_of[p.name] in kept], time_of)


def _read_photos(
    photos: Sequence[PosedPhoto],
    time_of: Mapping[str, float],
    source: Path,
    max_side: int,
    heldout: Collection[str] = (),
) -> tuple[Clip, tuple[str, ...]]:
    """Pictures in the order of their times, of which the first is 0, and notes."""
    check_poses(photos, source)
    read = read_photos(photos, source, max_side=max_side, heldout=heldout)
    clip = read.clip if isinstance(read.clip, Clip) else read.clip.load()
    times_s = torch.tensor([time_of[name] for name in clip.names], dtype=torch.float64)
    times_s = times_s - times_s.min()  # seconds since 1970 are too coarse in single precision
    clip = replace(clip, times_s=times_s)[torch.argsort(times_s, stable=True).tolist()]
    return clip, (*read.notes, *(f"{name}: {reason}" for name, reason in read.skipped))


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
