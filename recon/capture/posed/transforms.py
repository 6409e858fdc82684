"""Photos of a ``transforms.json``, with their lenses and poses."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from recon.camera_files.formats.transforms import (
    has_cameras,
    interpret_head,
    list_frames,
    parse_pose,
    picture_path,
    read_object,
)
from recon.camera_files.formats.transforms_lens import read_lens
from recon.capture.listing import Listing, find_pictures
from recon.capture.photo_names import photo_names
from recon.capture.posed.photo import PosedPhoto
from recon.errors import CameraError, CaptureError
from recon.pictures.boundary import Boundary
from recon.pictures.frame_files import natural_key
from recon.pictures.picture_names import PictureFinder
from recon.words import count_noun


def list_transforms(file: Path, *, allow_outside: bool = False) -> Listing:
    """List the photos of a ``transforms.json`` with their lenses and poses; no picture is decoded.

    Intrinsics are those of the whole file or of single frames. Paths are relative to the file and need not be exact,
    see `PictureFinder`.

    Raises:
        CaptureError: not JSON, no frames with matrices, a picture outside the folder that was not allowed.
        CameraError: intrinsics or matrices that are not numbers; a lens that no pinhole can stand for; a head that states
            another convention.
    """
    data = read_object(file)
    statements = interpret_head(data, file)
    posed = [f for f in list_frames(data, file) if "transform_matrix" in f]
    if not posed:
        raise CaptureError(
            f"expected frames with a transform_matrix in {file}, found none; give the folder of photos"
        )
    posed.sort(key=lambda f: natural_key(picture_path(f)))
    paths = [picture_path(f) for f in posed]
    repeated = [p for p, n in Counter(paths).items() if n > 1]
    if repeated:
        raise CaptureError(f"{file} names {repeated[0]!r} twice; expected one frame for a photo")
    finder = PictureFinder(file.parent, Boundary(file.parent, allow_outside), what=f"{file} names")
    named = find_pictures(paths, finder, file.name)
    without = [
        picture_path(f) for f in list_frames(data, file) if "transform_matrix" not in f and picture_path(f)
    ]
    unposed = {where: None for path in without if (where := finder.find(path).file) not in named.files}
    names = photo_names((*named.files, *unposed), file.parent)
    photos = []
    for name, frame, photo in zip(names, posed, named.files, strict=False):
        lens = read_lens(data | frame, str(file), name)
        if lens is None:
            raise CameraError(f"{file}: expected fl_x or camera_angle_x for {name}, got neither")
        photos.append(PosedPhoto(name, photo, lens, parse_pose(frame["transform_matrix"], file, name)))
    said = (
        [f"{file.name} says {statements.unit!r} of its lengths; the scene keeps that unit"]
        if statements.unit
        else []
    )
    skipped = [(name, f"{file.name} has no transform_matrix for it") for name in names[len(photos) :]]
    return Listing(
        "transforms",
        file,
        tuple(photos),
        (file,),
        tuple(skipped),
        (*said, *statements.plain_notes, *named.notes),
        pose_kind=data.get("pose_kind"),
    )


def list_splits(folder: Path, *, allow_outside: bool = False) -> Listing | None:
    """List the photos of ``transforms_train.json``, with held-out ones from ``transforms_test.json``; None without them.

    Held out are as many as an eighth of all would be.

    Raises:
        CaptureError, CameraError: as `list_transforms`.
    """
    train, judge = folder / SPLITS[0], next((p for s in SPLITS[1:] if has_cameras(p := folder / s)), None)
    if not has_cameras(train):
        return None
    found = list_transforms(train, allow_outside=allow_outside)
    if judge is None:
        return found
    test = list_transforms(judge, allow_outside=allow_outside)
    count = min(len(test.photos), max(1, len(found.photos) // 7))
    chosen = [test.photos[(2 * i + 1) * len(test.photos) // (2 * count)] for i in range(count)]
    photos = [
        replace(p, name=f"{split}/{p.name}")
        for split, part in (("train", found.photos), (judge.stem[11:], chosen))
        for p in part
    ]
    of_them = f"of {len(test.photos)} photos of {judge.name}"
    judges = count_noun(count, f"{of_them} judges", f"{of_them} judge")
    note = f"{train.name} is trained on; {judges}, and other splits are not read"
    return replace(
        found,
        photos=tuple(photos),
        camera_files=(train, judge),
        skipped=tuple((f"train/{name}", reason) for name, reason in found.skipped),
        notes=(*dict.fromkeys((*found.notes, *test.notes)), note),
        heldout=tuple(p.name for p in photos[len(found.photos) :]),
    )


SPLITS = ("transforms_train.json", "transforms_test.json", "transforms_val.json")
"""Splits of NeRF's synthetic scenes, as Blender scripts write them; the second, or else the third, judges."""
