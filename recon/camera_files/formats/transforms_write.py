"""Writer of ``transforms.json`` for nerfstudio and instant-ngp: OpenGL axes, world from camera."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from recon.camera_files.rigid import GL_FROM_CV
from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.compute.files import atomic_write
from recon.pictures.canvas import crop_camera, find_boxes
from recon.pictures.eight_bit import to_eight_bit


def write_transforms(
    file: Path, clip: PictureSet, *, pose_kind: str | None = None, write_images: bool = True
) -> None:
    """Write a posed clip as ``transforms.json``, with its pictures as 8-bit PNG in ``images`` beside it.

    Pictures that fill a part of their canvas are written, and their cameras stated, without it. Without `write_images` the file only names them, as ``images/<name>``.
    """
    from PIL import Image

    cameras = clip.require_cameras().to("cpu", torch.float64).validate(clip.names)
    file.parent.mkdir(parents=True, exist_ok=True)
    paths = [f"images/{name if not write_images else Path(name).with_suffix('.png')}" for name in clip.names]
    boxes = find_boxes(clip)
    for i, path in enumerate(paths if write_images else ()):
        (file.parent / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = to_eight_bit(boxes[i].crop(clip.images[i])).numpy()
        Image.fromarray(pixels).save(file.parent / path, compress_level=1)
    data: dict[str, Any] = {"camera_model": "OPENCV", "frames": []}
    for i, path in enumerate(paths):
        data["frames"] += build_transforms(crop_camera(cameras[i], boxes[i]), [path])["frames"]
    if pose_kind is not None:
        data["pose_kind"] = pose_kind
    with atomic_write(file) as beside:
        beside.write_text(json.dumps(data, indent=1))


def build_transforms(
    cameras: Cameras, paths: Sequence[str], times_s: Sequence[float] | None = None
) -> dict[str, Any]:
    """Content of a ``transforms.json`` for cameras with one picture each.

    Args:
        paths: paths of the pictures, relative to the file.
        times_s: when each was taken, seconds; None: nobody says.
    """
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
    if times_s is not None:
        for frame, time_s in zip(frames, times_s, strict=True):
            frame["time"] = time_s
    return {"camera_model": "OPENCV", "frames": frames}
