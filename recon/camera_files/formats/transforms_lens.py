"""Lenses of a ``transforms.json``: each number is used, or refused by name."""

import math
import re
from collections.abc import Mapping
from typing import Any

from recon.bounded import parse_number, parse_numbers
from recon.camera_files.rigid import half_digit
from recon.camera_files.stated_lens import FISHEYE, StatedLens, UnsizedLens, check_size
from recon.errors import CameraError

PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
"""Values of ``camera_model`` that mean a pinhole with radial and tangential distortion. nerfstudio knows more:
EQUIRECTANGULAR, FISHEYE624, VR180_L, ORTHOPHOTO …"""
OTHER_LENSES = (
    "equirectangular",
    "latlong",
    "is_equirectangular",
    "is_panorama",
    "ortho",
    "is_ortho",
    "orthographic",
)
"""Keys that, where they are set, mean a picture that no pinhole took."""
SAME_ANGLE_RAD = 1e-9
"""Largest difference of two equal angles after conversion from degrees; far below the last digit of any file."""
COEFFICIENT = re.compile(r"k[1-9]|p[1-9]|s[1-9]|s[xy][12]|b[12]|omega|xi|skew|ftheta_p[0-9]")
"""Keys of distortion in any lens model (nerfstudio, instant-ngp, Metashape)."""
LISTED = ("k1", "k2", "k3", "k4", "p1", "p2")
"""nerfstudio's order of ``distortion_params``."""


def read_lens(values: Mapping[str, Any], what: str, name: str) -> StatedLens | None:
    """Read the lens of a frame; None where the file states none.

    Args:
        values: keys of the file's head, overlaid with those of the frame.
        what: the file, for the error.
        name: the photo, for the error.

    Raises:
        CameraError: a lens that no pinhole can stand for, a coefficient that no lens here has, a value that is no number.
    """
    found = {
        key: parse_number(values[key], f"{what}: {key} of {name}", error=CameraError)
        for key in values
        if values[key] is not None and (key in _PLAIN or COEFFICIENT.fullmatch(key))
    }
    if values.get("distortion_params") is not None:
        said = f"{what}: distortion_params of {name}"
        listed = parse_numbers(values["distortion_params"], said, count=len(LISTED), error=CameraError)
        found |= dict(zip(LISTED, listed, strict=True))
    model, taken = _model(values, found, what, name)
    _refuse_rest(found, taken, what, name)
    for key in ("fl_x", "fl_y"):
        if found.get(key, 1.0) <= 0:
            raise CameraError(
                f"{what}: expected a positive focal length as {key} of {name}, got {found[key]:g}"
            )
    (fov_x, within_x), (fov_y, within_y) = (_fov_rad(found, axis, what, name) for axis in "xy")
    focal = found.get("fl_x"), found.get("fl_y")
    if focal == (None, None) and fov_x is None and fov_y is None:
        return None
    lens = UnsizedLens(
        model,
        focal,
        (fov_x, fov_y),
        (within_x, within_y),
        (found.get("cx"), found.get("cy")),
        tuple(found.get(key, 0.0) if key else 0.0 for key in taken),
    )
    if ("w" in found) != ("h" in found):
        raise CameraError(
            f"{what}: expected both w and h for {name}, got one of them; state the other, or neither"
        )
    if "w" not in found:
        return lens
    try:
        return lens.at(*check_size(found["w"], found["h"], "the lens"))
    except CameraError as e:
        raise CameraError(f"{what}: {name}: {e}") from e


def is_read(key: str) -> bool:
    """Whether a key of a file or frame is read as part of its lens."""
    known = (*_PLAIN, *OTHER_LENSES, "camera_model", "is_fisheye", "distortion_params")
    return key in known or COEFFICIENT.fullmatch(key) is not None


def lens_kind(values: Mapping[str, Any], what: str, name: str) -> str | None:
    """Kind of lens that a JSON file names: one of `PERSPECTIVE`, `FISHEYE`, or None.

    Raises:
        CameraError: a kind that no pinhole can stand for, or two that contradict each other.
    """
    stated = values.get("camera_model")
    upper = None if stated is None else str(stated).upper()
    fisheye = bool(values.get("is_fisheye"))
    other = next((key for key in OTHER_LENSES if values.get(key)), None)
    if upper not in (None, *PERSPECTIVE, FISHEYE):
        other = str(stated)
    if other is not None:
        raise CameraError(
            f"{what}: {name} was taken with a lens of the kind {other[:40]!r}; expected a pinhole, with or without "
            f"distortion ({', '.join(PERSPECTIVE)}, {FISHEYE}); unwrap the pictures to pinholes first"
        )
    if fisheye and upper not in (None, FISHEYE):
        raise CameraError(
            f"{what}: is_fisheye and camera_model {str(stated)[:40]!r} contradict each other for {name}; keep one"
        )
    return FISHEYE if fisheye else upper


_PLAIN = ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov")
"""Keys that are read as numbers of a pinhole."""


def _model(
    values: Mapping[str, Any], found: Mapping[str, float], what: str, name: str
) -> tuple[str, tuple[str, ...]]:
    """COLMAP's model of the lens, and the keys of its distortion in COLMAP's order ('' for one that is 0)."""
    upper = lens_kind(values, what, name)
    if upper == FISHEYE:
        return FISHEYE, ("k1", "k2", "k3", "k4")
    bent = {key for key, value in found.items() if value and COEFFICIENT.fullmatch(key)}
    if upper == "FULL_OPENCV" and bent & {"k4", "k5", "k6"}:
        return "FULL_OPENCV", ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    if "k3" in bent:
        return "FULL_OPENCV", ("k1", "k2", "p1", "p2", "k3", "", "", "")
    if bent & {"k1", "k2", "p1", "p2"}:
        return "OPENCV", ("k1", "k2", "p1", "p2")
    return "PINHOLE", ()


def _refuse_rest(found: Mapping[str, float], taken: tuple[str, ...], what: str, name: str) -> None:
    """Refuse a coefficient that is not 0 and that the lens model does not have.

    Raises:
        CameraError: names it.
    """
    for key, value in found.items():
        if value and COEFFICIENT.fullmatch(key) and key not in taken:
            raise CameraError(
                f"{what}: {key} {value:g} of {name} is no part of a lens that can be taken out of pictures here (OPENCV: "
                "k1 k2 k3 p1 p2; OPENCV_FISHEYE: k1 to k4; FULL_OPENCV: k1 to k6); undistort the pictures first, or set "
                f"{key} to 0 if it does not apply"
            )


def _fov_rad(found: Mapping[str, float], axis: str, what: str, name: str) -> tuple[float | None, float]:
    """Field of view along an axis ('x' or 'y'), and its rounding error; instant-ngp also states degrees, as ``x_fov``."""
    stated = {
        key: (found[key] * unit, half_digit(found[key]) * unit)
        for key, unit in ((f"camera_angle_{axis}", 1.0), (f"{axis}_fov", math.radians(1)))
        if key in found
    }
    for key, (angle, _) in stated.items():
        if not 0 < angle < math.pi:
            raise CameraError(
                f"{what}: expected {key} of {name} between 0 and half a turn, got {angle:g} radians"
            )
    if len(stated) > 1:
        (angle, within), (other, other_within) = stated.values()
        if abs(angle - other) > within + other_within + SAME_ANGLE_RAD:
            said = " and ".join(f"{key} {found[key]:.4g}" for key in stated)
            raise CameraError(f"{what}: {name}: {said} contradict each other; keep the right one")
    return next(iter(stated.values()), (None, 0.0))
