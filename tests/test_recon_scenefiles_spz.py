"""SPZ: errors no larger than its steps, axes that are stated are honoured, all versions read, nothing believed."""

import dataclasses
import gzip
import math
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused

from benchmarks.odd_scenes import odd_scene
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.compare import attribute_errors, match_nearest
from recon.splats.similarity import turn_gaussians

HALF_BYTE = 0.5 / 255
SYSTEMS = ("LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU", "RBU")  # fmt: skip
"""In the order in which the extension numbers them, from 1."""


def covariances(scene: Gaussians) -> torch.Tensor:
    w, x, y, z = torch.nn.functional.normalize(scene.quats_wxyz.double(), dim=1).unbind(1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    axes = torch.stack(rows, 1).view(-1, 3, 3) * scene.log_scales.double().exp()[:, None]
    return axes @ axes.mT


def inflated(path) -> bytes:
    return gzip.decompress(path.read_bytes())


def legacy(
    version: int, g: int, degree: int, streams: list[bytes], *, flags: int = 0, fractional_bits: int = 12
) -> bytes:
    return struct.pack("<IIIBBBB", 0x5053474E, version, g, degree, fractional_bits, flags, 0) + b"".join(
        streams
    )


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_errors_are_half_a_step(tmp_path, version, degree) -> None:
    scene = odd_scene(2000, sh_degree=degree)
    written = write_scene(scene, tmp_path / "a.spz", WriteOptions(spz_version=version))
    found = read_scene(tmp_path / "a.spz").gaussians
    errors = attribute_errors(scene, found, order=written.order)
    assert written.clamped == {}
    assert written.order is None
    assert errors["position_units"] <= 1.01 * math.sqrt(3) / 2 / 4096
    assert errors["angle_deg"] < 0.2
    assert errors["log_scale"] <= 1.001 / 32
    assert errors["opacity"] <= 1.001 * HALF_BYTE
    assert errors["color"] <= 1.001 * HALF_BYTE / 0.15 * SH_C0
    off = (scene.sh - found.sh).abs()
    assert degree == 0 or off[:, 1:4].max() <= 4.51 / 128  # 5 bits: steps of 8/128, after rounding to 1/128
    assert degree < 2 or off[:, 4:].max() <= 8.51 / 128  # 4 bits: steps of 16/128


def test_all_bits_of_spherical_harmonics_on_request(tmp_path) -> None:
    scene = odd_scene(500)
    write_scene(scene, tmp_path / "a.spz", WriteOptions(sh_bits=8))
    assert (scene.sh - read_scene(tmp_path / "a.spz").gaussians.sh)[:, 1:].abs().max() <= 0.501 / 128
    with pytest.raises(SceneFileError, match="1 to 8 bits"):
        write_scene(scene, tmp_path / "a.spz", WriteOptions(sh_bits=9))


@pytest.mark.parametrize("version", [3, 4])
def test_another_library_reads_the_same_numbers(tmp_path, version) -> None:
    gsply = pytest.importorskip("gsply")
    write_scene(odd_scene(2000), tmp_path / "a.spz", WriteOptions(spz_version=version))
    found = read_scene(tmp_path / "a.spz", axes=Axes.RDF).gaussians  # as it lies in the file
    other = gsply.read_spz(tmp_path / "a.spz")
    assert np.array_equal(other.means, found.means)
    assert np.array_equal(other.scales, found.log_scales)
    np.testing.assert_allclose(other.quats, found.quats_wxyz, atol=2e-7)
    np.testing.assert_allclose(other.opacities, found.opacity_logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other.sh0, found.sh[:, 0], atol=2e-6)
    assert np.array_equal(other.shN, found.sh[:, 1:])


@pytest.mark.parametrize("version", [3, 4])
def test_what_another_library_wrote_is_read(tmp_path, version) -> None:
    gsply = pytest.importorskip("gsply")
    scene = odd_scene(300)
    write_scene(scene, tmp_path / "a.ply")
    gsply.write_spz(tmp_path / "a.spz", gsply.plyread(tmp_path / "a.ply"), version=version)
    found = read_scene(tmp_path / "a.spz", axes=Axes.RDF)  # gsply turns nothing
    errors = attribute_errors(scene, found.gaussians)
    assert errors["position_units"] < 0.0003
    assert errors["angle_deg"] < 0.2
    assert errors["view_color_rms"] < 0.003


def test_bytes_are_those_of_the_reference_library(shared, tmp_path) -> None:
    folder = shared / "splats" / "splat_transform_3.7"  # which packs RDF with the reference library
    scene = read_scene(folder / "ref.ply").gaussians
    write_scene(scene, tmp_path / "a.spz", WriteOptions(axes=Axes.RDF))
    ours, theirs = (
        np.frombuffer(inflated(p), np.uint8) for p in (tmp_path / "a.spz", folder / "out_st_v3.spz")
    )
    assert len(ours) == len(theirs)
    differing = np.flatnonzero(ours != theirs)
    assert len(differing) < 1e-4 * len(ours)  # exact halves, which they round away from zero


@pytest.mark.parametrize("axes", list(Axes))
def test_version_4_says_which_axes_it_has(tmp_path, axes) -> None:
    scene = odd_scene(300)
    write_scene(scene, tmp_path / "a.spz", WriteOptions(spz_version=4, axes=axes))
    found = read_scene(tmp_path / "a.spz")
    assert found.axes is axes
    assert found.axes_stated
    assert found.notes == ()
    errors = attribute_errors(scene, found.gaussians)
    assert errors["angle_deg"] < 0.2
    assert errors["view_color_rms"] < 0.05


def test_version_3_cannot_and_both_sides_say_so(tmp_path) -> None:
    scene = odd_scene(300)
    assert write_scene(scene, tmp_path / "rub.spz").notes == ()
    found = read_scene(tmp_path / "rub.spz")
    assert (found.axes, found.axes_stated) == (Axes.RUB, False)
    assert "RUB by the specification, but RDF" in found.notes[0]
    written = write_scene(scene, tmp_path / "rdf.spz", WriteOptions(axes=Axes.RDF))
    assert "cannot say that it holds RDF" in written.notes[0]
    meant = read_scene(tmp_path / "rdf.spz", axes=Axes.RDF).gaussians
    assert attribute_errors(scene, meant)["angle_deg"] < 0.2


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_stated_system_is_turned_upright(tmp_path, name) -> None:
    """Half of the systems are left-handed; what a Gaussian looks like from anywhere must not change."""
    scene = odd_scene(200)
    unit = {"R": (1, 0, 0), "L": (-1, 0, 0), "D": (0, 1, 0), "U": (0, -1, 0), "F": (0, 0, 1), "B": (0, 0, -1)}
    named_from_rdf = torch.tensor([unit[letter] for letter in name], dtype=torch.float64)
    stored = turn_gaussians(scene, named_from_rdf)
    write_scene(stored, tmp_path / "a.spz", WriteOptions(spz_version=4, sh_bits=8, axes=Axes.RDF))
    data = bytearray((tmp_path / "a.spz").read_bytes())
    assert struct.unpack_from("<III", data, 32) == (0xADBE0003, 4, 6)
    struct.pack_into("<I", data, 40, 1 + SYSTEMS.index(name))
    (tmp_path / "a.spz").write_bytes(data)
    found = read_scene(tmp_path / "a.spz")
    errors = attribute_errors(scene, found.gaussians)
    assert found.axes_stated
    assert errors["position_units"] < 0.0003
    assert errors["view_color"] < 0.02
    expected, seen = covariances(scene), covariances(found.gaussians)
    assert ((expected - seen).norm(dim=(1, 2)) / expected.norm(dim=(1, 2))).max() < 0.08  # scales err by 3%


def test_what_does_not_fit_is_clamped_and_counted(tmp_path) -> None:
    scene = odd_scene(10, sh_degree=1)
    scene.sh[0, 0] = torch.tensor([4.0, -4.0, 0.0])
    scene.sh[1, 1:3, 0] = torch.tensor([1.5, -1.5])
    scene.log_scales[2] = torch.tensor([6.5, -11.0, -3.0])
    written = write_scene(scene, tmp_path / "a.spz")
    assert written.clamped == {"color": 2, "sh": 2, "scale": 2}
    found = read_scene(tmp_path / "a.spz").gaussians
    torch.testing.assert_close(found.log_scales[2], torch.tensor([5.9375, -10.0, -3.0]))
    assert found.sh[0, 0, 0] == pytest.approx(3.333, abs=1e-3)


@pytest.mark.parametrize(("farthest", "step"), [(2000.0, 2**-12), (2100.0, 2**-11), (5e4, 2**-7), (3e6, 0.5)])
def test_far_positions_get_wider_steps(tmp_path, farthest, step) -> None:
    scene = odd_scene(50)
    scene.means[7] = torch.tensor([-farthest, 1.0, 2.0])
    written = write_scene(scene, tmp_path / "a.spz")
    found = read_scene(tmp_path / "a.spz").gaussians
    assert written.clamped == {}
    assert (scene.means - found.means).abs().max() <= 0.51 * step
    assert [f"steps of {step:g} units" in note for note in written.notes] == (
        [True] if farthest > 2048 else []
    )


def test_positions_beyond_the_widest_steps_are_clamped(tmp_path) -> None:
    scene = odd_scene(50)
    scene.means[7, 0] = 1e7
    assert write_scene(scene, tmp_path / "a.spz").clamped == {"position": 1}
    assert read_scene(tmp_path / "a.spz").gaussians.means[7, 0] == pytest.approx(2**22, abs=1)


def test_render_modes(tmp_path) -> None:
    for version in (3, 4):
        write_scene(odd_scene(3), tmp_path / "a.spz", WriteOptions(spz_version=version, render_mode="mip"))
        assert read_scene(tmp_path / "a.spz").render_mode == "mip"
    write_scene(odd_scene(3), tmp_path / "b.spz", WriteOptions(spz_version=4))
    assert read_scene(tmp_path / "b.spz").render_mode == "default"
    assert "2DGS" in write_scene(odd_scene(3), tmp_path / "c.spz", WriteOptions(render_mode="2dgs")).notes[0]


@pytest.mark.parametrize("version", [3, 4])
def test_empty_scenes(tmp_path, version) -> None:
    write_scene(odd_scene(5)[:0], tmp_path / "a.spz", WriteOptions(spz_version=version))
    assert len(read_scene(tmp_path / "a.spz").gaussians) == 0


def test_same_bytes_on_any_number_of_cores(tmp_path, monkeypatch) -> None:
    scene, seen = odd_scene(40_000), []  # 2.6 MB in several blocks
    for cores in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        write_scene(scene, tmp_path / "a.spz")
        seen.append((tmp_path / "a.spz").read_bytes())
    assert seen[0] == seen[1]
    assert len(gzip.decompress(seen[0])) == 16 + 65 * len(scene)


def test_version_1_has_half_floats_and_version_2_three_components(tmp_path) -> None:
    quat = torch.nn.functional.normalize(torch.tensor([0.8, 0.3, -0.4, 0.1]), dim=0)
    xyz = (quat[1:] * 127.5 + 127.5).round().to(torch.uint8).numpy().tobytes()
    rest = [bytes([255]), bytes([128, 0, 255]), bytes([160, 144, 0]), xyz]
    for version, position in (
        (1, np.array([1.5, -2.25, 40.0], "<f2").tobytes()),
        (2, b"\x00\x18\0\x00\xdc\xff\x00\x80\x02"),
    ):
        data = legacy(version, 1, 0, [position, *rest])
        for name, content in (("packed", gzip.compress(data)), ("plain", data)):
            (tmp_path / f"{name}.spz").write_bytes(content)
            found = read_scene(tmp_path / f"{name}.spz", axes=Axes.RDF).gaussians
            assert found.means.tolist() == [[1.5, -2.25, 40.0]]
            assert found.log_scales.tolist() == [[0.0, -1.0, -10.0]]
            torch.testing.assert_close(found.quats_wxyz[0], quat, atol=0.01, rtol=0)
            assert found.opacity_logits[0] == pytest.approx(13.8155, abs=1e-3)
            assert found.sh[0, 0].tolist() == pytest.approx([0.0131, -3.3333, 3.3333], abs=1e-3)


def test_degree_4_keeps_what_degree_3_has(tmp_path) -> None:
    write_scene(odd_scene(2), tmp_path / "a.spz")
    data = bytearray(inflated(tmp_path / "a.spz"))
    data[12] = 4
    rows = [data[16 + 40 + 45 * i :][:45] + bytes(range(27)) for i in range(2)]
    (tmp_path / "b.spz").write_bytes(gzip.compress(bytes(data[: 16 + 40]) + b"".join(rows)))
    found = read_scene(tmp_path / "b.spz")
    assert torch.equal(found.gaussians.sh, read_scene(tmp_path / "a.spz").gaussians.sh)
    assert any("degree 4" in note for note in found.notes)


def test_samples_of_other_programs(shared) -> None:
    raw, v2, v3, v4 = (
        read_scene(shared / "splats" / f"minimal-{kind}.spz", axes=Axes.RDF).gaussians
        for kind in ("raw", "v2", "v3", "v4")
    )
    for one, other in ((raw, v2), (v3, v4)):
        assert all(torch.equal(value, other.tensors()[name]) for name, value in one.tensors().items())
    assert v2.means.tolist() == [[-1, 0, -1], [0, 0, -1], [-1, 0, 0], [0, 0, 0]]
    assert v4.means.tolist() == [[-1, 0, 1], [0, 0, 1], [-1, 0, 0], [0, 0, 0]]
    for scene in (v2, v4):
        assert (scene.log_scales == -2.3125).all()
        assert scene.quats_wxyz[:, 0].min() > 0.999


def test_a_scene_of_scaniverse_kind_stands_as_its_ply_does(shared) -> None:
    """The same scene in both formats; the SPZ holds RUB, as the specification has it."""
    ply = read_scene(shared / "splats" / "biker.compressed.ply").gaussians
    found = read_scene(shared / "splats" / "biker.spz").gaussians
    order = match_nearest(ply, found)
    assert len(ply) == len(found) == 152_746
    assert (ply.means[order] - found.means).norm(dim=1).max() < 0.0005
    expected, seen = covariances(ply)[order], covariances(found)
    assert ((expected - seen).norm(dim=(1, 2)) / expected.norm(dim=(1, 2))).median() < 0.05


def limited(megabytes: float):
    class Limit:
        def __enter__(self):
            tracemalloc.start()

        def __exit__(self, *_):
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < megabytes * 2**20, f"{peak / 2**20:.0f} MB"

    return Limit()


def test_claimed_sizes_are_checked_before_memory_is_taken(tmp_path) -> None:
    path = tmp_path / "a.spz"
    bomb = gzip.compress(legacy(3, 2**31, 3, [bytes(50 << 20)]))
    with limited(20):
        for data in (bomb, legacy(2, 2**32 - 1, 3, []), gzip.compress(legacy(3, 2**32 - 1, 4, []))):
            path.write_bytes(data)
            with pytest.raises(SceneFileError, match=r"a\.spz"):
                read_scene(path)
    zstandard = pytest.importorskip("zstandard")
    g = 1 << 22
    head = struct.pack("<IIIBBBBI12x", 0x5053474E, 4, g, 0, 12, 0, 5, 32)
    streams = [zstandard.compress(bytes(g * size)) for size in (9, 1, 3, 3, 4)]
    table = b"".join(struct.pack("<QQ", len(s), g * n) for s, n in zip(streams, (9, 1, 3, 3, 4), strict=True))
    with limited(20):
        for data in (
            head + table + b"".join(streams),  # grows 5,000-fold
            head[:8]
            + struct.pack("<I", 1)
            + head[12:]
            + struct.pack("<QQ", len(streams[0]), 9)
            + table[16:]
            + b"".join(streams),
        ):
            path.write_bytes(data)
            with pytest.raises(SceneFileError, match=r"a\.spz"):
                read_scene(path)


def test_damaged_files_are_read_or_refused(tmp_path) -> None:
    scene = odd_scene(40, sh_degree=2)
    path = tmp_path / "a.spz"
    write_scene(scene, path)
    inside = inflated(path)
    assert read_or_refused(path, damaged(inside, 300), lambda data: gzip.compress(data, 1)) > 50
    assert read_or_refused(path, damaged(gzip.compress(inside), 100)) > 60
    assert read_or_refused(path, damaged(inside, 100)) > 20
    write_scene(scene, path, WriteOptions(spz_version=4))
    assert read_or_refused(path, damaged(path.read_bytes(), 300)) > 100


@pytest.mark.parametrize(
    "content", [b"", b"NGSP", b"\x1f\x8b", b"ply\n", gzip.compress(b"ply\nformat ascii 1.0\n", mtime=0)]
)
def test_other_files_are_refused(tmp_path, content) -> None:
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(SceneFileError, match=r"a\.spz"):
        read_scene(tmp_path / "a.spz")


def test_a_later_version_is_named(tmp_path) -> None:
    (tmp_path / "a.spz").write_bytes(legacy(5, 0, 0, []))
    with pytest.raises(SceneFileError, match="version 5 of SPZ, expected 1 to 4"):
        read_scene(tmp_path / "a.spz")


def test_quaternions_of_any_length(tmp_path) -> None:
    scene = odd_scene(100)
    longer = dataclasses.replace(scene, quats_wxyz=scene.quats_wxyz * torch.logspace(-25, 15, 100)[:, None])
    write_scene(longer, tmp_path / "a.spz")
    assert attribute_errors(scene, read_scene(tmp_path / "a.spz").gaussians)["angle_deg"] < 0.2
