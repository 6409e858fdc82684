"""What several commands share."""

import shlex
import sys

BAD_INPUT, NO_RECONSTRUCTION, INTERRUPTED = 2, 3, 130
"""Exit statuses."""


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])
