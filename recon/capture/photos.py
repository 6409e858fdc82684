"""Photos to one clip, with their lenses taken out where they came with cameras."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.camera_files.stated_lens import StatedLens, lens_for
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import CameraError, CaptureError
from recon.lens import Lens
from recon.pictures.batch import batch
from recon.pictures.images import cover, decode, is_black, limited_size, photo_shape, shrink
from recon.pictures.levels import Levels, levels_of
from recon.pictures.shape import Layout, PictureShape
from recon.progress import track

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 64
SAME_SHOT = 1 / 255
"""Mean difference of thumbnails below which a held-out photo is another encoding of a training photo: JPEG and resizing
make 0.3/255, the next frame of a slow video several times this."""


@dataclass(frozen=True)
class PosedPhoto:
    """A photo that is listed, and what its camera file says of it; nothing is decoded yet."""

    name: str
    file: Path
    lens: StatedLens | None
    """As the camera file states it, which may be for a larger or smaller picture; None: not stated."""
    cam_from_world: Float[Tensor, "4 4"] | None
    """None where it came without a camera."""
    order: tuple[Layout, ...] = ("stored", "shown")
    """In which layouts its pixels may be meant, the likelier first: photos with cameras are read as stored, as the
    programs read them that made the cameras, those without as shown."""


@dataclass(frozen=True)
class ReadPhotos:
    """Photos of one size, in the order in which they were listed."""

    clip: Clip
    """With pinholes where the photos came with cameras."""
    focals_px: tuple[float | None, ...]
    """What EXIF suggests, at the clip's size."""
    heldout: tuple[str, ...]
    """Names of the clip's photos that are held out."""
    skipped: tuple[tuple[str, str], ...]
    """(name, reason)."""
    notes: tuple[str, ...]
    levels: Levels | None
    """Which part of the range of deep pictures is shown; None for all of it."""


@dataclass(frozen=True)
class _Decoded:
    photo: PosedPhoto
    pixels: Shaped[np.ndarray, "h w 3"]
    size: tuple[int, int]
    """(width, height) of the whole photo."""
    focal: float | None
    """In diagonals."""
    lens: Lens | None
    """At the size of `pixels`."""
    note: str = ""


def read_photos(
    photos: Sequence[PosedPhoto],
    source: Path,
    *,
    max_side: int | None = None,
    resize_mixed: bool = False,
    heldout: Collection[str] = (),
) -> ReadPhotos:
    """Decodes photos to one size, and undistorts those that came with lenses.

    Whatever is decided from pixels (which are copies, what size, which levels) is decided by the photos that are not
    in `heldout`; a held-out photo that does not fit them, or shows the same as one of them, is left out. With
    `resize_mixed` photos of another size than the most frequent one are brought to it: those with cameras scaled,
    the others scaled to cover it and cropped about their centre.

    Raises:
        CameraError: a lens for a picture of another shape; names `source` and the photo.
        CaptureError: mixed sizes that were not asked to be resized; fewer than two usable photos; all black.
    """
    skipped: list[tuple[str, str]] = []
    kept = _decode_each([p for p in photos if p.name not in heldout], source, max_side, skipped)
    kept = _without_copies(kept, skipped)
    judged = _decode_each([p for p in photos if p.name in heldout], source, max_side, skipped)
    levels = levels_of([d.pixels for d in kept])
    if kept and all(is_black(_shown(d.pixels, levels)) for d in kept):
        raise CaptureError(f"all photos of {source} are black; was the lens covered?")
    if len(kept) < 2 and len(kept) + len(judged) < 2:
        raise CaptureError(_too_few(source, len(kept) + len(judged), skipped))
    size = _common_size(kept or judged, source, resize_mixed)
    judged = _without_twins(_of_size(judged, size, resize_mixed, skipped), kept, skipped)
    rank = {photo.name: i for i, photo in enumerate(photos)}
    both = sorted([*kept, *judged], key=lambda d: rank[d.photo.name])
    notes = dict.fromkeys(d.note for d in both if d.note)
    clip = _clip([_conformed(d, size, levels) for d in both], size)
    diagonal = float(np.hypot(*size))
    return ReadPhotos(
        clip,
        tuple(None if d.focal is None else d.focal * diagonal for d in both),
        tuple(d.photo.name for d in both if d.photo.name in heldout),
        tuple(sorted(skipped, key=lambda item: rank.get(item[0], -1))),
        (*notes, *([levels.note] if levels is not None else [])),
        levels,
    )


def lens_of(photo: PosedPhoto, shape: PictureShape) -> tuple[Lens | None, Layout]:
    """The lens at the full size of a photo, and the layout in which its pixels are to be read.

    Raises:
        CameraError: it is that of a picture of another shape.
    """
    if photo.lens is None:
        return None, photo.order[0]
    return lens_for(photo.lens, shape, photo.order)


def _decode_each(
    photos: Sequence[PosedPhoto], source: Path, max_side: int | None, skipped: list[tuple[str, str]]
) -> list[_Decoded]:
    found = []
    for photo in track(photos, "reading photos") if photos else ():
        try:
            shape = photo_shape(photo.file)
        except FileNotFoundError:
            skipped.append((photo.name, f"{source.name} names {photo.file}, which is not there"))
            continue
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            skipped.append((photo.name, f"cannot be decoded ({_reason(photo.file, e)})"))
            continue
        try:
            lens, layout = lens_of(photo, shape)
        except CameraError as e:
            raise CameraError(f"{source}: photo {photo.name}: {e}") from e
        try:
            pixels, size, focal = decode(photo.file, max_side, layout=layout)
        except Exception as e:
            skipped.append((photo.name, f"cannot be decoded ({_reason(photo.file, e)})"))
            continue
        if lens is not None:
            lens = lens.resized(width=pixels.shape[1], height=pixels.shape[0])
        ignored = lens is not None and layout == "stored" and not shape.plain
        note = (
            "photos are used as stored, for so their cameras count, although EXIF asks for another orientation"
            if ignored
            else ""
        )
        found.append(_Decoded(photo, pixels, size, focal, lens, note))
    return found


def _without_copies(photos: list[_Decoded], skipped: list[tuple[str, str]]) -> list[_Decoded]:
    """Without pixel-identical copies; those with cameras stay, for each has its own."""
    first_of: dict[bytes, str] = {}
    kept = []
    for d in photos:
        digest = hashlib.blake2b(d.pixels.tobytes() + str(d.pixels.shape).encode()).digest()
        if digest in first_of and d.photo.cam_from_world is None:
            skipped.append((d.photo.name, f"the same picture as {first_of[digest]}"))
            continue
        first_of.setdefault(digest, d.photo.name)
        kept.append(d)
    return kept


def _without_twins(
    judged: list[_Decoded], kept: Sequence[_Decoded], skipped: list[tuple[str, str]]
) -> list[_Decoded]:
    """Held-out photos that show what no training photo, and no other held-out one, shows pixel for pixel: a copy would
    be judged by what it was trained on."""
    seen = [(_thumbnail(d.pixels), d.photo.name) for d in kept]
    alone = []
    for d in judged:
        small = _thumbnail(d.pixels)
        twin = next(
            (
                n
                for other, n in seen
                if other.shape == small.shape and np.abs(other - small).mean() < SAME_SHOT
            ),
            None,
        )
        if twin is not None:
            skipped.append((d.photo.name, f"the same picture as {twin}, so that it judges nothing"))
            continue
        seen.append((small, d.photo.name))
        alone.append(d)
    return alone


def _thumbnail(pixels: Shaped[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h2 w2 3"]:
    size = limited_size(pixels.shape[1], pixels.shape[0], THUMBNAIL_SIDE)
    return shrink(pixels, *size).astype(np.float32) / (255 if pixels.dtype == np.uint8 else 1)


def _common_size(photos: Sequence[_Decoded], source: Path, resize_mixed: bool) -> tuple[int, int]:
    """(width, height) of the decoded photos, or of the most frequent full size among them."""
    if len({d.pixels.shape for d in photos}) > 1 and not resize_mixed:
        count = Counter(d.size for d in photos)
        found = ", ".join(f"{w}x{h} ({n})" for (w, h), n in count.most_common(4))
        raise CaptureError(
            f"expected photos of one size, got {found}{' …' if len(count) > 4 else ''} in {source}; "
            "sort them, or let them be scaled to the most frequent size (and cropped to it where they have no cameras) "
            "with --resize-mixed"
        )
    common = Counter(d.size for d in photos).most_common(1)[0][0]
    height, width = next(d.pixels.shape[:2] for d in photos if d.size == common)
    return width, height


def _of_size(
    judged: list[_Decoded], size: tuple[int, int], resize_mixed: bool, skipped: list[tuple[str, str]]
) -> list[_Decoded]:
    """Held-out photos that have the size, or may be brought to it."""
    kept = []
    for d in judged:
        if (d.pixels.shape[1], d.pixels.shape[0]) == size or resize_mixed:
            kept.append(d)
            continue
        skipped.append(
            (
                d.photo.name,
                f"held out, and of {d.size[0]}x{d.size[1]} unlike the photos to train on; --resize-mixed brings it to "
                "their size",
            )
        )
    return kept


def _conformed(d: _Decoded, size: tuple[int, int], levels: Levels | None) -> _Decoded:
    """Of the common size; with a lens the whole picture is scaled, lens and all, without one it is cropped."""
    pixels = _shown(d.pixels, levels)
    width, height = size
    if d.photo.cam_from_world is None:
        return replace(d, pixels=cover(pixels, width, height))
    lens = None if d.lens is None else d.lens.resized(width=width, height=height)
    return replace(d, pixels=shrink(pixels, width, height), lens=lens)


def _shown(pixels: Shaped[np.ndarray, "h w 3"], levels: Levels | None) -> Shaped[np.ndarray, "h w 3"]:
    return pixels if levels is None else levels.stretch(pixels)


def _clip(photos: Sequence[_Decoded], size: tuple[int, int]) -> Clip:
    """With the pinholes of its lenses, and undistorted, where all came with cameras."""
    width, height = size
    names = tuple(d.photo.name for d in photos)
    images = batch(tuple(d.pixels for d in photos), "the capture")
    poses = [d.photo.cam_from_world for d in photos if d.photo.cam_from_world is not None]
    lenses = [d.lens for d in photos if d.lens is not None]
    if not len(poses) == len(lenses) == len(photos):
        return Clip(images, names=names)
    for lens in set(lenses):
        rows = [i for i, other in enumerate(lenses) if other == lens]
        images[rows] = lens.undistort(Clip(images[rows])).images
    K_of = {lens: lens.K for lens in set(lenses)}
    cameras = Cameras(torch.stack(poses), torch.stack([K_of[lens] for lens in lenses]), width, height)
    return Clip(images, cameras.checked(names), names=names)


def check_poses(photos: Sequence[PosedPhoto], source: Path) -> None:
    """Refuses the first pose that is none, whether its photo is there or not.

    Raises:
        CameraError: NaN, a left-handed or non-rigid pose; names `source` and the photo.
    """
    posed = [(p.name, p.cam_from_world) for p in photos if p.cam_from_world is not None]
    if not posed:
        return
    try:
        K = torch.eye(3, dtype=torch.float64).repeat(len(posed), 1, 1)
        Cameras(torch.stack([pose for _, pose in posed]), K, 1, 1).checked([name for name, _ in posed])
    except CameraError as e:
        raise CameraError(f"{source}: {e}") from e


def _reason(file: Path, e: Exception) -> str:
    log.debug("%s: %s", file, e)
    if os.path.isfile(file) and file.stat().st_size == 0:
        return "the file is empty"
    return "not an image, or a broken one" if "identify" in str(e) else str(e).split("\n")[0][:120]


def _too_few(source: Path, count: int, skipped: Sequence[tuple[str, str]]) -> str:
    what = f"expected at least two usable photos in {source}, got {count}"
    if skipped:
        what += f" ({skipped[0][0]}: {skipped[0][1]}" + ("; …)" if len(skipped) > 1 else ")")
    return what + "; add photos, or convert them to JPEG or PNG"
