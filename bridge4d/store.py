"""Clips and cameras on disk, in a form that people can look at and stages read back exactly.

A stored clip is a folder: one lossless 8-bit PNG per picture, `clip.json` with names, cameras and times, and a
16-bit grey PNG per picture for the confidence where there is one. Stages always read what they stored, so
that a resumed run sees the same numbers as an uninterrupted one.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from bridge4d.run import read_json, write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.points import PointCloud
from recon.sim3 import Sim3
from recon.tracks import Tracks


def save_picture(image: Float[Tensor, "h w 3"], path: Path) -> None:
    """sRGB in [0, 1] to an 8-bit PNG."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path, compress_level=3)


def load_picture(path: Path) -> Float[Tensor, "h w 3"]:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32) / 255)


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
    about = read_json(folder / "clip.json")
    images = torch.stack([load_picture(folder / file) for file in about["files"]])
    confidence = None
    if about["confidence"]:
        layers = [np.array(Image.open(folder / f"{Path(f).stem}.confidence.png")) for f in about["files"]]
        confidence = torch.from_numpy(np.stack(layers).astype(np.float32) / 65535)
    return Clip(
        images=images,
        cameras=None if about["cameras"] is None else cameras_from_json(about["cameras"]),
        times_s=None if about["times_s"] is None else torch.tensor(about["times_s"], dtype=torch.float64),
        names=tuple(about["names"]),
        confidence=confidence,
    )


def clip_fingerprint(clip: Clip) -> str:
    """Equal for clips that are equal to the bit."""
    digest = hashlib.sha256(repr((clip.names, tuple(clip.images.shape))).encode())
    parts = [clip.images, clip.confidence, clip.times_s]
    if clip.cameras is not None:
        parts += [clip.cameras.cam_from_world, clip.cameras.K]
    for part in parts:
        digest.update(b"-" if part is None else part.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def plain_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that can be files in one folder, without their endings too: 'left/0.jpg' becomes 'left_0.jpg'."""
    flat = tuple(name.replace("/", "_") for name in names)
    if stems_unique(flat):
        return flat
    return tuple(f"{Path(n).stem}_{Path(n).suffix[1:]}{Path(n).suffix}" for n in flat)


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
    with np.load(path) as arrays:
        return PointCloud(*(torch.from_numpy(arrays[key]) for key in ("xyz", "rgb", "error_px")))


def save_tracks(tracks: Tracks, path: Path) -> None:
    np.savez_compressed(
        path,
        image=tracks.image.numpy().astype(np.int32),
        point=tracks.point.numpy().astype(np.int32),
        xy=tracks.xy.numpy(),
    )


def load_tracks(path: Path) -> Tracks:
    with np.load(path) as arrays:
        image, point = (torch.from_numpy(arrays[key].astype(np.int64)) for key in ("image", "point"))
        return Tracks(image, point, torch.from_numpy(arrays["xy"]))
