"""Checks of the quaternions in COLMAP's models; COLMAP reads zeros as the identity."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recon.camera_files.rigid import check_quaternion
from recon.colmap.counts import Pose, poses_in
from recon.errors import CameraError

FRAME_BEFORE_POSE, SENSORS_OF_RIG, POSE_WORDS = 2, 4, 7
"""Words of a line of frames.txt before its pose, of rigs.txt before its sensors, and of a pose (QW QX QY QZ TX TY TZ)."""


def check_binary(folder: Path, place: Path) -> None:
    """Refuse a binary model with a quaternion of an image, frame or sensor that is not a unit.

    Args:
        place: name of the model in an error.

    Raises:
        CameraError: names the image, frame or sensor.
        CaptureError: a truncated file.
    """
    for pose in poses_in(folder, place):
        _check(pose, place)


def check_line(part: str, line: str, place: Path) -> None:
    """Check the quaternions in a line of a text model.

    A line that is broken otherwise is left to COLMAP.

    Args:
        part: 'frames' or 'rigs'; other files hold no poses here.

    Raises:
        CameraError: see `check_binary`.
    """
    words = line.split()
    try:
        for pose in _poses_of_line(part, words):
            _check(pose, place)
    except (ValueError, IndexError):
        return


def check_image(words: Sequence[str], name: str, place: Path) -> None:
    """Check the quaternion in the words of an image: IMAGE_ID QW QX QY QZ …

    Raises:
        CameraError: see `check_binary`; words that are not numbers.
    """
    try:
        values = tuple(map(float, words[1:5]))
    except ValueError as e:
        raise CameraError(
            f"the COLMAP model in {place}: expected a quaternion of numbers for {name[:80]}, got "
            f"{' '.join(words[1:5])[:60]!r}"
        ) from e
    _check(Pose(name, values), place)


def _poses_of_line(part: str, words: list[str]) -> Iterator[Pose]:
    if part == "frames":
        at = FRAME_BEFORE_POSE
        yield Pose(f"frame {words[0]}", tuple(map(float, words[at : at + 4])))
    if part == "rigs":
        at = SENSORS_OF_RIG
        while at + 3 <= len(words):
            posed = int(words[at + 2])
            if posed:
                values = tuple(map(float, words[at + 3 : at + 7]))
                yield Pose(f"sensor {words[at + 1]} of rig {words[0]}", values)
            at += 3 + (POSE_WORDS if posed else 0)


def _check(pose: Pose, place: Path) -> None:
    check_quaternion(pose.quaternion, pose.who[:80], f"the COLMAP model in {place}")
