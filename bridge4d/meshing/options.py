"""What can be asked of `bridge4d mesh`; every field is a flag."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from bridge4d.command_line.scene_input import AxesIn
from bridge4d.exporting.options import AxesOut, check_scale
from recon.mesh.options import SurfaceOptions


@dataclass(frozen=True)
class MeshOptions:
    surface: tyro.conf.OmitArgPrefixes[SurfaceOptions] = field(default_factory=SurfaceOptions)
    """How the surface is found."""
    axes: AxesOut = "auto"
    """Which way x, y, z point in the files. auto: what each format means (GLB y up, the others y down), gravity down; rdf,
    z-up …: these in every file; raw: the scene's own frame, turned in no way."""
    input_axes: AxesIn = "auto"
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
        check_scale(self.scale)
