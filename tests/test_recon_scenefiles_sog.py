"""SOG: errors no larger than its codebooks and palette, what other programs wrote is read, nothing is believed."""

import io
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused
from PIL import Image

from benchmarks.odd_scenes import odd_scene
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.compare import attribute_errors
from recon.scenefiles.formats.sog.codebook import find_codebook, nearest_entries
from recon.scenefiles.formats.sog.palette import find_palette

HALF_BYTE = 0.5 / 255
WIDEST = 1 / 104
"""Part of the range that one entry of a codebook stands for."""


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def with_meta(path: Path, change) -> Path:
    """The archive with another meta.json."""
    files = contents(path)
    meta = json.loads(files["meta.json"])
    meta = change(meta) or meta
    return pack(path.with_name("changed.sog"), files | {"meta.json": json.dumps(meta).encode()})


def webp(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, exact=True)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


@pytest.fixture
def small(tmp_path) -> Path:
    write_scene(odd_scene(300), tmp_path / "small.sog")
    return tmp_path / "small.sog"


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_errors_are_those_of_bytes_and_codebooks(tmp_path, degree) -> None:
    scene = odd_scene(2000, sh_degree=degree)
    written = write_scene(scene, tmp_path / "a.sog")
    found = read_scene(tmp_path / "a.sog")
    order = written.order
    assert isinstance(order, torch.Tensor)
    assert sorted(order.tolist()) == list(range(2000))
    assert found.gaussians.sh_degree == degree
    assert found.axes is Axes.RDF
    expected = scene[order]
    errors = attribute_errors(scene, found.gaussians, order=order)

    logs = expected.means.double().abs().log1p() * expected.means.sign()
    step = (logs.max(0).values - logs.min(0).values) / 65535
    # half a step in the logarithm is as much of 1 + |p| as of the logarithm
    off = (expected.means.double() - found.gaussians.means.double()).abs()
    assert (off <= 0.501 * step * (1 + expected.means.double().abs()) + 1e-6).all()
    # three components err by half a byte, the fourth by no more than they
    assert errors["angle_deg"] < math.degrees(2 * 2 * math.sqrt(3) * HALF_BYTE * math.sqrt(2))
    assert errors["opacity"] <= 1.001 * HALF_BYTE
    for name, values, factor in (
        ("log_scale", scene.log_scales, 1.0),
        ("color", scene.sh[:, 0], SH_C0),
    ):
        assert errors[name] <= factor * 0.75 * WIDEST * float(values.max() - values.min())
    assert errors["log_scale_median"] < 0.006  # of 6, in 256 entries
    assert errors["view_color_rms"] < 0.002
    assert errors["view_color"] < 0.01


def test_outliers_do_not_cost_the_others_their_accuracy(tmp_path) -> None:
    scene = odd_scene(2000)
    scene.sh[7, 0] = torch.tensor([9.0, -9.0, 4.0])
    scene.log_scales[8] = torch.tensor([4.0, -14.0, 0.0])
    write_scene(scene, tmp_path / "a.sog")
    written = write_scene(scene, tmp_path / "a.sog")
    errors = attribute_errors(scene, read_scene(tmp_path / "a.sog").gaussians, order=written.order)
    assert errors["log_scale_median"] < 0.006
    assert errors["color"] < SH_C0 * 0.02  # 4.0 and −9.0 included


def test_a_scene_of_few_values_is_exact(tmp_path) -> None:
    scene = odd_scene(500)
    scene.log_scales[:] = torch.linspace(-5, -1, 256)[torch.arange(1500) % 256].view(500, 3)
    scene.sh[:, 0] = torch.arange(1500).view(500, 3).remainder(200) / 100
    scene.sh[:, 1:] = torch.tensor([0.25, -0.5, 0.125])
    written = write_scene(scene, tmp_path / "a.sog")
    found = read_scene(tmp_path / "a.sog").gaussians
    assert torch.equal(found.log_scales, scene.log_scales[written.order])
    assert torch.equal(found.sh, scene.sh[written.order])


def test_invisible_gaussians_keep_their_colour(tmp_path) -> None:
    scene = odd_scene(400)
    scene.opacity_logits[:200] = -20
    scene.opacity_logits[200:220] = 20
    written = write_scene(scene, tmp_path / "a.sog")
    found = read_scene(tmp_path / "a.sog").gaussians
    assert attribute_errors(scene, found, order=written.order)["color"] < 0.003
    assert found.opacity_logits.isfinite().all()


@pytest.mark.parametrize("g", [0, 1, 2, 17])
@pytest.mark.parametrize("degree", [0, 3])
def test_small_scenes(tmp_path, g, degree) -> None:
    scene = odd_scene(g, sh_degree=degree)
    written = write_scene(scene, tmp_path / "a.sog")
    found = read_scene(tmp_path / "a.sog").gaussians
    assert len(found) == g
    assert found.sh_degree == degree
    if g:
        errors = attribute_errors(scene, found, order=written.order)
        assert errors["log_scale"] < 1e-6  # fewer than 256 different ones
        assert errors["color"] < 1e-6


def test_all_in_one_place(tmp_path) -> None:
    scene = odd_scene(5)
    scene.means[:] = torch.tensor([1.0, -2.0, 3.0])
    write_scene(scene, tmp_path / "a.sog")
    assert torch.allclose(read_scene(tmp_path / "a.sog").gaussians.means, scene.means)


def test_the_folder_holds_the_same(tmp_path) -> None:
    scene = odd_scene(300)
    folder = tmp_path / "scene"
    folder.mkdir()
    write_scene(scene, tmp_path / "a.sog")
    written = write_scene(scene, folder / "meta.json")
    files = contents(tmp_path / "a.sog")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    assert {file.name for file in written.files} == set(files)
    archive, found = read_scene(tmp_path / "a.sog").gaussians, read_scene(folder).gaussians
    assert all(torch.equal(value, found.tensors()[name]) for name, value in archive.tensors().items())


def test_images_are_lossless_and_as_large_as_other_readers_expect(small) -> None:
    files = contents(small)
    assert {data[12:16] for name, data in files.items() if name.endswith(".webp")} == {b"VP8L"}
    assert pixels(files["means_l.webp"]).shape[:2] == (16, 20)  # 4·ceil(√300 / 4) wide
    assert pixels(files["shN_centroids.webp"]).shape[:2] == (5, 960)
    with zipfile.ZipFile(small) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_layout_is_that_of_the_specification(small) -> None:
    scene = odd_scene(300)
    files = contents(small)
    meta = json.loads(files["meta.json"])
    image = {
        name: pixels(data).reshape(-1, 4).astype(int) for name, data in files.items() if name != "meta.json"
    }
    assert (meta["version"], meta["count"], meta["shN"]["bands"], meta["shN"]["count"]) == (2, 300, 3, 300)
    levels = image["means_l.webp"][:300, :3] + 256 * image["means_u.webp"][:300, :3]
    low, high = (np.array(meta["means"][key]) for key in ("mins", "maxs"))
    logs = low + (high - low) * levels / 65535
    means = np.sign(logs) * np.expm1(np.abs(logs))
    row = int(np.abs(means - scene.means[42].numpy()).sum(1).argmin())
    assert np.allclose(means[row], scene.means[42], atol=0.01)
    assert np.allclose(
        np.array(meta["scales"]["codebook"])[image["scales.webp"][row, :3]], scene.log_scales[42], atol=0.05
    )
    assert np.allclose(
        np.array(meta["sh0"]["codebook"])[image["sh0.webp"][row, :3]], scene.sh[42, 0], atol=0.05
    )
    assert abs(image["sh0.webp"][row, 3] / 255 - float(scene.opacity_logits[42].sigmoid())) < 0.003
    kept = (image["quats.webp"][row, :3] / 255 - 0.5) * math.sqrt(2)
    quat = scene.quats_wxyz[42]
    largest = image["quats.webp"][row, 3] - 252  # 0 is w
    assert largest == int(quat.abs().argmax())
    others = torch.cat([quat[:largest], quat[largest + 1 :]]) * quat[largest].sign()
    assert np.allclose(kept, others, atol=0.005)
    label = image["shN_labels.webp"][row, 0] + 256 * image["shN_labels.webp"][row, 1]
    centroids = pixels(files["shN_centroids.webp"])
    entry = centroids[label // 64, label % 64 * 15 : label % 64 * 15 + 15, :3]
    assert np.allclose(np.array(meta["shN"]["codebook"])[entry], scene.sh[42, 1:], atol=0.02)


@pytest.mark.parametrize(("mode", "name"), [("mip", "antialiased"), ("2dgs", "2dgs"), ("default", None)])
def test_render_modes(tmp_path, mode, name) -> None:
    path = tmp_path / "a.sog"
    write_scene(odd_scene(10), path, WriteOptions(render_mode=mode))
    assert json.loads(contents(path)["meta.json"]).get("model") == name
    assert read_scene(path).render_mode == mode


def test_render_modes_of_other_writers(small) -> None:
    assert read_scene(with_meta(small, lambda meta: {**meta, "antialias": True})).render_mode == "mip"
    assert read_scene(with_meta(small, lambda meta: {**meta, "antialias": False})).render_mode == "default"
    found = read_scene(with_meta(small, lambda meta: {**meta, "model": "sausages"}))
    assert found.render_mode == "default"
    assert "sausages" in found.notes[0]


def test_deflated_archives_and_archives_of_a_folder_are_read(small, tmp_path) -> None:
    files = contents(small)
    expected = read_scene(small).gaussians
    deflated = pack(tmp_path / "deflated.sog", files, zipfile.ZIP_DEFLATED)
    inside = pack(tmp_path / "inside.sog", {f"scene/{name}": data for name, data in files.items()})
    for path in (deflated, inside):
        assert torch.equal(read_scene(path).gaussians.sh, expected.sh)


def test_other_names_of_images(small, tmp_path) -> None:
    files = contents(small)
    meta = json.loads(files["meta.json"])
    meta["quats"]["files"] = ["deep/turns.webp"]
    files = files | {"deep/turns.webp": files.pop("quats.webp"), "meta.json": json.dumps(meta).encode()}
    changed = pack(tmp_path / "names.sog", files)
    assert torch.equal(read_scene(changed).gaussians.quats_wxyz, read_scene(small).gaussians.quats_wxyz)


def test_a_codebook_without_its_first_entry(small) -> None:
    """PlayCanvas's engine mends the files that one of its early writers made."""

    def drop(meta) -> None:
        meta["scales"]["codebook"][0] = None

    changed = read_scene(with_meta(small, drop)).gaussians.log_scales
    whole = read_scene(small).gaussians.log_scales
    assert float((changed - whole).abs().max()) < 0.05


def test_unknown_tags_of_quaternions_are_no_rotation(small, tmp_path) -> None:
    files = contents(small)
    image = pixels(files["quats.webp"]).copy()
    image[0, 0, 3] = 17
    path = pack(tmp_path / "tag.sog", files | {"quats.webp": webp(image)})
    assert read_scene(path).gaussians.quats_wxyz[0].tolist() == [1, 0, 0, 0]


def version_1(folder: Path, g: int = 10) -> Gaussians:
    """A folder of version 1, and what it means."""
    rng = np.random.default_rng(0)
    image = {
        name: rng.integers(0, 256, (4, 4, 4), np.uint8)
        for name in ("means_l", "means_u", "quats", "scales", "sh0", "shN_labels")
    }
    image["quats"][..., 3] = 252 + image["quats"][..., 3] % 4
    image["shN_labels"][..., :2] = [3, 0]
    image["shN_centroids"] = rng.integers(0, 256, (1, 192, 4), np.uint8)
    image["shN_centroids"][..., 3] = 255
    for name, content in image.items():
        (folder / f"{name}.webp").write_bytes(webp(content))
    low, high = [-1.0, -2.0, 0.5], [1.0, 2.0, 3.5]
    meta = {
        "means": {"shape": [g, 3], "mins": low, "maxs": high, "files": ["means_l.webp", "means_u.webp"]},
        "scales": {
            "shape": [g, 3],
            "mins": [-9.0, -8.0, -7.0],
            "maxs": [-1.0, -2.0, -3.0],
            "files": ["scales.webp"],
        },
        "quats": {"shape": [g, 4], "files": ["quats.webp"]},
        "sh0": {"mins": [-2.0, -1.0, 0.0, -5.0], "maxs": [1.0, 2.0, 3.0, 5.0], "files": ["sh0.webp"]},
        "shN": {"mins": -0.5, "maxs": 0.5, "files": ["shN_centroids.webp", "shN_labels.webp"]},
    }
    (folder / "meta.json").write_text(json.dumps(meta))

    def between(name: str, part: str, channels: int) -> torch.Tensor:
        bounds = [torch.tensor(meta[part][key])[:channels] for key in ("mins", "maxs")]
        share = torch.from_numpy(image[name].reshape(-1, 4)[:g, :channels] / 255)
        return (bounds[0] * (1 - share) + bounds[1] * share).float()

    levels = (image["means_l"].astype(int) + 256 * image["means_u"].astype(int)).reshape(-1, 4)[:g, :3]
    logs = torch.from_numpy(np.array(low) + (np.array(high) - low) * levels / 65535)
    opacity = torch.from_numpy(image["sh0"].reshape(-1, 4)[:g, 3] / 255) * 10 - 5
    entry = torch.from_numpy(image["shN_centroids"][0, 9:12, :3] / 255 - 0.5).float()
    sh = torch.cat([between("sh0", "sh0", 3)[:, None], entry.expand(g, 3, 3)], 1)
    quats = torch.zeros(g, 4)
    for row, (*kept, tag) in enumerate(image["quats"].reshape(-1, 4)[:g].tolist()):
        values = [(k / 255 - 0.5) * math.sqrt(2) for k in kept]
        quats[row] = torch.tensor(
            [*values[: tag - 252], math.sqrt(max(0, 1 - sum(v * v for v in values))), *values[tag - 252 :]]
        )
    means = logs.sign() * logs.abs().expm1()
    return Gaussians(means.float(), quats, between("scales", "scales", 3), opacity.float(), sh)


def test_version_1_has_ranges_instead_of_codebooks(tmp_path) -> None:
    expected = version_1(tmp_path)
    found = read_scene(tmp_path).gaussians
    for name, value in expected.tensors().items():
        assert torch.allclose(value, found.tensors()[name], atol=1e-5), name


def test_samples_of_other_programs(shared) -> None:
    samples = shared / "splats"
    logo = read_scene(samples / "playcanvas-logo.sog-unbundled").gaussians  # version 1
    assert (len(logo), logo.sh_degree) == (307_128, 0)
    assert logo.means.min(0).values.tolist() == pytest.approx(
        [-math.expm1(0.9301150414096437), -math.expm1(1.3301652313761516), -math.expm1(0.4554133838214941)]
    )
    scene = read_scene(samples / "splat_transform_3.7" / "ref.ply").gaussians
    found = read_scene(samples / "splat_transform_3.7" / "out_st.sog").gaussians
    from recon.scenefiles.compare import match_nearest

    errors = attribute_errors(scene, found, order=match_nearest(scene, found))
    assert errors["position_units"] < 0.02
    assert errors["angle_deg"] < 3  # it cuts bytes off instead of rounding them
    assert errors["log_scale"] < 0.05
    assert errors["opacity"] < 0.004
    assert errors["color"] < 0.003
    assert errors["view_color_rms"] < 0.08


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    """Correlated, with a few far ones, and a tenth that are alike."""
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(6000, 6, generator=generator) @ torch.randn(6, 9, generator=generator)
    found[::500] *= 20
    found[::10] = 0.5
    return found


def mean_square(vectors, entries, labels) -> float:
    return float((vectors - entries[labels]).double().square().mean())


def test_a_palette_is_as_good_as_that_of_k_means(vectors) -> None:
    entries, labels = find_palette(vectors, 500)
    assert len(entries) <= 500
    centers = vectors[torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:500]]
    for _ in range(10):
        nearest = torch.cdist(vectors, centers).argmin(1)
        counts = torch.bincount(nearest, minlength=500)[:, None]
        sums = torch.zeros_like(centers).index_add_(0, nearest, vectors)
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    assert mean_square(vectors, entries, labels) < mean_square(vectors, centers, nearest)
    assert torch.equal(torch.cdist(vectors, entries).argmin(1), labels) or mean_square(
        vectors, entries, torch.cdist(vectors, entries).argmin(1)
    ) > 0.97 * mean_square(vectors, entries, labels)


def test_a_palette_nearly_as_large_as_its_vectors_keeps_most_of_them(vectors) -> None:
    different = vectors.unique(dim=0)
    entries, labels = find_palette(different, len(different) - 200)
    kept = (different == entries[labels]).all(1)
    assert int(kept.sum()) >= len(different) - 400  # 200 joins of two


def test_a_palette_of_a_sample(vectors, monkeypatch) -> None:
    whole = mean_square(vectors, *find_palette(vectors, 300))
    monkeypatch.setattr("recon.scenefiles.formats.sog.palette.TRAINING", 3000)
    first = find_palette(vectors, 300, seed=1)
    assert mean_square(vectors, *first) < 1.3 * whole
    again, other = find_palette(vectors, 300, seed=1), find_palette(vectors, 300, seed=2)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_vectors_that_are_all_alike(vectors) -> None:
    entries, labels = find_palette(torch.ones(3000, 3), 100)
    assert torch.equal(entries[labels], torch.ones(3000, 3))


def test_larger_scenes_have_a_palette_that_is_the_same_on_any_number_of_cores(tmp_path) -> None:
    """65,536 entries for 70,000 Gaussians: few have to share one."""
    scene = odd_scene(70_000, sh_degree=1)
    threads = torch.get_num_threads()
    for cores in (1, 3):
        torch.set_num_threads(cores)
        try:
            written = write_scene(scene, tmp_path / f"{cores}.sog")
        finally:
            torch.set_num_threads(threads)
    assert (tmp_path / "1.sog").read_bytes() == (tmp_path / "3.sog").read_bytes()
    assert json.loads(contents(tmp_path / "1.sog")["meta.json"])["shN"]["count"] <= 65536
    errors = attribute_errors(scene, read_scene(tmp_path / "1.sog").gaussians, order=written.order)
    assert errors["view_color_rms"] < 0.006
    assert errors["color"] < SH_C0 * 0.75 * WIDEST * 3.41
    assert errors["log_scale"] < 0.75 * WIDEST * 6


@pytest.mark.parametrize("kind", ["normal", "cauchy", "whole", "two scales", "lumps", "float32 neighbours"])
@pytest.mark.parametrize("count", [1, 5, 256, 257, 3000])
def test_codebooks(kind, count) -> None:
    rng = np.random.default_rng(count)
    values = {
        "normal": rng.normal(size=count),
        "cauchy": rng.standard_cauchy(count) * 1e10,
        "whole": rng.integers(0, 400, count),
        "two scales": np.append(rng.normal(size=count) * 1e-6, 1e6),
        "lumps": rng.choice([0.0, 1.0, 5.0], count) + rng.normal(size=count) * 1e-3,
        "float32 neighbours": np.append(1 + np.arange(count) * 1.2e-7, 1e6),
    }[kind].astype(np.float32)
    codebook = find_codebook(values)
    assert codebook.shape == (256,)
    assert (np.diff(codebook) >= 0).all()
    error = np.abs(codebook[nearest_entries(codebook, values)] - values)
    different = len(np.unique(values))
    assert error.max() <= (0.75 * WIDEST * np.ptp(values) if different > 256 else 0)
    if kind == "normal" and count == 3000:
        even = np.linspace(values.min(), values.max(), 256)
        plain = np.abs(values[:, None] - even).min(1)
        assert np.square(error).mean() < 0.7 * np.square(plain).mean()


BROKEN = {
    "no version but none of 1's ranges": lambda meta: meta.pop("version"),
    "a later version": lambda meta: meta.update(version=3),
    "a version in words": lambda meta: meta.update(version="two"),
    "count in words": lambda meta: meta.update(count="many"),
    "negative count": lambda meta: meta.update(count=-1),
    "no count": lambda meta: meta.pop("count"),
    "count beyond the pixels": lambda meta: meta.update(count=401),
    "count far beyond the bytes": lambda meta: meta.update(count=10**9),
    "count beyond numbers": lambda meta: meta.update(count=10**30),
    "no means": lambda meta: meta.pop("means"),
    "means a list": lambda meta: meta.update(means=[]),
    "no files": lambda meta: meta["scales"].pop("files"),
    "files a word": lambda meta: meta["means"].update(files="means_l.webp"),
    "one file of two": lambda meta: meta["means"].update(files=["means_l.webp"]),
    "file without a name": lambda meta: meta["quats"].update(files=[""]),
    "file that is a number": lambda meta: meta["quats"].update(files=[7]),
    "file that is absent": lambda meta: meta["quats"].update(files=["other.webp"]),
    "file above": lambda meta: meta["quats"].update(files=["../quats.webp"]),
    "file of the system": lambda meta: meta["quats"].update(files=["/etc/passwd"]),
    "file of Windows": lambda meta: meta["quats"].update(files=["C:\\quats.webp"]),
    "NaN": lambda meta: meta["means"].update(mins=[math.nan, 0, 0]),
    "infinity": lambda meta: meta["means"].update(maxs=[math.inf, 0, 0]),
    "two ranges": lambda meta: meta["means"].update(maxs=[1, 2]),
    "a range of words": lambda meta: meta["means"].update(maxs=["1", 2, 3]),
    "a range beyond float64": lambda meta: meta["means"].update(maxs=[10**400, 2, 3]),
    "no codebook": lambda meta: meta["sh0"].pop("codebook"),
    "an empty codebook": lambda meta: meta["sh0"].update(codebook=[]),
    "too long a codebook": lambda meta: meta["sh0"].update(codebook=[0.0] * 257),
    "a codebook with holes": lambda meta: meta["sh0"].update(codebook=[0.0, None] * 128),
    "a codebook with NaN": lambda meta: meta["scales"].update(codebook=[math.nan] * 256),
    "other bands": lambda meta: meta["shN"].update(bands=2),
    "a palette cut short": lambda meta: meta["shN"].update(count=3),
    "a palette in words": lambda meta: meta["shN"].update(count="three"),
    "a palette that is a list": lambda meta: meta.update(shN=[1]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_meta_of_the_wrong_make_is_refused(small, what) -> None:
    def change(meta) -> None:
        BROKEN[what](meta)

    path = with_meta(small, change)
    with pytest.raises(SceneFileError) as refusal:
        read_scene(path)
    assert "changed.sog" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000])
def test_a_meta_that_is_no_object_is_refused(small, text) -> None:
    path = pack(small, contents(small) | {"meta.json": text})
    with pytest.raises(SceneFileError, match=r"meta\.json"):
        read_scene(path)


def vp8l_header(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + bits.to_bytes(4, "little") + bytes(40)
    return (
        b"RIFF"
        + (len(body) + 12).to_bytes(4, "little")
        + b"WEBPVP8L"
        + len(body).to_bytes(4, "little")
        + body
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("quats.webp", b""),
        ("quats.webp", b"RIFF0000WEBP"),
        ("quats.webp", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("scales.webp", vp8l_header(16383, 16383)),
        ("scales.webp", vp8l_header(20, 20)),
        ("scales.webp", vp8l_header(8, 8)),
        ("shN_centroids.webp", vp8l_header(960, 5)),
        ("shN_centroids.webp", vp8l_header(16383, 16383)),
        ("shN_centroids.webp", vp8l_header(64, 5)),
    ],
)
def test_images_that_are_none_or_of_another_size_are_refused(small, name, data) -> None:
    path = pack(small, contents(small) | {name: data})
    with pytest.raises(SceneFileError, match=name.split(".")[0]):
        read_scene(path)


def test_a_large_image_is_refused_before_it_is_decoded(small, monkeypatch) -> None:
    files = contents(small)
    large = webp(np.zeros((2000, 2000, 4), np.uint8))
    path = pack(small, files | {"quats.webp": large})

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr("PIL.Image.open", never)
    with pytest.raises((SceneFileError, AssertionError), match="2000 × 2000"):
        read_scene(pack(small, {**files, **dict.fromkeys((n for n in files if n.endswith("webp")), large)}))
    assert path.is_file()


def test_a_name_in_the_archive_that_leads_out_is_refused(small) -> None:
    with pytest.raises(SceneFileError, match="leads out"):
        read_scene(pack(small, contents(small) | {"../evil": b""}))


def test_other_files_are_refused(tmp_path, small) -> None:
    with pytest.raises(SceneFileError, match="found nothing"):
        read_scene(tmp_path / "absent.sog")
    (tmp_path / "text.sog").write_text("no archive")
    with pytest.raises(SceneFileError, match="ZIP"):
        read_scene(tmp_path / "text.sog")
    with pytest.raises(SceneFileError, match=r"holds no meta\.json"):
        read_scene(pack(tmp_path / "empty.sog", {"readme.txt": b"hello"}))
    files = contents(small)
    del files["sh0.webp"]
    with pytest.raises(SceneFileError, match=r"lacks its file 'sh0\.webp'"):
        read_scene(pack(small, files))


@pytest.mark.parametrize("name", ["a" * 300 + ".webp", "a\0.webp", "\ud800.webp", "two\nlines.webp", "."])
def test_names_that_a_disk_cannot_hold_are_refused(tmp_path, name) -> None:
    write_scene(odd_scene(10), tmp_path / "meta.json")
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["quats"]["files"] = [name]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(SceneFileError, match=r"lacks its file|half a surrogate pair") as refusal:
        read_scene(tmp_path)
    assert str(refusal.value).encode().count(b"\n") == 0


def test_what_is_infinite_in_float32_is_left_out(small) -> None:
    def change(meta) -> None:
        meta["means"]["maxs"][0] = 1e300

    assert len(read_scene(with_meta(small, change)).gaussians) < 300


def test_damaged_files_are_read_or_refused(tmp_path) -> None:
    write_scene(odd_scene(40), tmp_path / "a.sog")
    whole = (tmp_path / "a.sog").read_bytes()
    assert read_or_refused(tmp_path / "damaged.sog", damaged(whole, 150)) > 50


def test_damaged_members_are_read_or_refused(tmp_path) -> None:
    """Behind checksums that are right."""
    write_scene(odd_scene(40), tmp_path / "a.sog")
    files = contents(tmp_path / "a.sog")
    refused = 0
    for name, data in files.items():
        for variant in damaged(data, 40, seed=len(name)):
            try:
                read_scene(pack(tmp_path / "damaged.sog", files | {name: variant}))
            except BridgeError:
                refused += 1
    assert refused > 100


def test_an_interrupted_write_leaves_the_scene_of_before(tmp_path, monkeypatch) -> None:
    write_scene(odd_scene(50), tmp_path / "meta.json")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    real = Path.write_bytes

    def fails(self: Path, data: bytes) -> int:
        if "scales" in self.name:
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="No space"):
        write_scene(replace(odd_scene(50), means=odd_scene(50).means + 1), tmp_path / "meta.json")
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
