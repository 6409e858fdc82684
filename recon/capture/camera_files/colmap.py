"""The cameras of a COLMAP model, text or binary; neither its pictures nor its points are needed."""

from pathlib import Path

import torch

from recon.capture.camera_files.stated import Stated
from recon.capture.camera_files.transforms import DISTORTED
from recon.capture.colmap_model import load_model


def read(folder: Path) -> Stated:
    """In the natural order of the pictures that it names; lenses as they are, distorted or not.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
        CameraError: a lens that is no pinhole, or two images of one name.
    """
    model = load_model(folder)
    lenses = tuple(image.lens for image in model.images)
    names = tuple(image.name for image in model.images)
    bent = sorted({lens.model for lens in lenses if not lens.is_pinhole})
    return Stated(
        torch.stack([image.cam_from_world for image in model.images]),
        names,
        names=names,
        lenses=lenses,
        notes=(*model.notes, *(DISTORTED.format(model=m) for m in bent)),
    )
