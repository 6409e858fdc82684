"""Read the answer of a model that runs elsewhere; it comes from a stranger, so that nothing in it is believed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recon.bounded import check_memory, check_pixels, check_regular_file, read_arrays, read_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.pictures.headers import photo_shape
from recon.pictures.images import as_unit, decode
from worldgen.model import SAME_SHAPE, Request, Views

FORMAT, VERSION = "bridge4d-answer", 1
LARGEST_PICTURE = 256 << 20
"""Bytes of a picture file at most; PNGs of 8K without compression have 100 MB."""
LARGEST_JSON = 1 << 20
"""Bytes of an answer.json or error.json at most."""


def is_answered(folder: Path) -> bool:
    """Whether an answer was written whole."""
    return (folder / "answer.json").is_file()


def read_answer(folder: Path, request: Request, who: str) -> Views:
    """The frames of an answer at the size of the targets, with the cameras that it says were drawn.

    Args:
        folder: holds ``answer.json`` and ``frames``.
        who: names the model in errors.

    Raises:
        BridgeError: another format or version, frames missing, of several sizes or of another shape, values that are no cameras.
    """
    _check_told(read_json(folder / "answer.json", most=LARGEST_JSON), folder)
    targets = request.targets
    n, w, h = len(targets), targets.width, targets.height
    images = _read_pictures(folder / "frames", n, who)
    height, width = images.shape[1:3]
    if abs(width * h / (height * w) - 1) > SAME_SHAPE:
        raise BridgeError(
            f"expected frames in the shape of {w}x{h} from {who}, got {width}x{height}; scale them, and do not crop"
        )
    drawn = _read_cameras(folder / "cameras.npz", n, width, height, who)
    confidence = None
    if (folder / "confidence").is_dir():
        confidence = _read_pictures(folder / "confidence", n, who)[..., 0]
        if confidence.shape[1:] != (height, width):
            confidence = torch.nn.functional.interpolate(
                confidence[:, None], size=(height, width), mode="nearest-exact"
            )[:, 0]
    clip = Clip(images, times_s=request.times_s, confidence=confidence).resize(width=w, height=h)
    return Views(
        replace(clip, cameras=targets), drawn=None if drawn is None else drawn.resize(width=w, height=h)
    )


def _check_told(told: Any, folder: Path) -> None:
    kind, version = (told.get("format"), told.get("version")) if isinstance(told, dict) else (None, None)
    if kind != FORMAT or version != VERSION:
        raise BridgeError(
            f"expected format {FORMAT!r} and version {VERSION} in {folder / 'answer.json'}, got {kind!r:.60} and {version!r:.20}"
        )


def _read_pictures(folder: Path, n: int, who: str) -> torch.Tensor:
    """Pictures 00000.png … of one size, [n,h,w,3] in [0, 1]; others beside them are ignored."""
    files = [folder / f"{i:05d}.png" for i in range(n)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BridgeError(
            f"expected {n} pictures 00000.png … in {folder} from {who}, {missing[0]} is not there"
        )
    pictures: list[torch.Tensor] = []
    size = (0, 0)
    for file in files:
        check_regular_file(file, most=LARGEST_PICTURE)
        try:
            shape = photo_shape(file)
            check_pixels(*shape.size("shown"), file)
            size = size if pictures else shape.size("shown")
            if shape.size("shown") != size:
                raise BridgeError(
                    f"expected frames of one size from {who}, got {size[0]}x{size[1]} and, of {file.name}, "
                    f"{shape.width}x{shape.height}"
                )
            check_memory(
                n * size[0] * size[1] * 12, f"{n} frames of {size[0]}x{size[1]}", "make smaller ones"
            )
            pixels = decode(file)[0]
        except BridgeError:
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files
            raise BridgeError(
                f"{file} of {who} cannot be decoded ({' '.join(str(error).split())[:160]}); expected a PNG"
            ) from error
        pictures.append(as_unit(pixels))
    return torch.stack(pictures)


def _read_cameras(file: Path, n: int, width: int, height: int, who: str) -> Cameras | None:
    """The cameras that were drawn, for pictures of this size; None where the answer brings none."""
    if not file.exists():
        return None
    found = read_arrays(file, most_bytes=1 << 26)
    found = found if isinstance(found, dict) else {}
    if "target_cam_from_world" not in found and "target_K" not in found:
        return None
    shapes = {"target_cam_from_world": (n, 4, 4), "target_K": (n, 3, 3)}
    for name, shape in shapes.items():
        array = found.get(name, np.zeros(0))
        if array.shape != shape:
            raise BridgeError(
                f"expected {name} of the shape {list(shape)} in cameras.npz of {who}, got {list(array.shape)}"
            )
    pose, K = (torch.from_numpy(found[name].astype(np.float64)) for name in shapes)
    try:
        return Cameras(pose, K, width, height).validate()
    except BridgeError as error:
        raise BridgeError(f"cameras.npz of {who}: {error}") from error
