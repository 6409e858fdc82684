"""What several commands share."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro

BAD_INPUT, NO_RECONSTRUCTION, FAULT, INTERRUPTED = 2, 3, 70, 130
"""Exit statuses; 70 is what BSD's sysexits call an internal error."""
SceneArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])
