"""The .splat format: its 32 bytes, its order, what it cannot hold."""

import struct

import pytest
import torch
from damaged_files import damaged, read_or_refused

from benchmarks.odd_scenes import odd_scene
from recon.errors import SceneFileError
from recon.gaussians import SH_C0
from recon.scenefiles import read_scene, write_scene
from recon.scenefiles.compare import attribute_errors

HALF_BYTE = 0.5 / 255


def test_errors_are_half_a_step(tmp_path) -> None:
    scene = odd_scene(2000)
    written = write_scene(scene, tmp_path / "a.splat")
    found = read_scene(tmp_path / "a.splat").gaussians
    errors = attribute_errors(scene, found, order=written.order)
    assert written.clamped == {}
    assert found.sh_degree == 0
    assert errors["position_units"] == 0
    assert errors["log_scale"] < 1e-6
    assert errors["angle_deg"] < 0.9  # half a step of 2/255 in each of four components
    assert errors["opacity"] <= 1.001 * HALF_BYTE
    assert errors["color"] <= 1.001 * HALF_BYTE


def test_layout(tmp_path) -> None:
    scene = odd_scene(1)
    scene.quats_wxyz[0] = torch.tensor([0.5, -0.5, 0.5, -0.5])
    scene.opacity_logits[0] = 0.0
    scene.sh[0, 0] = torch.tensor([0.0, 0.5 / SH_C0, -0.5 / SH_C0])
    write_scene(scene, tmp_path / "a.splat")
    *floats, r, g, b, alpha, w, x, y, z = struct.unpack("<6f8B", (tmp_path / "a.splat").read_bytes())
    assert floats[:3] == scene.means[0].tolist()
    assert floats[3:] == pytest.approx(scene.log_scales[0].exp().tolist())
    assert (r, g, b, alpha) == (128, 255, 0, 128)
    assert (w, x, y, z) == (191, 64, 191, 64)


def test_large_opaque_gaussians_come_first(tmp_path) -> None:
    scene = odd_scene(500)
    written = write_scene(scene, tmp_path / "a.splat")
    found = read_scene(tmp_path / "a.splat").gaussians
    shown = found.log_scales.sum(1).exp() * found.opacity_logits.sigmoid()
    assert (shown[1:] < 1.25 * shown[:-1]).all()  # opacities of 2% are rounded by a tenth
    assert shown[:50].min() > shown[-50:].max()
    assert sorted(written.order.tolist()) == list(range(500))


def test_colours_beyond_white_are_counted(tmp_path) -> None:
    scene = odd_scene(10)
    scene.sh[3, 0] = torch.tensor([3.0, -3.0, 0.0])
    assert write_scene(scene, tmp_path / "a.splat").clamped == {"color": 2}


def test_a_file_of_gsplat(tmp_path) -> None:
    """An independent writer, which cuts 128 · q + 128 off to a whole number."""
    from gsplat import export_splats

    scene = odd_scene(500)
    export_splats(
        means=scene.means,
        scales=scene.log_scales,
        quats=scene.quats_wxyz.clone(),
        opacities=scene.opacity_logits,
        sh0=scene.sh[:, :1],
        shN=scene.sh[:, 1:],
        format="splat",
        save_to=str(tmp_path / "a.splat"),
    )
    found = read_scene(tmp_path / "a.splat").gaussians
    order = torch.cdist(found.means, scene.means).argmin(1)
    errors = attribute_errors(scene, found, order=order)
    assert errors["position_units"] == 0
    assert errors["log_scale"] < 1e-6
    assert errors["angle_deg"] < 0.9
    assert errors["color"] <= 2.001 * HALF_BYTE


def test_a_sample_of_another_program(shared) -> None:
    found = read_scene(shared / "splats" / "minimal.splat").gaussians
    assert found.means.tolist() == [[-1, 0, -1], [0, 0, -1], [-1, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(found.log_scales.exp(), torch.full((4, 3), 0.1))


@pytest.mark.parametrize("size", [0, 1, 31, 33, 95])
def test_broken_sizes_are_refused(tmp_path, size) -> None:
    (tmp_path / "a.splat").write_bytes(bytes(size))
    with pytest.raises(SceneFileError, match=f"it has {size} bytes, expected a multiple of 32"):
        read_scene(tmp_path / "a.splat")


def test_an_empty_scene_is_refused(tmp_path) -> None:
    with pytest.raises(SceneFileError, match="empty scene"):
        write_scene(odd_scene(5)[:0], tmp_path / "a.splat")
    assert not (tmp_path / "a.splat").exists()


def test_damaged_files_are_read_or_refused(tmp_path) -> None:
    write_scene(odd_scene(20), tmp_path / "a.splat")
    whole = (tmp_path / "a.splat").read_bytes()
    assert read_or_refused(tmp_path / "a.splat", damaged(whole, 300)) > 20
