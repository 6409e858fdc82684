"""PLY files of scenes: the layout viewers read, exact round trips, clear errors."""

import struct

import pytest
import torch

from recon.errors import SceneFileError
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles import read_scene, write_scene


def scene(g: int, sh_degree: int, generator: torch.Generator) -> Gaussians:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(normal(g, 3), normal(g, 4), normal(g, 3), normal(g), normal(g, sh_bases(sh_degree), 3))


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
@pytest.mark.parametrize("g", [0, 1, 7])
def test_round_trip_is_exact(tmp_path, generator, g, sh_degree):
    gaussians = scene(g, sh_degree, generator)
    write_scene(gaussians, tmp_path / "scene.ply")
    back = read_scene(tmp_path / "scene.ply").gaussians
    assert all(torch.equal(value, back.tensors()[name]) for name, value in gaussians.tensors().items())
    assert [p.name for p in tmp_path.iterdir()] == ["scene.ply"]


def test_layout_is_that_of_3dgs(tmp_path, generator):
    gaussians = scene(2, 1, generator)
    write_scene(gaussians, tmp_path / "scene.ply")
    header, body = (tmp_path / "scene.ply").read_bytes().split(b"end_header\n")
    names = [line.split()[-1] for line in header.decode().splitlines() if line.startswith("property float")]
    assert names == (
        "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 "
        + " ".join(f"f_rest_{i}" for i in range(9))
        + " opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"
    ).split(" ")
    row = dict(zip(names, struct.unpack(f"<{len(names)}f", body[: 4 * len(names)]), strict=True))
    assert row["f_rest_1"] == gaussians.sh[0, 2, 0]  # all of red first
    assert row["f_rest_3"] == gaussians.sh[0, 1, 1]
    assert row["rot_0"] == gaussians.quats_wxyz[0, 0]
    assert row["opacity"] == gaussians.opacity_logits[0]
    assert row["scale_2"] == gaussians.log_scales[0, 2]


def test_another_library_reads_it(tmp_path, generator):
    gsply = pytest.importorskip("gsply")
    gaussians = scene(5, 3, generator)
    write_scene(gaussians, tmp_path / "scene.ply")
    other = gsply.plyread(str(tmp_path / "scene.ply"))
    assert torch.equal(torch.from_numpy(other.means), gaussians.means)
    assert torch.equal(torch.from_numpy(other.shN).reshape(5, 15, 3), gaussians.sh[:, 1:])


@pytest.mark.parametrize("kept", [0, 3, 40, 400, 900, -1])
def test_a_truncated_file_is_refused(tmp_path, generator, kept):
    write_scene(scene(5, 3, generator), tmp_path / "scene.ply")
    whole = (tmp_path / "scene.ply").read_bytes()
    (tmp_path / "cut.ply").write_bytes(whole[:kept])
    with pytest.raises(SceneFileError, match=r"cut\.ply"):
        read_scene(tmp_path / "cut.ply")


def test_other_files_are_refused(tmp_path, generator):
    with pytest.raises(SceneFileError, match="found nothing"):
        read_scene(tmp_path / "absent.ply")
    (tmp_path / "cloud.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n"
    )
    with pytest.raises(SceneFileError, match="holds no 3D Gaussians"):
        read_scene(tmp_path / "cloud.ply")
    broken = scene(3, 0, generator)
    broken.means[1, 1] = torch.nan
    write_scene(broken, tmp_path / "nan.ply")
    assert len(read_scene(tmp_path / "nan.ply").gaussians) == 2
