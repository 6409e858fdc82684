"""`bridge4d view`: a scene in the browser."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from bridge4d import console


@dataclass(frozen=True)
class View:
    """Look at a splat scene in the browser.

    Typical calls:
      bridge4d view runs/demo
      bridge4d view scene.ply --port 9000
    """

    scene: Positional[Path]
    """A splat .ply, or a run folder."""
    port: int = 8080
    """Where the page is served on this machine."""

    def run(self) -> int:
        from bridge4d.viewer import find_scene, serve, wait
        from recon.scenefiles import read_scene

        scene = find_scene(self.scene)
        gaussians = read_scene(scene).gaussians
        server = serve(gaussians, port=self.port)
        console.result(
            f"{len(gaussians):,} Gaussians of {scene}: http://localhost:{server.get_port()} (Ctrl-C ends)"
        )
        wait()
        server.stop()
        return 0
