"""``transforms.json`` of nerfstudio and instant-ngp (OpenGL axes, world from camera), whether its pictures exist or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import read_json
from recon.camera_files.formats.transforms_lens import is_read, read_lens
from recon.camera_files.rigid import GL_FROM_CV, inverse_rigid, squared, still_within
from recon.camera_files.stated import Stated
from recon.camera_files.stated_lens import StatedLens
from recon.camera_files.words.hear import Heard, hear_json
from recon.camera_files.words.lens import not_read, words_of_a_lens
from recon.errors import CameraError, CaptureError
from recon.lens import Lens
from recon.pictures.frame_files import natural_key

POSITIONS_ONLY = ("gps-position", "gps")
"""Values of `pose_kind` whose matrices carry no rotation."""


def has_cameras(file: Path) -> bool:
    """Whether there is such a file, with poses in it.

    Raises:
        CaptureError: it is there and is not JSON.
    """
    if not file.is_file():
        return False
    data = read_object(file)
    return data.get("pose_kind") not in POSITIONS_ONLY and any(
        "transform_matrix" in f for f in frames_of(data, file)
    )


def path_of(frame: dict[str, Any]) -> str:
    path = frame.get("file_path")
    return path if isinstance(path, str) else ""


def read_object(file: Path) -> dict[str, Any]:
    """What the file holds, NaN and all: it is told by the name of its camera.

    Raises:
        CaptureError: not JSON, or no object.
    """
    data = read_json(file, nan=True, error=CaptureError)
    if not isinstance(data, dict):
        raise CaptureError(f"expected an object with 'frames' in {file}, got a {type(data).__name__}")
    return data


def frames_of(data: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    frames = data.get("frames", [])
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise CaptureError(f"expected a list of objects as 'frames' in {file}")
    return frames


def pose_of(matrix: Any, file: Path, name: str) -> Float[Tensor, "4 4"]:
    """``cam_from_world`` with OpenCV axes of a ``transform_matrix``.

    Raises:
        CameraError: no matrix of numbers, or one with another bottom row than 0 0 0 1; NaN passes.
    """
    return inverse_rigid((world_from_gl(matrix, file, name) @ GL_FROM_CV)[None])[0]


def world_from_gl(matrix: Any, file: Path, name: str) -> Float[Tensor, "4 4"]:
    """A ``transform_matrix`` as the file has it; see `pose_of`."""
    if (
        not isinstance(matrix, list)
        or len(matrix) not in (3, 4)
        or not all(isinstance(row, list) and len(row) == 4 for row in matrix)
        or not all(isinstance(x, int | float) and not isinstance(x, bool) for row in matrix for x in row)
    ):
        raise CameraError(f"{file}: expected a 4x4 transform_matrix for {name}, got something else")
    return squared(torch.tensor(matrix, dtype=torch.float64)[None], [name], str(file))[0]


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
    if not named and any(paths):
        notes.append(
            f"the frames of {file.name} do not name one picture each; they are taken as they stand in the file"
        )
    if 0 < len(known) < len(posed):
        notes.append(f"{file.name} states a lens for {len(known)} of {len(posed)} cameras; none is used")
    notes += [DISTORTED.format(model=m) for m in sorted({x.model for x in known if is_bent(x)})]
    heard = said_of(data, file)
    matrices = torch.stack([world_from_gl(f["transform_matrix"], file, label) for f, label in each])
    return Stated(
        inverse_rigid(matrices @ GL_FROM_CV),
        labels,
        names=names,
        lenses=tuple(known) if len(known) == len(posed) else (),
        still_within=still_within(matrices, inverse=False),
        metres_per_unit=heard.metres_per_unit,
        notes=(*heard.notes, *notes),
    )


def said_of(data: dict[str, Any], file: Path) -> Heard:
    """What the head of a file says of its frames in words, and a note of keys about lenses that are not read.

    Raises:
        CameraError: other axes, another direction or two units.
    """
    frames = frames_of(data, file)
    head = {k: v for k, v in data.items() if k != "frames"}
    heard = hear_json(head, "world_from_cam/opengl", len(frames), str(file))
    bent, other = words_of_a_lens(together(head, frames), is_read)
    return replace(heard, plain_notes=(*heard.plain_notes, *not_read((*bent, *other), file.name)))


def together(head: dict[str, Any], frames: list[dict[str, Any]]) -> dict[str, Any]:
    """A value of each key of the head and of all frames, of several the first that is not empty."""
    held = dict(head)
    for key, value in (pair for frame in frames for pair in frame.items()):
        if not held.get(key):
            held[key] = value
    return held


def is_bent(lens: StatedLens) -> bool:
    """Whether it distorts."""
    return not lens.is_pinhole if isinstance(lens, Lens) else any(lens.distortion)
