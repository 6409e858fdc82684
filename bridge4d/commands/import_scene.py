"""`bridge4d import`: what a scene file of another program is, and its conversion."""

import json
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from bridge4d import console
from bridge4d.command_line.scene_input import AxesIn, parse_input_axes
from recon.errors import BridgeError


@dataclass(frozen=True)
class Import:
    """Say what a splat file is; with --out, convert it.

    Typical calls:
      bridge4d import marble.spz
      bridge4d import marble.spz --out marble.ply
      bridge4d import supersplat.spz --axes rdf --out room.sog

    Any format that bridge4d reads: .ply (3DGS, 2DGS, compressed, SpacetimeGaussians), .splat .ksplat .spz .sog, folders of SOG
    and streamed SOG, .glb .usd .usdz .4dgs, numbered frames. What is imported works wherever a scene is expected:
    bridge4d view, export, render, mesh, augment --start, and the world model splat:FILE.
    """

    file: Positional[Path]
    """A scene file, a folder that is one scene, or a run folder."""
    out: Path | None = None
    """Write it as this file; the name says the format."""
    axes: AxesIn = "auto"
    """What the file holds; auto: what it says itself, else what its format means by habit."""
    at: float | None = None
    """Of a moving scene the moment in seconds to write."""
    json: bool = False
    """Print the figures as JSON."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.exporting import ExportOptions, export
        from bridge4d.exporting.words import describe
        from bridge4d.inspecting import inspect_scene

        if self.out is not None and not self.out.suffix:
            raise BridgeError(
                f"{self.out} has no ending that says its format; name it {self.out}.ply or {self.out}.spz"
            )
        facts = inspect_scene(self.file, axes=parse_input_axes(self.axes))
        said = facts.as_json()
        given = self.axes != "auto"
        if self.out is None:
            console.result(json.dumps(said, indent=2) if self.json else in_words(said, axes_given=given))
            return 0
        done = export(facts.scene(), self.out, ExportOptions(at=self.at))
        if self.json:
            console.result(json.dumps(said | {"written": done.files[0].as_json()}, indent=2))
        else:
            console.result(
                f"{in_words(said | {'notes': []}, axes_given=given)}\n{describe(done)}"
            )  # which says the notes too
        return 0


RENDERING = {
    "default": "drawn plainly",
    "mip": "trained antialiased (Mip-Splatting)",
    "2dgs": "flat discs (2DGS)",
}
"""How a scene was trained to be drawn, in words."""


def in_words(said: dict, *, axes_given: bool = False) -> str:
    """The figures of `SceneFacts.as_json`, for the terminal."""
    if axes_given:
        stated = "as you say"
    elif said["axes_stated"]:
        stated = "as the file says"
    else:
        stated = "assumed: the file does not say; --axes tells otherwise"
    lines = [
        f"{said['path']}: {said['format']}, {console.bytes_in_words(said['bytes'])}",
        f"  Gaussians  {said['gaussians']:,}, colour of degree {said['sh_degree']}, {RENDERING[said['render_mode']]}",
        f"  axes       {said['axes']} ({stated})",
    ]
    if said["frames"] > 1:
        lines.append(f"  moving     {said['frames']} frames in {said['seconds']:g} s")
    if said["bounds"] is not None:
        for name, key in (("bounds", "bounds"), ("98% within", "bounds_of_98_percent")):
            low, high = said[key]["low"], said[key]["high"]
            ranges = "  ".join(
                f"{axis} {a:.4g} … {b:.4g}" for axis, a, b in zip("xyz", low, high, strict=True)
            )
            lines.append(f"  {name:<10} {ranges}  (right, down, front)")
        lines.append(f"  typical    opacity {said['median_opacity']:.2f}, size {said['median_size']:.3g}")
    return "\n".join([*lines, *(f"  note       {note}" for note in said["notes"])])
