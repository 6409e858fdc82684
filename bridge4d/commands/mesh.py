"""`bridge4d mesh`: a scene as triangles."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from bridge4d import console
from bridge4d.command_line.scene_input import SceneArgument
from bridge4d.meshing.options import MeshOptions
from recon.errors import BridgeError


@dataclass(frozen=True)
class Mesh:
    """Make a mesh of a splat scene: depth from many cameras, fused, cleaned, coloured.

    Typical calls:
      bridge4d mesh runs/kitchen --to kitchen.glb kitchen.obj
      bridge4d mesh runs/kitchen --to kitchen.stl --metric --axes z-up
      bridge4d mesh scene.spz --to thing.glb --faces 20000

    SCENE is a run folder or a splat file of any format. The name says the format: .glb .obj (with a texture), .ply (colours
    at vertices), .stl (no colours). `bridge4d export --to scene.glb` writes the splats themselves. Of a file, which has no
    photos, depth is the scene's own, seen from cameras placed around it (--around).
    """

    scene: SceneArgument
    """A run folder, or a splat file."""
    to: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")]
    """Files to write."""
    meshing: tyro.conf.OmitArgPrefixes[MeshOptions] = field(default_factory=MeshOptions)
    json: bool = False
    """Print what was written as JSON instead of words."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.exporting.targets import name_targets
        from bridge4d.meshing.make_mesh import mesh

        if not self.to:
            raise BridgeError("expected a file to write, such as --to scene.glb")
        console.heading(f"mesh {self.scene} → {name_targets(self.to)}")
        done = mesh(self.scene, self.to, self.meshing)
        if self.json:
            console.result(json.dumps(done.to_json(), indent=2))
            return 0
        for note in done.notes:
            console.result(f"note: {note}")
        photos = f", {done.from_photos:.0%} of it from photos" if done.from_photos else ""
        console.result(
            f"{len(done.mesh):,} triangles from the depth of {done.views} views{photos}; voxels of {done.voxel:.3g} units"
        )
        if done.textured is not None:
            console.result(f"{len(done.textured):,} triangles where there is a texture")
        console.result(f"up:    {done.frame.up}")
        for file in done.files:
            console.result(f"{file}: {console.bytes_in_words(file.stat().st_size)}")
        return 0
