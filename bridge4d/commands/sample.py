"""`bridge4d sample`: photos to try everything with."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from bridge4d import console


@dataclass(frozen=True)
class Sample:
    """Write the built-in sample capture: photos of a procedurally textured room.

    Typical call:
      bridge4d sample runs/sample-room
    """

    out: Positional[Path]
    """Folder for the photos."""
    photos: int = 24
    """How many."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.sample import write_sample

        write_sample(self.out, photos=self.photos)
        console.result(f"{self.photos} photos in {self.out}")
        return 0
