"""The frames of a clip that is to be measured, each with the camera that was asked for."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Shaped

from recon.camera_files import RequestedCameras, detect_with_default, read_requested
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.source import ClipSource
from recon.errors import CameraError, CaptureError
from recon.pictures.batch import check_batch, describe_sizes, stack_pictures
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import find_frames, list_folder
from recon.pictures.headers import explain_unreadable, photo_shape
from recon.pictures.images import decode, fit_size
from recon.pictures.levels import find_levels
from recon.pictures.shape import Layout, PictureShape
from recon.videos.read import SUFFIXES, decode_frames, video_shape
from recon.words import count_noun

CountRule = Literal["refuse", "first", "spread"]
"""What becomes of a clip whose frames and cameras differ in number: refused; both cut to the shorter; or the
longer taken at evenly spaced places, both ends included."""
FEWEST_SHARE = 0.5
"""A clip of which fewer frames than this share can be used is not measured: its verdict would be that of its reading."""
Pair = tuple[int, int | None]
"""(frame, camera), by number; None where no cameras were asked for."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are measured: every k-th, and then at most so many, spread evenly first to last."""

    every: int = 1
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise CaptureError(f"expected to take every 1st, 2nd, … frame, got every {self.every}")
        if self.frames is not None and self.frames < 2:
            raise CaptureError(f"expected at least 2 frames a clip, got {self.frames}")

    def of(self, pairs: Sequence[Pair]) -> list[Pair]:
        kept = list(pairs[:: self.every])
        if self.frames is None or len(kept) <= self.frames:
            return kept
        return [kept[i] for i in spread_indices(len(kept), self.frames)]


@dataclass(frozen=True)
class ReadClip:
    clip: Clip
    """With cameras where they were asked for."""
    intrinsics_known: bool
    """Whether the K of its cameras may be used; False also where there are none."""
    indices: tuple[int, ...]
    """Which frames of the source, from 0."""
    notes: tuple[str, ...]
    """What a person should know of the reading."""


def spread_indices(n: int, count: int) -> list[int]:
    """`count` of the numbers 0 … n-1, evenly spaced, both ends included (the first alone where one is asked)."""
    if count < 2:
        return [0][:count]
    steps = count - 1
    return [(2 * i * (n - 1) + steps) // (2 * steps) for i in range(count)]


def pair_frames(frames: int, cameras: int, rule: CountRule) -> list[Pair]:
    """Which frame goes with which camera.

    Raises:
        CameraError: the numbers differ, and the rule is to refuse that.
    """
    n = min(frames, cameras)
    if rule == "first" or frames == cameras:
        return [(i, i) for i in range(n)]
    if rule == "spread":
        return list(zip(spread_indices(frames, n), spread_indices(cameras, n), strict=True))
    raise CameraError(
        f"expected as many cameras as frames, got {count_noun(frames, 'frame')} and {count_noun(cameras, 'camera')}; give "
        "`--count-rule first` to cut both to the shorter, or `--count-rule spread` to take the longer at evenly "
        "spaced places from first to last"
    )


def read_clip(
    source: ClipSource,
    *,
    sampling: Sampling | None = None,
    max_side: int | None = None,
    count_rule: CountRule = "refuse",
    convention: str | None = None,
    format: str | None = None,
    allow_outside: bool = False,
) -> ReadClip:
    """Reads a video or a folder of frames, with the requested cameras where the source names some.

    Frames and cameras are matched by name where the camera file names the pictures, else by order under
    `count_rule`; only then `sampling` applies. Lens distortion in the request is noted, not taken out. A video
    that breaks off gives what comes before; frames of a folder that cannot be decoded are left out with their
    cameras. `convention` and `format` are defaults, for a source that states none: the convention where the file
    holds bare matrices, the format where the file alone does not tell it. Frames that links bring in from outside of
    what was given are read with `allow_outside` only, and noted.

    Raises:
        CaptureError: nothing there, fewer than two frames, frames of several sizes or from outside.
        CameraError: cameras that are none, that do not fit a format, or too many or few of them.
    """
    sampling = sampling or Sampling()
    if not os.path.exists(source.path):
        raise CaptureError(f"expected a video or a folder of frames, but {source.path} does not exist")
    boundary = Boundary(source.within or source.path, allow_outside)
    hints = _hints(source, convention, format)
    files = find_frames(source.path) if source.path.is_dir() else []
    if files:
        said = boundary.check([(file.name, file) for file in files], f"{source.path} holds")
        read = _read_folder(source, files, sampling, max_side, count_rule, hints)
    else:
        video = _video(source.path)
        said = boundary.check([(video.name, video)], f"{video.parent} holds")
        read = _read_video(source, video, sampling, max_side, count_rule, hints)
    return replace(read, notes=(*said, *read.notes))


def _hints(source: ClipSource, convention: str | None, format: str | None) -> dict[str, Any]:
    """What is told of the camera file: what its source states as it is, the defaults where they are needed."""
    if source.cameras is None:
        return {}
    found = source.format or detect_with_default(source.cameras, source.convention or convention, format)
    return {
        "clip": source.path.stem,
        "convention": source.convention or (convention if found == "matrices" else None),
        "format": found,
    }


def _video(path: Path) -> Path:
    """Itself, or the one video of a folder without frames."""
    videos = [p for p in list_folder(path) if p.suffix.lower() in SUFFIXES] if path.is_dir() else [path]
    if len(videos) != 1:
        raise CaptureError(f"expected frames or one video in {path}, found {len(videos) or 'no'} videos")
    return videos[0]


def _read_video(
    source: ClipSource,
    path: Path,
    sampling: Sampling,
    max_side: int | None,
    rule: CountRule,
    hints: dict[str, Any],
) -> ReadClip:
    shape = video_shape(path)
    requested = None
    layout: Layout = "shown"
    if source.cameras is not None:
        width, height = shape.frame.size("shown")
        requested = read_requested(source.cameras, width=width, height=height, shape=shape.frame, **hints)
        layout = requested.layout

    def plan(total: int, whole: int) -> list[Pair]:
        """A video that was cut off keeps the pairing of the whole one."""
        pairs = _pairs(whole if requested else total, requested, rule)
        return sampling.of([pair for pair in pairs if pair[0] < total])

    wanted = _frames_of(plan, shape.packets)
    size = fit_size(*shape.frame.size("shown"), max_side)
    check_batch({size: len(wanted)}, path.name)
    decoded = decode_frames(path, wanted, max_side=max_side, layout=layout)
    whole = decoded.total
    if decoded.ended and requested is not None:
        # what does not say how long it was is taken to have had a frame for each camera
        whole = max(whole, decoded.stated or len(requested.cameras))
    pairs = plan(decoded.total, whole)
    if not {frame for frame, _ in pairs} <= decoded.pixels.keys():  # the packets were no frames
        check_batch({size: len(pairs)}, path.name)
        decoded = decode_frames(path, {frame for frame, _ in pairs}, max_side=max_side, layout=layout)
    notes = [f"{path.name} {decoded.ended}"] if decoded.ended else []
    notes += decoded.notes
    _expect_two(len(pairs), source)
    clip = _clip([decoded.pixels[frame] for frame, _ in pairs], source)
    clip = replace(
        clip,
        times_s=torch.tensor([decoded.times_s[frame] for frame, _ in pairs], dtype=torch.float64),
        names=tuple(f"{frame:05d}" for frame, _ in pairs),
    )
    return _with_cameras(clip, pairs, requested, notes)


def _frames_of(plan: Callable[[int, int], list[Pair]], packets: int) -> set[int]:
    """The frames that will be wanted if every packet is one; none where the numbers then do not fit."""
    try:
        return {frame for frame, _ in plan(packets, packets)}
    except CameraError:
        return set()


def _read_folder(
    source: ClipSource,
    files: list[Path],
    sampling: Sampling,
    max_side: int | None,
    rule: CountRule,
    hints: dict[str, Any],
) -> ReadClip:
    names = [file.name for file in files]
    notes: list[str] = []
    requested = None
    layout: Layout = "shown"
    if source.cameras is not None:
        shape = _first_shape(files, source)
        requested = read_requested(
            source.cameras,
            width=shape.size("shown")[0],
            height=shape.size("shown")[1],
            names=names,
            shape=shape,
            order=("stored", "shown"),  # so programs read photos that made cameras for them
            **hints,
        )
        layout = requested.layout
    if requested and requested.names and set(requested.names) <= set(names):
        row_of = {name: row for row, name in enumerate(requested.names)}
        pairs: list[Pair] = [(i, row_of[name]) for i, name in enumerate(names) if name in row_of]
        if len(pairs) < FEWEST_SHARE * len(files):
            raise CaptureError(
                f"{source.path} has {len(files)} frames, and {_named(source.cameras)} has cameras for {len(pairs)} of them "
                "only; give the cameras of all frames, or only the frames that have one"
            )
    else:
        pairs = _pairs(len(files), requested, rule)
    kept: list[Pair] = []
    pictures = []
    wanted = sampling.of(pairs)
    notes += _check_frames([files[frame] for frame, _ in wanted], source, max_side, layout)
    for frame, camera in wanted:
        try:
            pictures.append(decode(files[frame], max_side, layout=layout)[0])
            kept.append((frame, camera))
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            notes.append(f"{names[frame]} is left out: it {explain_unreadable(files[frame], e)}")
    _expect_two(len(kept), source, notes)
    if len(kept) < FEWEST_SHARE * len(wanted):
        raise CaptureError(
            f"only {len(kept)} of {len(wanted)} frames of {source.path} can be decoded ({notes[0]})"
        )
    levels = find_levels(pictures)
    if levels is not None:
        pictures = [levels.stretch(p) for p in pictures]
        notes.append(levels.note)
    clip = replace(_clip(pictures, source), names=tuple(names[frame] for frame, _ in kept))
    if requested and requested.times_s is not None:
        clip = replace(clip, times_s=requested.times_s[[c for _, c in kept if c is not None]])
    return _with_cameras(clip, kept, requested, notes)


def _pairs(frames: int, requested: RequestedCameras | None, rule: CountRule) -> list[Pair]:
    if requested is None:
        return [(i, None) for i in range(frames)]
    return pair_frames(frames, len(requested.cameras), rule)


def _check_frames(
    files: Sequence[Path], source: ClipSource, max_side: int | None, layout: Layout
) -> list[str]:
    """What is to be said of the pixels of frames, of which none is decoded yet.

    Raises:
        CaptureError: more than memory holds, or several sizes.
    """
    shapes: Counter[PictureShape] = Counter()
    for file in files:
        with suppress(Exception):  # as above; said when it is decoded
            shapes[photo_shape(file)] += 1
    count: Counter[tuple[int, int]] = Counter()
    for shape, n in shapes.items():
        count[fit_size(*shape.size(layout), max_side)] += n
    _refuse_mixed(count, source)
    check_batch(count, source.path.name)
    if layout == "stored":
        unlike = [s for s in shapes if s.orientation == 1 and not s.plain]
        return [f"frames are used as stored, although {s.words}" for s in unlike]
    return [f"frames are {s.squared_words}" for s in shapes if s.squared_words]


def _refuse_mixed(count: Counter[tuple[int, int]], source: ClipSource) -> None:
    if len(count) > 1:
        raise CaptureError(
            f"expected frames of one size in {source.path}, got {describe_sizes(count)}; export them again"
        )


def _first_shape(files: Sequence[Path], source: ClipSource) -> PictureShape:
    """That of the first frame that can be decoded."""
    for file in files:
        try:
            return photo_shape(file)
        except Exception:  # as above; said when the frames are read
            continue
    raise CaptureError(
        f"expected frames in {source.path}, but none of its pictures ({len(files)}) can be decoded"
    )


def _named(cameras: Path | None) -> str:
    return "its camera file" if cameras is None else cameras.name


def _clip(pictures: Sequence[Shaped[np.ndarray, "_ _ 3"]], source: ClipSource) -> Clip:
    _refuse_mixed(Counter((p.shape[1], p.shape[0]) for p in pictures), source)
    return Clip(stack_pictures(pictures, source.path.name))


def _expect_two(count: int, source: ClipSource, notes: Sequence[str] = ()) -> None:
    if count < 2:
        because = f" ({notes[0]})" if notes else ""
        raise CaptureError(f"expected at least two frames in {source.path}, got {count}{because}")


def _with_cameras(
    clip: Clip, pairs: Sequence[Pair], requested: RequestedCameras | None, notes: list[str]
) -> ReadClip:
    indices = tuple(frame for frame, _ in pairs)
    if requested is None:
        return ReadClip(clip, False, indices, tuple(notes))
    cameras: Cameras = requested.cameras[[camera for _, camera in pairs if camera is not None]]
    clip = replace(clip, cameras=cameras.resize(width=clip.width, height=clip.height))
    return ReadClip(clip, requested.intrinsics_known, indices, (*requested.notes, *notes))
