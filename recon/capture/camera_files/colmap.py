"""The cameras of a COLMAP model, text or binary; neither its pictures nor its points are needed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from recon.capture.camera_files.stated import Stated
from recon.capture.camera_files.transforms import DISTORTED, raw_K
from recon.capture.colmap_model import find_model, pose_matrix
from recon.capture.frame_files import natural_key
from recon.capture.lens import Lens
from recon.errors import CaptureError


def read(folder: Path) -> Stated:
    """In the natural order of the pictures that it names; lenses as they are, distorted or not.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
    """
    import pycolmap

    place = find_model(folder)
    if place is None:
        raise CaptureError(f"expected a COLMAP model (cameras and images as .bin or .txt) in {folder}")
    with _with_points(place) as complete:
        try:
            model = pycolmap.Reconstruction(str(complete))
        except Exception as e:
            reason = str(e).splitlines()[0][:160]
            raise CaptureError(f"the COLMAP model in {place} cannot be read ({reason})") from e
    images = sorted((model.image(i) for i in model.reg_image_ids()), key=lambda im: natural_key(im.name))
    if not images:
        raise CaptureError(f"the COLMAP model in {place} has no registered images")
    lenses = [Lens.from_camera(image.camera) for image in images]
    names = tuple(image.name for image in images)
    return Stated(
        torch.stack([pose_matrix(image.cam_from_world()) for image in images]),
        names,
        torch.stack([raw_K(lens) for lens in lenses]),
        tuple((float(lens.width), float(lens.height)) for lens in lenses),
        names=names,
        notes=tuple(DISTORTED.format(model=m) for m in sorted({x.model for x in lenses if not x.is_pinhole})),
    )


@contextmanager
def _with_points(place: Path) -> Iterator[Path]:
    """The model with an empty file of points where it has none: COLMAP refuses to read one without."""
    suffix = ".bin" if (place / "images.bin").is_file() else ".txt"
    if (place / f"points3D{suffix}").is_file():
        yield place
        return
    with tempfile.TemporaryDirectory() as scratch:
        for file in place.glob(f"*{suffix}"):
            if file.stem in ("cameras", "images", "rigs", "frames"):
                shutil.copy(file, scratch)
        (Path(scratch) / f"points3D{suffix}").write_bytes(bytes(8) if suffix == ".bin" else b"")
        yield Path(scratch)
