"""What several commands share."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bridge4d import console

if TYPE_CHECKING:
    from bridge4d.augmenting.loop import AugmentResult

BAD_INPUT, NO_RECONSTRUCTION, FAULT, INTERRUPTED = 2, 3, 70, 130
"""Exit statuses; 70 is what BSD's sysexits call an internal error."""
SceneArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]


def name_targets(targets: Sequence[Path | str]) -> str:
    """Names of what will be written, and which of them take the place of a file that is there."""
    return ", ".join(
        f"{one} (replaces the one that is there)" if Path(one).is_file() else str(one) for one in targets
    )


def say_loop(done: "AugmentResult", *, as_json: bool) -> int:
    """Prints what a run of the loop came to; returns the exit status."""
    from eval.report.augment.summary import summary

    if as_json:
        console.result(json.dumps(done.report, indent=2))
    else:
        console.result(summary(done.report))
        if done.scene is not None:
            console.result(f"scene:  {done.scene}")
        console.result(f"report: {done.report_html}")
    if done.scene is None:
        console.fail(f"{done.report['kept_because']}; {done.report_html} says what was tried")
        return NO_RECONSTRUCTION
    return 0


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])
