"""Reading of a clip to be measured: frames with their requested cameras."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from recon.camera_files import RequestedCameras, detect_with_default, read_requested
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.frame_shapes import check_frames, first_shape, refuse_mixed
from recon.clips.pairing import CountRule, Pair, Sampling, pair_frames
from recon.clips.source import ClipSource
from recon.errors import CameraError, CaptureError
from recon.pictures.batch import check_batch, stack_pictures
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import find_frames, list_folder
from recon.pictures.headers import explain_unreadable
from recon.pictures.images import decode, fit_size
from recon.pictures.levels import find_levels
from recon.pictures.shape import Layout
from recon.videos.read import SUFFIXES, decode_frames, video_shape

MIN_DECODED_SHARE = 0.5
"""Share of usable frames below which a clip is refused: its verdict would be that of its damage."""


@dataclass(frozen=True)
class ReadClip:
    """A clip read into memory."""

    clip: Clip
    """With cameras where they were requested."""
    intrinsics_known: bool
    """Whether the K of its cameras may be used; False also without cameras."""
    indices: tuple[int, ...]
    """Frame numbers in the source, from 0."""
    notes: tuple[str, ...]
    """Remarks on the reading, for a person."""
    format: str = ""
    """Of the camera file; '' without one."""
    convention: str = ""
    """How its poses were read."""


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
    """Read a video or a folder of frames, with the requested cameras where the source names some.

    Frames and cameras are matched by name where the camera file names the pictures, else by order under
    `count_rule`; only then `sampling` applies. Lens distortion in the request is noted, not taken out. A video
    that breaks off gives the frames before; frames of a folder that cannot be decoded are left out with their cameras.

    Args:
        max_side: pixels of a frame's long side at most.
        convention: of a file of bare matrices, where the source states none.
        format: of the camera file, where neither the source nor the content tells it.
        allow_outside: read frames that links bring in from outside of what was given; they are noted.

    Raises:
        CaptureError: no such path, fewer than two frames, frames of several sizes or from outside.
        CameraError: invalid cameras, another format, or another number of cameras than frames.
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
        video = _find_video(source.path)
        said = boundary.check([(video.name, video)], f"{video.parent} holds")
        read = _read_video(source, video, sampling, max_side, count_rule, hints)
    return replace(read, notes=(*said, *read.notes))


def _hints(source: ClipSource, convention: str | None, format: str | None) -> dict[str, Any]:
    """Arguments of `read_requested` for the source's camera file; defaults only where they are needed."""
    if source.cameras is None:
        return {}
    found = source.format or detect_with_default(source.cameras, source.convention or convention, format)
    return {
        "clip": source.path.stem,
        "convention": source.convention or (convention if found == "matrices" else None),
        "format": found,
    }


def _find_video(path: Path) -> Path:
    """The video itself, or the one video of a folder without frames."""
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
        """Pair frames and cameras; a truncated video keeps the pairs of the `whole` one."""
        pairs = _pairs(whole if requested else total, requested, rule)
        return sampling.of([pair for pair in pairs if pair[0] < total])

    wanted = _predict_frames(plan, shape.packets)
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
    _require_two(len(pairs), source)
    clip = _stack_frames([decoded.pixels[frame] for frame, _ in pairs], source)
    clip = replace(
        clip,
        times_s=torch.tensor([decoded.times_s[frame] for frame, _ in pairs], dtype=torch.float64),
        names=tuple(f"{frame:05d}" for frame, _ in pairs),
    )
    return _attach_cameras(clip, pairs, requested, notes)


def _predict_frames(plan: Callable[[int, int], list[Pair]], packets: int) -> set[int]:
    """Frames that will be wanted if every packet is a frame; none where the numbers then do not fit."""
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
        shape = first_shape(files, source)
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
        pairs = _pair_by_name(names, requested.names, source)
    else:
        pairs = _pairs(len(files), requested, rule)
    kept: list[Pair] = []
    pictures = []
    wanted = sampling.of(pairs)
    notes += check_frames([files[frame] for frame, _ in wanted], source, max_side, layout)
    for frame, camera in wanted:
        try:
            pictures.append(decode(files[frame], max_side, layout=layout)[0])
            kept.append((frame, camera))
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            notes.append(f"{names[frame]} is left out: it {explain_unreadable(files[frame], e)}")
    _require_two(len(kept), source, notes)
    if len(kept) < MIN_DECODED_SHARE * len(wanted):
        raise CaptureError(
            f"only {len(kept)} of {len(wanted)} frames of {source.path} can be decoded ({notes[0]})"
        )
    levels = find_levels(pictures)
    if levels is not None:
        pictures = [levels.stretch(p) for p in pictures]
        notes.append(levels.note)
    clip = replace(_stack_frames(pictures, source), names=tuple(names[frame] for frame, _ in kept))
    if requested and requested.times_s is not None:
        clip = replace(clip, times_s=requested.times_s[[c for _, c in kept if c is not None]])
    return _attach_cameras(clip, kept, requested, notes)


def _pair_by_name(names: Sequence[str], camera_names: Sequence[str], source: ClipSource) -> list[Pair]:
    """Pair frames with the cameras of their names.

    Raises:
        CaptureError: fewer than `MIN_DECODED_SHARE` of the frames have a camera.
    """
    row_of = {name: row for row, name in enumerate(camera_names)}
    pairs: list[Pair] = [(i, row_of[name]) for i, name in enumerate(names) if name in row_of]
    if len(pairs) < MIN_DECODED_SHARE * len(names):
        raise CaptureError(
            f"{source.path} has {len(names)} frames, and {_camera_file_name(source.cameras)} has cameras for {len(pairs)} of "
            "them only; give the cameras of all frames, or only the frames that have one"
        )
    return pairs


def _pairs(frames: int, requested: RequestedCameras | None, rule: CountRule) -> list[Pair]:
    if requested is None:
        return [(i, None) for i in range(frames)]
    return pair_frames(frames, len(requested.cameras), rule)


def _camera_file_name(cameras: Path | None) -> str:
    return "its camera file" if cameras is None else cameras.name


def _stack_frames(pictures: Sequence[Shaped[np.ndarray, "_ _ 3"]], source: ClipSource) -> Clip:
    refuse_mixed(Counter((p.shape[1], p.shape[0]) for p in pictures), source)
    return Clip(stack_pictures(pictures, source.path.name))


def _require_two(count: int, source: ClipSource, notes: Sequence[str] = ()) -> None:
    if count < 2:
        because = f" ({notes[0]})" if notes else ""
        raise CaptureError(f"expected at least two frames in {source.path}, got {count}{because}")


def _attach_cameras(
    clip: Clip, pairs: Sequence[Pair], requested: RequestedCameras | None, notes: list[str]
) -> ReadClip:
    indices = tuple(frame for frame, _ in pairs)
    if requested is None:
        return ReadClip(clip, False, indices, tuple(notes))
    cameras: Cameras = requested.cameras[[camera for _, camera in pairs if camera is not None]]
    clip = replace(clip, cameras=cameras.resize(width=clip.width, height=clip.height))
    return ReadClip(
        clip,
        requested.intrinsics_known,
        indices,
        (*requested.notes, *notes),
        requested.format,
        requested.convention,
    )
