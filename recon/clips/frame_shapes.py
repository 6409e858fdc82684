"""Shapes of the frames of a clip by their headers, before any is decoded."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from recon.clips.source import ClipSource
from recon.errors import CaptureError
from recon.pictures.batch import check_batch, describe_sizes
from recon.pictures.headers import photo_shape
from recon.pictures.images import fit_size
from recon.pictures.shape import Layout, PictureShape


def check_frames(
    files: Sequence[Path], source: ClipSource, max_side: int | None, layout: Layout
) -> list[str]:
    """Check the sizes of frames by their headers, and note their layout and pixel aspect.

    Raises:
        CaptureError: more than memory holds, or several sizes.
    """
    shapes: Counter[PictureShape] = Counter()
    for file in files:
        with suppress(Exception):  # Pillow raises nearly anything on broken files; said when it is decoded
            shapes[photo_shape(file)] += 1
    count: Counter[tuple[int, int]] = Counter()
    for shape, n in shapes.items():
        count[fit_size(*shape.size(layout), max_side)] += n
    refuse_mixed(count, source)
    check_batch(count, source.path.name)
    if layout == "stored":
        unlike = [s for s in shapes if s.orientation == 1 and not s.plain]
        return [f"frames are used as stored, although {s.words}" for s in unlike]
    return [f"frames are {s.squared_words}" for s in shapes if s.squared_words]


def refuse_mixed(count: Counter[tuple[int, int]], source: ClipSource) -> None:
    """Refuse frames of several sizes.

    Raises:
        CaptureError: names the sizes.
    """
    if len(count) > 1:
        raise CaptureError(
            f"expected frames of one size in {source.path}, got {describe_sizes(count)}; export them again"
        )


def first_shape(files: Sequence[Path], source: ClipSource) -> PictureShape:
    """Shape of the first frame whose header can be read."""
    for file in files:
        try:
            return photo_shape(file)
        except Exception:  # Pillow raises nearly anything on broken files; said when the frames are read
            continue
    raise CaptureError(
        f"expected frames in {source.path}, but none of its pictures ({len(files)}) can be decoded"
    )
