"""`bridge4d sample`: photos to try everything with."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from bridge4d import console
from recon.errors import BridgeError


@dataclass(frozen=True)
class Sample:
    """Write the built-in sample capture: photos of a procedurally textured room.

    Typical calls:
      bridge4d sample runs/sample-room
      bridge4d sample runs/sample-moving --moving

    With --moving it is what six cameras that stand still film of a place in which a person, a thing and a soft body move: a folder of frames for
    each, and their cameras and times in a transforms.json.
    """

    out: Positional[Path]
    """Folder for the photos."""
    photos: int = 24
    """How many; with --moving of each camera."""
    moving: bool = False
    """Frames of several cameras of a place in which something moves."""
    cameras: int | None = None
    """With --moving: how many, 6 where it is not given."""
    seed: int = 0
    """Another number is another place."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.sample import write_moving_sample, write_sample

        if self.moving:
            cameras = 6 if self.cameras is None else self.cameras
            write_moving_sample(self.out, cameras=cameras, frames=self.photos, seed=self.seed)
            console.result(f"{self.photos} frames of each of {cameras} cameras in {self.out}")
            return 0
        if self.cameras is not None:
            raise BridgeError("--cameras is for --moving; give that as well, or leave it out")
        write_sample(self.out, photos=self.photos, seed=self.seed)
        console.result(f"{self.photos} photos in {self.out}")
        return 0
