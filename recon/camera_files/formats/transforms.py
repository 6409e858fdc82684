"""``transforms.json`` of nerfstudio and instant-ngp: OpenGL axes, world from camera."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import read_json
from recon.camera_files.formats.transforms_lens import is_read, read_lens
from recon.camera_files.rigid import GL_FROM_CV, inverse_rigid, position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import StatedLens
from recon.camera_files.words.lens import find_lens_keys, note_unread
from recon.camera_files.words.statements import Statements, interpret_keys
from recon.errors import CameraError, CaptureError
from recon.lens import Lens
from recon.pictures.frame_files import natural_key

POSITIONS_ONLY = ("gps-position", "gps")
"""Values of ``pose_kind`` whose matrices carry no rotation."""


def has_cameras(file: Path) -> bool:
    """Whether a ``transforms.json`` exists and has poses.

    Raises:
        CaptureError: the file is not JSON.
    """
    if not file.is_file():
        return False
    data = read_object(file)
    return data.get("pose_kind") not in POSITIONS_ONLY and any(
        "transform_matrix" in f for f in list_frames(data, file)
    )


def picture_path(frame: dict[str, Any]) -> str:
    """The ``file_path`` of a frame; '' where it has none."""
    path = frame.get("file_path")
    return path if isinstance(path, str) else ""


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; NaN passes, so that an error can name its camera.

    Raises:
        CaptureError: not JSON, or not an object.
    """
    data = read_json(file, nan=True, error=CaptureError)
    if not isinstance(data, dict):
        raise CaptureError(f"expected an object with 'frames' in {file}, got a {type(data).__name__}")
    return data


def list_frames(data: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    """Frames of a ``transforms.json``; none where it has no such key.

    Raises:
        CaptureError: not a list of objects.
    """
    frames = data.get("frames", [])
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise CaptureError(f"expected a list of objects as 'frames' in {file}")
    return frames


def parse_pose(matrix: Any, file: Path, name: str) -> Float[Tensor, "4 4"]:
    """Parse a ``transform_matrix`` as ``cam_from_world`` with OpenCV axes.

    Raises:
        CameraError: as `parse_matrix`.
    """
    return inverse_rigid((parse_matrix(matrix, file, name) @ GL_FROM_CV)[None])[0]


def parse_matrix(matrix: Any, file: Path, name: str) -> Float[Tensor, "4 4"]:
    """Parse a ``transform_matrix`` as it is: world from camera with OpenGL axes.

    Raises:
        CameraError: not a matrix of numbers, or another bottom row than 0 0 0 1; NaN passes.
    """
    if (
        not isinstance(matrix, list)
        or len(matrix) not in (3, 4)
        or not all(isinstance(row, list) and len(row) == 4 for row in matrix)
        or not all(isinstance(x, int | float) and not isinstance(x, bool) for row in matrix for x in row)
    ):
        raise CameraError(f"{file}: expected a 4x4 transform_matrix for {name}, got something else")
    return to_homogeneous(torch.tensor(matrix, dtype=torch.float64)[None], [name], str(file))[0]


DISTORTED = "the request states lens distortion ({model}), which is left in the pictures"


def read(file: Path) -> StatedCameras:
    """Read cameras in the natural order of their pictures, distortion included.

    Where the frames do not name one picture each, they stay in the file's order.

    Raises:
        CaptureError: not JSON, or frames that are not objects.
        CameraError: no matrices, positions only, invalid intrinsics, a lens that no pinhole can stand for.
    """
    data = read_object(file)
    frames = list_frames(data, file)
    posed = [f for f in frames if "transform_matrix" in f]
    if not posed or data.get("pose_kind") in POSITIONS_ONLY:
        raise CameraError(
            f"{file}: expected frames with a transform_matrix that holds a rotation, found none"
        )
    paths = [picture_path(f) for f in posed]
    named = all(paths) and len(set(paths)) == len(paths)
    if named:
        posed.sort(key=lambda f: natural_key(picture_path(f)))
    names = tuple(picture_path(f) for f in posed) if named else None
    labels = names or tuple(str(i) for i in range(len(posed)))
    each = list(zip(posed, labels, strict=True))
    lenses = [read_lens(data | f, str(file), label) for f, label in each]
    known = [lens for lens in lenses if lens is not None]
    notes = []
    if len(posed) < len(frames):
        notes.append(f"{file.name} has no transform_matrix for {len(frames) - len(posed)} of its frames")
    if not named and any(paths):
        notes.append(
            f"the frames of {file.name} do not name one picture each; they are taken as they stand in the file"
        )
    if 0 < len(known) < len(posed):
        notes.append(f"{file.name} states a lens for {len(known)} of {len(posed)} cameras; none is used")
    notes += [DISTORTED.format(model=m) for m in sorted({x.model for x in known if is_distorted(x)})]
    statements = interpret_head(data, file)
    matrices = torch.stack([parse_matrix(f["transform_matrix"], file, label) for f, label in each])
    return StatedCameras(
        inverse_rigid(matrices @ GL_FROM_CV),
        labels,
        names=names,
        lenses=tuple(known) if len(known) == len(posed) else (),
        position_tolerance=position_tolerance(matrices, inverse=False),
        metres_per_unit=statements.metres_per_unit,
        notes=(*statements.notes, *notes),
    )


def interpret_head(data: dict[str, Any], file: Path) -> Statements:
    """Interpret the head of a file, with a note on keys about lenses that are not read.

    Raises:
        CameraError: other axes, another direction or two units.
    """
    frames = list_frames(data, file)
    head = {k: v for k, v in data.items() if k != "frames"}
    statements = interpret_keys(head, "world_from_cam/opengl", len(frames), str(file))
    bent, other = find_lens_keys(merge_keys(head, frames), is_read)
    return replace(
        statements, plain_notes=(*statements.plain_notes, *note_unread((*bent, *other), file.name))
    )


def merge_keys(head: dict[str, Any], frames: list[dict[str, Any]]) -> dict[str, Any]:
    """One value for each key of the head and all frames: the first that is not empty."""
    held = dict(head)
    for key, value in (pair for frame in frames for pair in frame.items()):
        if not held.get(key):
            held[key] = value
    return held


def is_distorted(lens: StatedLens) -> bool:
    """Whether a lens has distortion."""
    return not lens.is_pinhole if isinstance(lens, Lens) else any(lens.distortion)
