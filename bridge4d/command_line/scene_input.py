"""How a command is told a scene: where it is, and which way its axes point."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from recon.scenefiles import Axes

SceneArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]
AxesIn = Literal["auto", "rdf", "rub", "luf", "z-up"]
"""Which way x, y, z point in a file; auto: as it says itself, else as its format means by habit."""


def parse_input_axes(name: AxesIn) -> Axes | None:
    """The axes that a file is said to have; None where it says so itself."""
    return None if name == "auto" else Axes(name)
