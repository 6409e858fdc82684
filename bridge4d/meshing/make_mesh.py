"""Meshes of scenes, as files."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge4d.command_line.scene_input import parse_input_axes
from bridge4d.exporting.frame import ExportFrame, choose_frame
from bridge4d.exporting.options import ExportOptions, choose_output_axes
from bridge4d.exporting.targets import refuse_duplicates, refuse_source
from bridge4d.meshing.options import MeshOptions
from bridge4d.runs import store
from bridge4d.scenes import LoadedScene, SceneView, load_scene
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.compute.progress import track
from recon.mesh import Mesh, Meshed, mesh_gaussians, mesh_with_texture
from recon.mesh.build import MOST_VIEWS
from recon.pictures.canvas import confidence_of
from recon.scenefiles.meshes.files import check_beside, find_mesh_format, write_mesh

TEXTURE_PX = 2048
"""Side of a texture where none is asked for: a 6 m room gets a texel each 3 mm."""


@dataclass(frozen=True)
class MeshResult:
    """A mesh, and the files that it was written to."""

    mesh: Mesh = field(repr=False)
    """With colours at its vertices, in the frame of the files and the project's axes."""
    textured: Mesh | None = field(repr=False)
    """Simplified, with a texture; None where no file holds one."""
    files: tuple[Path, ...]
    frame: ExportFrame
    voxel: float
    """Edge length of the grid in units of the scene."""
    views: int
    """Cameras whose depth was fused."""
    from_photos: float
    """Share of the depth that photos gave; the rest is the scene's."""
    seconds: float
    """For the surface, without textures and files."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict:
        """Plain values, as `bridge4d mesh --json` prints them."""
        return {
            "files": {str(file): file.stat().st_size for file in self.files},
            "triangles": len(self.mesh),
            "vertices": len(self.mesh.vertices),
            "textured_triangles": None if self.textured is None else len(self.textured),
            "voxel_units": self.voxel,
            "views": self.views,
            "depth_from_photos": round(self.from_photos, 4),
            "up": self.frame.up,
            "metres_per_unit": self.frame.metres_per_unit,
            "seconds": round(self.seconds, 2),
            "notes": list(self.notes),
        }


def mesh(
    scene: LoadedScene | Path | str,
    to: Path | str | Sequence[Path | str] = (),
    options: MeshOptions | None = None,
) -> MeshResult:
    """Make a mesh of a scene, and write it as any number of files; each name says the format.

    Args:
        scene: a run folder, a splat file of any format, or what `load_scene` made of one.
        to: any number of names that end in .glb, .obj, .ply or .stl.
        options: see `MeshOptions`.

    Raises:
        BridgeError: nothing to read or to make a mesh of, or a name of no format.

    Example:
        >>> mesh("runs/kitchen", ["kitchen.glb", "kitchen.stl"]).mesh
    """
    options = options or MeshOptions()
    targets = [Path(name) for name in ([to] if isinstance(to, str | Path) else to)]
    formats = [find_mesh_format(target) for target in targets]  # a typo is answered before the work
    refuse_duplicates(targets)
    if not isinstance(scene, LoadedScene):
        scene = load_scene(scene, axes=parse_input_axes(options.input_axes))
    scene.check_moment(options.at)
    _check_targets(scene, targets)
    frame = choose_frame(scene, _export_options(options))
    found, notes = _surface(scene, options)
    plain, textured = found.mesh.transform(frame.out_from_scene), None
    if any(entry.holds_texture for entry in formats):
        side, note = _texture_side(options)
        notes += [note] if note else []
        textured = mesh_with_texture(found, side=side).transform(frame.out_from_scene) if side else None
    files: list[Path] = []
    for target, entry in track(list(zip(targets, formats, strict=True)), "writing"):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        one = textured if textured is not None and entry.holds_texture else plain
        files += write_mesh(one, target, axes=choose_output_axes(options.axes, entry.axes))
    return MeshResult(
        mesh=plain,
        textured=textured,
        files=tuple(files),
        frame=frame,
        voxel=found.voxel,
        views=len(found.views),
        from_photos=found.from_photos,
        seconds=found.seconds,
        notes=tuple(notes),
    )


def _check_targets(scene: LoadedScene, targets: Sequence[Path]) -> None:
    """Refuse to write over the scene, or over foreign files beside a mesh."""
    for target in targets:
        refuse_source(scene, target)
        check_beside(target)


def _surface(scene: LoadedScene, options: MeshOptions) -> tuple[Meshed, list[str]]:
    """The mesh in the scene's own frame, and what a person should know."""
    gaussians, in_backdrop = scene.gaussians, scene.in_backdrop
    notes = list(scene.notes)
    if scene.moving is not None:
        time_s = float(scene.moving.times_s[0]) if options.at is None else options.at
        gaussians, in_backdrop = scene.moving.at(time_s), None
        notes.append(f"the scene moves; this is its surface at {time_s:g} s")
    count = sum(view.role == "photo" for view in scene.views)
    if count > MOST_VIEWS:
        notes.append(f"{MOST_VIEWS} of its {count} photos were looked at, evenly spread")
    if scene.render_mode == "2dgs":
        notes.append("the scene was trained as flat discs (2DGS) and is drawn as thin Gaussians here")
    found = mesh_gaussians(
        gaussians,
        photos=_photos(scene, options.surface.max_side),
        points=scene.points,
        in_backdrop=in_backdrop,
        antialiased=scene.render_mode == "mip",
        options=options.surface,
    )
    return found, notes + list(found.notes)


def _photos(scene: LoadedScene, max_side: int) -> Clip | None:
    """The photos of a run with the cameras that they have in its scene, as many as are looked at; None for a file."""
    shown = [view for view in scene.views if view.role == "photo"]
    if not shown:
        return None
    chosen = [shown[i] for i in spread_indices(len(shown), min(len(shown), MOST_VIEWS))]
    return Clip.concatenate([_load_photo(view).limit_size(max_side) for view in chosen])


def _load_photo(view: SceneView) -> Clip:
    width, height = view.camera.width, view.camera.height
    sure = None if view.box is None else confidence_of([view.box], width=width, height=height)
    picture = store.load_picture(view.picture)[None]
    return Clip(picture, view.camera, names=(view.name,), confidence=sure)


def _export_options(options: MeshOptions) -> ExportOptions:
    return ExportOptions(
        axes=options.axes, transform=options.transform, scale=options.scale, metric=options.metric
    )


def _texture_side(options: MeshOptions) -> tuple[int, str]:
    """Of the texture in pixels, 0 for none; and what to say of it."""
    asked = options.surface.texture
    if asked is not None:
        return asked, ""
    if importlib.util.find_spec("xatlas") is None:
        return 0, "colours are at the vertices; for a texture: pip install 'bridge4d[texture]'"
    return TEXTURE_PX, ""
