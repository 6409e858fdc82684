"""`bridge4d export`: a scene as the files that viewers, engines and other tools read."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from bridge4d import console
from bridge4d.exporting.options import ExportOptions
from recon.errors import BridgeError


@dataclass(frozen=True)
class Export:
    """Write a splat scene as other programs read it: upright, whole, and with a note of what was lost.

    Typical calls:
      bridge4d export runs/kitchen --to kitchen.spz kitchen.sog kitchen.glb kitchen.html
      bridge4d export scene.ply --to small.sog --max-gaussians 100000 --sh-degree 1
      bridge4d export runs/beach --to beach.ply --georeference gps
      bridge4d export runs/kitchen --to dataset/
      bridge4d export left.ply right.ply --to both.ply

    The name says the format: .ply .compressed.ply .splat .spz .sog .glb .usdz .html, frames as name_####.ply, a moving scene
    also as .usd or .4dgs, centres as points.ply .las .laz, a folder (with a / at its end) as a dataset for other trainers.
    An export.json beside the files notes counts, largest errors, bytes, axes and what was lost.
    """

    scene: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE [SCENE ...]")]
    """A run folder, a splat file, a folder of frames; several are merged into one."""
    to: Annotated[list[str], tyro.conf.arg(metavar="FILE [FILE ...]")]
    """Files to write."""
    exporting: tyro.conf.OmitArgPrefixes[ExportOptions] = field(default_factory=ExportOptions)
    json: bool = False
    """Print what was written as JSON instead of words."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.exporting.pipeline import NOTHING_TO_EXPORT, export
        from bridge4d.exporting.targets import name_targets
        from bridge4d.exporting.words import describe

        if not self.scene:
            raise BridgeError(NOTHING_TO_EXPORT)
        console.heading(f"export {' + '.join(map(str, self.scene))} → {name_targets(self.to)}")
        done = export(self.scene, self.to, self.exporting)
        if self.json:
            console.result(
                json.dumps({str(report.path): report.as_json() for report in done.files}, indent=2)
            )
        else:
            console.result(describe(done))
        return 0
