"""Meshes as files: GLB, OBJ, PLY, STL. Written only."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.mesh.types import Mesh
from recon.pictures.eight_bit import to_eight_bit
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.scenefiles.meshes.glb import glb_bytes
from recon.sim3 import Sim3

BESIDE = (".mtl", ".jpg")
"""Material and texture of an OBJ."""
FIRST_LINE = "# bridge4d"
"""Of an OBJ of ours."""
JPEG_QUALITY = 95
"""Of textures: a tenth of the bytes of PNG, and no difference to be seen."""


@dataclass(frozen=True)
class MeshFormat:
    """One kind of file."""

    title: str
    axes: Axes
    """What its files hold unless they are told otherwise."""
    write: Callable[[Mesh, Path], None]
    """Writes a mesh in the axes of the file."""
    holds_texture: bool = False
    loses: str = ""
    """What a mesh leaves behind in it, for people; '' where nothing."""


def write_mesh(mesh: Mesh, path: Path | str, *, axes: Axes | None = None) -> tuple[Path, ...]:
    """Write a mesh in the axes of the format, or in others; the name says the format.

    Args:
        mesh: in the project's axes.
        path: .glb .obj .ply or .stl.
        axes: of the file.

    Returns:
        What was written: the file, and beside an OBJ with a texture its material and its picture.

    Raises:
        SceneFileError: a name of no such format, an empty mesh, or one that does not fit.

    Example:
        >>> write_mesh(meshed.mesh, "room.glb")
    """
    path = Path(path)
    entry = find_mesh_format(path)
    if mesh.texture is not None:
        check_beside(path)
    if len(mesh) == 0:
        raise SceneFileError(f"expected a mesh to write as {path.name}, got one without triangles")
    identity = Sim3.identity()
    turned = mesh.transform(Sim3(identity.scale, axes_from_rdf(axes or entry.axes), identity.translation))
    entry.write(turned, path)
    beside = [path.with_suffix(suffix) for suffix in BESIDE]
    return (path, *beside) if path.suffix.lower() == ".obj" and mesh.texture is not None else (path,)


def check_beside(path: Path) -> None:
    """Refuse an OBJ beside which somebody else's material or picture of its name lies.

    Raises:
        SceneFileError: they would be overwritten.
    """
    if path.suffix.lower() != ".obj":
        return
    ours = path.is_file() and path.read_bytes()[: len(FIRST_LINE)] == FIRST_LINE.encode()
    strangers = [path.with_suffix(suffix) for suffix in BESIDE if path.with_suffix(suffix).exists()]
    if strangers and not ours:
        raise SceneFileError(
            f"{strangers[0]} lies where the texture of {path.name} would go; choose another name"
        )


def find_mesh_format(path: Path | str) -> MeshFormat:
    """The format that a name means.

    Raises:
        SceneFileError: there is none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MESH_FORMATS:
        raise SceneFileError(
            f"{Path(path).name} is no kind of mesh file known here, expected {' '.join(MESH_FORMATS)}"
        )
    return MESH_FORMATS[suffix]


def _write_glb(mesh: Mesh, path: Path) -> None:
    picture = None if mesh.texture is None else _jpeg(mesh.texture)
    _put(path, glb_bytes(mesh, picture))


def _write_obj(mesh: Mesh, path: Path) -> None:
    """With a texture, `name.mtl` and `name.jpg` beside it; without, colours after the coordinates of each vertex."""
    lines = [FIRST_LINE]
    corners = mesh.faces.numpy() + 1
    if mesh.texture is None or mesh.uv is None:
        table = torch.cat([mesh.vertices, mesh.colors], 1).numpy()
        faces = _rows("f %d %d %d", corners)
        lines += [_rows("v %.9g %.9g %.9g %.4f %.4f %.4f", table), faces]
    else:
        material = path.with_suffix(".mtl")
        _put(path.with_suffix(".jpg"), _jpeg(mesh.texture))
        _put(material, f"newmtl scene\nKd 1 1 1\nillum 0\nmap_Kd {path.stem}.jpg\n".encode())
        faces = _rows("f %d/%d %d/%d %d/%d", np.repeat(corners, 2, axis=1))
        lines += [f"mtllib {material.name}", _rows("v %.9g %.9g %.9g", mesh.vertices.numpy())]
        lines += [_rows("vt %.6f %.6f", mesh.uv.numpy()), "usemtl scene", faces]
    _put(path, "\n".join([*lines, ""]).encode())


def _rows(form: str, table: np.ndarray) -> str:
    """A line of text for each row."""
    return "\n".join(form % tuple(row) for row in table.tolist())


def _write_by_trimesh(mesh: Mesh, path: Path) -> None:
    import trimesh

    colors = to_eight_bit(mesh.colors).numpy()
    plain = trimesh.Trimesh(
        mesh.vertices.numpy(), mesh.faces.numpy(), vertex_colors=colors, process=False, validate=False
    )
    content = plain.export(file_type=path.suffix.lower().lstrip("."))
    assert isinstance(content, bytes)
    _put(path, content)


def _jpeg(texture: torch.Tensor) -> bytes:
    from PIL import Image

    pixels = to_eight_bit(texture).numpy()
    out = BytesIO()
    Image.fromarray(pixels).save(out, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def _put(path: Path, content: bytes) -> None:
    with atomic_write(path) as beside:
        beside.write_bytes(content)


MESH_FORMATS: dict[str, MeshFormat] = {
    ".glb": MeshFormat("mesh (GLB)", Axes.LUF, _write_glb, holds_texture=True),
    ".obj": MeshFormat(
        "mesh (OBJ)",
        Axes.RDF,
        _write_obj,
        holds_texture=True,
        loses="without a texture: colours of vertices stand after their coordinates, which some programs do not read",
    ),
    ".ply": MeshFormat(
        "mesh (PLY)", Axes.RDF, _write_by_trimesh, loses="the texture; vertices have colours of 8 bits"
    ),
    ".stl": MeshFormat("mesh (STL)", Axes.RDF, _write_by_trimesh, loses="all colours"),
}
