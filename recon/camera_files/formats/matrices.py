"""Bare matrices, as numpy, JSON or text: nothing in them tells which way they go, so the convention must be given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import read_arrays, read_json
from recon.camera_files.convention import Convention
from recon.camera_files.formats.transforms import DISTORTED
from recon.camera_files.formats.transforms_lens import lens_kind
from recon.camera_files.rigid import squared, still_within
from recon.camera_files.stated import Stated
from recon.camera_files.stated_lens import FISHEYE, NORMALISED, PIXELS_OF_THE_PICTURE, check_size
from recon.camera_files.text import read_table
from recon.camera_files.words.hear import Heard, hear, hear_json
from recon.camera_files.words.lens import DISTORTION, MOST_NAMED, as_array, not_read, words_of_a_lens
from recon.errors import CameraError, CaptureError
from recon.words import counted

INTRINSICS = ("K", "Ks", "k", "intrinsics", "intrinsic")
MOST_BYTES = 256 << 20
"""Of all arrays of a file: two million matrices."""
WIDTHS, HEIGHTS = ("width", "w", "W"), ("height", "h", "H")
DIRECTION_OF = {
    **dict.fromkeys(("cam_from_world", "w2c", "world_to_cam", "world_to_camera"), "cam_from_world"),
    **dict.fromkeys(("extrinsics", "extrinsic", "viewmat", "viewmats"), "cam_from_world"),
    **dict.fromkeys(
        ("world_from_cam", "c2w", "cam_to_world", "camera_to_world", "cam2world"), "world_from_cam"
    ),
}
"""What the name of an array says of it, where it says something."""


def read(file: Path, convention: Convention) -> Stated:
    """[n,3,4] or [n,4,4], also with each matrix flattened row by row.

    npz and JSON objects may hold intrinsics beside them (`INTRINSICS`: [3,3], [n,3,3], or fx fy cx cy as [4] or
    [n,4]) and the ``width`` and ``height`` of the picture that these are for. Intrinsics whose focal length and
    principal point are of the order of 1 are in units of the picture's width and height.

    Raises:
        CaptureError: the file cannot be read at all.
        CameraError: no such array, or several and no telling which.
    """
    held, headings = _held(file)
    if not isinstance(held, dict):
        matrices, labels = _matrices(held, file)
        heard = hear(headings, str(convention), len(matrices), str(file))
        return _stated(matrices, labels, convention, heard)
    arrays = {k: as_array(v) for k, v in held.items()}
    key = _choose(arrays, convention, file)
    matrices, labels = _matrices(arrays[key], file)
    heard = hear_json(_plain(held), str(convention), len(matrices), str(file))
    stated = [k for k in INTRINSICS if k in arrays]
    if len(stated) > 1:
        raise CameraError(f"{file}: expected one array of intrinsics, got {' and '.join(stated)}; keep one")
    found = _stated(
        matrices, labels, convention, heard, _unread(held, {key, *stated, *WIDTHS, *HEIGHTS}, file)
    )
    if not stated:
        return found
    K = _intrinsics(arrays[stated[0]], len(matrices), file)
    return replace(found, K=K, sizes=(_size(arrays, K, file),) * len(matrices))


def _stated(
    matrices: Float[Tensor, "n 4 4"],
    labels: tuple[str, ...],
    convention: Convention,
    heard: Heard,
    notes: tuple[str, ...] = (),
) -> Stated:
    return Stated(
        convention.to_cam_from_world(matrices),
        labels,
        still_within=still_within(matrices, inverse=convention.direction == "cam_from_world"),
        metres_per_unit=heard.metres_per_unit,
        notes=(*heard.notes, *notes),
    )


def _held(file: Path) -> tuple[Any, tuple[str, ...]]:
    """One array and what its file says in words, or a dictionary by names: of arrays, or of whatever JSON holds."""
    kind = file.suffix.lower()
    if kind == ".json":
        data = read_json(file, nan=True, error=CaptureError)
        return (data if isinstance(data, dict) else as_array(data)), ()
    if kind in (".npz", ".npy"):
        return read_arrays(file, most_bytes=MOST_BYTES, texts=True, error=CaptureError), ()
    return _lines(file)


def _plain(held: Mapping[str, Any]) -> dict[str, Any]:
    """Single numbers and texts of npz files as JSON has them; the rest as it is."""

    def one(value: Any) -> Any:
        try:
            return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        except ValueError:  # text that is none
            return None

    return {k: one(v) for k, v in held.items()}


def _lines(file: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Of a text file with a matrix a line (12 or 16 numbers), or a row of a matrix a line (4 numbers); and its comments."""
    table = read_table(file)
    values = table.values.numpy()
    if table.columns == 4:
        bottom = np.array([0, 0, 0, 1])
        rows = 4 if len(values) % 4 == 0 and bool((values[3::4] == bottom).all()) else 3
        if len(values) % rows == 0:
            return values.reshape(-1, rows, 4), table.headings
        raise CameraError(
            f"{file}: expected 3 or 4 lines of 4 numbers for each matrix, got {counted(len(values), 'line')}"
        )
    return values, table.headings


def _choose(arrays: Mapping[str, np.ndarray], convention: Convention, file: Path) -> str:
    """The name of the array of poses."""
    fitting = [
        k
        for k, a in arrays.items()
        if k not in INTRINSICS and not DISTORTION.fullmatch(k) and _looks_like_poses(a)
    ]
    if not fitting:
        held = ", ".join(f"{k} {list(a.shape)}" for k, a in list(arrays.items())[:8]) or "nothing"
        raise CameraError(f"{file}: expected an array of matrices [n,3,4] or [n,4,4], found {held}")
    agreeing = [
        k for k in fitting if DIRECTION_OF.get(k.lower(), convention.direction) == convention.direction
    ]
    if not agreeing:
        raise CameraError(
            f"{file}: the convention {convention} was given, but {fitting[0]!r} is the name of the opposite "
            "direction; mend the convention, or rename the array"
        )
    if len(agreeing) > 1:
        raise CameraError(
            f"{file}: expected one array of matrices, got {', '.join(agreeing)}; keep the one that is meant"
        )
    return agreeing[0]


def _unread(held: Mapping[str, Any], read: set[str], file: Path) -> tuple[str, ...]:
    """What lies beside the poses and says something of the lens, zeros and what is empty apart.

    Raises:
        CameraError: a lens that is no pinhole, in words.
    """
    words = {k: v for k, v in _plain(held).items() if not isinstance(v, np.ndarray)}
    kind = lens_kind(words, str(file), "the clip")
    bent, other = words_of_a_lens(held, read.__contains__)
    bent += ["camera_model"] if kind == FISHEYE else []
    notes = (DISTORTED.format(model=", ".join(bent[:MOST_NAMED])),) if bent else ()
    return (*notes, *not_read(other, file.name))


def _looks_like_poses(a: np.ndarray) -> bool:
    return a.dtype.kind in "fiu" and (
        (a.ndim == 3 and a.shape[1:] in ((3, 4), (4, 4))) or (a.ndim == 2 and a.shape[1] in (12, 16))
    )


def _matrices(a: np.ndarray, file: Path) -> tuple[Float[Tensor, "n 4 4"], tuple[str, ...]]:
    if not _looks_like_poses(a) or len(a) == 0:
        raise CameraError(
            f"{file}: expected matrices of numbers [n,3,4] or [n,4,4], got {a.dtype} {list(a.shape)}"
        )
    values = torch.from_numpy(np.asarray(a, dtype=np.float64)).reshape(len(a), -1, 4)
    labels = tuple(str(i) for i in range(len(a)))
    return squared(values, labels, str(file)), labels


def _intrinsics(a: np.ndarray, n: int, file: Path) -> Float[Tensor, "n 3 3"]:
    """[n,3,3] from any of the shapes that are taken."""
    shape = a.shape
    if shape in ((4,), (n, 4)) and shape != (4, 4):
        fx, fy, cx, cy = np.broadcast_to(a, (n, 4)).T.astype(np.float64)
        K = np.zeros((n, 3, 3))
        K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = fx, fy, cx, cy, 1
    elif shape in ((3, 3), (n, 3, 3)):
        K = np.array(np.broadcast_to(a, (n, 3, 3)), dtype=np.float64)
    else:
        raise CameraError(
            f"{file}: expected intrinsics as [3,3], [{n},3,3], or fx fy cx cy as [4] or [{n},4], got {list(shape)}"
        )
    if not np.allclose(K[:, 2], [0, 0, 1]) or not np.allclose(K[:, 1, 0], 0):
        raise CameraError(
            f"{file}: expected intrinsics [[fx, s, cx], [0, fy, cy], [0, 0, 1]], got {K[0].tolist()}"
        )
    return torch.from_numpy(K)


def _size(arrays: Mapping[str, np.ndarray], K: Float[Tensor, "n 3 3"], file: Path) -> tuple[float, float]:
    """Of the picture that K is for."""
    width = next((arrays[k] for k in WIDTHS if k in arrays), None)
    height = next((arrays[k] for k in HEIGHTS if k in arrays), None)
    if (width is None) != (height is None):
        raise CameraError(f"{file}: expected both width and height, got one of them")
    if width is not None and height is not None:
        if width.size != 1 or height.size != 1:
            raise CameraError(f"{file}: expected one width and height of the pictures, got several")
        return check_size(float(width.item()), float(height.item()), f"{file}: K")
    in_units = bool((K[:, :2, 2] <= 1).all()) and bool((K[:, 0, 0] < 20).all())
    return NORMALISED if in_units else PIXELS_OF_THE_PICTURE
