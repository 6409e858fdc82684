"""``transforms.json`` of nerfstudio and instant-ngp: OpenGL axes, world from camera."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import read_json
from recon.cameras import Cameras
from recon.capture.frame_files import natural_key
from recon.capture.listing import Listing, find_pictures
from recon.capture.photos import PosedPhoto
from recon.capture.picture_names import PictureFinder
from recon.capture.rigid import GL_FROM_CV, inverse_rigid
from recon.capture.transforms_lens import read_lens
from recon.clip import Clip
from recon.errors import CameraError, CaptureError
from recon.files import written_whole

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


def list_transforms(file: Path) -> Listing:
    """The photos of a ``transforms.json`` with their lenses and poses; no picture is decoded.

    Intrinsics are those of the whole file or of single frames. Paths are relative to the file and need not be exact,
    see `PictureFinder`.

    Raises:
        CaptureError: not JSON, no frames with matrices, a picture outside the folder.
        CameraError: intrinsics or matrices that are no numbers; a lens that is no pinhole.
    """
    data = read_object(file)
    posed = [f for f in frames_of(data, file) if "transform_matrix" in f]
    if not posed:
        raise CaptureError(
            f"expected frames with a transform_matrix in {file}, found none; give the folder of photos"
        )
    posed.sort(key=lambda f: natural_key(path_of(f)))
    paths = [path_of(f) for f in posed]
    repeated = [p for p, n in Counter(paths).items() if n > 1]
    if repeated:
        raise CaptureError(f"{file} names {repeated[0]!r} twice; expected one frame for a photo")
    finder = PictureFinder(file.parent, capture=_capture_of(file, paths), what=f"{file}: file_path")
    named = find_pictures(paths, finder, file.name)
    short = len({f.name for f in named.files}) == len(paths)
    photos = []
    for path, frame, photo in zip(paths, posed, named.files, strict=True):
        name = photo.name if short else _long_name(path, photo)
        lens = read_lens(data | frame, str(file), name)
        if lens is None:
            raise CameraError(f"{file}: expected fl_x or camera_angle_x for {name}, got neither")
        photos.append(PosedPhoto(name, photo, lens, pose_of(frame["transform_matrix"], file, name)))
    without = [Path(path_of(f)).name for f in frames_of(data, file) if "transform_matrix" not in f]
    skipped = [(name, f"{file.name} has no transform_matrix for it") for name in without]
    notes = named.notes
    if finder.capture != file.parent:
        notes = (*notes, f"{file.name} names pictures outside its folder, in {finder.capture}")
    return Listing(
        "transforms", file, tuple(photos), (file,), tuple(skipped), notes, pose_kind=data.get("pose_kind")
    )


def list_splits(folder: Path) -> Listing | None:
    """The photos of ``transforms_train.json``, with some of ``transforms_test.json`` beside it as held-out ones: as many
    as an eighth of all would be. None where there is no such file.

    Raises:
        CaptureError, CameraError: as `list_transforms`.
    """
    train, judge = folder / SPLITS[0], next((p for s in SPLITS[1:] if has_cameras(p := folder / s)), None)
    if not has_cameras(train):
        return None
    found = list_transforms(train)
    if judge is None:
        return found
    test = list_transforms(judge)
    count = min(len(test.photos), max(1, len(found.photos) // 7))
    chosen = [test.photos[(2 * i + 1) * len(test.photos) // (2 * count)] for i in range(count)]
    photos = [
        replace(p, name=f"{split}/{p.name}")
        for split, part in (("train", found.photos), (judge.stem[11:], chosen))
        for p in part
    ]
    note = f"{train.name} is trained on; {count} of {len(test.photos)} photos of {judge.name} judge, and other splits are not read"
    return replace(
        found,
        photos=tuple(photos),
        camera_files=(train, judge),
        skipped=tuple((f"train/{name}", reason) for name, reason in found.skipped),
        notes=(*dict.fromkeys((*found.notes, *test.notes)), note),
        heldout=tuple(p.name for p in photos[len(found.photos) :]),
    )


SPLITS = ("transforms_train.json", "transforms_test.json", "transforms_val.json")
"""Of NeRF's synthetic scenes, as Blender scripts write them; the second or else the third judges."""


def path_of(frame: dict[str, Any]) -> str:
    return str(frame.get("file_path", ""))


def _capture_of(file: Path, paths: Sequence[str]) -> Path:
    """The folder that pictures must lie in: that of the file, or the one above where it says so and no further."""
    up = any(".." in path.replace("\\", "/").split("/") for path in paths)
    return file.parent.parent if up else file.parent


def _long_name(path: str, photo: Path) -> str:
    plain = PurePosixPath(path.replace("\\", "/")).with_name(photo.name)
    return "/".join(part for part in plain.parts if part not in ("/", ".", ".."))


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
    try:
        world_from_gl = torch.eye(4, dtype=torch.float64)
        rows = torch.tensor(matrix, dtype=torch.float64)
        if rows.shape not in ((3, 4), (4, 4)):
            raise ValueError(f"expected 4x4, got {list(rows.shape)}")
        world_from_gl[: rows.shape[0]] = rows
    except (TypeError, ValueError, RuntimeError, IndexError, RecursionError) as e:
        raise CameraError(f"{file}: expected a 4x4 transform_matrix for {name}, got something else") from e
    return inverse_rigid((world_from_gl @ GL_FROM_CV)[None])[0]
