"""Photos of a COLMAP model, with their lenses and poses."""

import os
from collections.abc import Sequence
from pathlib import Path

from recon.camera_files.formats.colmap import load_model
from recon.capture.listing import Listing, find_pictures
from recon.capture.photo_names import photo_names
from recon.capture.posed.photo import PosedPhoto
from recon.lens import Lens
from recon.pictures.boundary import Boundary
from recon.pictures.headers import photo_shape
from recon.pictures.picture_names import PictureFinder


def list_colmap(folder: Path, *, allow_outside: bool = False) -> Listing:
    """List the photos of a COLMAP model with their lenses and poses; no picture is decoded.

    Pictures are searched in the workspace and its folders ``images`` and ``input``, and in these beside the model.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images; a picture from outside the workspace
            that was not allowed.
        CameraError: a lens that no pinhole can stand for.
    """
    model = load_model(folder)
    images = model.images
    names = [image.name for image in images]
    what = f"the COLMAP model in {model.place}"
    finder = _best_finder(_finders(folder, model.place, allow_outside, what), names, images[0].lens)
    named = find_pictures(names, finder, what)
    called = photo_names(named.files, finder.boundary.folder)
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


def _finders(folder: Path, place: Path, allow_outside: bool, what: str) -> list[PictureFinder]:
    """Finders for each folder in which the pictures of a model may lie."""
    workspace = _workspace(folder, place)
    above = [p for p in Path(os.path.abspath(place)).parents if p.is_relative_to(os.path.abspath(workspace))]
    bounds = {
        base: Boundary(workspace, allow_outside)
        for part in dict.fromkeys((folder, place, *above))
        for base in (*(part / name for name in PLACES), part)
    }
    for name in (
        PLACES
    ):  # where the folders' names do not tell the workspace: beside the model, by a usual name alone
        bounds.setdefault(beside := place.parent / name, Boundary(beside, allow_outside))
    return [PictureFinder(base, boundary, what=f"{what} names") for base, boundary in bounds.items()]


PLACES = ("images", "input", "dense/images")
"""Folders of a workspace in which COLMAP, 3DGS and COLMAP's undistorter keep pictures."""
PARTS_OF_A_WORKSPACE = ("sparse", "colmap", "dense", "distorted", "undistorted")
"""Folders that hold models, often numbered ones, in a workspace."""


def _workspace(folder: Path, place: Path) -> Path:
    """Folder that the pictures of a model must lie in: the given one, or the workspace around ``sparse/0``."""
    top = Path(os.path.abspath(folder))
    if top != Path(os.path.abspath(place)) and top.name != PARTS_OF_A_WORKSPACE[0]:
        return folder
    if top.name.isdecimal() and top.parent.name in PARTS_OF_A_WORKSPACE:
        top = top.parent
    while top.name in PARTS_OF_A_WORKSPACE:
        top = top.parent
    return top


def _best_finder(finders: Sequence[PictureFinder], names: Sequence[str], lens: Lens) -> PictureFinder:
    """Choose the folder with most of the named photos; of several, the first whose pictures have the lens's size."""

    def rank(finder: PictureFinder) -> tuple[int, bool]:
        """Sort key: named photos in the folder, and whether the first has the lens's size."""
        # isfile is False, not an error, for a name too long for a file
        there = [p for name in names if os.path.isfile(p := finder.base / name)]
        first = next((p for p in there if finder.boundary.holds(p)), None)
        return len(there), first is not None and _has_size(first, lens)

    best = max(finders, key=rank)
    if rank(best)[0]:
        return best
    return max(finders, key=lambda finder: _count_found(finder, names))


def _has_size(picture: Path, lens: Lens) -> bool:
    try:
        shape = photo_shape(picture)
    except Exception:  # Pillow's decoders raise nearly anything on broken files; said when it is decoded
        return False
    return (lens.width, lens.height) in (shape.size("stored"), shape.size("shown"))


def _count_found(finder: PictureFinder, names: Sequence[str]) -> int:
    """Number of names, of the first hundred, that a folder has some picture for."""
    if not finder.base.is_dir():
        return 0
    return sum(os.path.isfile(finder.find(name).file) for name in names[:100])
