"""`bridge4d view`: a scene in the browser."""

from dataclasses import dataclass
from pathlib import Path

from bridge4d import console
from bridge4d.command_line.scene_input import AxesIn, SceneArgument, parse_input_axes


@dataclass(frozen=True)
class View:
    """Look at a splat scene in the browser.

    Typical calls:
      bridge4d view runs/demo
      bridge4d view scene.spz --port 9000
      bridge4d view runs/demo --html demo.html

    A run opens at one of its photos. Its cameras are frusta: click one to fly there and to see the photo, or the
    generated frame with its verdict and confidence, beside the scene. A moving scene has a slider and plays.
    """

    scene: SceneArgument
    """A run folder, or a splat file of any format that is read here."""
    port: int = 8080
    """Where the page is served; if it is taken, the next free one, and the address that is printed says so."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 lets everybody in the network look, without a password."""
    axes: AxesIn = "auto"
    """Which way x, y and z point in a file that does not say; auto is its format's habit."""
    frusta: bool = True
    """Show the cameras of a run at first."""
    html: Path | None = None
    """Write a page that opens from disk instead of serving one."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.scenes import is_run, load_scene
        from bridge4d.viewing import serve, write_page
        from recon.errors import SceneFileError

        if self.axes != "auto" and is_run(self.scene):
            raise SceneFileError(
                f"--axes is for files, and {self.scene} is a run folder, whose axes are known"
            )
        scene = load_scene(self.scene, axes=parse_input_axes(self.axes))
        for note in scene.notes:
            console.err.print(f"  note: {note}", markup=False)
        what = f"{len(scene.gaussians):,} Gaussians of {scene.file}"
        if self.html is not None:
            for note in write_page(scene, self.html).files[0].notes:
                console.err.print(f"  note: {note}", markup=False)
            console.result(f"{what}: {self.html} ({console.bytes_in_words(self.html.stat().st_size)})")
            return 0
        viewer = serve(scene, host=self.host, port=self.port, frusta=self.frusta)
        if viewer.port != self.port:
            console.err.print(f"  port {self.port} is taken")
        console.result(f"{what}: {viewer.address} (Ctrl-C ends)")
        viewer.wait()
        viewer.stop()
        return 0
