"""USD with ParticleField3DGaussianSplat: what OpenUSD itself sees, time, other programs' layouts, hostile files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused
from scipy.spatial.transform import Rotation

from benchmarks.odd_scenes import odd_scene

pytest.importorskip("pxr")
from pxr import Gf, Sdf, Usd, UsdGeom, UsdValidation, UsdVol, Vt

from recon.errors import SceneFileError
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.compare import attribute_errors
from recon.scenefiles.formats.usd import process as usd_process
from recon.sequence import GaussianFrames
from recon.splats.sh import evaluate_sh
from recon.splats.similarity import even_directions

SPHERICAL_HARMONICS = "radiance:sphericalHarmonicsCoefficients"
RUB_FROM_RDF = np.diag([1.0, -1, -1])
Z_UP_FROM_RDF = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def moving_scene(*counts: int, fps: float = 30.0, start_s: float = 0.1) -> GaussianFrames:
    frames = [odd_scene(count, sh_degree=1, seed=i) for i, count in enumerate(counts)]
    return GaussianFrames(start_s + torch.arange(len(counts), dtype=torch.float64) / fps, frames)


def covariances(quats_xyzw: np.ndarray, scales: np.ndarray) -> np.ndarray:
    R = Rotation.from_quat(quats_xyzw).as_matrix()
    return np.einsum("gij,gj,gkj->gik", R, scales.astype(float) ** 2, R)


def define_splats(
    stage: Any, path: str, n: int = 6, *, half: bool = False, seed: int = 0
) -> dict[str, np.ndarray]:
    """Author a prim of degree 1 as another program would; returns its numbers."""
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(n, 4))
    values = {
        "positions": rng.normal(size=(n, 3)),
        "orientations": quats / np.linalg.norm(quats, axis=1, keepdims=True),  # x y z w
        "scales": rng.uniform(0.1, 1, (n, 3)),
        "opacities": rng.uniform(0.1, 0.9, n),
        SPHERICAL_HARMONICS: rng.normal(size=(n * 4, 3)) * 0.3,
    }
    values = {name: value.astype("f2" if half else "f4") for name, value in values.items()}
    prim = UsdVol.ParticleField3DGaussianSplat.Define(stage, path).GetPrim()
    kinds = {"positions": Vt.Vec3fArray, "orientations": Vt.QuatfArray, "scales": Vt.Vec3fArray}
    kinds |= {"opacities": Vt.FloatArray, SPHERICAL_HARMONICS: Vt.Vec3fArray}
    if half:
        kinds = {"positions": Vt.Vec3hArray, "orientations": Vt.QuathArray, "scales": Vt.Vec3hArray}
        kinds |= {"opacities": Vt.HalfArray, SPHERICAL_HARMONICS: Vt.Vec3hArray}
    for name, value in values.items():
        assert prim.GetAttribute(name + "h" * half).Set(kinds[name].FromNumpy(value))
    prim.GetAttribute("radiance:sphericalHarmonicsDegree").Set(1)
    return {name: value.astype("f4") for name, value in values.items()}


def new_stage(path: Path, up: str = "Y", metres: float = 1.0) -> Any:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    return stage


def assert_looks_as(
    scene, rows: slice, values: dict[str, np.ndarray], world_from_prim: np.ndarray, file_from_rdf: np.ndarray
) -> None:
    """Whether rows of a scene in RDF are a prim's numbers, placed by a similarity, seen from its file's axes."""
    scale = np.cbrt(np.linalg.det(world_from_prim[:3, :3]))
    turn = file_from_rdf.T @ world_from_prim[:3, :3] / scale
    n = len(values["positions"])
    means = scale * values["positions"] @ turn.T + world_from_prim[:3, 3] @ file_from_rdf
    assert np.allclose(scene.means[rows], means, atol=1e-5)
    found = covariances(np.roll(scene.quats_wxyz[rows].numpy(), -1, 1), scene.log_scales[rows].exp().numpy())
    expected = scale**2 * turn @ covariances(values["orientations"], values["scales"]) @ turn.T
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(scene.opacity_logits[rows].sigmoid(), values["opacities"], atol=1e-6)
    sh = torch.from_numpy(values[SPHERICAL_HARMONICS].reshape(n, 4, 3))
    for d in even_directions(64).float():
        seen = (torch.from_numpy(turn).float() @ d).expand(n, 3)
        before = evaluate_sh(sh, d.expand(n, 3), 1)
        assert torch.allclose(evaluate_sh(scene.sh[rows], seen, 1), before, atol=2e-6)


@pytest.mark.parametrize(("name", "degree"), [("a.usdc", 3), ("a.usda", 1), ("a.usdz", 2), ("A.USD", 0)])
def test_round_trip_is_exact_but_for_the_rounding_of_opacities(tmp_path, name, degree) -> None:
    scene = odd_scene(300, sh_degree=degree)
    written = write_scene(scene, tmp_path / name, WriteOptions(metres_per_unit=0.5))
    found = read_scene(tmp_path / name)
    errors = attribute_errors(scene, found.gaussians, order=written.order)
    assert errors["position_units"] == errors["color"] == errors["view_color"] == 0
    assert errors["log_scale"] < 1e-6
    assert errors["opacity"] < 6e-8  # half the distance of float32 numbers near 1
    assert errors["angle_deg"] < 2e-5
    assert (found.axes, found.axes_stated, found.moving) == (Axes.RUB, True, None)
    assert found.notes == ("one of its units is 0.5 m (metersPerUnit)",)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("axes", "up", "file_from_rdf"), [(Axes.RUB, "Y", RUB_FROM_RDF), (Axes.Z_UP, "Z", Z_UP_FROM_RDF)]
)
def test_openusd_sees_what_was_written(tmp_path, axes, up, file_from_rdf) -> None:
    scene = odd_scene(60, sh_degree=1)
    write_scene(scene, tmp_path / "a.usdc", WriteOptions(axes=axes, title="my room", metres_per_unit=2))
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert UsdGeom.GetStageUpAxis(stage) == up
    assert UsdGeom.GetStageMetersPerUnit(stage) == 2
    assert stage.GetDefaultPrim().GetPath() == "/World"
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert not UsdValidation.ValidationContext(validators).Validate(stage)
    (prim,) = (p for p in stage.Traverse() if p.IsA(UsdVol.ParticleField3DGaussianSplat))
    assert prim.GetName() == "my_room"

    def value(name: str) -> Any:
        return prim.GetAttribute(name).Get()

    assert value("projectionModeHint") == "perspective"
    assert value("sortingModeHint") == "cameraDistance"
    assert value("radiance:sphericalHarmonicsDegree") == 1
    quats = np.array([[*q.GetImaginary(), q.GetReal()] for q in value("orientations")])
    assert np.abs(np.linalg.norm(quats, axis=1) - 1).max() < 1e-6
    values = {"orientations": quats}
    values |= {
        name: np.array(value(name)) for name in ("positions", "scales", "opacities", SPHERICAL_HARMONICS)
    }
    assert_looks_as(scene, slice(None), values, np.eye(4), file_from_rdf)
    reach = 3 * np.sqrt(np.einsum("gii->gi", covariances(quats, values["scales"])))
    low, high = np.array(value("extent"))
    assert np.allclose(low, (values["positions"] - reach).min(0), rtol=1e-5)
    assert np.allclose(high, (values["positions"] + reach).max(0), rtol=1e-5)


def test_other_axes_are_refused(tmp_path) -> None:
    with pytest.raises(SceneFileError, match=r"rub or z-up axes.*not rdf"):
        write_scene(odd_scene(3), tmp_path / "a.usdc", WriteOptions(axes=Axes.RDF))
    assert not list(tmp_path.iterdir())


def test_render_mode_comes_back(tmp_path) -> None:
    written = write_scene(odd_scene(3), tmp_path / "a.usda", WriteOptions(render_mode="mip"))
    assert any("mip" in note for note in written.notes)
    assert read_scene(tmp_path / "a.usda").render_mode == "mip"


@pytest.mark.parametrize("suffix", [".usdc", ".usdz"])
def test_frames_come_back_at_their_times(tmp_path, suffix) -> None:
    moving = moving_scene(40, 50, 0, 45, 45)
    write_scene(moving, tmp_path / f"a{suffix}")
    found = read_scene(tmp_path / f"a{suffix}")
    assert found.moving is not None
    assert torch.allclose(found.moving.times_s, moving.times_s, atol=1e-9, rtol=0)
    assert attribute_errors(moving.frames[0], found.gaussians)["position_units"] == 0
    for index in (4, 0, 2, 1, 3):
        errors = attribute_errors(moving.frames[index], found.moving.frames[index])
        assert max(errors.get(name, 0.0) for name in ("position_units", "color", "view_color")) == 0
    assert [len(frame) for frame in found.moving.frames[1:4]] == [50, 0, 45]


def test_time_codes_are_whole_frames(tmp_path) -> None:
    write_scene(moving_scene(5, 5, 5, 5, fps=12, start_s=0.5), tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert stage.GetTimeCodesPerSecond() == pytest.approx(12)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (6, 9)
    prim = stage.GetPrimAtPath("/World/scene")
    for name in ("positions", "orientations", "scales", "opacities", SPHERICAL_HARMONICS, "extent"):
        assert prim.GetAttribute(name).GetTimeSamples() == [6, 7, 8, 9]
        assert len(prim.GetAttribute(name).Get())  # for programs without time


def test_frames_of_different_degrees_are_refused(tmp_path) -> None:
    frames = GaussianFrames(
        torch.tensor([0.0, 1.0], dtype=torch.float64), [odd_scene(3), odd_scene(3, sh_degree=1)]
    )
    with pytest.raises(SceneFileError, match="3 and 1"):
        write_scene(frames, tmp_path / "a.usdc")
    assert not list(tmp_path.iterdir())


def test_prims_of_other_programs_are_merged_where_they_are(tmp_path) -> None:
    """Halves and floats, transforms in a tree, z up, a hidden prim, a mesh beside."""
    stage = new_stage(tmp_path / "a.usda", "Z", 0.01)
    group = UsdGeom.Xform.Define(stage, "/group")
    group.AddTranslateOp().Set(Gf.Vec3d(1, 2, 3))
    group.AddRotateXYZOp().Set(Gf.Vec3f(20, 30, 40))
    first = define_splats(stage, "/group/first", half=True)
    UsdGeom.Xformable(stage.GetPrimAtPath("/group/first")).AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    second = define_splats(stage, "/second", 4, seed=1)
    define_splats(stage, "/hidden")
    UsdGeom.Imageable(stage.GetPrimAtPath("/hidden")).MakeInvisible()
    UsdGeom.Cube.Define(stage, "/cube")
    stage.Save()
    found = read_scene(tmp_path / "a.usda")
    assert (found.axes, found.axes_stated) == (Axes.Z_UP, True)
    assert found.notes[0] == "one of its units is 0.01 m (metersPerUnit)"
    assert "1 other shapes" in found.notes[1]
    assert len(found.gaussians) == 10
    placed = np.eye(4)
    placed[:3, :3] = 2 * Rotation.from_euler("xyz", [20, 30, 40], degrees=True).as_matrix()
    placed[:3, 3] = [1, 2, 3]
    assert_looks_as(found.gaussians, slice(0, 6), first, placed, Z_UP_FROM_RDF)
    assert_looks_as(found.gaussians, slice(6, 10), second, np.eye(4), Z_UP_FROM_RDF)


def test_a_moving_transform_makes_frames(tmp_path) -> None:
    stage = new_stage(tmp_path / "a.usdc")
    values = define_splats(stage, "/a")
    move = UsdGeom.Xformable(stage.GetPrimAtPath("/a")).AddTranslateOp()
    for code in (0, 12, 24):
        move.Set(Gf.Vec3d(code, 0, 0), code)
    stage.Save()
    moving = read_scene(tmp_path / "a.usdc").moving
    assert moving is not None
    assert moving.times_s.tolist() == [0, 0.5, 1]
    assert np.allclose(moving.at(0.6).means[:, 0], values["positions"][:, 0] + 12)


def test_prims_that_take_turns_make_frames(tmp_path) -> None:
    stage = new_stage(tmp_path / "a.usdc")
    for index, count in enumerate((3, 5)):
        define_splats(stage, f"/frame{index}", count)
        shown = UsdGeom.Imageable(stage.GetPrimAtPath(f"/frame{index}")).GetVisibilityAttr()
        for code in range(3):
            shown.Set("inherited" if code == index else "invisible", code)
    stage.Save()
    moving = read_scene(tmp_path / "a.usdc").moving
    assert moving is not None
    assert [len(frame) for frame in moving.frames] == [3, 5, 0]


def layer(path: Path, text: str) -> Path:
    path.write_text("#usda 1.0\n" + text)
    return path


def test_layers_in_the_folder_are_followed_and_others_are_not(tmp_path) -> None:
    folder = tmp_path / "scene"
    folder.mkdir()
    for beside in (folder / "splats.usda", tmp_path / "outside.usda"):
        stage = new_stage(beside)
        define_splats(stage, "/a")
        stage.Save()
        del stage
    (folder / "link.usda").symlink_to(tmp_path / "outside.usda")
    main = layer(folder / "main.usda", 'def "b" (payload = @splats.usda@</a>) {}\n')
    assert len(read_scene(main).gaussians) == 6
    with Sdf.ZipFileWriter.CreateNew(str(folder / "a.usdz")) as archive:
        archive.AddFile(str(main), "main.usda")
        archive.AddFile(str(folder / "splats.usda"), "splats.usda")
    assert len(read_scene(folder / "a.usdz").gaussians) == 6
    variant = 'def "b" (variants = {string v = "x"}\nprepend variantSets = "v") {\nvariantSet "v" = {\n"y" (%s) {\n}\n}\n}\n'
    deeper = layer(folder / "deeper.usda", "(subLayers = [@../outside.usda@])\n")
    refused = {
        'def "b" (references = @../outside.usda@</a>) {}\n': "leads out",
        f'def "b" (payload = @{tmp_path / "outside.usda"}@</a>) {{}}\n': "leads out",
        "(subLayers = [@link.usda@])\n": "leads out",
        f"(subLayers = [@{deeper.name}@])\n": "leads out",
        variant % "references = @../outside.usda@": "leads out",
        "(subLayers = [@absent.usda@])\n": "not beside it",
        'def "b" (references = @`"${A}"`@</a>) {}\n': "not beside it",
        'def "b" (clips = {\ndictionary c = {\nasset[] assetPaths = [@splats.usda@]\n}\n}) {}\n': "value clips",
    }
    for text, message in refused.items():
        with pytest.raises(SceneFileError, match=message):
            read_scene(layer(folder / "main.usda", text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stage, prim: stage.RemovePrim("/a") and UsdGeom.Cube.Define(stage, "/c"), "only Cube and no Gaussians"),
        (lambda stage, prim: prim.GetAttribute("scales").Set(Vt.Vec3fArray(4)), "6 positions and 4 scales"),
        (lambda stage, prim: prim.GetAttribute(SPHERICAL_HARMONICS).Set(Vt.Vec3fArray(25)), "25 colour coefficients"),
        (lambda stage, prim: UsdGeom.Imageable(prim).MakeInvisible(), "all hidden"),
        (lambda stage, prim: UsdGeom.Xformable(prim).AddScaleOp().Set(Gf.Vec3f(1, 3, 1)), "stretches"),
        (lambda stage, prim: prim.SetTypeName("Volume") and prim.CreateAttribute(
            "omni:nurec:isNuRecVolume", Sdf.ValueTypeNames.Bool), "NuRec.*3dgrut"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_said_in_one_sentence(tmp_path, change, message) -> None:
    stage = new_stage(tmp_path / "a.usda")
    define_splats(stage, "/a")
    change(stage, stage.GetPrimAtPath("/a"))
    stage.Save()
    with pytest.raises(SceneFileError, match=message) as caught:
        read_scene(tmp_path / "a.usda")
    assert "\n" not in str(caught.value)


def test_a_degree_that_is_not_written_is_told_from_the_arrays(tmp_path) -> None:
    stage = new_stage(tmp_path / "a.usda")
    define_splats(stage, "/a")
    stage.GetPrimAtPath("/a").GetAttribute("radiance:sphericalHarmonicsDegree").Clear()
    stage.Save()
    assert read_scene(tmp_path / "a.usda").gaussians.sh.shape == (6, 4, 3)


def test_files_that_bring_openusd_down_are_refused(tmp_path) -> None:
    """In the same process this one ends Python with a segmentation fault."""
    layer(tmp_path / "deep.usda", 'def "a"\n{\n' * 200_000 + "}\n" * 200_000)
    with pytest.raises(SceneFileError, match=r"OpenUSD ended while reading it"):
        read_scene(tmp_path / "deep.usda")


def test_time_is_limited(tmp_path, monkeypatch) -> None:
    write_scene(odd_scene(50), tmp_path / "a.usdc")
    monkeypatch.setattr(usd_process, "BASE_WAIT_S", 0.01)
    with pytest.raises(SceneFileError, match="OpenUSD ended while reading it"):
        read_scene(tmp_path / "a.usdc")


@pytest.mark.parametrize("suffix", [".usdc", ".usda", ".usdz"])
def test_damaged_files_are_read_or_refused(tmp_path, suffix) -> None:
    write_scene(odd_scene(5, sh_degree=0), tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    variants = [whole[: len(whole) // 2], *damaged(whole, 2)]
    assert read_or_refused(tmp_path / f"m{suffix}", iter(variants)) > 0


def test_an_absent_file_is_said_to_be(tmp_path) -> None:
    with pytest.raises(SceneFileError, match="found nothing"):
        read_scene(tmp_path / "absent.usdc")
