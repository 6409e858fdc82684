"""Camera paths of nerfstudio's viewer, and of the Blender, Maya and Unreal add-ons for it."""

import math
from pathlib import Path
from typing import Any

import torch

from recon.bounded import parse_number, parse_numbers
from recon.camera_files.convention import Convention
from recon.camera_files.formats.transforms import merge_keys, read_object
from recon.camera_files.rigid import position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import UnsizedLens, check_size
from recon.camera_files.words.lens import find_lens_keys, note_unread
from recon.camera_files.words.statements import interpret_keys
from recon.errors import CameraError

PERSPECTIVE = "perspective"
"""The one ``camera_type`` of pinholes; nerfstudio also exports fisheyes, panoramas and stereo."""
KNOWN = ("fov", "default_fov", "aspect")
"""Keys about the lens: `fov` is read, `default_fov` is for other paths, `aspect` follows from the picture's size."""


def is_camera_path(data: Any) -> bool:
    """Whether JSON has a list of key frames as ``camera_path``."""
    return isinstance(data, dict) and isinstance(data.get("camera_path"), list)


def read(file: Path) -> StatedCameras:
    """Read the cameras of a camera path.

    ``camera_to_world`` of each key is 16 numbers row by row with OpenGL axes, ``fov`` the field of view of the picture's
    height in degrees, for pictures of ``render_width`` x ``render_height``.

    Raises:
        CaptureError: not JSON.
        CameraError: no cameras, a value that is no number, a camera that is no pinhole.
    """
    data = read_object(file)
    kind = data.get("camera_type", PERSPECTIVE)
    if kind != PERSPECTIVE:
        raise CameraError(
            f"{file}: expected a camera_type of {PERSPECTIVE!r}, got {str(kind)[:40]!r}; render pinholes"
        )
    keys = data.get("camera_path")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise CameraError(f"{file}: expected a camera_path of objects with camera_to_world, got none")
    labels = tuple(str(i) for i in range(len(keys)))
    rows = [
        _matrix(key, f"{file}: camera_to_world of camera {i}") for i, key in zip(labels, keys, strict=True)
    ]
    matrices = to_homogeneous(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4, 4), labels, str(file))
    head = {k: v for k, v in data.items() if k != "camera_path"}
    bent, other = find_lens_keys(merge_keys(head, keys), KNOWN.__contains__)
    statements = interpret_keys(head, "world_from_cam/opengl", len(keys), str(file))
    with_lens = sum("fov" in key for key in keys)
    notes = (
        []
        if with_lens in (0, len(keys))
        else [f"{file.name} states a field of view for {with_lens} of {len(keys)} cameras; none is used"]
    )
    fps = data.get("fps")
    times_s = None
    if fps is not None:
        times_s = torch.arange(len(keys), dtype=torch.float64) / parse_number(
            fps, f"{file}: fps", least=1e-3, error=CameraError
        )
    return StatedCameras(
        Convention("world_from_cam", "opengl").to_cam_from_world(matrices),
        labels,
        lenses=tuple(_lens(data, key, f"{file}, camera {i}") for i, key in zip(labels, keys, strict=True))
        if with_lens == len(keys)
        else (),
        times_s=times_s,
        position_tolerance=position_tolerance(matrices, inverse=False),
        metres_per_unit=statements.metres_per_unit,
        notes=(*statements.notes, *notes, *note_unread((*bent, *other), file.name)),
    )


def _matrix(key: dict[str, Any], what: str) -> list[float]:
    values = key.get("camera_to_world")
    if isinstance(values, list) and len(values) == 4 and all(isinstance(row, list) for row in values):
        values = [x for row in values for x in row]
    return parse_numbers(values or [], what, count=16, error=CameraError)


def _lens(data: dict[str, Any], key: dict[str, Any], what: str):
    fov = math.radians(parse_number(key["fov"], f"{what}: fov", error=CameraError))
    if not 0 < fov < math.pi:
        raise CameraError(f"{what}: expected a fov between 0 and 180 degrees, got {key['fov']}")
    lens = UnsizedLens("PINHOLE", fov_rad=(None, fov))
    if "render_width" not in data and "render_height" not in data:
        return lens
    if "render_width" not in data or "render_height" not in data:
        raise CameraError(
            f"{what}: expected both render_width and render_height, got one of them; state the other"
        )
    width, height = (
        parse_number(data[k], f"{what}: {k}", error=CameraError) for k in ("render_width", "render_height")
    )
    return lens.at(*check_size(width, height, f"{what}: its lens"))
