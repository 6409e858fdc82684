"""The folder that pictures may be read from; others are read only when asked for, and named."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recon.bounded import is_inside
from recon.errors import CaptureError

MAX_NAMED = 10
"""Pictures that a note names at most; a camera file may name thousands."""


@dataclass(frozen=True)
class Boundary:
    """The folder that pictures may be read from.

    A stranger's camera file, table or link can name any file of the computer, and pictures go into runs, reports and exports.
    """

    folder: Path
    """Folder that a person gave, or that of the file that they gave."""
    allow_outside: bool = False
    """Whether pictures elsewhere are read as well."""

    def holds(self, file: Path) -> bool:
        """Whether a file lies in the folder, links followed; True for a missing file, which can leak nothing."""
        return not os.path.exists(file) or is_inside(self.folder, file)

    def check(self, named: Iterable[tuple[str, Path]], who: str) -> tuple[str, ...]:
        """Note the pictures that lie outside, or refuse them.

        Args:
            named: name and file of each picture.
            who: source of the names, and a verb: ``"cap/transforms.json names"``.

        Raises:
            CaptureError: a picture outside that was not allowed.
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
        more = f" and {len(outside) - MAX_NAMED} more" if len(outside) > MAX_NAMED else ""
        return (
            f"read from outside of {self.folder}, as --allow-outside has it: {who} {', '.join(outside[:MAX_NAMED])}{more}",
        )
