"""Requested cameras of any format, fitted to the pictures that they are for."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.convention import Convention
from recon.camera_files.detect import CONVENTION_OF, check_format, detect, is_part_of_model
from recon.camera_files.formats import (
    camera_path,
    colmap,
    kitti,
    matrices,
    realestate10k,
    recammaster,
    transforms,
    tum,
)
from recon.camera_files.settle import settle_path
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import (
    NORMALISED,
    PIXELS_OF_THE_PICTURE,
    SQUARE_PIXEL_TOLERANCE,
    StatedK,
    StatedLens,
    choose_layout,
    measure_misfit,
)
from recon.cameras import Cameras, intrinsics
from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.frame_files import stem_of
from recon.pictures.picture_names import match_names
from recon.pictures.shape import Layout, PictureShape

NOMINAL_FOCAL_IN_LONG_SIDES = 1.2
"""Placeholder focal length where a file states none: COLMAP's first guess. Nothing is measured with it."""


@dataclass(frozen=True)
class RequestedCameras:
    """Cameras that a clip was requested with."""

    cameras: Cameras
    """Scaled to the pictures."""
    intrinsics_known: bool
    """False: K is a placeholder (focal length `NOMINAL_FOCAL_IN_LONG_SIDES` times the longer side, principal point in the
    middle) and must not be used; `notes` say why."""
    times_s: Float[Tensor, "n"] | None
    """Seconds since the first camera of the file."""
    format: str
    """One of `FORMATS`."""
    names: tuple[str, ...] | None
    """Pictures of the cameras: those asked for, where the file names them; else the names in the file."""
    notes: tuple[str, ...] = ()
    """Remarks on the reading, for a person."""
    layout: Layout = "shown"
    """Layout of the pictures that K is for; with 'stored' they must not be turned upright."""
    convention: str = ""
    """How the poses were read: the format's own convention, or the given one."""


def read_requested(
    path: Path,
    *,
    width: int,
    height: int,
    names: Sequence[str] | None = None,
    convention: str | None = None,
    format: str | None = None,
    shape: PictureShape | None = None,
    order: Sequence[Layout] = ("shown", "stored"),
    clip: str = "",
) -> RequestedCameras:
    """Read a camera file, a COLMAP model or a ``transforms.json`` for pictures of one size.

    Where the file names pictures and some of `names` are among them (by stem), the cameras come in the order of
    `names`, without those that the file does not know; see `match_names`. Bare matrices need a `convention` such as
    'cam_from_world/opencv' or 'world_from_cam/opengl'; formats with a convention of their own refuse another.

    A path that moves less than the precision of the file stands still; one in map coordinates starts at the origin.

    Args:
        width, height: pixels of the pictures as they are shown.
        names: names of the pictures, in natural order.
        shape: stored and shown shape of the pictures, where these differ.
        order: layouts that the numbers of the file may be for, the likelier first.
        clip: name of the video or folder, which selects the camera where a file holds several.

    Raises:
        CaptureError: no readable file; names that match in several ways.
        CameraError: an unknown or ambiguous format or convention; an invalid camera, named by its line or picture.
    """
    shape = shape or PictureShape(width, height)
    found, stated = read_stated(path, convention, format, clip)
    if names is not None:
        stated = _match_pictures(stated, names, path)
    return fit_to_pictures(path, found, stated, shape, order, convention=convention)


def read_path(
    path: Path,
    *,
    width: int,
    height: int,
    convention: str | None = None,
    format: str | None = None,
) -> RequestedCameras:
    """Read a camera file for pictures yet to be made, at the size it states or the given one.

    Raises:
        CaptureError, CameraError: as `read_requested`.
    """
    found, stated = read_stated(path, convention, format, metres=False)
    sizes: list[tuple[float, float]] = [
        size for size in stated.sizes if size not in (PIXELS_OF_THE_PICTURE, NORMALISED)
    ]
    sizes += [(lens.width, lens.height) for lens in stated.lenses if isinstance(lens, Lens)]
    if sizes:
        width, height = (max(1, round(side)) for side in sizes[0])
    shape = PictureShape(width, height)
    return fit_to_pictures(path, found, stated, shape, ("shown",), convention=convention, keep_origin=True)


def read_stated(
    path: Path, convention: str | None, format: str | None, clip: str = "", *, metres: bool = True
) -> tuple[str, StatedCameras]:
    """Format and cameras of a file, with `metres` in metres where it states its unit, else in that unit."""
    wanted = None if convention is None else Convention.parse(convention)
    check_format(format)
    found = detect(path, wanted) if format is None or not os.path.exists(path) else format
    own = CONVENTION_OF.get(found)
    if own is not None and wanted is not None and str(wanted) != own:
        raise CameraError(
            f"{path} is in the format {found}, which is {own}, but the convention {wanted} was given; "
            "leave the convention out, or say format 'matrices' if the file holds matrices of your own"
        )
    stated = _read(path, found, wanted, clip)
    return found, stated.in_metres() if metres else stated


def fit_to_pictures(
    path: Path,
    format: str,
    stated: StatedCameras,
    shape: PictureShape,
    order: Sequence[Layout],
    *,
    convention: str | None,
    keep_origin: bool = False,
) -> RequestedCameras:
    """Scale the cameras of a file to the pictures, and validate them.

    Args:
        convention: that was given, for formats that state none.
    """
    try:
        K, layout, notes = _scale_intrinsics(stated, shape, order)
    except CameraError as e:
        raise CameraError(f"{path}: {e}") from e
    width, height = shape.square if layout == "stored" else shape.size("shown")
    known = K is not None
    if K is None:
        K = intrinsics(focal_px=NOMINAL_FOCAL_IN_LONG_SIDES * max(width, height), width=width, height=height)
        K = K.repeat(len(stated.labels), 1, 1)
    try:
        cameras = Cameras(stated.cam_from_world, K, width, height).validate(stated.labels)
    except CameraError as e:
        raise CameraError(f"{path}: {e}") from e
    if layout == "stored" and shape.orientation != 1:
        notes = (*notes, f"frames are used as stored, for so {path.name} counts, although {shape.words}")
    if not keep_origin:
        cameras, note = settle_path(cameras, stated.position_tolerance)
        notes = (*notes, *note)
    return RequestedCameras(
        cameras,
        known,
        stated.times_s,
        format,
        stated.names,
        (*stated.notes, *notes),
        layout,
        CONVENTION_OF.get(format, convention or ""),
    )


def _read(path: Path, format: str, convention: Convention | None, clip: str) -> StatedCameras:
    if format == "recammaster":
        return recammaster.read(path, clip or path.stem)
    if format == "camera-path":
        return camera_path.read(path)
    if format == "transforms" and path.is_dir():
        return _note_model_beside(transforms.read(path / "transforms.json"), path)
    if format == "transforms":
        return transforms.read(path)
    if format == "colmap":
        return colmap.read(path.parent if is_part_of_model(path) else path)
    if format == "matrices":
        if convention is None:
            raise CameraError(
                f"{path} holds bare matrices, which may be cam_from_world or world_from_cam, with opencv or opengl "
                "axes; say which with --convention, such as cam_from_world/opencv"
            )
        return matrices.read(path, convention)
    return {"realestate10k": realestate10k, "kitti": kitti, "tum": tum}[format].read(path)


def _note_model_beside(stated: StatedCameras, folder: Path) -> StatedCameras:
    """Add a note where a COLMAP model lies beside a ``transforms.json``."""
    model = colmap.find_model(folder)
    if model is None:
        return stated
    note = f"transforms.json of {folder.name} is read; the COLMAP model in {model} is not read"
    return replace(stated, notes=(*stated.notes, note))


def _match_pictures(stated: StatedCameras, names: Sequence[str], path: Path) -> StatedCameras:
    """Reorder cameras by the names of the pictures; unchanged where the file knows none of them."""
    if stated.names is None:
        return stated
    stems = Counter(stem_of(name) for name in stated.names)
    twice = [stem for stem, n in stems.items() if n > 1 and stem in {stem_of(name) for name in names}]
    if twice:
        raise CameraError(f"{path} has several cameras for {twice[0]!r}; expected one for a picture")
    matched = match_names(names, stated.names, path.name)
    notes = (*stated.notes, *([matched.note] if matched.note else []))
    if matched.pairs is None:
        return replace(stated, notes=notes)
    taken = stated.take([row for _, row in matched.pairs])
    return replace(taken, names=tuple(names[picture] for picture, _ in matched.pairs), notes=notes)


def _scale_intrinsics(
    stated: StatedCameras, shape: PictureShape, order: Sequence[Layout]
) -> tuple[Float[Tensor, "n 3 3"] | None, Layout, tuple[str, ...]]:
    """K for the pictures (None where it is unknown), the layout that it is for, and notes."""
    lenses = [lens for i in range(len(stated.labels)) if (lens := stated.lens(i)) is not None]
    if not lenses:
        return None, order[0], ("the request does not state the intrinsics",)
    for lens, label in zip(lenses, stated.labels, strict=True):
        if isinstance(lens, StatedK) and not lens.K.isfinite().all():
            raise CameraError(f"the lens of camera {label} has NaN or infinite values; mend the camera file")
    layout, _ = choose_layout(lenses[0], shape, order)
    width, height = shape.size(layout)
    made = shape.square if layout == "stored" else (width, height)
    for lens in lenses:
        if (misfit := measure_misfit(lens, width, height)).by == float("inf"):
            return None, order[0], (f"{misfit.why}; the intrinsics are not used",)
    K = torch.stack(
        [_K_at(lens, (width, height), made, label) for lens, label in zip(lenses, stated.labels, strict=True)]
    )
    aspect = float(K[0, 0, 0] / K[0, 1, 1])
    if NORMALISED in stated.sizes and not abs(aspect - 1) < SQUARE_PIXEL_TOLERANCE:
        note = (
            f"intrinsics in units of width and height make pixels that are not square here (fx/fy {aspect:.3f}): "
            "right if the pictures were squeezed to this shape, wrong if they were cropped"
        )
        return K, layout, (note,)
    return K, layout, ()


def _K_at(
    lens: StatedLens | StatedK, assumed: tuple[int, int], made: tuple[int, int], label: str
) -> Float[Tensor, "3 3"]:
    """K of one lens for pictures of the size `made`.

    Args:
        assumed: (width, height) of the pictures that numbers without a size, and fields of view, are for.
        label: name of the camera in an error.

    Raises:
        CameraError: focal length and field of view contradict each other.
    """
    if isinstance(lens, StatedK):
        K, size = lens.K, assumed if lens.size == PIXELS_OF_THE_PICTURE else lens.size
    else:
        try:
            sized = lens if isinstance(lens, Lens) else lens.at(*assumed)
        except CameraError as e:
            raise CameraError(f"camera {label}: {e}") from e
        K, size = sized.raw_K, (sized.width, sized.height)
    scale = torch.tensor([made[0] / size[0], made[1] / size[1], 1.0], dtype=torch.float64)
    return scale[:, None] * K
