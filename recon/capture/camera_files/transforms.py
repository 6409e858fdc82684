"""The cameras of a ``transforms.json`` (nerfstudio, instant-ngp), whether its pictures exist or not."""

from pathlib import Path

import torch

from recon.capture.camera_files.stated import Stated
from recon.capture.frame_files import natural_key
from recon.capture.lens import Lens
from recon.capture.rigid import still_within
from recon.capture.stated_lens import StatedLens
from recon.capture.transforms_json import POSITIONS_ONLY, frames_of, path_of, pose_of, read_object
from recon.capture.transforms_lens import read_lens
from recon.errors import CameraError

DISTORTED = "the request states lens distortion ({model}), which is left in the pictures"


def read(file: Path) -> Stated:
    """In the natural order of the pictures that it names, else as they stand; the lens as it is, distorted or not.

    Raises:
        CaptureError: not JSON, or no frames in it.
        CameraError: no matrices, positions only, intrinsics that are none, a lens that is no pinhole.
    """
    data = read_object(file)
    frames = frames_of(data, file)
    posed = [f for f in frames if "transform_matrix" in f]
    if not posed or data.get("pose_kind") in POSITIONS_ONLY:
        raise CameraError(
            f"{file}: expected frames with a transform_matrix that holds a rotation, found none"
        )
    paths = [path_of(f) for f in posed]
    named = all(paths) and len(set(paths)) == len(paths)
    if named:
        posed.sort(key=lambda f: natural_key(path_of(f)))
    names = tuple(path_of(f) for f in posed) if named else None
    labels = names or tuple(str(i) for i in range(len(posed)))
    each = list(zip(posed, labels, strict=True))
    lenses = [read_lens(data | f, str(file), label) for f, label in each]
    known = [lens for lens in lenses if lens is not None]
    notes = []
    if len(posed) < len(frames):
        notes.append(f"{file.name} has no transform_matrix for {len(frames) - len(posed)} of its frames")
    notes += [DISTORTED.format(model=m) for m in sorted({x.model for x in known if is_bent(x)})]
    poses = [pose_of(f["transform_matrix"], file, label) for f, label in each]
    rows = torch.stack([torch.tensor(f["transform_matrix"], dtype=torch.float64)[:3] for f in posed])
    return Stated(
        torch.stack(poses),
        labels,
        names=names,
        lenses=tuple(known) if len(known) == len(posed) else (),
        still_within=still_within(rows, inverse=False),
        notes=tuple(notes),
    )


def is_bent(lens: StatedLens) -> bool:
    """Whether it distorts."""
    return not lens.is_pinhole if isinstance(lens, Lens) else any(lens.distortion)
