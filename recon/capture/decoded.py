"""Photos of a capture: inspected by their headers, then decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from recon.capture.posed.photo import PosedPhoto, fit_lens
from recon.compute.progress import note, track
from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.batch import check_batch
from recon.pictures.canvas import Box, share_canvas
from recon.pictures.headers import describe_photo, explain_unreadable
from recon.pictures.images import decode, fit_size
from recon.pictures.kept import KeptPixels, PixelStore
from recon.pictures.shape import Layout, PictureShape

Skipped = list[tuple[str, str]]
"""(name, reason) of pictures that are left out."""


@dataclass(frozen=True)
class Planned:
    """A photo whose header can be read."""

    photo: PosedPhoto
    shape: PictureShape
    lens: Lens | None
    """Lens at the photo's full size."""
    layout: Layout
    """Layout that the pixels are read in."""
    camera: str
    """Camera and focal length by EXIF; '' where it names none."""

    @property
    def note(self) -> str:
        """Remark on the photo's layout; '' where there is none."""
        if self.layout == "stored":
            if self.shape.plain:
                return ""
            return f"photos are used as stored, for so their cameras count, although {self.shape.words}"
        return f"photos are {self.shape.squared_words}" if self.shape.squared_words else ""


@dataclass(frozen=True)
class Decoded:
    """A decoded photo."""

    photo: PosedPhoto
    kept: KeptPixels
    size: tuple[int, int]
    """(width, height) of the whole photo."""
    focal: float | None
    """Focal length by EXIF, in diagonals of the photo."""
    lens: Lens | None
    """Lens at the size of the photo in `pixels`."""
    note: str = ""
    camera: str = ""
    """As of `Planned`."""
    box: Box | None = None
    """Part of the pixels that the photo fills; None for all of it."""

    @property
    def pixels(self) -> Shaped[np.ndarray, "h w 3"]:
        """The decoded pixels, which may be read anew each time."""
        return self.kept.read()

    @property
    def shape(self) -> tuple[int, int]:
        """(width, height) of the photo in `pixels`."""
        if self.box is not None:
            return self.box.width, self.box.height
        return self.kept.shape[1], self.kept.shape[0]


def plan_photos(
    photos: Sequence[PosedPhoto],
    source: Path,
    max_side: int | None,
    skipped: Skipped,
    *,
    in_memory: bool,
) -> list[Planned]:
    """Inspect the headers of photos and choose a lens and layout for each; none is decoded.

    Args:
        source: the capture, for errors.
        skipped: gets the photos that cannot be read.
        in_memory: whether memory must hold them all at once.

    Raises:
        CameraError: a lens for a picture of another shape; names `source` and the photo.
        CaptureError: more pictures than memory holds.
    """
    found: list[Planned] = []
    for photo in photos:
        try:
            shape, camera = describe_photo(photo.file)
        except FileNotFoundError:
            _leave_out(photo.name, f"{source} names {photo.file}, which is not there", skipped)
            continue
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            _leave_out(photo.name, explain_unreadable(photo.file, e), skipped)
            continue
        try:
            lens, layout = fit_lens(photo, shape)
        except CameraError as e:
            raise CameraError(f"{source}: photo {photo.name}: {e}") from e
        found.append(Planned(photo, shape, lens, layout, camera))
    if found and in_memory:
        sizes = [fit_size(*p.shape.size(p.layout), max_side) for p in found]
        check_batch({share_canvas(sizes)[1:]: len(sizes)}, str(source))
    return found


def decode_photos(
    planned: Sequence[Planned], max_side: int | None, skipped: Skipped, store: PixelStore
) -> list[Decoded]:
    """Decode photos into a store, one after another; those that cannot be decoded go to `skipped`."""
    found = []
    for p in track(planned, "reading photos") if planned else ():
        try:
            pixels, size, focal = decode(p.photo.file, max_side, layout=p.layout)
        except Exception as e:  # as above
            _leave_out(p.photo.name, explain_unreadable(p.photo.file, e), skipped)
            continue
        lens = p.lens and p.lens.resize(width=pixels.shape[1], height=pixels.shape[0])
        found.append(Decoded(p.photo, store.keep(pixels), size, focal, lens, p.note, p.camera))
    return found


def _leave_out(name: str, reason: str, skipped: Skipped) -> None:
    """Skip a photo and report it at once, so that a person may mend it before hours of work without it."""
    skipped.append((name, reason))
    note(f"{name} is left out: {reason}")
