"""Decoding of videos, one frame at a time, as a player would show them."""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from recon.bounded import check_pixels
from recon.bounded.budget import MOST_PIXELS
from recon.compute.progress import progress
from recon.errors import CaptureError
from recon.pictures.images import fit_size, shrink
from recon.pictures.levels import find_levels
from recon.pictures.shape import Layout, PictureShape, clean_aspect
from recon.videos.cut_off import is_cut_off
from recon.videos.frame import BOTTOM_FIRST, VideoFrame
from recon.words import count_noun

log = logging.getLogger(__name__)

SUFFIXES = (
    ".mp4",
    ".mov",
    ".m4v",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".gif",
    ".ogv",
    ".wmv",
    ".flv",
    ".3gp",
    ".mts",
    ".m2ts",
)
"""Endings of files that are taken for videos; FFmpeg then decides by content."""


def read_wanted_frames(
    path: Path, wanted: Collection[int], notes: dict[str, None] | None = None
) -> Iterator[tuple[int, Shaped[np.ndarray, "h w 3"]]]:
    """Decode the wanted frames in order, one in memory at a time: (number, RGB).

    Frames that cannot be decoded are left out.

    Args:
        notes: gets remarks for a person, as keys.

    Raises:
        CaptureError: not a video that can be opened.
    """
    chosen, last = set(wanted), max(wanted, default=-1)
    for index, _, frame in iterate_frames(path, [], notes):
        if index in chosen:
            yield index, frame.pixels()
        if index >= last:
            return


@dataclass(frozen=True)
class VideoShape:
    """Shape and length of a video, before all frames are decoded."""

    frame: PictureShape
    packets: int
    """Usually one a frame; VP8 has hidden ones, and a broken video has packets that cannot be decoded."""


@dataclass(frozen=True)
class Decoded:
    """Some decoded frames of a video."""

    pixels: dict[int, np.ndarray]
    """RGB, uint8 [h, w, 3], by frame number."""
    times_s: dict[int, float]
    """Seconds since the first frame, by frame number."""
    total: int
    """Frames that can be decoded."""
    stated: int
    """`total` for a whole video; for a truncated one the exact number of frames that it states, or 0."""
    ended: str
    """Where the video breaks off; '' if it does not."""
    notes: tuple[str, ...] = ()
    """Remarks on how the frames are made, for a person."""


def video_shape(path: Path) -> VideoShape:
    """Decode the first frame of a video, and count its packets.

    Raises:
        CaptureError: not a video, or one without a single frame that can be decoded.
    """
    import av
    from av.error import FFmpegError

    first = next(iterate_frames(path, []), None)
    if first is None:
        raise CaptureError(f"expected a video, but no frame of {path} can be decoded; re-export it as mp4")
    packets = 0
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            packets = sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
    except FFmpegError as e:
        log.debug("%s: %s", path, e)
    return VideoShape(first[2].shape, packets)


def decode_frames(
    path: Path, wanted: Collection[int], *, max_side: int | None = None, layout: Layout = "shown"
) -> Decoded:
    """Decode a video once, and keep the wanted frames.

    Args:
        wanted: frame numbers.
        max_side: pixels of a frame's long side at most.
        layout: 'shown' turns frames as the container asks.

    Raises:
        CaptureError: not a video that can be opened.
    """
    trouble: list[str] = []
    notes: dict[str, None] = {}
    pixels: dict[int, np.ndarray] = {}
    times_s: dict[int, float] = {}
    total = 0
    with progress(f"decoding {path.name}") as update:
        for index, time_s, frame in iterate_frames(path, trouble, notes):
            if index in wanted:
                pixels[index], times_s[index] = shrink_to_side(frame.pixels(layout), max_side), time_s
            total = index + 1
            update(total, "")
    levels = find_levels(list(pixels.values()))
    if levels is not None:
        pixels = {index: levels.stretch(p) for index, p in pixels.items()}
        notes[levels.note] = None
    listed = _count_stated_frames(path) if trouble else total
    stated = max(total, listed) if listed else 0
    said = tuple(f"{path.name} is {note}" for note in notes)
    return Decoded(pixels, times_s, total, stated, trouble[0] if trouble else "", said)


def shrink_to_side(
    pixels: Shaped[np.ndarray, "h w 3"], max_side: int | None
) -> Shaped[np.ndarray, "h2 w2 3"]:
    """Shrink pixels to a long side of at most `max_side`."""
    height, width = pixels.shape[:2]
    return shrink(pixels, *fit_size(width, height, max_side))


def _count_stated_frames(path: Path) -> int:
    """Frames in the index of the container; 0 where it has none.

    Products of durations and rates say nothing: screens and phones record at uneven times.
    """
    import av

    with av.open(str(path), metadata_errors="replace") as container:
        return container.streams.video[0].frames


def iterate_frames(
    path: Path, trouble: list[str], notes: dict[str, None] | None = None
) -> Iterator[tuple[int, float, VideoFrame]]:
    """Decode all frames in order: (index, seconds since the first frame, frame).

    Args:
        trouble: gets a clause where the video breaks off.
        notes: gets remarks for a person, as keys.

    Raises:
        CaptureError: not a video that can be opened and decoded.
    """
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path), metadata_errors="replace")
    except (FFmpegError, OSError) as e:
        reason = e.strerror or e  # as a whole an error of FFmpeg names the path again, and a number
        raise CaptureError(f"{path} is not a video that can be opened ({reason}); re-export it as mp4") from e
    notes = {} if notes is None else notes
    with container:
        stream = _prepare_stream(container, path)
        rate = float(stream.average_rate or 30)
        index, start, time_s = 0, None, 0.0
        try:
            for frame in container.decode(stream):
                start = frame.time if start is None else start
                time_s = index / rate if frame.time is None or start is None else frame.time - start
                yield index, time_s, VideoFrame(frame, _pixel_aspect(stream), _bottom_first(stream), notes)
                index += 1
        except FFmpegError as e:
            log.debug("%s: %s", path, e)
            trouble.append(
                f"breaks off after {count_noun(index, 'frame')} ({time_s:.1f} s); what comes before is used"
            )
            return
    if is_cut_off(path):
        if path.suffix.lower() == ".gif":
            trouble.append(f"has no end after {count_noun(index, 'frame')}; those are used")
        else:
            trouble.append(
                f"is cut off after {count_noun(index, 'frame')} ({time_s:.1f} s): the file ends before its container; those are used"
            )


def _prepare_stream(container, path: Path):
    """The video stream of an open container, with limits on the size of frames.

    Raises:
        CaptureError: no stream, one that cannot be decoded, or too many pixels.
    """
    if not container.streams.video:
        raise CaptureError(f"{path} has no video stream; expected a video or a folder of photos")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise CaptureError(f"the video in {path} is in a format that cannot be decoded; re-export it as mp4")
    # 0: known only once a frame is decoded
    check_pixels(max(1, stream.width), max(1, stream.height), f"a frame of {path}", error=CaptureError)
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # a later frame may be larger
    stream.thread_type = "AUTO"
    return stream


def _pixel_aspect(stream) -> float:
    """Width over height of a pixel; 1 where it is not stated, or not sound."""
    found = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return clean_aspect(found.numerator, found.denominator) if found else 1.0


def _bottom_first(stream) -> bool:
    return stream.codec_context.field_order in BOTTOM_FIRST
