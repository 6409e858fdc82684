"""Which pictures may be read: those in the folder that a person gave. Others are named, and read only when asked for."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recon.bounded import is_inside
from recon.errors import CaptureError

NAMED = 10
"""So many pictures are named in a note; a camera file may name thousands."""


@dataclass(frozen=True)
class Boundary:
    """A camera file, a table or a link of a stranger can name any file of the computer, and what is read goes into runs,
    reports and exports."""

    folder: Path
    """What a person gave, or the folder of the file that they gave."""
    allow_outside: bool = False
    """Whether pictures elsewhere are read as well."""

    def holds(self, file: Path) -> bool:
        """Whether a file lies in the folder, links followed; one that is not there lies nowhere else."""
        return not os.path.exists(file) or is_inside(self.folder, file)

    def check(self, named: Iterable[tuple[str, Path]], who: str) -> tuple[str, ...]:
        """A note of the pictures that lie elsewhere.

        Args:
            named: the name of each picture, and where it was found.
            who: what says the names, and a verb: ``"cap/transforms.json names"``.

        Raises:
            CaptureError: some do, and nobody allowed it.
        """
        outside = [f"{name!r} ({os.path.realpath(file)})" for name, file in named if not self.holds(file)]
        if not outside:
            return ()
        if not self.allow_outside:
            more = f" and {len(outside) - 1} more, which lie" if len(outside) > 1 else ", which lies"
            raise CaptureError(
                f"{who} {outside[0]}{more} outside of {self.folder}; move what belongs to it there, or have it read all "
                "the same with --allow-outside"
            )
        more = f" and {len(outside) - NAMED} more" if len(outside) > NAMED else ""
        return (
            f"read from outside of {self.folder}, as --allow-outside has it: {who} {', '.join(outside[:NAMED])}{more}",
        )
