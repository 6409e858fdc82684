"""Bare matrices as numpy, JSON or text; their convention must be given."""

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
from recon.camera_files.rigid import position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import FISHEYE, NORMALISED, PIXELS_OF_THE_PICTURE, check_size
from recon.camera_files.text import read_table
from recon.camera_files.words.lens import DISTORTION, MAX_NAMED_KEYS, as_array, find_lens_keys, note_unread
from recon.camera_files.words.statements import Statements, interpret_keys, interpret_lines
from recon.errors import CameraError, CaptureError
from recon.words import count_noun

INTRINSICS = ("K", "Ks", "k", "intrinsics", "intrinsic")
"""Names of arrays that hold intrinsics."""
MAX_ARRAY_BYTES = 256 << 20
"""Bytes of all arrays of a file together: two million 4x4 matrices in float64."""
WIDTHS, HEIGHTS = ("width", "w", "W"), ("height", "h", "H")
"""Names of numbers that hold the size of the picture."""
DIRECTION_OF = {
    **dict.fromkeys(("cam_from_world", "w2c", "world_to_cam", "world_to_camera"), "cam_from_world"),
    **dict.fromkeys(("extrinsics", "extrinsic", "viewmat", "viewmats"), "cam_from_world"),
    **dict.fromkeys(
        ("world_from_cam", "c2w", "cam_to_world", "camera_to_world", "cam2world"), "world_from_cam"
    ),
}
"""Direction of poses that the name of an array states."""


def read(file: Path, convention: Convention) -> StatedCameras:
    """Read poses [n,3,4] or [n,4,4], also with each matrix flattened row by row.

    npz and JSON objects may hold intrinsics beside them (`INTRINSICS`: [3,3], [n,3,3], or fx fy cx cy as [4] or
    [n,4]) and the ``width`` and ``height`` of the picture that these are for. Intrinsics whose focal length and
    principal point are of the order of 1 are in units of the picture's width and height.

    Raises:
        CaptureError: an unreadable file.
        CameraError: no array of matrices, or several that may be meant.
    """
    held, headings = _load(file)
    if not isinstance(held, dict):
        matrices, labels = _matrices(held, file)
        statements = interpret_lines(headings, str(convention), len(matrices), str(file))
        return _build_stated(matrices, labels, convention, statements)
    arrays = {k: as_array(v) for k, v in held.items()}
    key = _choose_poses(arrays, convention, file)
    matrices, labels = _matrices(arrays[key], file)
    statements = interpret_keys(_unpack_scalars(held), str(convention), len(matrices), str(file))
    stated = [k for k in INTRINSICS if k in arrays]
    if len(stated) > 1:
        raise CameraError(f"{file}: expected one array of intrinsics, got {' and '.join(stated)}; keep one")
    found = _build_stated(
        matrices,
        labels,
        convention,
        statements,
        _note_unread_arrays(held, {key, *stated, *WIDTHS, *HEIGHTS}, file),
    )
    if not stated:
        return found
    K = _intrinsics(arrays[stated[0]], len(matrices), file)
    return replace(found, K=K, sizes=(_size(arrays, K, file),) * len(matrices))


def _build_stated(
    matrices: Float[Tensor, "n 4 4"],
    labels: tuple[str, ...],
    convention: Convention,
    statements: Statements,
    notes: tuple[str, ...] = (),
) -> StatedCameras:
    return StatedCameras(
        convention.to_cam_from_world(matrices),
        labels,
        position_tolerance=position_tolerance(matrices, inverse=convention.direction == "cam_from_world"),
        metres_per_unit=statements.metres_per_unit,
        notes=(*statements.notes, *notes),
    )


def _load(file: Path) -> tuple[Any, tuple[str, ...]]:
    """Load one array and the comments of its file, or a dictionary of arrays or JSON values."""
    kind = file.suffix.lower()
    if kind == ".json":
        data = read_json(file, nan=True, error=CaptureError)
        return (data if isinstance(data, dict) else as_array(data)), ()
    if kind in (".npz", ".npy"):
        return read_arrays(file, most_bytes=MAX_ARRAY_BYTES, texts=True, error=CaptureError), ()
    return _load_text(file)


def _unpack_scalars(held: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays of one number or text, as npz files have them, as plain values; the rest as it is."""
    return {k: _unpack_scalar(v) for k, v in held.items()}


def _unpack_scalar(value: Any) -> Any:
    try:
        return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    except ValueError:  # an array of text that is not valid text
        return None


def _load_text(file: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Matrices and comments of a text file: a matrix a line (12 or 16 numbers), or a row of one (4 numbers)."""
    table = read_table(file)
    values = table.values.numpy()
    if table.columns == 4:
        bottom = np.array([0, 0, 0, 1])
        rows = 4 if len(values) % 4 == 0 and bool((values[3::4] == bottom).all()) else 3
        if len(values) % rows == 0:
            return values.reshape(-1, rows, 4), table.headings
        raise CameraError(
            f"{file}: expected 3 or 4 lines of 4 numbers for each matrix, got {count_noun(len(values), 'line')}"
        )
    return values, table.headings


def _choose_poses(arrays: Mapping[str, np.ndarray], convention: Convention, file: Path) -> str:
    """Choose the array that holds the poses; returns its name.

    Raises:
        CameraError: none fits, several do, or its name states the opposite direction.
    """
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


def _note_unread_arrays(held: Mapping[str, Any], read: set[str], file: Path) -> tuple[str, ...]:
    """Notes on arrays about the lens that are not read, except zeros and empty ones.

    Raises:
        CameraError: a stated lens that no pinhole can stand for.
    """
    words = {k: v for k, v in _unpack_scalars(held).items() if not isinstance(v, np.ndarray)}
    kind = lens_kind(words, str(file), "the clip")
    bent, other = find_lens_keys(held, read.__contains__)
    bent += ["camera_model"] if kind == FISHEYE else []
    notes = (DISTORTED.format(model=", ".join(bent[:MAX_NAMED_KEYS])),) if bent else ()
    return (*notes, *note_unread(other, file.name))


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
    return to_homogeneous(values, labels, str(file)), labels


def _intrinsics(a: np.ndarray, n: int, file: Path) -> Float[Tensor, "n 3 3"]:
    """K [n,3,3] from [3,3], [n,3,3], or fx fy cx cy as [4] or [n,4]."""
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
    """(width, height) of the picture that K is for, or one of the markers of `StatedK`."""
    width = next((arrays[k] for k in WIDTHS if k in arrays), None)
    height = next((arrays[k] for k in HEIGHTS if k in arrays), None)
    if (width is None) != (height is None):
        raise CameraError(f"{file}: expected both width and height, got one of them")
    if width is not None and height is not None:
        if width.size != 1 or height.size != 1:
            raise CameraError(f"{file}: expected one width and height of the pictures, got several")
        return check_size(float(width.item()), float(height.item()), f"{file}: K")
    # a focal length of 20 widths is a field of view of 3 degrees; in pixels none is as short as 20
    in_units = bool((K[:, :2, 2] <= 1).all()) and bool((K[:, 0, 0] < 20).all())
    return NORMALISED if in_units else PIXELS_OF_THE_PICTURE
