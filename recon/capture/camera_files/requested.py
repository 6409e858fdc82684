"""One door for every format of requested cameras."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, intrinsics
from recon.capture.camera_files import colmap, kitti, matrices, realestate10k, transforms, tum
from recon.capture.camera_files.convention import Convention
from recon.capture.camera_files.detect import CONVENTION_OF, check_format, detect, is_part_of_model
from recon.capture.camera_files.stated import NORMALISED, PIXELS_OF_THE_PICTURE, Stated
from recon.capture.frame_files import stem_of
from recon.errors import CameraError

NOMINAL_FOCAL = 1.2
"""Of the longer side: what COLMAP starts from where nothing is known."""
SQUARE_WITHIN = 0.02
"""fx / fy may differ this much from 1 before it is worth a word."""


@dataclass(frozen=True)
class RequestedCameras:
    """The cameras that a clip was asked to be taken with."""

    cameras: Cameras
    """At the size of the pictures."""
    intrinsics_known: bool
    """False: K is a placeholder (focal length `NOMINAL_FOCAL` times the longer side, principal point in the
    middle) and must not be used; `notes` say why."""
    times_s: Float[Tensor, "n"] | None
    """Seconds since the first camera of the file."""
    format: str
    """One of `FORMATS`."""
    names: tuple[str, ...] | None
    """The pictures that the cameras are for: those asked for, where the file names them; else what it names."""
    notes: tuple[str, ...] = ()
    """What a person should know of the reading."""


def read_requested(
    path: Path,
    *,
    width: int,
    height: int,
    names: Sequence[str] | None = None,
    convention: str | None = None,
    format: str | None = None,
) -> RequestedCameras:
    """Reads a camera file, or a folder with a COLMAP model or a ``transforms.json``, for pictures of a size.

    Where the file names pictures and some of `names` are among them (by stem), the cameras come in the order of
    `names`, without those that the file does not know. Bare matrices need a `convention` such as
    'cam_from_world/opencv' or 'world_from_cam/opengl'; formats with a convention of their own refuse another.

    Raises:
        CaptureError: nothing there that can be read.
        CameraError: an unknown or ambiguous format or convention; cameras that are none, by line or name.
    """
    found, stated = _stated(path, convention, format, width, height)
    if names is not None:
        stated = _matched(stated, names, path)
    return _requested(path, found, stated, width, height)


def read_path(
    path: Path,
    *,
    width: int,
    height: int,
    convention: str | None = None,
    format: str | None = None,
) -> RequestedCameras:
    """Reads a camera file for pictures that are yet to be made: of the size that it states, else of the given one.

    Raises:
        CaptureError, CameraError: as `read_requested`.
    """
    found, stated = _stated(path, convention, format, width, height)
    sizes = [size for size in stated.sizes if size not in (PIXELS_OF_THE_PICTURE, NORMALISED)]
    if sizes:
        width, height = (max(1, round(side)) for side in sizes[0])
    return _requested(path, found, stated, width, height)


def _stated(
    path: Path, convention: str | None, format: str | None, width: int, height: int
) -> tuple[str, Stated]:
    """The format of a file, and its cameras as it has them."""
    wanted = None if convention is None else Convention.parse(convention)
    check_format(format)
    found = detect(path, wanted) if format is None or not os.path.exists(path) else format
    own = CONVENTION_OF.get(found)
    if own is not None and wanted is not None and str(wanted) != own:
        raise CameraError(
            f"{path} is in the format {found}, which is {own}, but the convention {wanted} was given; "
            "leave the convention out, or say format 'matrices' if the file holds matrices of your own"
        )
    return found, _read(path, found, wanted, width, height)


def _requested(path: Path, format: str, stated: Stated, width: int, height: int) -> RequestedCameras:
    """The cameras of a file for pictures of a size, checked."""
    K, notes = _scaled(stated, width, height)
    known = K is not None
    if K is None:
        K = intrinsics(focal_px=NOMINAL_FOCAL * max(width, height), width=width, height=height)
        K = K.repeat(len(stated.labels), 1, 1)
    try:
        cameras = Cameras(stated.cam_from_world, K, width, height).checked(stated.labels)
    except CameraError as e:
        raise CameraError(f"{path}: {e}") from e
    return RequestedCameras(cameras, known, stated.times_s, format, stated.names, (*stated.notes, *notes))


def _read(path: Path, format: str, convention: Convention | None, width: int, height: int) -> Stated:
    if format == "transforms":
        file = path / "transforms.json" if path.is_dir() else path
        return transforms.read(file, width=width, height=height)
    if format == "colmap":
        return colmap.read(path.parent if is_part_of_model(path) else path)
    if format == "matrices":
        if convention is None:
            raise CameraError(
                f"{path} holds bare matrices, which may be cam_from_world or world_from_cam, with opencv or opengl "
                "axes; say which with a convention such as 'cam_from_world/opencv'"
            )
        return matrices.read(path, convention)
    return {"realestate10k": realestate10k, "kitti": kitti, "tum": tum}[format].read(path)


def _matched(stated: Stated, names: Sequence[str], path: Path) -> Stated:
    """In the order of `names`, as far as the file knows them; untouched where it knows none."""
    if stated.names is None:
        return stated
    stems = [stem_of(name) for name in stated.names]
    row_of = {stem: row for row, stem in enumerate(stems)}
    there = [name for name in names if stem_of(name) in row_of]
    if not there:
        note = f"{path.name} names other pictures ({stated.names[0]} …); taken in the order of their names"
        return replace(stated, notes=(*stated.notes, note))
    twice = [stem for stem in stems if stems.count(stem) > 1 and stem in {stem_of(n) for n in there}]
    if twice:
        raise CameraError(f"{path} has several cameras for {twice[0]!r}; expected one for a picture")
    rows = [row_of[stem_of(name)] for name in there]
    return replace(
        stated,
        cam_from_world=stated.cam_from_world[rows],
        labels=tuple(stated.labels[r] for r in rows),
        K=None if stated.K is None else stated.K[rows],
        sizes=tuple(stated.sizes[r] for r in rows) if stated.sizes else (),
        names=tuple(there),
        times_s=None if stated.times_s is None else stated.times_s[rows],
    )


def _scaled(stated: Stated, width: int, height: int) -> tuple[Float[Tensor, "n 3 3"] | None, tuple[str, ...]]:
    """K for pictures of the size (None where it cannot be known), and what is to be said of it."""
    if stated.K is None:
        return None, ("the request does not state the intrinsics",)
    scale = []
    for K, size in zip(stated.K, stated.sizes, strict=True):
        w, h = (width, height) if size == PIXELS_OF_THE_PICTURE else size
        cx, cy = float(K[0, 2]), float(K[1, 2])
        if size == PIXELS_OF_THE_PICTURE and not (abs(cx / w - 0.5) < 0.2 and abs(cy / h - 0.5) < 0.2):
            reason = f"a principal point of ({cx:.5g}, {cy:.5g}) is for another picture than {width}x{height}"
            return None, (f"{reason}, and its width and height are not stated; intrinsics are not used",)
        if size != NORMALISED and abs(h * width / w - height) > max(1.0, width / w):
            return None, (
                f"the request states its intrinsics for {w:g}x{h:g}, the pictures are {width}x{height}: "
                "whether they were cropped or squeezed is not known, so the intrinsics are not used",
            )
        scale.append([width / w, height / h, 1.0])
    K = torch.tensor(scale, dtype=torch.float64)[:, :, None] * stated.K
    aspect = float(K[0, 0, 0] / K[0, 1, 1])
    if NORMALISED in stated.sizes and not abs(aspect - 1) < SQUARE_WITHIN:
        return K, (
            f"intrinsics in units of width and height make pixels that are not square here (fx/fy {aspect:.3f}): "
            "right if the pictures were squeezed to this shape, wrong if they were cropped",
        )
    return K, ()
