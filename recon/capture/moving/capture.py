"""Frames of cameras that filmed what moves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recon.clip import Clip

LAYOUTS = (
    "a folder for each camera with as many frames in each (cam00/ cam01/ …), a video for each (cam00.mp4 …), or a transforms.json "
    "whose frames have a time"
)
"""What may be put in, for messages."""


@dataclass(frozen=True)
class MovingCapture:
    """Frames of one camera or several, in the order of their times."""

    clip: Clip
    """With times, and with cameras where they came along."""
    camera_of: tuple[int, ...]
    """Number of the camera that took each frame."""
    camera_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Remarks on the reading, for a person."""
    heldout: tuple[bool, ...] | None = None
    """Frames that the capture itself holds out to judge; None where it holds out none."""

    def __getitem__(self, rows: Sequence[int]) -> "MovingCapture":
        return replace(
            self,
            clip=self.clip[list(rows)],
            camera_of=tuple(self.camera_of[i] for i in rows),
            heldout=None if self.heldout is None else tuple(self.heldout[i] for i in rows),
        )

    def frames_of(self, camera: int) -> list[int]:
        """Rows of one camera, in the order of their times."""
        return [i for i, one in enumerate(self.camera_of) if one == camera]
