"""What can be asked of `bridge4d mesh`; every field is a flag."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from recon.errors import BridgeError
from recon.mesh.options import SurfaceOptions


@dataclass(frozen=True)
class MeshOptions:
    surface: tyro.conf.OmitArgPrefixes[SurfaceOptions] = field(default_factory=SurfaceOptions)
    """How the surface is found."""
    axes: Literal["auto", "raw", "rdf", "rub", "luf", "z-up"] = "auto"
    """Which way x, y, z point in the files. auto: what each format means (GLB y up, the others y down), gravity down; rdf,
    z-up …: these in every file; raw: the scene's own frame, turned in no way."""
    input_axes: Literal["auto", "rdf", "rub", "luf", "z-up"] = "auto"
    """What SCENE holds; auto: what it says or its format means."""
    transform: Path | None = None
    """JSON with scale, rotation and translation, or a 4x4 matrix, applied to the mesh; as in `bridge4d export`."""
    scale: float = 1.0
    """Multiplies every length, after all else."""
    metric: bool = False
    """Scale to metres, by GPS or because the capture says that it is metric; refused otherwise."""
    at: float | None = None
    """Of a moving scene the moment in seconds; by default its beginning."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise BridgeError(f"expected a positive --scale, got {self.scale}")
