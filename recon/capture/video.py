"""Frames of a video: the sharp ones, as far apart as the camera moved."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped, UInt8

from recon.bounded import check_pixels
from recon.bounded.budget import MOST_PIXELS
from recon.capture.batch import batch
from recon.capture.cut_off import is_cut_off
from recon.capture.images import limited_size, shrink
from recon.capture.levels import levels_of
from recon.capture.read import Capture
from recon.capture.shape import Layout, PictureShape
from recon.capture.video_frames import BOTTOM_FIRST, VideoFrame
from recon.clip import Clip
from recon.errors import CaptureError
from recon.progress import progress

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
GREY_SIDE = 320
"""Motion and sharpness are measured on grey pictures of this long side."""
WIDEST_PIXEL = 4.0
"""Width over height; anamorphic video has up to 2. Beyond, the number is damage."""
STEP = 0.04
"""Frames closer than this much flow, as a fraction of the long side, tell nothing new."""


@dataclass(frozen=True)
class FrameStats:
    time_s: float
    sharpness: float
    """Variance of the Laplacian, in grey levels squared (Pech-Pacheco et al. 2000)."""
    travel: float
    """How far the picture has moved since the first frame, in long sides: net flow, added up over short stretches."""


def read_video(
    path: Path, *, max_side: int | None = None, max_frames: int = 60, every_frame: bool = False
) -> Capture:
    """At most `max_frames` frames, evenly spread over the motion of the picture, the sharpest of each stretch.

    With `every_frame` no frame is passed over (nor any blurred one); `max_frames` does not apply.
    A video that breaks off gives the frames before the break, and `skipped` says where it ended.

    Raises:
        CaptureError: not a video, or one without two frames that can be decoded.
    """
    stats, ended = _survey(path)
    if len(stats) < 2:
        raise CaptureError(
            f"expected a video, but only {len(stats)} frames of {path} can be decoded {ended}".rstrip()
        )
    picks = list(range(len(stats))) if every_frame else choose(stats, max_frames)
    notes: dict[str, None] = {}
    pictures = [_limited(pixels, max_side) for _, pixels in each_frame(path, picks, notes)]
    levels = levels_of(pictures)
    if levels is not None:
        pictures = [levels.stretch(pixels) for pixels in pictures]
        notes[levels.note] = None
    clip = Clip(
        batch(pictures, path.name),
        times_s=torch.tensor([stats[i].time_s for i in picks], dtype=torch.float64),
        names=tuple(f"{i:05d}" for i in picks),
    )
    return Capture(
        clip,
        (),
        ((path.name, ended),) if ended else (),
        ordered=True,
        kind="video",
        notes=(*_taken(path, len(picks), len(stats)), *(f"{path.name} is {note}" for note in notes)),
        levels=levels,
    )


def _taken(path: Path, count: int, whole: int) -> list[str]:
    if count == whole:
        return []
    return [f"{count} of the {whole} frames of {path.name} were taken, spread over its motion"]


def each_frame(
    path: Path, wanted: Collection[int], notes: dict[str, None] | None = None
) -> Iterator[tuple[int, Shaped[np.ndarray, "h w 3"]]]:
    """(number, RGB) of the wanted frames in order, one in memory at a time; what cannot be decoded is left out.

    What a person should know is entered in `notes`.

    Raises:
        CaptureError: not a video that can be opened.
    """
    chosen, last = set(wanted), max(wanted, default=-1)
    for index, _, frame in _decoded(path, [], notes):
        if index in chosen:
            yield index, frame.pixels()
        if index >= last:
            return


@dataclass(frozen=True)
class VideoShape:
    """What a video tells before its frames are decoded."""

    frame: PictureShape
    packets: int
    """As a rule one a frame; VP8 has hidden ones, and a broken video has packets that cannot be decoded."""


@dataclass(frozen=True)
class Decoded:
    """Some frames of a video, and how many there are."""

    pixels: dict[int, np.ndarray]
    """RGB, uint8 [h, w, 3], by the number of the frame."""
    times_s: dict[int, float]
    total: int
    """How many frames can be decoded."""
    stated: int
    """How many the video states that it had, where it was cut off and states that exactly; 0 where it does not; `total`
    of a whole one, whatever it states."""
    ended: str
    """Where it broke off; '' if it did not."""
    notes: tuple[str, ...] = ()
    """What a person should know of how its frames are made."""


def video_shape(path: Path) -> VideoShape:
    """Decodes the first frame, and counts the packets of the rest.

    Raises:
        CaptureError: not a video, or one without a single frame that can be decoded.
    """
    import av
    from av.error import FFmpegError

    first = next(_decoded(path, []), None)
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
    """Decodes a video once, and keeps the wanted frames with a long side of at most `max_side`; they are turned as the
    container asks where the `layout` is 'shown'.

    Raises:
        CaptureError: not a video that can be opened.
    """
    trouble: list[str] = []
    notes: dict[str, None] = {}
    pixels: dict[int, np.ndarray] = {}
    times_s: dict[int, float] = {}
    total = 0
    with progress(f"decoding {path.name}") as update:
        for index, time_s, frame in _decoded(path, trouble, notes):
            if index in wanted:
                pixels[index], times_s[index] = _limited(frame.pixels(layout), max_side), time_s
            total = index + 1
            update(total, "")
    levels = levels_of(list(pixels.values()))
    if levels is not None:
        pixels = {index: levels.stretch(p) for index, p in pixels.items()}
        notes[levels.note] = None
    listed = _stated(path) if trouble else total
    stated = max(total, listed) if listed else 0
    said = tuple(f"{path.name} is {note}" for note in notes)
    return Decoded(pixels, times_s, total, stated, trouble[0] if trouble else "", said)


def choose(stats: Sequence[FrameStats], max_frames: int) -> list[int]:
    """Indices of the frames to keep, ascending, at least two.

    The way that the picture travels is cut into equal stretches; each gives its sharpest frame of those that
    lie at least half a stretch beyond the frame kept before.
    """
    travel = np.array([s.travel for s in stats])
    sharpness = np.array([s.sharpness for s in stats])
    stretches = int(np.clip(np.ceil(travel[-1] / STEP), 2, max(2, max_frames)))
    edges = np.linspace(0, travel[-1], stretches + 1)
    edges[-1] += 1
    picks: list[int] = []
    for low, high in pairwise(edges):
        inside = np.flatnonzero((travel >= low) & (travel < high))
        if picks:
            inside = inside[travel[inside] >= travel[picks[-1]] + 0.5 * travel[-1] / stretches]
        if len(inside):
            picks.append(int(inside[np.argmax(sharpness[inside])]))
    if len(picks) < 2:
        picks = [0, len(stats) - 1]
    return picks


def _survey(path: Path) -> tuple[list[FrameStats], str]:
    """Statistics of every frame that can be decoded, and where the video broke off ('' if it did not)."""
    trouble: list[str] = []
    stats: list[FrameStats] = []
    motion = _Motion()
    with progress(f"looking through {path.name}") as update:
        for index, time_s, pixels in _frames(path, trouble):
            grey = _grey(pixels)
            stats.append(FrameStats(time_s, _sharpness(grey), motion.add(grey)))
            update(index + 1, "")
    return stats, trouble[0] if trouble else ""


def _frames(path: Path, trouble: list[str]) -> Iterator[tuple[int, float, Shaped[np.ndarray, "h w 3"]]]:
    """(index, seconds since the first frame, RGB) of all frames in order, as a player would show them."""
    for index, time_s, frame in _decoded(path, trouble):
        yield index, time_s, frame.pixels()


def _limited(pixels: Shaped[np.ndarray, "h w 3"], max_side: int | None) -> Shaped[np.ndarray, "h2 w2 3"]:
    height, width = pixels.shape[:2]
    return shrink(pixels, *limited_size(width, height, max_side))


def _stated(path: Path) -> int:
    """How many frames the index of the container lists; 0 where it has none. Products of durations and rates say
    nothing: screens and phones record at uneven times."""
    import av

    with av.open(str(path), metadata_errors="replace") as container:
        return container.streams.video[0].frames


def _decoded(
    path: Path, trouble: list[str], notes: dict[str, None] | None = None
) -> Iterator[tuple[int, float, VideoFrame]]:
    """(index, seconds since the first frame, frame) of all frames in order."""
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path), metadata_errors="replace")
    except (FFmpegError, OSError) as e:
        reason = e.strerror or e  # as a whole an error of FFmpeg names the path again, and a number
        raise CaptureError(f"{path} is not a video that can be opened ({reason}); re-export it as mp4") from e
    notes = {} if notes is None else notes
    with container:
        if not container.streams.video:
            raise CaptureError(f"{path} has no video stream; expected a video or a folder of photos")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise CaptureError(
                f"the video in {path} is in a format that cannot be decoded; re-export it as mp4"
            )
        # 0: known only once a frame is decoded
        check_pixels(max(1, stream.width), max(1, stream.height), f"a frame of {path}", error=CaptureError)
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # a later frame may be larger
        stream.thread_type = "AUTO"
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
            trouble.append(f"breaks off after {index} frames ({time_s:.1f} s); what comes before is used")
            return
    if is_cut_off(path):
        if path.suffix.lower() == ".gif":
            trouble.append(f"has no end after {index} frames; those are used")
        else:
            trouble.append(
                f"is cut off after {index} frames ({time_s:.1f} s): the file ends before its container; those are used"
            )


def _pixel_aspect(stream) -> float:
    """Width over height of a pixel; 1 where it is not stated, or not sound."""
    found = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = float(found) if found else 1.0
    return aspect if 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL else 1.0


def _bottom_first(stream) -> bool:
    return stream.codec_context.field_order in BOTTOM_FIRST


def _grey(pixels: Shaped[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2"]:
    import cv2

    if pixels.dtype != np.uint8:
        pixels = (pixels.clip(0, 1) * 255).astype(np.uint8)
    scale = min(1.0, GREY_SIDE / max(pixels.shape[:2]))
    small = shrink(pixels, max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _sharpness(grey: UInt8[np.ndarray, "h w"]) -> float:
    import cv2

    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


class _Motion:
    """Adds up how far the picture moves: corners are tracked (pyramidal Lucas-Kanade) until they have gone a
    step, then that net way is booked and new corners are taken. Trembling thus does not count as travel."""

    def __init__(self) -> None:
        self.travel = 0.0
        self.booked = 0.0
        self.before: np.ndarray | None = None
        self.start = self.now = np.zeros((0, 1, 2), np.float32)

    def add(self, grey: UInt8[np.ndarray, "h w"]) -> float:
        """Travel including this frame, in long sides."""
        import cv2

        if self.before is not None and len(self.now):
            moved, found, _ = cv2.calcOpticalFlowPyrLK(self.before, grey, self.now, None)  # type: ignore[call-overload]
            good = found[:, 0] == 1
            self.start, self.now = self.start[good], moved[good]
            if len(self.now):
                net = float(np.median(np.linalg.norm(self.now - self.start, axis=-1))) / max(grey.shape)
                self.travel = max(self.travel, self.booked + net)
        lost = len(self.now) < 30
        if self.before is None or lost or self.travel - self.booked > STEP / 2:
            self.booked = self.travel
            corners = cv2.goodFeaturesToTrack(grey, 200, 0.01, 6)
            self.start = self.now = corners if corners is not None else np.zeros((0, 1, 2), np.float32)
        self.before = grey
        return self.travel
