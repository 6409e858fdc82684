"""`bridge4d render`: a video of a scene along a camera path."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from bridge4d import console
from bridge4d.command_line.scene_input import AxesIn, SceneArgument, parse_input_axes
from bridge4d.rendering.options import RenderOptions


@dataclass(frozen=True)
class Render:
    """Render a video, or pictures, of a splat scene along a camera path.

    Typical calls:
      bridge4d render runs/kitchen --to orbit.mp4
      bridge4d render scene.spz --path spiral --seconds 4 --width 1920 --height 1080 --to spiral.mp4
      bridge4d render runs/kitchen --to view.png
      bridge4d render runs/kitchen --path path.json --to frames/ --depth depth/ --alpha alpha/

    SCENE is a run folder or a splat file of any format. What a name ends in says what is written: a video (.mp4 .m4v
    .mov .mkv), an animation (.gif .webp), one picture (.png .jpg), a folder of pictures, or pictures called as in
    frames/####.png, with a transforms.json of their cameras beside. The paths orbit and spiral end where they begin.
    """

    scene: SceneArgument
    """A run folder, or a splat file."""
    to: tuple[Path, ...]
    """Video, folder, or name with ####; one or more."""
    rendering: tyro.conf.OmitArgPrefixes[RenderOptions] = field(default_factory=RenderOptions)
    depth: Path | None = None
    """Depth as well: a video in colours; or a folder or name with #### for 16-bit PNG, with a JSON that states the
    unit, and a preview.mp4."""
    alpha: Path | None = None
    """How much of each pixel the scene covers: a grey video, folder, or name with ####."""
    axes: AxesIn = "auto"
    """Of a scene file that does not say: which way x, y and z point in it."""
    json: bool = False
    """Print what was written as JSON instead of a line."""

    @property
    def out(self) -> Path:
        """Whose disk an error of the file system is about."""
        return self.to[0].parent

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.exporting.targets import name_targets
        from bridge4d.rendering.render_path import render_path
        from bridge4d.scenes import load_scene

        console.heading(f"render {self.scene} → {name_targets(self.to)}")
        scene = load_scene(self.scene, axes=parse_input_axes(self.axes))
        done = render_path(scene, self.to, self.rendering, depth=self.depth, alpha=self.alpha)
        if self.json:
            console.result(json.dumps(done.to_json(), indent=2))
            return 0
        for note in done.notes:
            console.result(f"note: {note}")
        size = f"{done.cameras.width}x{done.cameras.height}"
        console.result(f"{done.about}: {len(done)} pictures of {size}, {done.fps:g} a second")
        for file in done.files:
            console.result(str(file))
        return 0
