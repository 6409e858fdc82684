"""What several commands share."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

BAD_INPUT, NO_RECONSTRUCTION, FAULT, INTERRUPTED = 2, 3, 70, 130
"""Exit statuses; 70 is what BSD's sysexits call an internal error."""
SceneArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]


def name_targets(targets: Sequence[Path | str]) -> str:
    """Names of what will be written, and which of them take the place of a file that is there."""
    return ", ".join(
        f"{one} (replaces the one that is there)" if Path(one).is_file() else str(one) for one in targets
    )


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])
