"""COLMAP models, text or binary: search and reading."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.formats.colmap_poses import check_binary
from recon.camera_files.formats.colmap_text import open_for_colmap, read_image_lines
from recon.camera_files.formats.transforms import DISTORTED
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import check_size
from recon.colmap.model import Camera, SparseModel, read_model
from recon.compute.files import open_regular
from recon.errors import BridgeError, CameraError, CaptureError
from recon.lens import Lens
from recon.pictures.frame_files import list_folder, natural_key
from recon.points import PointCloud
from recon.words import count_noun


def find_model(folder: Path) -> Path | None:
    """Find the model of a capture: the folder itself, ``sparse`` beside its images, or a dense workspace.

    Of several in one place the one with the most images.
    """
    found = list_models(folder)
    return found[0] if found else None


def list_models(folder: Path) -> list[Path]:
    """Models in the first place of a capture that holds any, by falling number of images."""
    for place in (
        folder,
        folder / "sparse",
        folder / "colmap" / "sparse",
        folder / "colmap",
        folder / "dense" / "sparse",
        folder / "dense" / "0" / "sparse",
        folder / "undistorted" / "sparse",
        folder / "distorted" / "sparse",
    ):
        numbered = (
            [p for p in list_folder(place) if p.name.isdecimal() and _is_model(p)] if place.is_dir() else []
        )
        own = [place] if _is_model(place) else []
        if own and place == folder:  # it was given itself
            return own
        found = [*numbered, *own]
        if found:  # counting reads a whole text model: only where there is a choice
            return sorted(found, key=_count_images, reverse=True) if len(found) > 1 else found
    return []


def _is_model(place: Path) -> bool:
    return any(_holds(place, suffix) for suffix in (".bin", ".txt"))


def _holds(place: Path, suffix: str) -> bool:
    return (place / f"cameras{suffix}").is_file() and (place / f"images{suffix}").is_file()


def _count_images(place: Path) -> int:
    """Registered images that a model states; 0 where it cannot be read."""
    try:
        if (place / "images.bin").is_file():
            with open_regular(place / "images.bin") as stream:
                return int.from_bytes(stream.read(8), "little")
        return len(read_image_lines(place / "images.txt"))
    except (OSError, BridgeError):
        return 0


@dataclass(frozen=True)
class ModelImage:
    """A registered image of a COLMAP model."""

    name: str
    lens: Lens
    cam_from_world: Float[Tensor, "4 4"]


@dataclass(frozen=True)
class ColmapModel:
    """A COLMAP model that was read."""

    place: Path
    images: tuple[ModelImage, ...]
    """Registered images, in the natural order of their names."""
    points: PointCloud
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the model."""
        return tuple(p for p in sorted(self.place.iterdir()) if p.suffix in (".bin", ".txt"))


def load_model(folder: Path) -> ColmapModel:
    """Read the model of a capture, of several the largest that can be read.

    Points may be missing. Of a binary and a text model in one folder the binary one is read, with a note.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
        CameraError: a lens that no pinhole can stand for, or two images of one name.
    """
    found = list_models(folder)
    if not found:
        raise CaptureError(
            f"expected a COLMAP model (cameras and images as .bin or .txt) in {folder}, found none"
        )
    place, model, names, notes, damaged = _read_first_readable(found)
    others = found[len(damaged) + 1 :]
    if others:
        named = ", ".join(f"{p.name} ({_count_images(p)})" for p in others[:3])
        whole = ", as far as they can be read," if damaged else ""
        notes = [
            f"the largest of {len(found)} models{whole} is read, {place.name} with {count_noun(len(model.names), 'image')}; the others: "
            f"{named}",
            *notes,
        ]
    notes = [*damaged, *notes]
    if all(_holds(place, suffix) for suffix in (".bin", ".txt")):
        notes.append(f"{place} holds a model in .bin and one in .txt; the binary one is read")
    images = []
    for image_id, stated, camera, pose in zip(
        model.image_ids, model.names, model.cameras, model.cam_from_world, strict=True
    ):
        name = names.get(image_id, stated)
        images.append(ModelImage(name, _lens(camera, name, place), torch.from_numpy(pose)))
    if not images:
        raise CaptureError(f"the COLMAP model in {place} has no registered images")
    twice = [name for name, n in Counter(image.name for image in images).items() if n > 1]
    if twice:
        raise CameraError(
            f"{place} has several images called {twice[0]!r}; expected one camera for a picture"
        )
    images.sort(key=lambda image: natural_key(image.name))
    return ColmapModel(
        place, tuple(images), PointCloud.from_arrays(model.xyz, model.rgb, model.error_px), tuple(notes)
    )


def _read_first_readable(
    found: list[Path],
) -> tuple[Path, SparseModel, dict[int, str], list[str], list[str]]:
    """Read the first model that can be read: its place, replaced names, notes, and notes on those before it.

    Raises:
        CaptureError: that of the first model, where none can be read.
    """
    damaged: list[str] = []
    first: CaptureError | None = None
    for place in found:
        try:
            with open_for_colmap(place) as (files, names, notes):
                model = read_model(files, place)
                check_binary(files, place)
            return place, model, names, notes, damaged
        except CaptureError as e:
            first = first or e
            damaged.append(f"the model {place.name} is passed over: {e}")
    raise first or CaptureError("expected a COLMAP model, got none") from None


def _lens(camera: Camera, name: str, place: Path) -> Lens:
    if camera.model in NO_PINHOLES:
        raise CameraError(
            f"the COLMAP model in {place}: {name} was taken with a lens of the kind {camera.model}; unwrap the "
            "pictures to pinholes first"
        )
    check_size(camera.width, camera.height, f"the COLMAP model in {place}: the camera of {name[:80]}")
    return Lens(*camera)


NO_PINHOLES = ("EQUIRECTANGULAR",)
"""COLMAP's camera models that no pinhole can stand for."""


def read(folder: Path) -> StatedCameras:
    """Read the cameras of a model in the natural order of its images, distortion included.

    Raises:
        CaptureError, CameraError: as `load_model`.
    """
    model = load_model(folder)
    lenses = tuple(image.lens for image in model.images)
    names = tuple(image.name for image in model.images)
    bent = sorted({lens.model for lens in lenses if not lens.is_pinhole})
    return StatedCameras(
        torch.stack([image.cam_from_world for image in model.images]),
        names,
        names=names,
        lenses=lenses,
        notes=(*model.notes, *(DISTORTED.format(model=m) for m in bent)),
    )
