"""Camera paths of ReCamMaster and MultiCamVideo (Bai et al. 2025): Unreal Engine's matrices as text in JSON."""

import re
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import parse_numbers
from recon.camera_files.convention import Convention
from recon.camera_files.formats.transforms import read_object
from recon.camera_files.rigid import position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.errors import CameraError
from recon.pictures.frame_files import natural_key

FRAME = re.compile(r"frame[0-9]+")
"""Keys of frames, of which each holds every camera."""
CAMERA = re.compile(r"cam[0-9]+")
"""Keys of cameras inside a frame, and the word for one in the name of a clip."""
CENTIMETRE_M = 0.01
"""Unreal's unit of length in metres."""


def is_recammaster(data: Any) -> bool:
    """Whether JSON holds frames of cameras with matrices as text."""
    return (
        isinstance(data, dict)
        and bool(data)
        and all(FRAME.fullmatch(k) and isinstance(v, dict) for k, v in data.items())
        and all(CAMERA.fullmatch(k) and isinstance(m, str) for v in data.values() for k, m in v.items())
    )


def read(file: Path, clip: str) -> StatedCameras:
    """Read the path of one camera: the only one, or the one in the name of the clip.

    A matrix is a text of rows '[a b c d] [...]' that holds the transposed world_from_cam of Unreal: x forward, y right,
    z up, left-handed, in centimetres. The world is mirrored along y, so that it becomes right-handed.

    Raises:
        CaptureError: not JSON.
        CameraError: several cameras, none of them in the clip's name; text that is not a matrix.
    """
    data = read_object(file)
    if not is_recammaster(data):
        raise CameraError(
            f"{file}: expected frames of cameras, such as {{'frame0': {{'cam01': '[...] [...] [...] [...]'}}}}, got other JSON"
        )
    frames = sorted(data, key=natural_key)
    names = sorted({name for frame in frames for name in data[frame]}, key=natural_key)
    meant = [name for name in names if name in CAMERA.findall(clip.lower())]
    chosen = names if len(names) == 1 else meant
    if len(chosen) != 1:
        raise CameraError(
            f"{file} holds the cameras {', '.join(names[:12])}, and the name of the clip, {clip!r}, has none or several of "
            "them; name the clip by its camera, or keep one camera in the file"
        )
    missing = [frame for frame in frames if chosen[0] not in data[frame]]
    if missing:
        raise CameraError(f"{file} has no {chosen[0]} in {missing[0]}")
    matrices = torch.stack([_matrix(data[f][chosen[0]], f"{file}: {chosen[0]} of {f}") for f in frames])
    matrices = to_homogeneous(matrices, frames, str(file))
    return StatedCameras(
        Convention("world_from_cam", "opencv").to_cam_from_world(_opencv(matrices)),
        tuple(frames),
        position_tolerance=position_tolerance(matrices, inverse=False),
        metres_per_unit=CENTIMETRE_M,
        notes=(f"the camera {chosen[0]} of {file.name} is taken",) if len(names) > 1 else (),
    )


def _matrix(text: str, what: str) -> Float[Tensor, "4 4"]:
    """Parse world_from_cam in Unreal's axes."""
    values = parse_numbers(
        text.replace("[", " ").replace("]", " ").split()[:17], what, count=16, error=CameraError
    )
    return torch.tensor(values, dtype=torch.float64).reshape(4, 4).T.contiguous()


def _opencv(matrices: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """Convert to cameras with x right, y down, z forward in a right-handed world."""
    out = matrices[:, :, [1, 2, 0, 3]].clone()
    out[:, :3, 1] *= -1
    mirror = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    return mirror @ out
