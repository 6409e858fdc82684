"""Writing of videos and animated pictures, one frame at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from recon.compute.files import atomic_write
from recon.errors import BridgeError

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webp": "webp", ".gif": "gif"}
"""FFmpeg's name of the container for each ending."""
SUFFIXES = tuple(CONTAINERS)
H264_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
"""Endings of H.264 videos; their sizes must be even, because colours are stored for blocks of 2x2 pixels."""
THREADS = 4
"""Threads of x264, fixed because another number gives other bytes; it must not follow the machine's cores."""
BT709 = 1
"""Number of BT.709 in ITU-T H.273, for matrix, primaries and transfer alike; players assume other colours where none is
stated."""
LIMITED_RANGE = 1
"""FFmpeg's number for luma from 16 to 235."""

MIN_FPS, MAX_FPS = 0.1, 1000.0
"""Frames a second of videos; slower rates are rounded to 0 by FFmpeg's fractions, and no player shows faster ones."""
MAX_GIF_FPS = 50.0
"""GIF counts hundredths of a second, and browsers play frames of one hundredth ten times as long."""

AddFrame = Callable[[UInt8[np.ndarray, "h w 3"]], None]
"""Appends one RGB frame."""


@contextmanager
def write_video(path: Path, *, width: int, height: int, fps: float, crf: int = 18) -> Iterator[AddFrame]:
    """Write a video: yields a function that appends an sRGB frame; the file appears when the block ends well.

    The ending decides: H.264 (4:2:0, BT.709, plays at once while it downloads) in mp4, m4v, mov and mkv; an endless
    animation in gif and webp. Equal frames give equal bytes.

    Args:
        crf: quality of H.264, 0 (lossless) to 51; 18 is hard to tell from the frames, each 6 more halve the size.

    Raises:
        BridgeError: an ending that is not known, an odd size for H.264, no frames, a build of FFmpeg without x264.

    Example:
        >>> with write_video(Path("orbit.mp4"), width=640, height=480, fps=30) as add:
        ...     add(pixels)
    """
    suffix = path.suffix.lower()
    check_suffix(path)
    check_rate(path, fps)
    if suffix in H264_SUFFIXES and (width % 2 or height % 2):
        raise BridgeError(
            f"expected even sizes for {suffix} videos, got {width}x{height}; add or take a pixel"
        )
    writer = _gif if suffix == ".gif" else _ffmpeg
    with atomic_write(path) as beside:
        with writer(beside, suffix, width, height, fps, crf) as add:
            count = 0

            def add_counted(pixels: UInt8[np.ndarray, "h w 3"]) -> None:
                """Append an RGB frame and count it."""
                nonlocal count
                add(pixels)
                count += 1

            yield add_counted
        if count == 0:
            raise BridgeError(f"expected at least one frame for {path}, got none")


def check_suffix(path: Path) -> None:
    """Refuse a name with an ending that no video is written for.

    Raises:
        BridgeError: lists the endings.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BridgeError(f"expected a video called {', '.join(SUFFIXES)}, got {path.name}")


def check_rate(path: Path, fps: float) -> None:
    """Refuse a rate that the kind of file cannot hold.

    Raises:
        BridgeError: too slow or too fast.
    """
    gif = path.suffix.lower() == ".gif"
    most = MAX_GIF_FPS if gif else MAX_FPS
    if not MIN_FPS <= fps <= most:
        also = (
            "; ask for fewer (--fps 30), for browsers play faster ones slowly" if gif and fps > most else ""
        )
        raise BridgeError(
            f"expected {MIN_FPS:g} to {most:g} frames a second for {path.name}, got {fps:g}{also}"
        )


@contextmanager
def _ffmpeg(file: Path, suffix: str, width: int, height: int, fps: float, crf: int) -> Iterator[AddFrame]:
    import av
    from av.error import FFmpegError

    kind = CONTAINERS[suffix]
    animated = kind == "webp"
    codec = "libwebp_anim" if animated else "libx264"
    if codec not in av.codecs_available:
        raise BridgeError(
            f"PyAV was built without {codec}, which {suffix} files need; run: pip install --force-reinstall av"
        )
    how = {"mp4": {"movflags": "+faststart"}, "mov": {"movflags": "+faststart"}, "webp": {"loop": "0"}}
    # WebP's quality runs the other way: 18 becomes 82
    quality = {"quality": str(max(0, 100 - crf))} if animated else {"crf": str(crf), "preset": "medium"}
    try:
        with av.open(str(file), "w", format=kind, options=how.get(kind, {})) as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=quality)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            context.thread_count = THREADS
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
            # WebP has but one kind of YUV, BT.601
            matrix = "ITU601" if animated else "ITU709"

            def add(pixels: UInt8[np.ndarray, "h w 3"]) -> None:
                """Append an RGB frame."""
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                container.mux(
                    stream.encode(
                        frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range="MPEG")
                    )
                )

            yield add
            container.mux(stream.encode())
    except FFmpegError as error:
        if isinstance(error, OSError):  # a full disk
            raise
        raise BridgeError(
            f"FFmpeg cannot write {width}x{height} pictures at {fps:g} a second as {suffix} ({error.strerror or error}); "
            "choose another size, rate or ending"
        ) from error


@contextmanager
def _gif(file: Path, suffix: str, width: int, height: int, fps: float, crf: int) -> Iterator[AddFrame]:
    """Write a GIF whose frames have 256 colours each; FFmpeg would need all frames at once for a palette."""
    from PIL import Image

    frames: list[Image.Image] = []

    def add(pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Append an RGB frame."""
        frames.append(Image.fromarray(pixels).quantize(256, method=Image.Quantize.MEDIANCUT))

    yield add
    if frames:
        # whole hundredths of a second, so that the film as a whole lasts as long as it should
        ends = [round(100 * (i + 1) / fps) for i in range(len(frames))]
        durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
