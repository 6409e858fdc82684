"""``transforms.json`` of nerfstudio and instant-ngp: OpenGL axes, world from camera."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import number, read_json, stranger_path
from recon.cameras import Cameras
from recon.capture.images import SUFFIXES
from recon.capture.lens import Lens
from recon.capture.posed import PosedPhoto, read_posed
from recon.capture.read import Capture
from recon.clip import Clip
from recon.errors import CameraError, CaptureError
from recon.files import written_whole

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""OpenGL cameras look along -z with y up."""
POSITIONS_ONLY = ("gps-position", "gps")
"""Values of `pose_kind` whose matrices carry no rotation."""
SAME_EVERYWHERE = ("w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2")


LONGEST_SIDE = 1e6
"""Pixels; beyond, a picture's size is damage."""


def has_cameras(file: Path) -> bool:
    """Whether there is such a file, with poses in it.

    Raises:
        CaptureError: it is there and is not JSON.
    """
    if not file.is_file():
        return False
    data = _load(file)
    return data.get("pose_kind") not in POSITIONS_ONLY and any(
        "transform_matrix" in f for f in _frames(data, file)
    )


def read_transforms(file: Path, *, max_side: int | None = None, resize_mixed: bool = False) -> Capture:
    """Photos with the cameras of a ``transforms.json``; intrinsics of the whole file or of single frames.

    Radial and tangential distortion (k1 k2 k3 p1 p2, or a fisheye's k1 … k4) is taken out of the pictures.
    Paths are relative to the file and may lack the extension.

    Raises:
        CaptureError: not JSON, no frames with matrices, fewer than two photos there.
        CameraError: NaN, left-handed or non-rigid matrices; intrinsics that do not belong to the pictures.
    """
    data = _load(file)
    clip, skipped = read_posed(_photos(file, data), file, max_side=max_side, resize_mixed=resize_mixed)
    without = [Path(str(f.get("file_path"))).name for f in _frames(data, file) if "transform_matrix" not in f]
    skipped += [(name, f"{file.name} has no transform_matrix for it") for name in without]
    return Capture(clip, (), tuple(skipped), kind="transforms", pose_kind=data.get("pose_kind"))


def list_photos(file: Path) -> list[PosedPhoto]:
    """The photos of a ``transforms.json`` with their lenses and poses; no picture is decoded.

    Raises:
        CaptureError: not JSON, no frames with matrices.
        CameraError: intrinsics or matrices that are no numbers.
    """
    return _photos(file, _load(file))


def _photos(file: Path, data: dict[str, Any]) -> list[PosedPhoto]:
    frames = [f for f in _frames(data, file) if "transform_matrix" in f]
    if not frames:
        raise CaptureError(
            f"expected frames with a transform_matrix in {file}, found none; give the folder of photos"
        )
    paths = [str(f.get("file_path", "")) for f in frames]
    repeated = [p for p, n in Counter(paths).items() if n > 1]
    if repeated:
        raise CaptureError(f"{file} names {repeated[0]!r} twice; expected one frame for a photo")
    short = len({Path(p).name for p in paths}) == len(paths)
    photos = []
    for path, frame in sorted(zip(paths, frames, strict=True), key=lambda item: item[0]):
        photo = _find(file.parent / stranger_path(path, f"{file}: file_path", error=CaptureError))
        name = photo.name if short else path
        photos.append(
            PosedPhoto(
                name=name,
                file=photo,
                lens=_lens(data | frame, file, name),
                cam_from_world=_pose(frame["transform_matrix"], file, name),
                fov_x_rad=_fov_x_rad(data | frame, file, name),
            )
        )
    return photos


def write_transforms(
    file: Path, clip: Clip, *, pose_kind: str | None = None, write_images: bool = True
) -> None:
    """A posed clip as ``transforms.json`` with its pictures as 8-bit PNG in ``images`` beside it.

    Without `write_images` the file names the pictures that should be there: ``images/<name>``.
    """
    from PIL import Image

    cameras = clip.posed().to("cpu", torch.float64).checked(clip.names)
    file.parent.mkdir(parents=True, exist_ok=True)
    paths = [f"images/{name if not write_images else Path(name).with_suffix('.png')}" for name in clip.names]
    for i, path in enumerate(paths if write_images else ()):
        (file.parent / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = (clip.images[i] * 255).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(file.parent / path, compress_level=1)
    data = transforms_of(cameras, paths)
    if pose_kind is not None:
        data["pose_kind"] = pose_kind
    with written_whole(file) as beside:
        beside.write_text(json.dumps(data, indent=1))


def transforms_of(cameras: Cameras, paths: Sequence[str]) -> dict[str, Any]:
    """What a ``transforms.json`` says of cameras, one picture each, at paths relative to the file."""
    world_from_gl = cameras.world_from_cam.double() @ GL_FROM_CV
    frames = []
    for path, K, pose in zip(paths, cameras.K.double(), world_from_gl, strict=True):
        frames.append(
            {
                "file_path": path,
                "fl_x": float(K[0, 0]),
                "fl_y": float(K[1, 1]),
                "cx": float(K[0, 2]),
                "cy": float(K[1, 2]),
                "w": cameras.width,
                "h": cameras.height,
                "transform_matrix": pose.tolist(),
            }
        )
    return {"camera_model": "OPENCV", "frames": frames}


def _load(file: Path) -> dict[str, Any]:
    data = read_json(file, nan=True, error=CaptureError)  # NaN is told by the name of its camera
    if not isinstance(data, dict):
        raise CaptureError(f"expected an object with 'frames' in {file}, got a {type(data).__name__}")
    return data


def _frames(data: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    frames = data.get("frames", [])
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise CaptureError(f"expected a list of objects as 'frames' in {file}")
    return frames


def _find(path: Path) -> Path:
    """The photo itself, or the one with an extension added."""
    if os.path.isfile(path) or not path.name:  # False, not an error, for a name too long for a file
        return path
    with_suffix = [path.with_name(path.name + suffix) for suffix in SUFFIXES]
    return next((p for p in with_suffix if os.path.isfile(p)), path)


def _pose(matrix: Any, file: Path, name: str) -> Float[Tensor, "4 4"]:
    try:
        world_from_gl = torch.eye(4, dtype=torch.float64)
        rows = torch.tensor(matrix, dtype=torch.float64)
        if rows.shape not in ((3, 4), (4, 4)):
            raise ValueError(f"expected 4x4, got {list(rows.shape)}")
        world_from_gl[: rows.shape[0]] = rows
    except (TypeError, ValueError, RuntimeError, IndexError, RecursionError) as e:
        raise CameraError(f"{file}: expected a 4x4 transform_matrix for {name}, got something else") from e
    world_from_cam = world_from_gl @ GL_FROM_CV
    cam_from_world = torch.eye(4, dtype=torch.float64)
    cam_from_world[:3, :3] = world_from_cam[:3, :3].T
    cam_from_world[:3, 3] = -world_from_cam[:3, :3].T @ world_from_cam[:3, 3]
    return cam_from_world


def _fov_x_rad(values: dict[str, Any], file: Path, name: str) -> float | None:
    angle = values.get("camera_angle_x")
    return None if angle is None else number(angle, f"{file}: camera_angle_x of {name}", error=CameraError)


def _lens(values: dict[str, Any], file: Path, name: str) -> Lens | None:
    """None where the file gives a field of view only."""
    values = values | {
        key: number(values[key], f"{file}: {key} of {name}", error=CameraError)
        for key in (*SAME_EVERYWHERE, "camera_angle_x")
        if key in values
    }
    if "fl_x" not in values:
        if "camera_angle_x" not in values:
            raise CameraError(f"{file}: expected fl_x or camera_angle_x for {name}, got neither")
        return None
    if "w" not in values or "h" not in values:
        if "cx" not in values or "cy" not in values:
            raise CameraError(f"{file}: expected the picture size w and h with fl_x for {name}, got neither")
        values = {"w": round(2 * values["cx"]), "h": round(2 * values["cy"])} | values
    v = {key: values.get(key, 0.0) for key in SAME_EVERYWHERE}
    if v["fl_x"] <= 0 or not (1 <= v["w"] <= LONGEST_SIDE and 1 <= v["h"] <= LONGEST_SIDE):
        raise CameraError(
            f"{file}: expected a positive focal length and size for {name}, got fl_x {v['fl_x']:g}, "
            f"{v['w']:g}x{v['h']:g}"
        )
    size = {"width": int(v["w"]), "height": int(v["h"])}
    pinhole = (
        v["fl_x"],
        v["fl_y"] or v["fl_x"],
        values.get("cx", v["w"] / 2),
        values.get("cy", v["h"] / 2),
    )
    if values.get("camera_model") == "OPENCV_FISHEYE" or values.get("is_fisheye"):
        return Lens("OPENCV_FISHEYE", (*pinhole, v["k1"], v["k2"], v["k3"], v["k4"]), **size)
    if v["k3"]:
        return Lens(
            "FULL_OPENCV", (*pinhole, v["k1"], v["k2"], v["p1"], v["p2"], v["k3"], 0.0, 0.0, 0.0), **size
        )
    if any(v[k] for k in ("k1", "k2", "p1", "p2")):
        return Lens("OPENCV", (*pinhole, v["k1"], v["k2"], v["p1"], v["p2"]), **size)
    return Lens("PINHOLE", pinhole, **size)
