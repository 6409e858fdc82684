"""Clips and cameras on disk, in a form that people can look at and stages read back exactly.

A stored clip is a folder: one lossless 8-bit PNG per picture, `clip.json` with names, cameras and times, and a
16-bit grey PNG per picture for the confidence where there is one. Stages always read what they stored, so
that a resumed run sees the same numbers as an uninterrupted one.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from bridge4d.stored_json import DamagedFileError, read_object, write_json
from bridge4d.typed_json import misfit
from recon.bounded import read_arrays
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import RunFolderError
from recon.files import fitting_name, open_regular
from recon.points import PointCloud
from recon.sim3 import Sim3
from recon.tracks import Tracks

MOST_BYTES = 2 << 30
"""Of points or tracks in memory: some forty million."""


class StoredClip(TypedDict):
    """What ``clip.json`` says."""

    names: list[str]
    files: list[str]
    cameras: dict[str, Any] | None
    times_s: list[float] | None
    confidence: bool


def save_picture(image: Float[Tensor, "h w 3"], path: Path) -> None:
    """sRGB in [0, 1] to an 8-bit PNG."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path, compress_level=3)


def load_picture(path: Path) -> Float[Tensor, "h w 3"]:
    """sRGB in [0, 1].

    Raises:
        DamagedFileError: no picture, or a broken one.
        OSError: it is not there or may not be read.
    """
    return torch.from_numpy(_pixels(path, "RGB").astype(np.float32) / 255)


def _pixels(path: Path, mode: str | None = None) -> np.ndarray:
    """As stored, or converted to a mode of Pillow."""
    with open_regular(path) as stream:
        try:
            with Image.open(stream) as image:
                return np.array(image if mode is None else image.convert(mode))
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files
            raise DamagedFileError(path, "not a whole picture") from error


def save_clip(clip: Clip, folder: Path) -> None:
    """One PNG per picture, named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [f"{Path(name).stem if stems_unique(clip.names) else name}.png" for name in clip.names]
    for i, file in enumerate(files):
        save_picture(clip.images[i], folder / file)
        if clip.confidence is not None:
            grey = (clip.confidence[i].clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
            Image.fromarray(grey).save(folder / f"{Path(file).stem}.confidence.png", compress_level=3)
    write_json(
        folder / "clip.json",
        {
            "names": list(clip.names),
            "files": files,
            "cameras": None if clip.cameras is None else cameras_to_json(clip.cameras),
            "times_s": None if clip.times_s is None else clip.times_s.tolist(),
            "confidence": clip.confidence is not None,
        },
    )


def load_clip(folder: Path) -> Clip:
    """What `save_clip` left in a folder.

    Raises:
        DamagedFileError: a file of it does not hold what was stored.
        OSError: a file of it is not there or may not be read.
    """
    said = folder / "clip.json"
    about = read_object(said, *StoredClip.__annotations__)
    if why := misfit(about, StoredClip):
        raise DamagedFileError(said, why)
    images = torch.stack([load_picture(folder / file) for file in about["files"]])
    confidence = None
    if about["confidence"]:
        layers = [_pixels(folder / f"{Path(file).stem}.confidence.png") for file in about["files"]]
        confidence = torch.from_numpy(np.stack(layers).astype(np.float32) / 65535)
    try:
        return Clip(
            images=images,
            cameras=None if about["cameras"] is None else cameras_from_json(about["cameras"]),
            times_s=None if about["times_s"] is None else torch.tensor(about["times_s"], dtype=torch.float64),
            names=tuple(about["names"]),
            confidence=confidence,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedFileError(said, "its cameras or times are none") from error


def clip_fingerprint(clip: Clip) -> str:
    """Equal for clips that are equal to the bit."""
    digest = hashlib.sha256(repr((clip.names, tuple(clip.images.shape))).encode())
    parts = [clip.images, clip.confidence, clip.times_s]
    if clip.cameras is not None:
        parts += [clip.cameras.cam_from_world, clip.cameras.K]
    for part in parts:
        digest.update(b"-" if part is None else part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def plain_names(names: Sequence[str]) -> dict[str, str]:
    """For each of different names one that can be a file in a folder, also with another ending: 'left/0.jpg' becomes
    'left_0.jpg'.

    Where two would be the same but for case or ending, both get a hash of the whole name, and no other name changes.
    """
    flat = {name: fitting_name(name.replace("/", "_")) for name in names}
    count = Counter(_stem_of(plain) for plain in flat.values())
    told = {
        name: plain if count[_stem_of(plain)] == 1 else _hashed(name, plain) for name, plain in flat.items()
    }
    if len({_stem_of(plain) for plain in told.values()}) < len(
        told
    ):  # a name looks like another one with its hash
        told = {name: _hashed(name, plain) for name, plain in flat.items()}
    return told


def _stem_of(name: str) -> str:
    return Path(name).stem.casefold()


def _hashed(name: str, plain: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{Path(plain).stem}-{digest}{Path(plain).suffix}"


def stems_unique(names: tuple[str, ...]) -> bool:
    return len({Path(name).stem for name in names}) == len(names)


def cameras_to_json(cameras: Cameras) -> dict:
    """Exact: JSON keeps every bit of a float64."""
    return {
        "width": cameras.width,
        "height": cameras.height,
        "cam_from_world": cameras.cam_from_world.double().tolist(),
        "K": cameras.K.double().tolist(),
    }


def cameras_from_json(content: dict) -> Cameras:
    return Cameras(
        torch.tensor(content["cam_from_world"], dtype=torch.float64).reshape(-1, 4, 4),
        torch.tensor(content["K"], dtype=torch.float64).reshape(-1, 3, 3),
        content["width"],
        content["height"],
    )


def similarity_to_json(similarity: Sim3) -> dict:
    """Exact, and as `bridge4d export --transform` takes it."""
    return {
        "scale": float(similarity.scale),
        "rotation": similarity.rotation.double().tolist(),
        "translation": similarity.translation.double().tolist(),
    }


def similarity_from_json(content: dict | None) -> Sim3:
    """None is the identity."""
    if content is None:
        return Sim3.identity()
    return Sim3(
        *(torch.tensor(content[k], dtype=torch.float64) for k in ("scale", "rotation", "translation"))
    )


def save_points(points: PointCloud, path: Path) -> None:
    np.savez_compressed(
        path, xyz=points.xyz.numpy(), rgb=points.rgb.numpy(), error_px=points.error_px.numpy()
    )


def load_points(path: Path) -> PointCloud:
    """Points with colours and errors, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    xyz, rgb, error_px = _arrays(path, "xyz", "rgb", "error_px")
    return PointCloud(torch.from_numpy(xyz), torch.from_numpy(rgb), torch.from_numpy(error_px))


def save_tracks(tracks: Tracks, path: Path) -> None:
    np.savez_compressed(
        path,
        image=tracks.image.numpy().astype(np.int32),
        point=tracks.point.numpy().astype(np.int32),
        xy=tracks.xy.numpy(),
    )


def load_tracks(path: Path) -> Tracks:
    """Where pictures see points, as stored.

    Raises:
        RunFolderError: the file does not hold what was stored.
    """
    image, point, xy = _arrays(path, "image", "point", "xy")
    return Tracks(
        torch.from_numpy(image.astype(np.int64)),
        torch.from_numpy(point.astype(np.int64)),
        torch.from_numpy(xy),
    )


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an .npz that this project wrote, all of one length."""
    found = read_arrays(path, most_bytes=MOST_BYTES, error=RunFolderError)
    if not isinstance(found, dict) or not found.keys() >= set(names):
        raise DamagedFileError(path, f"it does not hold {', '.join(names)}")
    arrays = [found[name] for name in names]
    if len({array.shape[:1] for array in arrays}) != 1:
        raise DamagedFileError(path, "its arrays are of several lengths")
    return arrays
