"""Meshes as other programs read them: places, axes, colours, textures."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from recon.errors import SceneFileError
from recon.gaussians import from_points
from recon.mesh import Mesh
from recon.scenefiles import Axes, read_scene, write_scene
from recon.scenefiles.meshes.files import MESH_FORMATS, find_mesh_format, write_mesh


@pytest.fixture
def tetrahedron() -> Mesh:
    """No two coordinates alike, so that swapped axes show; dark colours, which 8 linear bits would spoil."""
    vertices = torch.tensor([[0.1, 0.2, 0.3], [1.4, 0.25, 0.35], [0.15, 2.5, 0.4], [0.05, 0.3, 3.6]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    colors = torch.tensor([[0.02, 0.5, 1.0], [1, 0, 0.25], [0.1, 0.75, 0.03], [0.6, 0.4, 0.2]])
    return Mesh(vertices, faces, colors)


@pytest.fixture
def square() -> Mesh:
    """With a texture of four colours, red where u and v are small."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    texture = torch.zeros(64, 64, 3)
    texture[32:, :32, 0] = 1  # rows count from the top: the lower left
    texture[32:, 32:, 1] = 1
    texture[:32, :32, 2] = 1
    texture[:32, 32:] = 1
    return Mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.ones(4, 3), vertices[:, :2], texture)


def loaded(path: Path) -> trimesh.Trimesh:
    found = trimesh.load(path, process=False, force="mesh")
    assert isinstance(found, trimesh.Trimesh)
    return found


@pytest.mark.parametrize("suffix", list(MESH_FORMATS))
def test_triangles_arrive_in_the_axes_of_the_format(suffix: str, tetrahedron: Mesh, tmp_path: Path) -> None:
    files = write_mesh(tetrahedron, tmp_path / f"m{suffix}")
    assert files == (tmp_path / f"m{suffix}",)
    assert [f.name for f in tmp_path.iterdir()] == [f"m{suffix}"]
    signs = [-1, -1, 1] if suffix == ".glb" else [1, 1, 1]
    expected = (tetrahedron.vertices * torch.tensor(signs))[tetrahedron.faces].numpy()
    assert np.allclose(loaded(tmp_path / f"m{suffix}").triangles, expected, atol=1e-6)


@pytest.mark.parametrize("suffix", list(MESH_FORMATS))
def test_other_axes_are_turned_and_stay_right_side_out(
    suffix: str, tetrahedron: Mesh, tmp_path: Path
) -> None:
    write_mesh(tetrahedron, tmp_path / f"m{suffix}", axes=Axes.Z_UP)
    found = loaded(tmp_path / f"m{suffix}")
    x, y, z = tetrahedron.vertices.unbind(1)
    expected = torch.stack([x, z, -y], 1)[tetrahedron.faces].numpy()
    assert np.allclose(found.triangles, expected, atol=1e-6)
    here = trimesh.Trimesh(tetrahedron.vertices.numpy(), tetrahedron.faces.numpy())
    assert found.volume == pytest.approx(here.volume, rel=1e-5)
    assert found.volume > 0


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_colours_of_vertices_arrive(suffix: str, tetrahedron: Mesh, tmp_path: Path) -> None:
    write_mesh(tetrahedron, tmp_path / f"m{suffix}")
    colors = np.asarray(loaded(tmp_path / f"m{suffix}").visual.vertex_colors)[:, :3]
    assert np.abs(colors - 255 * tetrahedron.colors.numpy()).max() <= 1


def test_colours_of_a_glb_are_linear_and_unlit(tetrahedron: Mesh, tmp_path: Path) -> None:
    write_mesh(tetrahedron, tmp_path / "m.glb")
    said, binary = chunks(tmp_path / "m.glb")
    primitive = said["meshes"][0]["primitives"][0]
    accessor = said["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (accessor["componentType"], accessor["type"], accessor["normalized"]) == (5123, "VEC4", True)
    at = said["bufferViews"][accessor["bufferView"]]["byteOffset"]
    linear = np.frombuffer(binary, "<u2", 16, at).reshape(4, 4)[:, :3] / 65535
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(srgb - tetrahedron.colors.numpy()).max() < 1e-3
    assert "KHR_materials_unlit" in said["materials"][primitive["material"]]["extensions"]
    position = said["accessors"][primitive["attributes"]["POSITION"]]
    assert position["max"] == pytest.approx([-0.05, -0.2, 3.6])
    assert all(view["byteOffset"] % 4 == 0 for view in said["bufferViews"])
    assert (tmp_path / "m.glb").stat().st_size % 4 == 0


def chunks(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    assert struct.unpack("<4sII", data[:12]) == (b"glTF", 2, len(data))
    size = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_textures_arrive_the_right_way_up(suffix: str, square: Mesh, tmp_path: Path) -> None:
    files = write_mesh(square, tmp_path / f"room{suffix}")
    names = {".glb": ["room.glb"], ".obj": ["room.obj", "room.mtl", "room.jpg"]}[suffix]
    assert [f.name for f in files] == names
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(names)
    found = loaded(tmp_path / f"room{suffix}")
    material = found.visual.material
    picture = material.baseColorTexture if suffix == ".glb" else material.image
    assert isinstance(picture, Image.Image)
    lowest = np.asarray(found.visual.uv).sum(1).argmin()  # trimesh counts v from below in both
    assert np.abs(found.vertices[lowest]).max() < 1e-6
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(pixels[48, 16] - [255, 0, 0]).max() < 8
    assert np.abs(pixels[16, 16] - [0, 0, 255]).max() < 8


def test_a_mesh_and_its_splats_agree_as_glb(tetrahedron: Mesh, tmp_path: Path) -> None:
    splats = from_points(tetrahedron.vertices, tetrahedron.colors, sh_degree=0)
    write_scene(splats, tmp_path / "splats.glb")
    write_mesh(tetrahedron, tmp_path / "mesh.glb")
    in_file = read_scene(tmp_path / "splats.glb", axes=Axes.RDF).gaussians.means  # taken as it stands
    assert np.allclose(loaded(tmp_path / "mesh.glb").vertices, in_file.numpy(), atol=1e-6)


def test_pictures_of_others_beside_an_obj_stay(square: Mesh, tmp_path: Path) -> None:
    (tmp_path / "kitchen.jpg").write_text("a photo")
    with pytest.raises(SceneFileError, match=r"kitchen\.jpg lies where the texture"):
        write_mesh(square, tmp_path / "kitchen.obj")
    assert (tmp_path / "kitchen.jpg").read_text() == "a photo"
    for _ in range(2):  # its own may be written again
        write_mesh(square, tmp_path / "own.obj")


def test_what_cannot_be_written_is_said_in_a_sentence(tetrahedron: Mesh, tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match=r"m\.fbx is no kind of mesh file.*\.glb \.obj \.ply \.stl"):
        write_mesh(tetrahedron, tmp_path / "m.fbx")
    with pytest.raises(SceneFileError, match="one without triangles"):
        write_mesh(Mesh.empty(), tmp_path / "m.glb")
    assert list(tmp_path.iterdir()) == []
    assert "colours" in find_mesh_format("m.STL").loses
