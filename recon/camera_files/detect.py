"""Detection of a camera file's format by its content; ambiguity is an error, never a guess."""

import os
from pathlib import Path
from typing import Literal, get_args

from recon.bounded import read_json, read_text
from recon.camera_files.convention import Convention
from recon.camera_files.formats import kitti, matrices, realestate10k, tum
from recon.camera_files.formats.camera_path import is_camera_path
from recon.camera_files.formats.colmap import find_model
from recon.camera_files.formats.recammaster import is_recammaster
from recon.camera_files.text import COMMENT, read_table
from recon.camera_files.words.heading import find_column_order
from recon.errors import BridgeError, CameraError, CaptureError

Format = Literal[
    "realestate10k", "colmap", "transforms", "camera-path", "recammaster", "tum", "kitti", "matrices"
]
FORMATS: tuple[str, ...] = get_args(Format)
CONVENTION_OF = {
    "realestate10k": "cam_from_world/opencv",
    "colmap": "cam_from_world/opencv",
    "transforms": "world_from_cam/opengl",
    "camera-path": "world_from_cam/opengl",
    "recammaster": "world_from_cam/unreal",
    "tum": "world_from_cam/opencv",
    "kitti": "world_from_cam/opencv",
}
"""Convention of each format that defines one."""
NAMES_OF_POSES = ("poses", "pose", "cameras", "matrices", "trajectory")
"""Keys of JSON objects that hold poses, beside those of `matrices.DIRECTION_OF`."""
MATRIX_COLUMNS = (4, 16)
"""Numbers a line of bare matrices: a row a line, or a whole 4x4 matrix; 12 are KITTI's."""


def detect(path: Path, convention: Convention | None) -> str:
    """Detect the format of a file or folder by its name, first lines and columns.

    Raises:
        CaptureError: the path does not exist or cannot be read.
        CameraError: the content fits no format, or more than one.
    """
    if not os.path.exists(path):  # False, not an error, for a name too long for a file
        raise CaptureError(f"expected a camera file, but {path} does not exist")
    if path.is_dir():
        if (path / "transforms.json").is_file():
            return "transforms"
        if find_model(path) is not None:
            return "colmap"
        raise CaptureError(f"expected a transforms.json or a COLMAP model in {path}, found neither")
    if is_part_of_model(path):
        return "colmap"
    kind = path.suffix.lower()
    if kind in (".npz", ".npy"):
        return "matrices"
    if kind == ".json":
        return _detect_json(path)
    return _detect_text(path, convention)


def _detect_json(path: Path) -> str:
    data = read_json(path, nan=True, error=CaptureError)
    if isinstance(data, dict) and "frames" in data:
        return "transforms"
    if is_camera_path(data):
        return "camera-path"
    return "recammaster" if is_recammaster(data) else "matrices"


def detect_with_default(path: Path, convention: str | None, default: str | None) -> str:
    """Detect a file's format; fall back to `default` where the content does not tell.

    A default of 'matrices' also wins over KITTI, whose 12 numbers a line may be bare matrices.

    Raises:
        CaptureError, CameraError: as `detect`, where there is no `default`; an unknown `default` or `convention`.
    """
    check_format(default)
    wanted = None if convention is None else Convention.parse(convention)
    try:
        found = detect(path, wanted)
    except CameraError:
        if default is None:
            raise
        return default
    return "matrices" if (found, default) == ("kitti", "matrices") else found


def check_format(format: str | None) -> None:
    """Refuse an unknown format; None passes.

    Raises:
        CameraError: neither None nor one of `FORMATS`.
    """
    if format is not None and format not in FORMATS:
        raise CameraError(f"expected a format out of {', '.join(FORMATS)}; got {format!r}")


def holds_cameras(path: Path) -> bool:
    """Whether a file beside a clip is meant to be its cameras, not a caption or settings.

    True also for damaged cameras, so that reading them reports the damage.
    """
    kind = path.suffix.lower()
    if path.is_dir() or kind in (".npz", ".npy"):
        return True
    if kind == ".json":
        try:
            data = read_json(path, nan=True)
        except BridgeError:
            return True
        if isinstance(data, dict) and isinstance(data.get("frames"), list):
            return any(isinstance(f, dict) and "transform_matrix" in f for f in data["frames"])
        if is_camera_path(data) or is_recammaster(data):
            return True
        names = {k.lower() for k in data} if isinstance(data, dict) else set()
        return isinstance(data, list) or bool(names & {*matrices.DIRECTION_OF, *NAMES_OF_POSES})
    try:
        lines = [x for x in read_text(path).splitlines() if x.strip() and not COMMENT.match(x.lstrip())][:4]
    except BridgeError:
        return False
    return any(_starts_with_numbers(line) for line in lines)


def is_part_of_model(path: Path) -> bool:
    """Whether a file is ``cameras`` or ``images`` of a COLMAP model, given in place of its folder."""
    return (
        path.stem in ("cameras", "images")
        and path.suffix.lower() in (".txt", ".bin")
        and all((path.parent / f"{part}{path.suffix}").is_file() for part in ("cameras", "images"))
    )


def is_transforms(path: Path) -> bool:
    """Whether a file has the content of a ``transforms.json``, under any name that ends in .json.

    Raises:
        CaptureError: a .json file that is not JSON.
    """
    if path.suffix.lower() != ".json":
        return False
    data = read_json(path, nan=True, error=CaptureError)
    return isinstance(data, dict) and "frames" in data


def _detect_text(path: Path, convention: Convention | None) -> str:
    table = read_table(path)
    n = table.columns
    if n == realestate10k.COLUMNS:
        return "realestate10k"
    if n == tum.COLUMNS:
        if table.commas and find_column_order(table.headings, n, str(path)) is None:
            raise CameraError(
                f"{path}: 8 numbers parted by commas may be TUM's 't tx ty tz qx qy qz qw' or EuRoC's "
                "'t p qw qx qy qz'; say format 'tum' if it is the former"
            )
        return "tum"
    if n == kitti.COLUMNS:
        if convention is not None and str(convention) != CONVENTION_OF["kitti"]:
            raise CameraError(
                f"{path}: 12 numbers a line are KITTI's {CONVENTION_OF['kitti']}, but the convention "
                f"{convention} was given; say format 'matrices' if the convention is right, 'kitti' or no convention "
                "otherwise"
            )
        return "kitti"
    if n in MATRIX_COLUMNS:
        return "matrices"
    raise CameraError(
        f"{path}: no format of cameras has {n} numbers a line; expected 19 (RealEstate10K), 12 (KITTI), 8 (TUM), "
        "or 16 or 4 (matrices)"
    )


def _starts_with_numbers(line: str) -> bool:
    words = line.replace(",", " ").split()
    try:
        [float(w) for w in words[:4]]
    except ValueError:
        return False
    return len(words) >= 4
