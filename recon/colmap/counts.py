"""Checks of the counts in COLMAP's binary models against the sizes of their files.

COLMAP trusts the counts, and would read past the end of a file until memory is gone.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from recon.bounded import check_regular_file
from recon.errors import CaptureError

LARGEST_PART = 16 << 30
"""Largest file of a model in bytes: images.bin of 100,000 photos with 8,000 features has more."""
LONGEST_NAME = 4096
"""Longest name of an image in bytes: the longest path of Linux."""
LEAST_CAMERA, IMAGE_BEFORE_NAME, FEATURE = 48, 64, 24
POINT_BEFORE_TRACK, TRACK_ELEMENT = 43, 8
RIG_BEFORE_SENSORS, REFERENCE_SENSOR, SENSOR, POSE = 8, 8, 9, 56
FRAME_BEFORE_DATA, DATA_ID = 68, 16
"""Bytes of the parts of a record, as COLMAP 3.12 and later write them (`reconstruction_io_binary.cc`)."""


def check_counts(folder: Path, named: Path | None = None) -> None:
    """Walks through the binary files of a model; text is bounded by its lines. `named` is what an error calls it.

    Raises:
        CaptureError: a file ends before what it says it holds; a pipe or device.
    """
    for name, step in STEPS.items():
        path = folder / name
        if path.exists():
            _walk(path, named or folder, step)


class Pose(NamedTuple):
    """One that a binary file states."""

    who: str
    """'a.png', 'frame 3', 'sensor 2 of rig 1'."""
    quaternion: tuple[float, ...]
    """w x y z."""


def poses_in(folder: Path, named: Path | None = None) -> Iterator[Pose]:
    """The poses of the images, frames and sensors of a binary model.

    Raises:
        CaptureError: as `check_counts`.
    """
    for name, (step, poses) in POSES.items():
        path = folder / name
        if path.exists():
            for held, at in _records(path, named or folder, step):
                yield from poses(held, at)


class _Bytes:
    """A file in memory pages, in which nothing is read past the end."""

    def __init__(self, path: Path, model: Path, data: mmap.mmap | bytes) -> None:
        self.path, self.model, self.data = path, model, data

    def whole(self, form: str, at: int) -> int:
        """Read an integer of a `struct` form at a byte."""
        if at + struct.calcsize(form) > len(self.data):
            self.refuse()
        return struct.unpack_from(form, self.data, at)[0]

    def quaternion(self, at: int) -> tuple[float, ...]:
        """Read four doubles at a byte."""
        return struct.unpack_from("<4d", self.data, at)

    def refuse(self) -> None:
        """Raise the error of a truncated file."""
        raise CaptureError(
            f"the COLMAP model in {self.model} is damaged or cut off: {self.path.name} has {len(self.data):,} bytes, and says "
            "that it holds more than fits in them; export the model again"
        )


Step = Callable[[_Bytes, int], int]
"""Where the record that begins at a byte ends."""


def _walk(path: Path, model: Path, step: Step) -> None:
    for _ in _records(path, model, step):
        pass


def _records(path: Path, model: Path, step: Step) -> Iterator[tuple[_Bytes, int]]:
    """Where each record of a file begins; that it ends within the file is checked before it is given."""
    size = check_regular_file(path, most=LARGEST_PART, error=CaptureError)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        held = _Bytes(path, model, data)
        count = held.whole("<Q", 0)
        if count > size:  # each record has more than a byte
            held.refuse()
        at = 8
        for _ in range(count):
            end = step(held, at)
            if end > size:
                held.refuse()
            yield held, at
            at = end
        if at < size and step is not _camera:  # whose length is not known exactly
            raise CaptureError(
                f"the COLMAP model in {model} is damaged: {path.name} has {size:,} bytes, {size - at:,} more than it says that it "
                "holds; export the model again"
            )


def _camera(held: _Bytes, at: int) -> int:
    return at + LEAST_CAMERA  # its number of parameters is COLMAP's business: it is at most 16


def _image(held: _Bytes, at: int) -> int:
    begin = at + IMAGE_BEFORE_NAME
    end = held.data.find(b"\0", begin, begin + LONGEST_NAME + 1)
    if end < 0:
        held.refuse()
    return end + 9 + FEATURE * held.whole("<Q", end + 1)


def _point(held: _Bytes, at: int) -> int:
    at += POINT_BEFORE_TRACK
    return at + 8 + TRACK_ELEMENT * held.whole("<Q", at)


def _rig(held: _Bytes, at: int) -> int:
    sensors = held.whole("<I", at + 4)
    at += RIG_BEFORE_SENSORS + (REFERENCE_SENSOR if sensors else 0)
    for _ in range(1, sensors):
        at += SENSOR + (POSE if held.whole("<B", at + SENSOR - 1) else 0)
    return at


def _frame(held: _Bytes, at: int) -> int:
    return at + FRAME_BEFORE_DATA + DATA_ID * held.whole("<I", at + FRAME_BEFORE_DATA - 4)


def _pose_of_image(held: _Bytes, at: int) -> Iterator[Pose]:
    begin = at + IMAGE_BEFORE_NAME
    name = held.data[begin : held.data.find(b"\0", begin)].decode("utf-8", "replace")
    yield Pose(name, held.quaternion(at + 4))


def _pose_of_frame(held: _Bytes, at: int) -> Iterator[Pose]:
    yield Pose(f"frame {held.whole('<I', at)}", held.quaternion(at + 8))


def _poses_of_rig(held: _Bytes, at: int) -> Iterator[Pose]:
    rig, sensors = held.whole("<I", at), held.whole("<I", at + 4)
    at += RIG_BEFORE_SENSORS + (REFERENCE_SENSOR if sensors else 0)
    for _ in range(1, sensors):
        posed = held.whole("<B", at + SENSOR - 1)
        if posed:
            yield Pose(f"sensor {held.whole('<I', at + 4)} of rig {rig}", held.quaternion(at + SENSOR))
        at += SENSOR + (POSE if posed else 0)


POSES: dict[str, tuple[Step, Callable[[_Bytes, int], Iterator[Pose]]]] = {
    "images.bin": (_image, _pose_of_image),
    "frames.bin": (_frame, _pose_of_frame),
    "rigs.bin": (_rig, _poses_of_rig),
}
STEPS: dict[str, Step] = {
    "cameras.bin": _camera,
    "images.bin": _image,
    "points3D.bin": _point,
    "rigs.bin": _rig,
    "frames.bin": _frame,
}
