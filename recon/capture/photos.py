"""Photos decoded to one clip, undistorted where they came with cameras."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from recon.cameras import Cameras
from recon.capture.copies import explain_twin, find_copied, hash_pixels
from recon.capture.decoded import Decoded, Skipped, decode_photos, plan_photos
from recon.capture.mixed.canvas import Canvas
from recon.capture.mixed.lens_groups import group_lenses
from recon.capture.posed.photo import PosedPhoto
from recon.clip import Clip, PictureSet
from recon.errors import CaptureError
from recon.lens import undistort_clip
from recon.pictures.batch import stack_pictures
from recon.pictures.canvas import Box, confidence_of, fill_box
from recon.pictures.images import as_unit, is_black
from recon.pictures.kept import PixelStore
from recon.pictures.lazy import LazyPictures
from recon.pictures.levels import Levels, find_levels


@dataclass(frozen=True)
class ReadPhotos:
    """Photos on one canvas, in the order of their listing."""

    clip: PictureSet
    """With pinholes where the photos came with cameras; with confidence where some photo does not fill the canvas."""
    focals_px: tuple[float | None, ...]
    """Focal lengths by EXIF, in pixels of the clip."""
    lens_groups: tuple[int, ...]
    """Number of each photo's lens."""
    lens_names: tuple[str, ...]
    """Size and camera of each lens, for people."""
    heldout: tuple[str, ...]
    """Names of the clip's photos that are held out."""
    skipped: tuple[tuple[str, str], ...]
    """(name, reason)."""
    notes: tuple[str, ...]
    levels: Levels | None
    """Part of the range of deep pictures that is shown; None for all of it."""


def read_photos(
    photos: Sequence[PosedPhoto],
    source: Path,
    *,
    max_side: int | None = None,
    heldout: Collection[str] = (),
    scratch: Path | None = None,
) -> ReadPhotos:
    """Decode photos onto one canvas, and undistort those that came with lenses.

    Decisions from pixels (copies, canvas, levels) are made by the photos that are not in `heldout`; a held-out photo that shows the
    same as one of them is left out. Photos of several sizes are scaled to one long side, and confidence is 0 around them.

    Args:
        scratch: folder that keeps the pixels, in which the clip reads them; None: memory holds them all, and the clip is a `Clip`.

    Raises:
        CameraError: a lens for a picture of another shape; names `source` and the photo.
        CaptureError: more than memory holds; fewer than two usable photos; all black.
    """
    skipped: Skipped = []
    store = PixelStore(scratch)
    planned = plan_photos(photos, source, max_side, skipped, in_memory=scratch is None)
    kept = decode_photos([p for p in planned if p.photo.name not in heldout], max_side, skipped, store)
    kept = _without_copies(kept, skipped)
    judged = decode_photos([p for p in planned if p.photo.name in heldout], max_side, skipped, store)
    levels = find_levels(d.pixels for d in kept if d.kept.dtype != np.uint8)
    if kept and all(is_black(d.pixels if levels is None else levels.stretch(d.pixels)) for d in kept):
        raise CaptureError(f"all photos of {source} are black; was the lens covered?")
    if len(kept) < 2 and len(kept) + len(judged) < 2:
        raise CaptureError(_explain_too_few(source, len(kept) + len(judged), skipped))
    canvas = Canvas.of(kept or judged)
    changed = canvas.note([*kept, *judged])
    kept = [canvas.place(d, levels, store) for d in kept]
    judged = _without_twins([canvas.place(d, levels, store) for d in judged], kept, skipped)
    groups = group_lenses(kept, judged)
    group_of = {d.photo.name: g for d, g in zip([*kept, *judged], groups.of_photo, strict=True)}
    rank = {photo.name: i for i, photo in enumerate(photos)}
    both = sorted([*kept, *judged], key=lambda d: rank[d.photo.name])
    notes = dict.fromkeys(d.note for d in both if d.note)
    clip = _build_clip(both)
    if clip.cameras is None and groups.note:
        changed.append(groups.note)
    return ReadPhotos(
        clip,
        tuple(None if d.focal is None else d.focal * float(np.hypot(*d.shape)) for d in both),
        tuple(group_of[d.photo.name] for d in both),
        groups.names,
        tuple(d.photo.name for d in both if d.photo.name in heldout),
        tuple(sorted(skipped, key=lambda item: rank.get(item[0], -1))),
        (*notes, *changed, *([levels.note] if levels is not None else [])),
        levels,
    )


def _without_copies(photos: list[Decoded], skipped: Skipped) -> list[Decoded]:
    """Leave out pixel-identical copies, except photos with cameras, since each has its own."""
    first_of: dict[bytes, str] = {}
    kept = []
    for d in photos:
        first = first_of.setdefault(hash_pixels(d.pixels), d.photo.name)
        if first != d.photo.name and d.photo.cam_from_world is None:
            skipped.append((d.photo.name, f"the same picture as {first}"))
            continue
        kept.append(d)
    return kept


def _without_twins(judged: list[Decoded], kept: Sequence[Decoded], skipped: Skipped) -> list[Decoded]:
    """Leave out held-out copies of training photos and of earlier held-out ones: they were trained on."""
    names = [d.photo.name for d in (*kept, *judged)]
    copied = find_copied((d.pixels for d in judged), (d.pixels for d in kept))
    for d, first in zip(judged, copied, strict=True):
        if first is not None:
            skipped.append((d.photo.name, explain_twin(names[first])))
    return [d for d, first in zip(judged, copied, strict=True) if first is None]


def _build_clip(photos: Sequence[Decoded]) -> PictureSet:
    """Photos as one clip; undistorted, with pinholes, where all came with cameras."""
    names = tuple(d.photo.name for d in photos)
    height, width = photos[0].kept.shape[:2]
    boxes = [d.box or Box(0, 0, width, height) for d in photos]
    clip = _stack(photos, boxes)
    poses = [d.photo.cam_from_world for d in photos if d.photo.cam_from_world is not None]
    lenses = [d.lens for d in photos if d.lens is not None]
    if not len(poses) == len(lenses) == len(photos):
        return replace(clip, names=names)
    K_of = {lens: lens.K for lens in set(lenses)}
    K = torch.stack([box.place(K_of[lens]) for box, lens in zip(boxes, lenses, strict=True)])
    cameras = Cameras(torch.stack(poses), K, width, height).validate(names)
    return replace(undistort_clip(clip, lenses), cameras=cameras, names=names)


def _stack(photos: Sequence[Decoded], boxes: Sequence[Box]) -> PictureSet:
    """Pixels and confidence of photos on one canvas: in memory where all pixels are, else each read when it is looked at."""
    height, width = photos[0].kept.shape[:2]
    if not any(isinstance(d.kept.held, Path) for d in photos):
        images = stack_pictures(tuple(d.pixels for d in photos), "the capture")
        return Clip(images, confidence=confidence_of(boxes, width=width, height=height))
    rows = range(len(photos))
    images = LazyPictures(lambda i: as_unit(photos[i].pixels), rows, shape_of_one=(height, width, 3))
    whole = Box(0, 0, width, height)
    if all(box == whole for box in boxes):
        return PictureSet(images)
    sure = LazyPictures(
        lambda i: fill_box(boxes[i], width=width, height=height), rows, shape_of_one=(height, width)
    )
    return PictureSet(images, confidence=sure)


def _explain_too_few(source: Path, count: int, skipped: Skipped) -> str:
    what = f"expected at least two usable photos in {source}, got {count}"
    if skipped:
        what += f" ({skipped[0][0]}: {skipped[0][1]}" + ("; …)" if len(skipped) > 1 else ")")
    return what + "; add photos, or convert them to JPEG or PNG"
