"""Compressed PLY: errors no larger than a chunk's step, far Gaussians that spare the others, files of other writers."""

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused

from benchmarks.odd_scenes import odd_scene
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import WriteOptions, read_scene, write_scene
from recon.scenefiles.compare import attribute_errors

HALF_BYTE = 0.5 / 255
TOPS = torch.tensor([2047.0, 1023.0, 2047.0])


def chunk_extents(values: torch.Tensor) -> torch.Tensor:
    """For each row the extent of its chunk of 256."""
    extents = [(part.amax(0) - part.amin(0)).expand(len(part), 3) for part in values.split(256)]
    return torch.cat(extents)


def split_file(path) -> tuple[str, np.ndarray, np.ndarray, bytes]:
    """Header, floats of the chunks, words of the Gaussians, and the rest."""
    data = path.read_bytes()
    end = data.index(b"end_header\n") + 11
    header = data[:end].decode()
    counts = {line.split()[1]: int(line.split()[2]) for line in header.splitlines() if "element" in line}
    chunks = np.frombuffer(data, "<f4", counts["chunk"] * 18, end).reshape(-1, 18)
    at = end + chunks.nbytes
    words = np.frombuffer(data, "<u4", counts["vertex"] * 4, at).reshape(-1, 4)
    return header, chunks, words, data[at + words.nbytes :]


@pytest.mark.parametrize("g", [1, 256, 257, 2000])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_errors_are_half_a_step(tmp_path, g, degree) -> None:
    scene = odd_scene(g, sh_degree=degree)
    written = write_scene(scene, tmp_path / "a.compressed.ply")
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    expected = scene[written.order]
    assert written.clamped == {}
    for name in ("means", "log_scales"):
        value = expected.tensors()[name]
        off = (value - found.tensors()[name]).abs()
        assert (off <= chunk_extents(value) / TOPS * 0.501 + 1e-5).all(), name
    errors = attribute_errors(expected, found)
    assert errors["angle_deg"] < 0.2
    assert errors["opacity"] <= 1.001 * HALF_BYTE
    colors = expected.sh[:, 0] * SH_C0
    assert ((colors - found.sh[:, 0] * SH_C0).abs() <= chunk_extents(colors) * HALF_BYTE * 1.001 + 1e-5).all()
    assert degree == 0 or (expected.sh - found.sh)[:, 1:].abs().max() <= 1.001 / 64


def test_another_library_reads_the_same_numbers(tmp_path) -> None:
    gsply = pytest.importorskip("gsply")
    write_scene(odd_scene(2000), tmp_path / "a.compressed.ply")
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    other = gsply.plyread(tmp_path / "a.compressed.ply")
    np.testing.assert_allclose(other.means, found.means, atol=5e-6)
    np.testing.assert_allclose(other.scales, found.log_scales, atol=5e-6)
    np.testing.assert_allclose(other.quats, found.quats_wxyz, atol=5e-7)
    np.testing.assert_allclose(other.sh0, found.sh[:, 0], atol=5e-6)
    np.testing.assert_allclose(other.shN, found.sh[:, 1:], atol=1e-6)
    np.testing.assert_allclose(other.opacities, found.opacity_logits, atol=2e-4)


def test_a_file_of_gsplat(tmp_path) -> None:
    """An independent writer; it leaves out what is nearly invisible."""
    from gsplat import export_splats

    scene = odd_scene(2000)
    scene = scene[scene.opacity_logits.sigmoid() > 1 / 254]
    export_splats(
        means=scene.means,
        scales=scene.log_scales,
        quats=scene.quats_wxyz.clone(),
        opacities=scene.opacity_logits,
        sh0=scene.sh[:, :1],
        shN=scene.sh[:, 1:],
        format="ply_compressed",
        save_to=str(tmp_path / "a.compressed.ply"),
    )
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    assert len(found) == len(scene)
    order = torch.cdist(found.means, scene.means).argmin(1)
    errors = attribute_errors(scene, found, order=order)
    assert errors["position_units"] < 0.05
    assert errors["view_color_rms"] < 0.011
    assert errors["angle_deg_median"] < 0.1


def test_a_far_gaussian_spares_the_others(tmp_path) -> None:
    """Three far ones ruin a chunk each in plain Morton order; here they share one with the largest Gaussians."""
    scene = odd_scene(4000)[:3900]  # without its own outliers
    far = [500, 1500, 2500]
    scene.means[far] = torch.tensor([[900.0, 0, 0], [0, -800.0, 30], [40, 20, 1000.0]])
    written = write_scene(scene, tmp_path / "a.compressed.ply")
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    off = (scene.means[written.order] - found.means).norm(dim=1)
    last = len(scene) // 256 * 256
    assert set(far) <= set(written.order[last:].tolist())
    assert off[:last].max() < 0.005
    size = scene.log_scales.amax(1)[written.order]
    near_in_last = [row for row in range(last, len(scene)) if int(written.order[row]) not in far]
    assert size[near_in_last].min() >= size[:last].max()


def test_equal_values_in_a_chunk(tmp_path) -> None:
    scene = odd_scene(300)
    scene.means[:] = torch.tensor([1.0, 2.0, 3.0])
    scene.log_scales[:] = -4.0
    write_scene(scene, tmp_path / "a.compressed.ply")
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    assert (found.means == torch.tensor([1.0, 2.0, 3.0])).all()
    assert (found.log_scales == -4.0).all()


def test_what_does_not_fit_is_clamped_and_counted(tmp_path) -> None:
    scene = odd_scene(10)
    scene.sh[1, 4] = torch.tensor([5.0, -5.0, 0.0])
    scene.log_scales[2, 0] = 25.0
    written = write_scene(scene, tmp_path / "a.compressed.ply")
    found = read_scene(tmp_path / "a.compressed.ply").gaussians
    row = written.order.tolist().index(1)
    assert written.clamped == {"sh": 2, "scale": 1}
    assert found.sh[row, 4].tolist() == pytest.approx([4.0, -4.0, 0.0], abs=0.02)


def test_render_mode_and_empty_scene(tmp_path) -> None:
    write_scene(odd_scene(3), tmp_path / "a.compressed.ply", WriteOptions(render_mode="mip"))
    assert read_scene(tmp_path / "a.compressed.ply").render_mode == "mip"
    write_scene(odd_scene(3)[:0], tmp_path / "b.compressed.ply")
    assert len(read_scene(tmp_path / "b.compressed.ply").gaussians) == 0


def same(one: Gaussians, other: Gaussians) -> bool:
    return all(torch.equal(value, other.tensors()[name]) for name, value in one.tensors().items())


def test_content_decides_not_the_name(tmp_path) -> None:
    write_scene(odd_scene(300), tmp_path / "a.compressed.ply")
    expected = read_scene(tmp_path / "a.compressed.ply").gaussians
    (tmp_path / "renamed.ply").write_bytes((tmp_path / "a.compressed.ply").read_bytes())
    assert same(read_scene(tmp_path / "renamed.ply").gaussians, expected)
    write_scene(odd_scene(3), tmp_path / "plain.ply")
    (tmp_path / "plain.ply").rename(tmp_path / "plain.compressed.ply")
    with pytest.raises(SceneFileError, match="ordinary PLY in spite of its name"):
        read_scene(tmp_path / "plain.compressed.ply")


def test_old_files_without_ranges_of_colours(tmp_path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_scene(odd_scene(300, sh_degree=0), path)
    expected = read_scene(path).gaussians
    header, chunks, words, _ = split_file(path)
    for name in ("min_r", "min_g", "min_b", "max_r", "max_g", "max_b"):
        header = header.replace(f"property float {name}\n", "")
    path.write_bytes(header.encode() + chunks[:, :12].tobytes() + words.tobytes())
    found = read_scene(path).gaussians
    assert torch.equal(found.means, expected.means)
    red = (words[:, 3] >> 24).astype(np.float32) / 255
    np.testing.assert_allclose(found.sh[:, 0, 0] * SH_C0 + 0.5, red, atol=1e-6)


def test_properties_in_another_order(tmp_path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_scene(odd_scene(300, sh_degree=1), path)
    expected = read_scene(path).gaussians
    header, chunks, words, sh = split_file(path)
    turned = np.frombuffer(sh, np.uint8).reshape(300, 9)[:, ::-1]
    for i in range(9):
        header = header.replace(f"property uchar f_rest_{i}\n", f"property uchar f_new_{8 - i}\n")
    path.write_bytes(
        header.replace("f_new", "f_rest").encode() + chunks.tobytes() + words.tobytes() + turned.tobytes()
    )
    assert same(read_scene(path).gaussians, expected)


def test_degree_4_keeps_what_degree_3_has(tmp_path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_scene(odd_scene(10), path)
    expected = read_scene(path).gaussians
    header, chunks, words, sh = split_file(path)
    more = np.pad(np.frombuffer(sh, np.uint8).reshape(10, 3, 15), ((0, 0), (0, 0), (0, 9)))
    names = "".join(f"property uchar f_rest_{i}\n" for i in range(45, 72))
    header = header.replace("end_header", names + "end_header")
    path.write_bytes(header.encode() + chunks.tobytes() + words.tobytes() + more.tobytes())
    found = read_scene(path)
    assert same(found.gaussians, expected)
    assert "degree 4" in found.notes[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("element chunk 2", "element chunk 1", "1 chunks, expected one for each 256 of 300"),
        ("element sh 300", "element sh 299", "299 sh elements for 300"),
        ("f_rest_8", "f_rest_9", "9 properties of sh elements"),
        ("packed_scale", "other", "lacks packed_scale"),
        ("property float min_z", "property float other", "lacks min_z"),
        ("element vertex 300", "element vertex 3000000000", "cut short"),
    ],
)  # fmt: skip
def test_inconsistent_files_are_refused(tmp_path, old, new, message) -> None:
    path = tmp_path / "a.compressed.ply"
    write_scene(odd_scene(300, sh_degree=1), path)
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))
    with pytest.raises(SceneFileError, match=message):
        read_scene(path)


def test_damaged_files_are_read_or_refused(tmp_path) -> None:
    path = tmp_path / "a.compressed.ply"
    write_scene(odd_scene(20, sh_degree=1), path)
    whole = path.read_bytes()
    body = whole.index(b"end_header\n") + 11
    assert read_or_refused(path, damaged(whole, 300)) > 50
    assert read_or_refused(path, damaged(whole[body:], 200, seed=1), lambda data: whole[:body] + data) > 10


def test_samples_of_another_program(shared, tmp_path) -> None:
    """What splat-transform wrote from a scene lies as close to it as the steps allow, as ours does."""
    folder = shared / "splats" / "splat_transform_3.7"
    scene = read_scene(folder / "ref.ply").gaussians
    theirs = read_scene(folder / "out_st.compressed.ply").gaussians
    order = torch.cdist(theirs.means, scene.means).argmin(1)
    errors = attribute_errors(scene, theirs, order=order)
    assert errors["position_units"] < 0.05
    assert errors["view_color_rms"] < 0.011
    assert len(read_scene(shared / "splats" / "tiny64_sh.compressed.ply").gaussians) == 64
