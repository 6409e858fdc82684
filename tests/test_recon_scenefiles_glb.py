"""GLB with KHR_gaussian_splatting: the layout of the extension, other programs' files, nodes, hostile files."""

import base64
import json
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused
from scipy.spatial.transform import Rotation

from benchmarks.odd_scenes import odd_scene
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.compare import attribute_errors
from recon.sequence import GaussianFrames
from recon.splats.sh import evaluate_sh
from recon.splats.similarity import even_directions, turn_gaussians

KHR = "KHR_gaussian_splatting"
TYPES = {"f4": 5126, "u1": 5121, "i1": 5120, "u2": 5123, "i2": 5122}
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def unpack(path: Path) -> tuple[dict[str, Any], bytes]:
    """JSON and binary of a GLB, by the glTF specification alone."""
    data = path.read_bytes()
    magic, version, length, json_size, json_type = struct.unpack_from("<4s4I", data)
    assert (magic, version, length, json_type) == (b"glTF", 2, len(data), 0x4E4F534A)
    size, kind = struct.unpack_from("<II", data, 20 + json_size)
    assert kind == 0x004E4942
    assert json_size % 4 == size % 4 == 0
    assert 28 + json_size + size == length
    return json.loads(data[20 : 20 + json_size]), data[28 + json_size :]


def pack(path: Path, content: dict[str, Any], binary: bytes) -> Path:
    head = json.dumps(content).encode()
    head += b" " * (-len(head) % 4)
    binary += bytes(-len(binary) % 4)
    chunks = (
        struct.pack("<II", len(head), 0x4E4F534A)
        + head
        + struct.pack("<II", len(binary), 0x004E4942)
        + binary
    )
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def splat_gltf(
    *parts: dict[str, np.ndarray], nodes: list[dict[str, Any]] | None = None
) -> tuple[dict[str, Any], bytes]:
    """A glTF of one mesh whose primitives have these attributes; integers are normalised."""
    binary, views, accessors, primitives = b"", [], [], []
    for attributes in parts:
        for values in attributes.values():
            binary += bytes(-len(binary) % 4)
            views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": values.nbytes})
            accessor = {"bufferView": len(views) - 1, "count": len(values), "type": KINDS[values.shape[1]]}
            accessor["componentType"] = TYPES[values.dtype.str[1:]]
            accessors.append(accessor | ({} if values.dtype.kind == "f" else {"normalized": True}))
            binary += values.tobytes()
        first = len(accessors) - len(attributes)
        named = {
            name if name == "POSITION" else f"{KHR}:{name}": first + i for i, name in enumerate(attributes)
        }
        says = {KHR: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}}
        primitives.append({"mode": 0, "attributes": named, "extensions": says})
    content = {"asset": {"version": "2.0"}, "extensionsUsed": [KHR], "meshes": [{"primitives": primitives}]}
    content |= {"nodes": nodes or [{"mesh": 0}], "accessors": accessors, "bufferViews": views}
    return content | {"buffers": [{"byteLength": len(binary)}]}, binary


def some_attributes(n: int = 5, *, seed: int = 0, degree: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(n, 4))
    values = {
        "POSITION": rng.normal(size=(n, 3)),
        "ROTATION": quats / np.linalg.norm(quats, axis=1, keepdims=True),
        "SCALE": rng.uniform(0.01, 1, (n, 3)),
        "OPACITY": rng.uniform(0.1, 0.9, (n, 1)),
    }
    for band in range(degree + 1):
        for order in range(2 * band + 1):
            values[f"SH_DEGREE_{band}_COEF_{order}"] = rng.normal(size=(n, 3)) * 0.3
    return {name: value.astype("<f4") for name, value in values.items()}


def coefficients(attributes: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([value for name, value in attributes.items() if name.startswith("SH_")], 1)


def covariances(quats_xyzw: np.ndarray, scales: np.ndarray) -> np.ndarray:
    R = Rotation.from_quat(quats_xyzw).as_matrix()
    return np.einsum("gij,gj,gkj->gik", R, scales.astype(float) ** 2, R)


def file_axes(scene: Gaussians) -> Gaussians:
    """A scene read into RDF back in the LUF of its file, by hand: a half-turn about z."""
    flip = torch.tensor([-1.0, -1, 1])
    w, x, y, z = scene.quats_wxyz.unbind(1)
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1])[: scene.sh.shape[1]]
    # the half-turn times the rotation; its sign does not matter
    return Gaussians(
        scene.means * flip,
        torch.stack([-z, -y, x, w], 1),
        scene.log_scales,
        scene.opacity_logits,
        scene.sh * signs[:, None],
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trip_is_exact_but_for_the_rounding_of_opacities(tmp_path, degree) -> None:
    scene = odd_scene(500, sh_degree=degree)
    written = write_scene(scene, tmp_path / "a.glb")
    found = read_scene(tmp_path / "a.glb")
    errors = attribute_errors(scene, found.gaussians, order=written.order)
    assert errors["position_units"] == errors["color"] == errors["view_color"] == 0
    assert errors["log_scale"] < 1e-6
    assert errors["opacity"] < 6e-8  # half the distance of float32 numbers near 1
    assert errors["angle_deg"] < 2e-5
    assert (found.axes, found.axes_stated, found.notes, written.notes) == (Axes.LUF, True, (), ())
    assert [p.name for p in tmp_path.iterdir()] == ["a.glb"]


def test_edges_of_a_scene_come_back_finite(tmp_path) -> None:
    scene = odd_scene(4, sh_degree=0)
    scene.opacity_logits[:] = torch.tensor([40.0, -200.0, torch.inf, -torch.inf])
    scene.log_scales[0] = torch.tensor([100.0, -30.0, 0.0])
    short = replace(scene, quats_wxyz=scene.quats_wxyz * 1e-20)
    written = write_scene(short, tmp_path / "a.glb")
    found = read_scene(tmp_path / "a.glb")
    assert len(found.gaussians) == 4
    assert found.notes == ()
    assert written.clamped == {"scale": 1, "scale mended": 1, "opacity mended": 2}
    assert (found.gaussians.opacity_logits.sigmoid() - torch.tensor([1.0, 0, 1, 0])).abs().max() < 2e-6
    assert attribute_errors(scene[1:2], found.gaussians[1:2])["angle_deg"] < 2e-5


def test_layout_is_that_of_the_extension(tmp_path) -> None:
    scene = odd_scene(50)
    write_scene(scene, tmp_path / "a.glb", WriteOptions(title="brücke"))
    content, binary = unpack(tmp_path / "a.glb")
    assert content["asset"]["version"] == "2.0"
    assert content["extensionsUsed"] == [KHR]
    assert content["nodes"] == [{"mesh": 0, "name": "brücke"}]  # no transform: not every viewer turns colours
    (primitive,) = content["meshes"][0]["primitives"]
    assert primitive["mode"] == 0
    assert primitive["extensions"][KHR] == {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    assert content["buffers"] == [{"byteLength": len(binary)}]

    def numbers(name: str, dtype: str = "<f4") -> np.ndarray:
        index = primitive["attributes"][name]
        accessor = content["accessors"][index]
        view = content["bufferViews"][accessor["bufferView"]]
        assert accessor["bufferView"] == index  # gsbox counts on it
        assert accessor["count"] == 50
        assert accessor["componentType"] == TYPES[dtype.strip("<")]
        assert view["byteOffset"] % 4 == 0
        assert view["target"] == 34962
        values = np.frombuffer(
            binary, dtype, view["byteLength"] // np.dtype(dtype).itemsize, view["byteOffset"]
        )
        return values.reshape(50, {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]])

    position = numbers("POSITION")
    assert np.array_equal(position, scene.means.numpy() * [-1, -1, 1])
    bounds = content["accessors"][primitive["attributes"]["POSITION"]]
    assert bounds["min"] == position.min(0).tolist()
    assert bounds["max"] == position.max(0).tolist()
    rotation = numbers(f"{KHR}:ROTATION")
    assert np.abs(np.linalg.norm(rotation, axis=1) - 1).max() < 1e-6
    D = np.diag([-1.0, -1, 1])
    expected = D @ covariances(np.roll(scene.quats_wxyz.numpy(), -1, 1), scene.log_scales.exp().numpy()) @ D
    assert np.abs(covariances(rotation, numbers(f"{KHR}:SCALE")) - expected).max() < 1e-7
    assert np.abs(numbers(f"{KHR}:OPACITY")[:, 0] - scene.opacity_logits.sigmoid().numpy()).max() < 1e-6
    sh = np.stack([numbers(f"{KHR}:SH_DEGREE_{d}_COEF_{n}") for d in range(4) for n in range(2 * d + 1)], 1)
    for d in even_directions(64):
        there = evaluate_sh(torch.from_numpy(sh), (torch.from_numpy(D) @ d).float().expand(50, 3), 3)
        assert torch.allclose(there, evaluate_sh(scene.sh, d.float().expand(50, 3), 3), atol=1e-6)
    color = numbers("COLOR_0", "u1")
    display = np.clip(0.5 + SH_C0 * scene.sh[:, 0].numpy(), 0, 1)
    light = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    assert np.abs(color[:, :3] - 255 * light).max() <= 0.51
    assert np.abs(color[:, 3] - 255 * scene.opacity_logits.sigmoid().numpy()).max() <= 0.51


def test_viewers_without_the_extension_show_coloured_points(tmp_path) -> None:
    import trimesh

    scene = odd_scene(30)
    write_scene(scene, tmp_path / "a.glb")
    (cloud,) = trimesh.load(tmp_path / "a.glb").geometry.values()
    assert np.allclose(cloud.vertices, scene.means.numpy() * [-1, -1, 1])
    assert cloud.colors.shape == (30, 4)
    assert len(np.unique(cloud.colors, axis=0)) > 20


def test_file_of_splat_transform_reads_as_its_source(shared: Path) -> None:
    folder = shared / "splats" / "splat_transform_3.7"
    expected, found = read_scene(folder / "ref.ply"), read_scene(folder / "out_st.glb")
    errors = attribute_errors(expected.gaussians, found.gaussians)
    assert errors["position_units"] == errors["view_color"] == errors["color"] == 0
    assert errors["angle_deg"] < 2e-5
    assert errors["log_scale"] < 1e-6
    assert errors["opacity"] < 6e-8
    assert found.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_playcanvas_reads_the_same_numbers(tmp_path, degree) -> None:
    from benchmarks.peers import playcanvas

    if reason := playcanvas.missing():
        pytest.skip(reason)
    scene = odd_scene(500, sh_degree=degree)
    write_scene(scene, tmp_path / "a.glb")
    expected = turn_gaussians(scene, axes_from_rdf(Axes.LUF))
    errors = attribute_errors(expected, playcanvas.read_glb(tmp_path / "a.glb"))
    assert errors["position_units"] == errors["color"] == errors["view_color"] == 0
    assert errors["log_scale"] < 1e-6
    assert errors["opacity"] < 6e-8
    assert errors["angle_deg"] < 2e-5


def test_what_glb_cannot_say_stands_in_notes(tmp_path) -> None:
    scene = odd_scene(20)
    written = write_scene(
        scene, tmp_path / "a.glb", WriteOptions(metres_per_unit=2.5, render_mode="mip", axes=Axes.RUB)
    )
    assert len(written.notes) == 3
    found = read_scene(tmp_path / "a.glb", axes=Axes.RUB)
    assert found.render_mode == "mip"
    assert torch.allclose(found.gaussians.means, scene.means, rtol=1e-6)
    frames = GaussianFrames(torch.tensor([0.0, 1.0], dtype=torch.float64), [scene, scene])
    with pytest.raises(SceneFileError, match=r"one moment.*\.usd"):
        write_scene(frames, tmp_path / "b.glb")
    with pytest.raises(SceneFileError, match=r"call it b\.glb"):
        write_scene(scene, tmp_path / "b.gltf")
    with pytest.raises(SceneFileError, match="empty scene"):
        write_scene(scene[:0], tmp_path / "b.glb")
    assert [p.name for p in tmp_path.iterdir()] == ["a.glb"]


@pytest.mark.parametrize("bits", [8, 16])
def test_quantised_attributes(tmp_path, bits) -> None:
    plain = some_attributes(40)
    top, signed = 2**bits - 1, 2 ** (bits - 1) - 1
    quantised = dict(plain)
    quantised["ROTATION"] = np.rint(plain["ROTATION"] * signed).astype(f"<i{bits // 8}")
    quantised["SCALE"] = np.rint(plain["SCALE"] * top).astype(f"<u{bits // 8}")
    quantised["OPACITY"] = np.rint(plain["OPACITY"] * top).astype(f"<u{bits // 8}")
    found = file_axes(read_scene(pack(tmp_path / "a.glb", *splat_gltf(quantised))).gaussians)
    step = 1.0 / signed
    assert np.abs(found.log_scales.exp().numpy() - plain["SCALE"]).max() < step
    assert np.abs(found.opacity_logits.sigmoid().numpy() - plain["OPACITY"][:, 0]).max() < step
    assert torch.equal(found.means, torch.from_numpy(plain["POSITION"]))
    difference = covariances(np.roll(found.quats_wxyz.numpy(), -1, 1), plain["SCALE"]) - covariances(
        plain["ROTATION"], plain["SCALE"]
    )
    assert np.abs(difference).max() < 3 * step


def test_interleaved_attributes(tmp_path) -> None:
    plain = some_attributes(7, degree=0)
    table = np.concatenate(list(plain.values()), 1)
    content, _ = splat_gltf(plain)
    content["bufferViews"] = [{"buffer": 0, "byteLength": table.nbytes, "byteStride": table.strides[0]}]
    content["buffers"] = [{"byteLength": table.nbytes}]
    offset = 0
    for accessor, values in zip(content["accessors"], plain.values(), strict=True):
        accessor |= {"bufferView": 0, "byteOffset": offset}
        offset += 4 * values.shape[1]
    found = file_axes(read_scene(pack(tmp_path / "a.glb", content, table.tobytes())).gaussians)
    assert torch.equal(found.means, torch.from_numpy(plain["POSITION"]))
    assert torch.equal(found.sh, torch.from_numpy(coefficients(plain)))
    assert np.allclose(found.log_scales.exp().numpy(), plain["SCALE"], rtol=1e-6)


def test_nodes_place_gaussians_with_their_colours(tmp_path) -> None:
    """Two primitives, shown by a node deep in a tree and, once more, by a matrix."""
    parts = [some_attributes(6, seed=1, degree=3), some_attributes(4, seed=2, degree=1)]
    turns = [Rotation.random(random_state=i).as_matrix() for i in range(3)]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = 3 * turns[2], [5, 6, 7]
    nodes = [
        {
            "children": [1],
            "translation": [1, 2, 3],
            "rotation": Rotation.from_matrix(turns[0]).as_quat().tolist(),
        },
        {"mesh": 0, "scale": [0.5, 0.5, 0.5], "rotation": Rotation.from_matrix(turns[1]).as_quat().tolist()},
        {"mesh": 0, "matrix": matrix.T.ravel().tolist()},
        {"mesh": 0},
    ]
    content, binary = splat_gltf(*parts, nodes=nodes)
    content |= {"scene": 1, "scenes": [{"nodes": [3]}, {"nodes": [0, 2]}]}
    found = file_axes(read_scene(pack(tmp_path / "a.glb", content, binary)).gaussians)
    assert len(found) == 20
    placed = [(turns[0] @ turns[1], 0.5, np.array([1.0, 2, 3])), (turns[2], 3.0, np.array([5.0, 6, 7]))]
    rows = 0
    for turn, scale, shift in placed:
        for part in parts:
            n = len(part["POSITION"])
            here = slice(rows, rows + n)
            rows += n
            assert np.allclose(found.means[here], scale * part["POSITION"] @ turn.T + shift, atol=1e-5)
            expected = scale**2 * turn @ covariances(part["ROTATION"], part["SCALE"]) @ turn.T
            quats = np.roll(found.quats_wxyz[here].numpy(), -1, 1)
            assert np.allclose(covariances(quats, found.log_scales[here].exp().numpy()), expected, atol=1e-5)
            sh = torch.from_numpy(coefficients(part))
            for d in even_directions(64).float():
                before = evaluate_sh(sh, d.expand(n, 3), round(sh.shape[1] ** 0.5) - 1)
                seen = (torch.from_numpy(turn).float() @ d).expand(n, 3)
                assert torch.allclose(evaluate_sh(found.sh[here], seen, 3), before, atol=2e-6)


def test_buffers_inside_and_beside_a_gltf(tmp_path) -> None:
    plain = some_attributes(5)
    content, binary = splat_gltf(plain)
    expected = read_scene(pack(tmp_path / "a.glb", content, binary)).gaussians
    folder = tmp_path / "in it"
    folder.mkdir()

    def found(uri: str) -> Gaussians:
        content["buffers"] = [{"byteLength": len(binary), "uri": uri}]
        (folder / "b.gltf").write_text(json.dumps(content))
        return read_scene(folder / "b.gltf").gaussians

    (folder / "the data.bin").write_bytes(binary)
    (tmp_path / "outside.bin").write_bytes(binary)
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    inside = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    for uri in (inside, "the%20data.bin"):
        assert all(
            torch.equal(value, expected.tensors()[name]) for name, value in found(uri).tensors().items()
        )
    for uri in (
        "../outside.bin",
        "%2e%2e/outside.bin",
        str(tmp_path / "outside.bin"),
        "file:///etc/passwd",
        "link.bin",
    ):
        with pytest.raises(SceneFileError, match="leads out"):
            found(uri)
    with pytest.raises(SceneFileError, match=r"absent\.bin"):
        found("absent.bin")


def changed(tmp_path: Path, change, **options: Any) -> SceneFileError:
    """The error of a file whose JSON was changed."""
    content, binary = splat_gltf(some_attributes(5, degree=2), **options)
    change(content)
    with pytest.raises(SceneFileError) as caught:
        read_scene(pack(tmp_path / "a.glb", content, binary))
    return caught.value


REFUSED = {
    "no Gaussians": lambda c: c["meshes"][0]["primitives"][0].pop("extensions"),
    "nothing that is shown": lambda c: c.update(nodes=[{}]),
    r"compressed \(KHR_gaussian_splatting_compression_spz_2\).*gsbox": lambda c: c["meshes"][0]["primitives"][0][
        "extensions"
    ][KHR].update(extensions={f"{KHR}_compression_spz_2": {"bufferView": 0}}),
    "KHR_spz_gaussian_splats_compression": lambda c: c["meshes"][0]["primitives"][0].update(
        extensions={"KHR_spz_gaussian_splats_compression": {}}
    ),
    "EXT_meshopt_compression.*without compression": lambda c: c["bufferViews"][2].update(
        extensions={"EXT_meshopt_compression": {}}
    ),
    "sparse": lambda c: c["accessors"][0].update(sparse={"count": 1}),
    "without a buffer": lambda c: c["accessors"][1].pop("bufferView"),
    "lacks some of the 9 coefficients": lambda c: c["meshes"][0]["primitives"][0]["attributes"].pop(
        f"{KHR}:SH_DEGREE_2_COEF_3"
    ),
    "degree 2": lambda c: [
        c["meshes"][0]["primitives"][0]["attributes"].pop(f"{KHR}:SH_DEGREE_1_COEF_{n}") for n in range(3)
    ],
    f"lack {KHR}:SCALE": lambda c: c["meshes"][0]["primitives"][0]["attributes"].pop(f"{KHR}:SCALE"),
    "5 positions and 4": lambda c: c["accessors"][2].update(count=4),
    "3 numbers for each Gaussian where 4": lambda c: c["accessors"][1].update(type="VEC3"),
    "cut short": lambda c: c["accessors"][0].update(count=10**12),
    "at least 1,099,511,627,776": lambda c: c["buffers"][0].update(byteLength=2**40),
    "byteStride of 4": lambda c: c["bufferViews"][0].update(byteStride=4),
    "more than once": lambda c: c.update(nodes=[{"mesh": 0, "children": [1]}, {"children": [0]}], scenes=[{"nodes": [0]}]),
    "more than its bytes": lambda c: c.update(nodes=[{"mesh": 0}] * 500),
    "stretches its Gaussians by 1 to 2": lambda c: c["nodes"][0].update(scale=[1, 2, 1]),
    "flattens": lambda c: c["nodes"][0].update(scale=[1, 0, 1]),
    "out of bounds": lambda c: c["nodes"][0].update(translation=[0, 1e300, 0]),
    "JSON is not that of a glTF": lambda c: c.update(accessors=7),
    "values in its JSON": lambda c: c.update(extras=[0] * 1_000_001),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_read_is_said_in_one_sentence(tmp_path, message) -> None:
    error = changed(tmp_path, REFUSED[message])
    error.args = (str(error).replace(str(tmp_path), ""),)
    with pytest.raises(SceneFileError, match=message):
        raise error
    assert "\n" not in str(error)


def test_older_and_linear_files_are_understood_with_a_note(tmp_path) -> None:
    plain = some_attributes(9)
    logs = plain | {"SCALE": np.log(plain["SCALE"]) - 1}
    found = read_scene(pack(tmp_path / "a.glb", *splat_gltf(logs)))
    assert torch.allclose(found.gaussians.log_scales, torch.from_numpy(logs["SCALE"]), atol=1e-5)
    assert "logarithms" in found.notes[0]

    dim = plain | {name: value * 0.2 for name, value in plain.items() if name.startswith("SH_")}
    content, binary = splat_gltf(dim)
    content["meshes"][0]["primitives"][0]["extensions"][KHR]["colorSpace"] = "lin_rec709_display"
    found = read_scene(pack(tmp_path / "b.glb", content, binary))
    assert "linear" in found.notes[0]
    sh, d = torch.from_numpy(coefficients(dim)), torch.tensor([[0.6, 0.0, 0.8]]).expand(9, 3)
    light = 0.5 + evaluate_sh(sh, d, 1)
    display = 1.055 * light ** (1 / 2.4) - 0.055
    shown = 0.5 + evaluate_sh(file_axes(found.gaussians).sh, d, 1)
    assert (shown - display).abs().max() < 0.01  # to first order
    assert (shown - light).abs().max() > 0.15


def test_meshes_beside_gaussians_are_left_out_with_a_note(tmp_path) -> None:
    content, binary = splat_gltf(some_attributes(5), some_attributes(3))
    content["meshes"][0]["primitives"][1].pop("extensions")
    found = read_scene(pack(tmp_path / "a.glb", content, binary))
    assert len(found.gaussians) == 5
    assert "left out" in found.notes[0]


@pytest.mark.parametrize("kept", [0, 3, 11, 19, 300, -5])
def test_a_truncated_file_is_refused(tmp_path, kept) -> None:
    write_scene(odd_scene(5), tmp_path / "a.glb")
    (tmp_path / "cut.glb").write_bytes((tmp_path / "a.glb").read_bytes()[:kept])
    with pytest.raises(SceneFileError, match=r"cut\.glb"):
        read_scene(tmp_path / "cut.glb")


def test_damaged_files_are_read_or_refused(tmp_path) -> None:
    content, binary = splat_gltf(some_attributes(4), nodes=[{"mesh": 0, "scale": [1, 1, 1], "children": []}])
    whole = pack(tmp_path / "a.glb", content | {"scene": 0, "scenes": [{"nodes": [0]}]}, binary).read_bytes()
    assert read_or_refused(tmp_path / "m.glb", damaged(whole, 300)) > 100


ODD_VALUES = (None, -1, 0, 3, 2**31, 10**15, 1.5, True, "x", "POSITION", [], [0], {}, {"a": 1}, [1e308] * 16)


def test_odd_values_in_the_json_are_read_or_refused(tmp_path) -> None:
    content, binary = splat_gltf(
        some_attributes(4, degree=1), nodes=[{"mesh": 0, "scale": [1, 1, 1], "children": []}]
    )
    content |= {"scene": 0, "scenes": [{"nodes": [0]}]}

    def places(value: Any, path: tuple = ()) -> list[tuple]:
        pairs = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        return [p for key, inner in pairs for p in ((*path, key), *places(inner, (*path, key)))]

    rng = random.Random(1)
    refused = 0
    for place in places(content):
        for value in rng.sample(ODD_VALUES, 3):
            odd = json.loads(json.dumps(content))
            target = odd
            for key in place[:-1]:
                target = target[key]
            target[place[-1]] = value
            try:
                read_scene(pack(tmp_path / "m.glb", odd, binary))
            except BridgeError:
                refused += 1
    assert refused > 100
