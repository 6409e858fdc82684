"""What can be asked of an export; every field is a flag of `bridge4d export`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from bridge4d.command_line.scene_input import AxesIn
from recon.errors import BridgeError
from recon.scenefiles import Axes
from recon.splats.select import Selection
from recon.videos.write import MAX_FPS

LARGEST_SCALE = 1e12
"""From an atom to a kilometre, and room in float32 for the scene's own extent."""
AxesOut = Literal["auto", "raw", "rdf", "rub", "luf", "z-up"]


def check_scale(scale: float) -> None:
    """Refuse what makes no scene.

    Raises:
        BridgeError: not positive, not finite, or absurd.
    """
    if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
        raise BridgeError(
            f"expected a --scale from {1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}, got {scale:g}"
        )


def choose_output_axes(name: AxesOut, usual: Axes) -> Axes:
    """The axes of a file to be written whose format means `usual`."""
    if name == "auto":
        return usual
    return Axes.RDF if name == "raw" else Axes(name)


@dataclass(frozen=True)
class ExportOptions:
    axes: AxesOut = "auto"
    """Which way x, y, z point in the files. auto: what each format means, gravity down; rdf, rub …: these in every file
    (rdf suits SPZ for SuperSplat); raw: the scene's own frame, turned in no way."""
    input_axes: AxesIn = "auto"
    """What SCENE holds; auto: what it says or its format means."""
    transform: Path | None = None
    """JSON with scale, rotation (or quaternion_wxyz) and translation, or a 4x4 matrix (alone, or as "matrix"), applied to
    the scene; of nerfstudio's
    dataparser_transforms.json the inverse, which brings a scene back to its capture's frame."""
    scale: float = 1.0
    """Multiplies every length, after all else."""
    metric: bool = False
    """Scale to metres: by GPS or control points, or because the capture says that it is metric; refused otherwise."""
    georeference: str = "none"
    """none; gps: metres east, north, up from the photos' EXIF; or a CSV of control points with the columns name, latitude,
    longitude, height and x, y, z (or the name of a photo)."""
    backdrop: bool = True
    """Write the shell of Gaussians far behind the scene, which stands for sky and plain walls."""
    keep: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    """What of the scene is written."""
    generated: bool = True
    """Of a dataset: the accepted generated frames come along with the photos."""
    photos: Path | None = None
    """Of a dataset: where the original photos are now, if they were moved since the run."""
    test_every: int | None = None
    """Of a dataset: hold out every n-th picture, as the trainer that will read it does; by default 8 where that can be."""
    at: float | None = None
    """Of a moving scene the moment in seconds, for formats that hold one."""
    frames: str | None = None
    """Of a moving scene the frames FIRST-LAST, counted from 0."""
    fps: float | None = None
    """Play a moving scene at so many frames a second."""
    spz_version: Literal[3, 4] = 3
    """Version of SPZ files; 3 is read by more programs."""
    sh_bits: int | None = None
    """Bits for each value of view-dependent colour in SPZ, 1 to 8; by default 5 for the first band, 4 beyond."""
    check: bool = True
    """Read every file back and compare it with what was to be written."""
    seed: int = 0
    """Same seed, same files."""

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if self.fps is not None and not 0 < self.fps <= MAX_FPS:
            raise BridgeError(f"expected --fps above 0 and up to {MAX_FPS:g}, got {self.fps:g}")
        if self.test_every is not None and self.test_every < 2:
            raise BridgeError(f"expected --test-every of at least 2, got {self.test_every}")
        if self.sh_bits is not None and not 1 <= self.sh_bits <= 8:
            raise BridgeError(f"expected --sh-bits from 1 to 8, got {self.sh_bits}")
        if self.frames is not None and not re.fullmatch(r"\d+-\d+", self.frames):
            raise BridgeError(f"expected --frames FIRST-LAST, 0-23 for instance, got {self.frames!r}")
        if self.georeference not in ("none", "gps") and not self.georeference.lower().endswith(".csv"):
            raise BridgeError(
                f"expected --georeference none, gps or a .csv of control points, got {self.georeference!r}"
            )
        if self.georeference != "none" and (self.axes == "raw" or self.transform is not None):
            other = "--axes raw" if self.axes == "raw" else "--transform"
            raise BridgeError(f"--georeference and {other} each say where the scene lies; give one of them")
        if self.at is not None and (self.frames is not None or self.fps is not None):
            raise BridgeError(
                "--at takes one moment, for which --frames and --fps mean nothing; leave one out"
            )
