"""Clips and cameras on disk, in a form that people can look at and stages read back exactly.

A stored clip is a folder: one lossless 8-bit PNG per picture, `clip.json` with names, cameras and times, and a
16-bit grey PNG per picture for the confidence where there is one, unless it only says which box of its canvas each picture fills:
`clip.json` then has the boxes. Stages always read what they stored, so that a resumed run sees the same numbers as an uninterrupted one.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from bridge4d.runs.plain_names import stems_unique
from bridge4d.runs.stored_json import DamagedFileError, write_json
from bridge4d.runs.typed_json import read_typed, understood
from recon.bounded import check_pixels
from recon.cameras import Cameras
from recon.clip import Clip, PictureSet
from recon.compute.files import open_regular
from recon.pictures.canvas import Box, boxes_of, fill_box
from recon.pictures.eight_bit import to_eight_bit
from recon.pictures.lazy import LazyPictures
from recon.sim3 import Sim3

NO_PICTURE, WRONG_PICTURES = "not a whole picture", "its pictures are not those of its cameras"
"""What is wrong with files of a clip."""
ROTATION_ERROR = 1e-6
"""Of the products of rows of a stored rotation, which is exact but for rounding."""


class StoredCameras(TypedDict):
    """What `cameras_to_json` says."""

    width: int
    height: int
    cam_from_world: list[list[list[float]]]
    K: list[list[list[float]]]


class StoredSimilarity(TypedDict):
    """What `similarity_to_json` says."""

    scale: float
    rotation: list[list[float]]
    translation: list[float]


class StoredClip(TypedDict):
    """What ``clip.json`` says."""

    names: list[str]
    files: list[str]
    cameras: StoredCameras | None
    times_s: list[float] | None
    confidence: bool
    """Whether there is a picture of the confidence of each picture."""
    boxes: NotRequired[list[list[int]] | None]
    """Left, top, width and height of each picture on its canvas, where confidence is 1 inside and 0 around."""


class StoredRecovery(TypedDict):
    """What ``cameras.json`` of a recovery stage says."""

    names: list[str]
    cameras: StoredCameras | None


def save_picture(image: Float[Tensor, "h w 3"], path: Path) -> None:
    """sRGB in [0, 1] to an 8-bit PNG."""
    pixels = to_eight_bit(image).numpy()
    Image.fromarray(pixels).save(path, compress_level=3)


def load_picture(path: Path) -> Float[Tensor, "h w 3"]:
    """sRGB in [0, 1].

    Raises:
        DamagedFileError: no picture, or a broken one.
        OSError: it is not there or may not be read.
    """
    return torch.from_numpy(_read_pixels(path, "RGB").astype(np.float32) / 255)


def _read_pixels(path: Path, mode: str | None = None) -> np.ndarray:
    """As stored, or converted to a mode of Pillow."""
    with open_regular(path) as stream:
        try:
            with Image.open(stream) as image:
                return np.array(image if mode is None else image.convert(mode))
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files
            raise DamagedFileError(path, NO_PICTURE) from error


def save_clip(clip: PictureSet, folder: Path, *, rows: Sequence[int] | None = None) -> None:
    """One PNG per picture, named after it.

    Args:
        rows: the pictures to store, in this order; they are not copied first. None: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(range(len(clip)) if rows is None else rows)
    names = tuple(clip.names[i] for i in rows)
    files = [f"{Path(name).stem if stems_unique(names) else name}.png" for name in names]
    sure = None if clip.confidence is None else clip.confidence[rows]
    boxes = None if sure is None else boxes_of(sure)
    for n, (i, file) in enumerate(zip(rows, files, strict=True)):
        save_picture(clip.images[i], folder / file)
        if sure is not None and boxes is None:
            grey = (sure[n].clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
            Image.fromarray(grey).save(folder / f"{Path(file).stem}.confidence.png", compress_level=3)
    write_json(
        folder / "clip.json",
        {
            "names": list(names),
            "files": files,
            "cameras": None if clip.cameras is None else cameras_to_json(clip.cameras[rows]),
            "times_s": None if clip.times_s is None else clip.times_s[rows].tolist(),
            "confidence": sure is not None and boxes is None,
            **({} if boxes is None else {"boxes": [list(box) for box in boxes]}),
        },
    )


def load_clip(folder: Path, max_side: int | None = None) -> Clip:
    """What `save_clip` left in a folder, in memory.

    Args:
        max_side: pixels of the long side at most.

    Raises:
        DamagedFileError: a file of it does not hold what was stored.
        OSError: a file of it is not there or may not be read.
    """
    stored = open_clip(folder)
    return (stored if max_side is None else stored.limit_size(max_side)).load()


def open_clip(folder: Path) -> PictureSet:
    """What `save_clip` left in a folder; pictures are read when they are looked at.

    Raises:
        DamagedFileError, OSError: as `load_clip`, of a picture when it is read.
    """
    about, cameras = read_clip_json(folder)
    boxes = read_boxes(about, folder)
    files = [folder / file for file in about["files"]]
    height, width = _size_of(files[0]) if files else (0, 0)

    def load_layer(i: int) -> Tensor:
        """Confidence [h, w] of picture i."""
        if boxes is None:
            grey = _read_pixels(files[i].with_name(f"{files[i].stem}.confidence.png"))
            return _check_size(torch.from_numpy(grey.astype(np.float32) / 65535), (height, width), folder)
        return fill_box(boxes[i], width=width, height=height)

    rows = range(len(files))
    images = LazyPictures(
        lambda i: _check_size(load_picture(files[i]), (height, width), folder),
        rows,
        shape_of_one=(height, width, 3),
    )
    layered = about["confidence"] or boxes is not None
    with understood(folder / "clip.json", WRONG_PICTURES):
        return PictureSet(
            images=images,
            cameras=cameras,
            times_s=None if about["times_s"] is None else torch.tensor(about["times_s"], dtype=torch.float64),
            names=tuple(about["names"]),
            confidence=LazyPictures(load_layer, rows, shape_of_one=(height, width)) if layered else None,
        )


def _size_of(file: Path) -> tuple[int, int]:
    """(height, width) of a stored picture, whose pixels stay unread."""
    with open_regular(file) as stream:
        try:
            with Image.open(stream) as image:
                return image.height, image.width
        except Exception as error:  # as in `_read_pixels`
            raise DamagedFileError(file, NO_PICTURE) from error


def _check_size(picture: Tensor, size: tuple[int, int], folder: Path) -> Tensor:
    if tuple(picture.shape[:2]) != size:
        raise DamagedFileError(folder / "clip.json", WRONG_PICTURES)
    return picture


def read_clip_json(folder: Path) -> tuple[StoredClip, Cameras | None]:
    """What a stored clip says of its pictures, and its cameras; the pictures stay unread.

    Raises:
        DamagedFileError: it is not what was stored: other types, counts that differ, files that lie elsewhere.
        OSError: it is not there or may not be read.
    """
    said = folder / "clip.json"
    about: StoredClip = read_typed(said, StoredClip)
    cameras = None
    if about["cameras"] is not None:
        with understood(said, "its cameras are none"):
            cameras = cameras_from_json(about["cameras"])
    counts = [
        len(part) for part in (about["names"], about["files"], cameras, about["times_s"]) if part is not None
    ]
    if len({*counts}) != 1:
        raise DamagedFileError(said, "it does not hold as many names as files, cameras and times")
    if elsewhere := [file for file in about["files"] if Path(file).name != file]:
        raise DamagedFileError(said, f"{elsewhere[0][:60]!a} is not the name of a file beside it")
    return about, cameras


def read_boxes(about: StoredClip, folder: Path) -> list[Box] | None:
    """The boxes that a stored clip states; None where it states none.

    Raises:
        DamagedFileError: not a box for each picture, or an empty one.
    """
    stated = about.get("boxes")
    if stated is None:
        return None
    sound = all(len(box) == 4 and min(box[:2]) >= 0 and min(box[2:]) > 0 for box in stated)
    if not sound or len(stated) != len(about["names"]):
        raise DamagedFileError(folder / "clip.json", "it does not hold a box for each picture")
    return [Box(*box) for box in stated]


def clip_fingerprint(clip: Clip) -> str:
    """Equal for clips that are equal to the bit."""
    digest = hashlib.sha256(repr((clip.names, tuple(clip.images.shape))).encode())
    parts = [clip.images, clip.confidence, clip.times_s]
    if clip.cameras is not None:
        parts += [clip.cameras.cam_from_world, clip.cameras.K]
    for part in parts:
        digest.update(b"-" if part is None else part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def cameras_to_json(cameras: Cameras) -> dict:
    """Exact: JSON keeps every bit of a float64."""
    return {
        "width": cameras.width,
        "height": cameras.height,
        "cam_from_world": cameras.cam_from_world.double().tolist(),
        "K": cameras.K.double().tolist(),
    }


def cameras_from_json(content: StoredCameras) -> Cameras:
    """Raises: ValueError or BridgeError where the numbers are none of so many cameras."""
    check_pixels(content["width"], content["height"], "a stored clip")
    pose, K = _parse_tensor(content["cam_from_world"], None, 4, 4), _parse_tensor(content["K"], None, 3, 3)
    return Cameras(pose, K, content["width"], content["height"])


def read_recovered(path: Path, names: Sequence[str]) -> Cameras:
    """Of the cameras that a recovery stage found, those with these names.

    Raises:
        DamagedFileError: it is not what was stored, or does not hold them.
        OSError: it is not there or may not be read.
    """
    said: StoredRecovery = read_typed(path, StoredRecovery)
    with understood(path, "its cameras are none"):
        cameras = cameras_from_json(said["cameras"]).validate() if said["cameras"] else None
    where = {name: i for i, name in enumerate(said["names"])}
    if cameras is None or len(cameras) != len(said["names"]) or not where.keys() >= set(names):
        raise DamagedFileError(path, "it does not hold a camera of each frame that was accepted")
    return cameras[[where[name] for name in names]]


def similarity_to_json(similarity: Sim3) -> dict:
    """Exact, and as `bridge4d export --transform` takes it."""
    return {
        "scale": float(similarity.scale),
        "rotation": similarity.rotation.double().tolist(),
        "translation": similarity.translation.double().tolist(),
    }


def similarity_from_json(content: StoredSimilarity | None) -> Sim3:
    """None is the identity. Raises: ValueError where the numbers are no similarity."""
    if content is None:
        return Sim3.identity()
    scale, rotation = _parse_tensor(content["scale"]), _parse_tensor(content["rotation"], 3, 3)
    turned = torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=rotation.dtype), atol=ROTATION_ERROR)
    if not (scale > 0 and turned and torch.linalg.det(rotation) > 0):
        raise ValueError("no similarity")
    return Sim3(scale, rotation, _parse_tensor(content["translation"], 3))


def _parse_tensor(numbers: Any, *shape: int | None) -> Tensor:
    """In float64. Raises: ValueError where it is of another shape; None is any size, and that of nothing is 0."""
    found = torch.tensor(numbers, dtype=torch.float64)
    if found.shape == (0,) and shape[:1] == (None,):
        return found.reshape(0, *(size or 0 for size in shape[1:]))
    if len(found.shape) != len(shape) or any(
        size not in (None, side) for side, size in zip(found.shape, shape, strict=True)
    ):
        raise ValueError(f"expected numbers of shape {shape}, got {tuple(found.shape)}")
    return found
