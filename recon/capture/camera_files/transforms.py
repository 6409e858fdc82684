"""The cameras of a ``transforms.json`` (nerfstudio, instant-ngp), whether its pictures exist or not."""

import math
from pathlib import Path
from typing import Any

import torch

from recon.bounded import number
from recon.capture.camera_files.stated import Stated
from recon.capture.frame_files import natural_key
from recon.capture.lens import Lens
from recon.capture.transforms_json import POSITIONS_ONLY, _frames, _lens, _load, _pose
from recon.errors import CameraError

DISTORTED = "the request states lens distortion ({model}), which is left in the pictures"


def read(file: Path, *, width: int, height: int) -> Stated:
    """In the natural order of the pictures that it names, else as they stand; the lens as it is, distorted or not.

    A field of view (``camera_angle_x``) is taken to be that of a picture of `width` x `height`.

    Raises:
        CaptureError: not JSON, or no frames in it.
        CameraError: no matrices, positions only, intrinsics that are none.
    """
    data = _load(file)
    frames = _frames(data, file)
    posed = [f for f in frames if "transform_matrix" in f]
    if not posed or data.get("pose_kind") in POSITIONS_ONLY:
        raise CameraError(
            f"{file}: expected frames with a transform_matrix that holds a rotation, found none"
        )
    paths = [str(f.get("file_path", "")) for f in posed]
    named = all(paths) and len(set(paths)) == len(paths)
    if named:
        posed.sort(key=lambda f: natural_key(str(f["file_path"])))
    names = tuple(str(f["file_path"]) for f in posed) if named else None
    labels = names or tuple(str(i) for i in range(len(posed)))
    each = list(zip(posed, labels, strict=True))
    lenses = [_stated_lens(data | f, file, label, width, height) for f, label in each]
    known = [lens for lens in lenses if lens is not None]
    notes = []
    if len(posed) < len(frames):
        notes.append(f"{file.name} has no transform_matrix for {len(frames) - len(posed)} of its frames")
    notes += [DISTORTED.format(model=m) for m in sorted({x.model for x in known if not x.is_pinhole})]
    complete = len(known) == len(posed)
    return Stated(
        torch.stack([_pose(f["transform_matrix"], file, label) for f, label in each]),
        labels,
        torch.stack([raw_K(lens) for lens in known]) if complete else None,
        tuple((float(lens.width), float(lens.height)) for lens in known) if complete else (),
        names=names,
        notes=tuple(notes),
    )


def raw_K(lens: Lens) -> torch.Tensor:
    """The lens's own focal lengths and principal point, whatever it distorts besides (`Lens.K` undistorts)."""
    return torch.tensor(lens.camera().calibration_matrix(), dtype=torch.float64)


def _stated_lens(values: dict[str, Any], file: Path, name: str, width: int, height: int) -> Lens | None:
    """None where the file says nothing of it."""
    if "fl_x" not in values and "camera_angle_x" not in values:
        return None
    lens = _lens(values, file, name)
    if lens is not None:
        return lens
    fov_x_rad = number(values["camera_angle_x"], f"{file}: camera_angle_x of {name}", error=CameraError)
    if not 0 < fov_x_rad < math.pi:
        raise CameraError(
            f"{file}: expected camera_angle_x between 0 and pi radians for {name}, got {fov_x_rad}"
        )
    focal_px = width / 2 / math.tan(fov_x_rad / 2)
    return Lens("PINHOLE", (focal_px, focal_px, width / 2, height / 2), width, height)
