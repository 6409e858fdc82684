"""Photos that a COLMAP model names, with their lenses and poses."""

from collections.abc import Sequence
from pathlib import Path

from recon.camera_files.colmap import load_model
from recon.capture.listing import Listing, find_pictures
from recon.capture.photo_names import photo_names
from recon.capture.photos import PosedPhoto
from recon.lens import Lens
from recon.pictures.images import photo_shape
from recon.pictures.picture_names import PictureFinder


def list_colmap(folder: Path) -> Listing:
    """The photos of a COLMAP model with their lenses and poses; no picture is decoded.

    The pictures are looked for in the folder and in ``images`` beside it or up to two levels above the model.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
        CameraError: a lens that is no pinhole.
    """
    model = load_model(folder)
    images = model.images
    names = [image.name for image in images]
    base = _pictures(folder, model.place, names, images[0].lens)
    what = f"the COLMAP model in {model.place}"
    named = find_pictures(names, PictureFinder(base, what=what), model.place.name)
    called = photo_names(named.files, base)
    photos = [
        PosedPhoto(name, file, image.lens, image.cam_from_world)
        for name, image, file in zip(called, images, named.files, strict=True)
    ]
    return Listing(
        "colmap",
        model.place,
        tuple(photos),
        model.files,
        notes=(*model.notes, *named.notes),
        pose_kind="reference-sfm",
        points=lambda: model.points,
    )


def _pictures(folder: Path, place: Path, names: Sequence[str], lens: Lens) -> Path:
    """The folder that holds most of the named photos; of several, the first whose pictures have the lens's size."""
    above = [place.parent, *place.parent.parents[:2]]
    places = dict.fromkeys(
        p
        for base in (folder, place, *above[:2])
        for p in (base / "images", base / "input", base / "dense" / "images", base)
    )

    def rank(base: Path) -> tuple[int, bool]:
        there = [base / name for name in names if (base / name).is_file()]
        return len(there), bool(there) and _has_size(there[0], lens)

    best = max(places, key=rank)
    if rank(best)[0]:
        return best
    return max(places, key=lambda base: _found_at_all(base, names))


def _has_size(picture: Path, lens: Lens) -> bool:
    try:
        shape = photo_shape(picture)
    except Exception:  # Pillow's decoders raise nearly anything on broken files; said when it is decoded
        return False
    return (lens.width, lens.height) in (shape.size("stored"), shape.size("shown"))


def _found_at_all(base: Path, names: Sequence[str]) -> int:
    """How many of the names a folder has some picture for."""
    if not base.is_dir():
        return 0
    finder = PictureFinder(base)
    return sum(finder.find(name).file.is_file() for name in names[:100])
