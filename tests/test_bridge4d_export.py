"""Scenes leave upright, whole, in the frame that was asked for, and the sidecar says what was lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from benchmarks.odd_scenes import odd_scene
from bridge4d.exporting import ExportOptions, export
from bridge4d.exporting.frame import read_similarity
from bridge4d.exporting.words import describe
from bridge4d.inspecting import inspect_scene
from bridge4d.scenes import PHOTOS_SCENE, STEPS, LoadedScene, SceneView
from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError, CaptureError, SceneFileError
from recon.gaussians import Gaussians, concatenate
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.select import Selection
from recon.splats.start import Backdrop

UP = torch.tensor([0.0, -1.0, 0.0]).double()


@pytest.fixture
def scene_file(tmp_path: Path) -> Path:
    write_scene(odd_scene(300), tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def run_of_photos(turn: torch.Tensor) -> LoadedScene:
    """A scene in a tilted frame, with level cameras around it and a backdrop."""
    scene = odd_scene(200)
    shell = replace(scene[:20], means=50 * torch.nn.functional.normalize(scene[:20].means, dim=1))
    near = replace(scene, means=scene.means.clamp(-3, 3))
    angle = torch.linspace(0, 5, 8).double()
    eye = torch.stack([5 * angle.sin(), torch.full_like(angle, -1.0), -5 * angle.cos()], -1)
    pose = look_at(eye, torch.zeros(8, 3).double(), UP.expand(8, 3))
    cameras = Cameras(pose, intrinsics(focal_px=60, width=64, height=48, n=8), 64, 48)
    tilted = Sim3(torch.tensor(1.0).double(), turn, torch.zeros(3).double())
    whole = concatenate([near, shell])
    moved = replace(whole, means=tilted.points(whole.means.double()).float())
    views = tuple(
        SceneView(f"{i}.jpg", "photo", tilted.cameras(cameras)[i], Path(f"{i}.jpg")) for i in range(8)
    )
    shell_rows = Backdrop((0, 0, 0), 50).rows(moved)
    return LoadedScene(Path("run"), Path("run/scene.ply"), moved, views=views, in_backdrop=shell_rows)


def sidecar(folder: Path, name: str) -> dict:
    return json.loads((folder / "export.json").read_text())["files"][name]


@pytest.mark.parametrize(
    ("kind", "files", "said"),
    [
        ("augment", (), "nothing is done, capture, sfm, depth, splats/photos_only, exports are missing"),
        (
            "augment",
            ("capture/stage.json", "sfm/stage.json"),
            "capture, sfm are done, depth, splats/photos_only, exports are missing; start its command again to go on$",
        ),
        (
            "augment",
            (*(f"{name}/stage.json" for name in STEPS[:4]), PHOTOS_SCENE),
            "exports is missing; .* or give .*splats/photos_only/scene.ply, the scene of the photos alone",
        ),
        ("augment", ("run.json",), "ended without a scene: its report.html says why"),
        ("measure", ("run.json",), "a run of bridge4d measure, which makes no scene"),
    ],
)
def test_a_run_without_a_scene_says_what_is_there_and_how_to_go_on(
    kind: str, files: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for file in (".lock", *files):
        (run / file).parent.mkdir(parents=True, exist_ok=True)
        (run / file).write_text(f"{kind}\n")
    with pytest.raises(SceneFileError, match=said):
        export(run, tmp_path / "a.spz")


def test_nothing_is_dropped_and_the_sidecar_says_so(scene_file: Path, tmp_path: Path) -> None:
    done = export(scene_file, [tmp_path / "out" / "a.spz", tmp_path / "out" / "b.ply"])
    said = sidecar(tmp_path / "out", "a.spz")
    assert said["gaussians"] == 300
    assert said["left_out"] == {}
    assert said["axes"] == "rub"
    assert said["bytes"] == (tmp_path / "out" / "a.spz").stat().st_size
    assert 0 < said["largest_errors"]["position_units"] < 3e-4
    assert said["largest_errors"]["angle_deg"] < 0.25
    assert sidecar(tmp_path / "out", "b.ply")["largest_errors"]["position_units"] == 0
    words = describe(done)
    assert "every Gaussian is written" in words
    assert "exact" in words
    assert "x right, y up, z back" in words


def test_another_export_to_the_same_folder_keeps_the_first_entry(scene_file: Path, tmp_path: Path) -> None:
    export(scene_file, tmp_path / "out" / "a.ply")
    export(scene_file, tmp_path / "out" / "b.ply")
    assert set(json.loads((tmp_path / "out" / "export.json").read_text())["files"]) == {"a.ply", "b.ply"}


@pytest.mark.parametrize("seed", range(3))
def test_scenes_with_cameras_come_out_upright(tmp_path: Path, seed: int) -> None:
    turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    scene = run_of_photos(turn)
    done = export(scene, tmp_path / "a.ply")
    vertical = done.frame.out_from_scene.rotation @ turn @ UP
    assert torch.allclose(vertical, UP, atol=1e-6)
    raw = export(scene, tmp_path / "raw.ply", ExportOptions(axes="raw"))
    assert torch.equal(read_scene(tmp_path / "raw.ply").gaussians.means, scene.gaussians.means)
    assert "own frame" in raw.frame.up


def test_the_backdrop_is_named_and_can_stay_behind(tmp_path: Path) -> None:
    scene = run_of_photos(torch.eye(3).double())
    export(scene, tmp_path / "a.ply")
    said = sidecar(tmp_path, "a.ply")
    assert said["backdrop"]["gaussians"] == 20
    assert max(map(abs, said["bounds_without_backdrop"]["high"])) < 10
    done = export(scene, tmp_path / "b.ply", ExportOptions(backdrop=False))
    assert done.left_out == {"backdrop": 20}
    assert done.files[0].gaussians == 200


@pytest.mark.parametrize("axes", ["rdf", "rub", "luf", "z-up"])
def test_axes_and_scale_are_what_was_asked_for(scene_file: Path, tmp_path: Path, axes: str) -> None:
    export(scene_file, tmp_path / "a.ply", ExportOptions(axes=axes, scale=2.0))  # type: ignore[arg-type]
    found = read_scene(tmp_path / "a.ply", axes=Axes(axes)).gaussians
    truth = odd_scene(300)
    assert torch.allclose(found.means, 2 * truth.means, atol=1e-5)
    assert torch.allclose(found.log_scales, truth.log_scales + 0.6931472, atol=1e-6)
    said = sidecar(tmp_path, "a.ply")
    if axes != "rdf":
        assert any("cannot say" in note for note in said["notes"])


def test_several_scenes_become_one(scene_file: Path, tmp_path: Path) -> None:
    write_scene(odd_scene(50, sh_degree=1, seed=1), tmp_path / "other.ply")
    done = export([scene_file, tmp_path / "other.ply"], tmp_path / "both.ply")
    both = read_scene(tmp_path / "both.ply").gaussians
    assert done.files[0].gaussians == len(both) == 350
    assert both.sh_degree == 3
    assert both.sh[300:, 4:].abs().max() == 0
    assert sidecar(tmp_path, "both.ply")["merged_from"] == [str(scene_file), str(tmp_path / "other.ply")]


def test_one_name_twice_is_refused(scene_file: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for other in (tmp_path / "a.ply", tmp_path / "b" / ".." / "a.ply"):
        with pytest.raises(BridgeError, match="one name comes twice"):
            export(scene_file, [tmp_path / "a.ply", other])


def test_point_clouds_count_points(tmp_path: Path) -> None:
    scene = odd_scene(300)
    solid = int((scene.opacity_logits >= 0).sum())
    done = export(LoadedScene(Path("a"), Path("a"), scene), tmp_path / "points.ply")
    said = sidecar(tmp_path, "points.ply")
    assert (said["gaussians"], said["points"]) == (0, solid)
    assert 0 < solid < 300
    assert "every Gaussian" not in describe(done)
    assert f"{solid:,} points" in describe(done)


@pytest.mark.parametrize("wrong", [{"generated": False}, {"test_every": 10}])
def test_options_of_datasets_are_refused_for_files(scene_file: Path, tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(BridgeError, match="are for datasets"):
        export(scene_file, tmp_path / "a.ply", ExportOptions(**wrong))


def test_unknown_endings_name_what_helps(tmp_path: Path) -> None:
    with pytest.raises(
        SceneFileError, match=r"is written here, expected (?!.*ksplat).*\.html.*did you mean \.spz"
    ):
        export(LoadedScene(Path("a"), Path("a"), odd_scene(9)), tmp_path / "a.spx")
    (tmp_path / "b.spx").touch()
    with pytest.raises(SceneFileError, match=r"is read here, expected (?!.*html)(?!.*did you mean).*ksplat"):
        read_scene(tmp_path / "b.spx")


def test_cuts_are_counted_and_an_empty_rest_is_refused(scene_file: Path, tmp_path: Path) -> None:
    options = ExportOptions(keep=Selection(sphere=(1, 0, 4, 3), max_gaussians=40, sh_degree=0))
    done = export(scene_file, tmp_path / "a.ply", options)
    assert done.files[0].gaussians == 40
    assert done.left_out["outside the sphere"] + done.left_out["beyond the number asked for"] == 260
    assert "beyond the number asked for" in describe(done)
    with pytest.raises(BridgeError, match="nothing is left"):
        export(
            scene_file, tmp_path / "b.ply", ExportOptions(keep=Selection(box=(900, 900, 900, 901, 901, 901)))
        )
    assert not (tmp_path / "b.ply").exists()


def test_a_scene_does_not_overwrite_itself(scene_file: Path, tmp_path: Path) -> None:
    before = scene_file.read_bytes()
    with pytest.raises(BridgeError, match="where the scene that is exported does"):
        export(scene_file, scene_file)
    with pytest.raises(SceneFileError, match=r"did you mean \.spz"):
        export(scene_file, [tmp_path / "a.ply", tmp_path / "b.spx"])
    assert scene_file.read_bytes() == before
    assert not (tmp_path / "a.ply").exists()  # a typo is answered before anything is written


def test_metres_that_nobody_knows_are_refused(scene_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="--metric needs to know"):
        export(scene_file, tmp_path / "a.ply", ExportOptions(metric=True))
    with pytest.raises(CaptureError, match="give a run folder"):
        export(scene_file, tmp_path / "a.ply", ExportOptions(georeference="gps"))


def test_control_points_put_a_scene_on_the_map(scene_file: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(
        "name,latitude,longitude,height,x,y,z\n"
        "a,46.84,-91.99,190,0,0,0\nb,46.8402,-91.99,190,0,0,1\nc,46.84,-91.9897,190,1,0,0\nd,46.84,-91.99,213,0,-1,0\n"
    )
    options = ExportOptions(georeference=str(tmp_path / "points.csv"), axes="z-up")
    done = export(scene_file, tmp_path / "a.ply", options)
    assert done.frame.metres_per_unit == 1.0
    said = sidecar(tmp_path, "a.ply")["frame"]["georeference"]
    assert 21 < said["metres_per_scene_unit"] < 24
    assert torch.allclose(
        torch.tensor(said["file_from_enu"]), torch.eye(4), atol=1e-9
    )  # z-up files hold them as they are
    assert "Transverse_Mercator" in said["crs_wkt"]
    written = read_scene(tmp_path / "a.ply", axes=Axes.RDF).gaussians  # numbers as they are: east, north, up
    assert written.means[:, 1].max() > 100  # what lay 9 units to the front lies to the north
    assert "residuals" in describe(done)


@pytest.mark.parametrize(
    ("content", "scale"),
    [
        ({"scale": 2, "quaternion_wxyz": [0, 1, 0, 0], "translation": [1, 2, 3]}, 2.0),
        ({"matrix": [[0, -3, 0, 1], [3, 0, 0, 2], [0, 0, 3, 3], [0, 0, 0, 1]]}, 3.0),
        ({"transform": [[1, 0, 0, 5], [0, 0, -1, 6], [0, 1, 0, 7]], "scale": 0.25}, 4.0),
    ],
)
def test_transform_files(tmp_path: Path, content: dict, scale: float) -> None:
    (tmp_path / "t.json").write_text(json.dumps(content))
    found = read_similarity(tmp_path / "t.json")
    assert float(found.scale) == pytest.approx(scale)
    assert torch.allclose(found.rotation @ found.rotation.T, torch.eye(3).double(), atol=1e-9)
    if "transform" in content:  # nerfstudio: scaled = scale · (transform · world); the way back
        world = torch.tensor([[0.3, -0.2, 0.9]]).double()
        matrix = torch.tensor(content["transform"]).double()
        inside = 0.25 * (world @ matrix[:, :3].T + matrix[:, 3])
        assert torch.allclose(found.points(inside), world, atol=1e-9)


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        '{"matrix": [[1, 2], [3, 4]]}',
        '{"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]}',
        '{"matrix": [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}',
        '{"scale": -1}',
        '{"scale": "nan"}',
        '{"rotation": 7}',
    ],
)
def test_bad_transforms_are_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(SceneFileError):
        read_similarity(tmp_path / "t.json")


def moving_scene() -> LoadedScene:
    still = odd_scene(60, sh_degree=1)
    frames = tuple(replace(still, means=still.means + 0.1 * i) for i in range(6))
    moving = GaussianFrames(torch.arange(6, dtype=torch.float64) / 12, frames, identity=True)
    return LoadedScene(Path("a"), Path("a"), frames[0], moving=moving)


def test_moving_scenes_are_cut_and_paced(tmp_path: Path) -> None:
    done = export(moving_scene(), tmp_path / "f_##.ply", ExportOptions(frames="2-4", fps=30))
    assert done.files[0].frames == 3
    found = read_scene(tmp_path).moving
    assert found is not None
    assert found.fps == pytest.approx(30)
    assert torch.allclose(found.frames[0].means, odd_scene(60, sh_degree=1).means + 0.2, atol=1e-5)
    export(moving_scene(), tmp_path / "one.spz", ExportOptions(at=0.26))
    assert read_scene(tmp_path / "one.spz").gaussians.means.mean() == pytest.approx(
        float((odd_scene(60).means + 0.3).mean()), abs=1e-3
    )
    with pytest.raises(BridgeError, match="between 0 and 5"):
        export(moving_scene(), tmp_path / "g_##.ply", ExportOptions(frames="2-9"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0.0},
        {"fps": -1.0},
        {"frames": "2"},
        {"georeference": "moon"},
        {"sh_bits": 9},
        {"test_every": 1},
    ],
)
def test_impossible_options_are_one_sentence(wrong: dict) -> None:
    with pytest.raises(BridgeError, match="expected"):
        ExportOptions(**wrong)


def test_import_says_what_a_file_is(scene_file: Path, tmp_path: Path) -> None:
    export(scene_file, tmp_path / "a.spz")
    facts = inspect_scene(tmp_path / "a.spz").as_json()
    assert (facts["format"], facts["gaussians"], facts["sh_degree"], facts["axes"]) == ("spz", 300, 3, "rub")
    assert not facts["axes_stated"]
    low, high = facts["bounds"]["low"], facts["bounds"]["high"]
    means = odd_scene(300).means
    assert low == pytest.approx(means.min(0).values.tolist(), abs=1e-3)
    assert high == pytest.approx(means.max(0).values.tolist(), abs=1e-3)
    assert facts["bounds_of_98_percent"]["high"][2] < high[2]


def test_not_a_number_is_left_out_and_counted(tmp_path: Path) -> None:
    scene = odd_scene(30)
    scene.means[3, 1] = torch.nan
    scene.opacity_logits[5] = torch.inf
    done = export(LoadedScene(Path("a"), Path("a"), scene), tmp_path / "a.ply")
    assert done.files[0].gaussians == 29
    assert done.left_out == {"not numbers": 1}
    assert "left out: 1 not numbers" in describe(done)
    assert isinstance(read_scene(tmp_path / "a.ply").gaussians, Gaussians)


def test_a_dataset_needs_the_photos_of_a_run(scene_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="give a run folder"):
        export(scene_file, f"{tmp_path}/dataset/")


def test_merged_scenes_overwrite_none_of_their_parts(scene_file: Path, tmp_path: Path) -> None:
    write_scene(odd_scene(20), tmp_path / "r.ply")
    before = (tmp_path / "r.ply").read_bytes()
    with pytest.raises(BridgeError, match="where the scene that is exported does"):
        export([scene_file, tmp_path / "r.ply"], tmp_path / "r.ply")
    assert (tmp_path / "r.ply").read_bytes() == before


def test_frames_are_not_written_among_those_that_are_read(tmp_path: Path) -> None:
    export(moving_scene(), tmp_path / "s" / "a_##.ply")
    for target in (tmp_path / "s" / "cut_##.ply", tmp_path / "s" / "a_##.ply"):
        with pytest.raises(BridgeError, match="choose another name or folder"):
            export(tmp_path / "s", target, ExportOptions(frames="0-1"))
    with pytest.raises(SceneFileError, match="belongs to other frames"):
        export(moving_scene(), [tmp_path / "t" / "a_##.ply", tmp_path / "t" / "b_##.spz"])
    assert len(list((tmp_path / "t").glob("a_*.ply"))) == 6
    assert len(read_scene(tmp_path / "s").moving or ()) == 6


def test_what_cannot_be_written_is_said_before_anything_is(scene_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match="is read here, not written"):
        export(scene_file, [tmp_path / "a.spz", tmp_path / "b.ksplat"])
    with pytest.raises(SceneFileError, match="holds one moment"):
        export(moving_scene(), [tmp_path / "m" / "a_##.ply", tmp_path / "a.spz"])
    with pytest.raises(SceneFileError, match="rub or z-up axes"):
        export(scene_file, [tmp_path / "a.spz", tmp_path / "b.usdc"], ExportOptions(axes="luf"))
    (tmp_path / "export.json").write_text('{"mine": 1}')
    with pytest.raises(BridgeError, match="not a note of bridge4d"):
        export(scene_file, tmp_path / "a.spz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export.json", "scene.ply"]


def test_gaussians_of_moving_scenes_are_counted_and_stay_themselves(tmp_path: Path) -> None:
    done = export(moving_scene(), tmp_path / "a_##.ply", ExportOptions(keep=Selection(max_gaussians=10)))
    assert done.left_out == {"left out of every frame": 0, "beyond the number asked for": 50}
    found = read_scene(tmp_path).moving
    assert found is not None
    assert found.identity
    moved = found.frames[5].means - found.frames[0].means
    assert torch.allclose(moved, torch.full_like(moved, 0.5), atol=1e-5)
    with pytest.raises(BridgeError, match="nothing is left"):
        export(
            moving_scene(), tmp_path / "b" / "b_#.ply", ExportOptions(keep=Selection(sphere=(900, 0, 0, 1)))
        )


def test_compressed_frames_are_compared_row_by_row(tmp_path: Path) -> None:
    done = export(moving_scene(), tmp_path / "a_##.compressed.ply")
    assert done.files[0].errors is not None
    assert done.files[0].errors["position_units"] < 0.1
    assert done.files[0].bytes == sum(p.stat().st_size for p in tmp_path.iterdir() if p.name != "export.json")


def test_time_means_nothing_for_what_stands_still(scene_file: Path, tmp_path: Path) -> None:
    for options in (ExportOptions(at=0.0), ExportOptions(fps=10), ExportOptions(frames="0-1")):
        with pytest.raises(BridgeError, match="does not"):
            export(scene_file, tmp_path / "a.ply", options)
    with pytest.raises(BridgeError, match="expected --at from"):
        export(moving_scene(), tmp_path / "a.ply", ExportOptions(at=9))


def test_dropped_on_reading_is_said(tmp_path: Path) -> None:
    scene = odd_scene(30)
    names = [
        "x",
        "y",
        "z",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    ]
    table = torch.cat(
        [scene.means, scene.sh[:, 0], scene.opacity_logits[:, None], scene.log_scales, scene.quats_wxyz], 1
    )
    table[4, 1] = torch.nan
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 30\n" + "".join(
        f"property float {n}\n" for n in names
    )
    (tmp_path / "nan.ply").write_bytes((header + "end_header\n").encode() + table.numpy().tobytes())
    done = export(tmp_path / "nan.ply", tmp_path / "a.ply")
    assert done.left_out == {"not numbers": 1}
    assert "every Gaussian" not in describe(done)
    assert sidecar(tmp_path, "a.ply")["source_notes"]


def test_metres_survive_a_transform_that_scales(scene_file: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(
        "name,latitude,longitude,height,x,y,z\na,46.84,-91.99,190,0,0,0\nb,46.8402,-91.99,190,0,0,1\n"
        "c,46.84,-91.9897,190,1,0,0\nd,46.84,-91.99,213,0,-1,0\n"
    )
    (tmp_path / "t.json").write_text('{"scale": 5}')
    with pytest.raises(BridgeError, match="each say where"):
        ExportOptions(georeference=str(tmp_path / "points.csv"), transform=tmp_path / "t.json")


def test_no_backdrop_needs_to_know_the_backdrop(scene_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="--no-backdrop needs to know"):
        export(scene_file, tmp_path / "a.ply", ExportOptions(backdrop=False))
    export(scene_file, tmp_path / "a.ply")
    assert sidecar(tmp_path, "a.ply")["backdrop"] is None


def test_a_merge_overwrites_none_of_its_parts(tmp_path: Path) -> None:
    (tmp_path / "run" / "exports").mkdir(parents=True)
    write_scene(odd_scene(40), tmp_path / "run" / "exports" / "scene.ply")
    (tmp_path / "run" / "report.html").write_text("mine")
    (tmp_path / "sog").mkdir()
    write_scene(odd_scene(30), tmp_path / "sog" / "meta.json")
    before = (tmp_path / "sog" / "meta.json").read_bytes()
    with pytest.raises(BridgeError, match="lies where the scene"):
        export([tmp_path / "run", tmp_path / "sog"], tmp_path / "sog" / "meta.json")
    assert (tmp_path / "sog" / "meta.json").read_bytes() == before
    with pytest.raises(BridgeError, match="lies where the scene"):
        export(tmp_path / "run", tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").read_text() == "mine"
    for _ in range(2):  # what an export wrote into the run may be written again
        export(tmp_path / "run", tmp_path / "run" / "mine.spz")


def test_merged_scenes_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "run" / "exports").mkdir(parents=True)
    write_scene(odd_scene(40), tmp_path / "run" / "exports" / "scene.ply")
    write_scene(odd_scene(30), tmp_path / "b.ply")
    with pytest.raises(BridgeError, match="2 scenes are merged"):
        export([tmp_path / "run", tmp_path / "b.ply"], str(tmp_path / "both") + "/")


def test_the_first_of_merged_scenes_says_how_it_is_drawn(tmp_path: Path) -> None:
    write_scene(odd_scene(9), tmp_path / "mip.ply", WriteOptions(render_mode="mip"))
    write_scene(odd_scene(9), tmp_path / "plain.ply")
    done = export([tmp_path / "mip.ply", tmp_path / "plain.ply"], tmp_path / "both.ply")
    assert read_scene(tmp_path / "both.ply").render_mode == "mip"
    assert any("that of mip.ply counts" in note for note in done.notes)


def test_what_is_no_number_in_later_frames_is_counted_and_shifts_no_rows(tmp_path: Path) -> None:
    still = odd_scene(50)
    broken = replace(still, means=still.means.clone())
    broken.means[:7] = torch.nan
    frames = GaussianFrames(torch.tensor([0.0, 0.5]).double(), (still, broken), identity=True)
    scene = LoadedScene(Path("a"), Path("a"), still, moving=frames, stored=frames)
    done = export(scene, tmp_path / "a_#.ply")
    assert done.left_out == {"not numbers": 7}
    assert not json.loads((tmp_path / "manifest.json").read_text())["identity"]
    export(scene, tmp_path / "b" / "b_#.ply", ExportOptions(keep=Selection(min_opacity=0.1)))
    found = read_scene(tmp_path / "b").moving
    assert found is not None
    assert len(found.frames[1]) < len(found.frames[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"scale": 1%s}' % ("0" * 400), "scale of inf"),
        ("[" * 100_000, "nested too deeply"),
        ('{"transform": [[1,0,0,0],[0,1,0,0],[0,0,1,0]], "scale": 0}', "scale of 0"),
        ('{"matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,2]]}', "last row"),
        ('{"matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]], "scale": 3}', "holds scale"),
        ('{"rotatoin": [[1,0,0],[0,1,0],[0,0,1]]}', "holds rotatoin"),
        ("{}", "holds nothing"),
    ],
)
def test_transforms_that_mean_nothing_are_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(SceneFileError, match=said):
        read_similarity(tmp_path / "t.json")


def test_a_given_transform_is_named_even_without_turning(scene_file: Path, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"translation": [1, 0, 0]}')
    done = export(scene_file, tmp_path / "a.ply", ExportOptions(axes="raw", transform=tmp_path / "t.json"))
    assert "given transform" in done.frame.up


def test_the_bytes_of_a_scene_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "sog").mkdir()
    write_scene(odd_scene(30), tmp_path / "sog" / "meta.json")
    whole = sum(file.stat().st_size for file in (tmp_path / "sog").iterdir())
    (tmp_path / "sog" / "film.mp4").write_bytes(bytes(10_000))
    for given in (tmp_path / "sog", tmp_path / "sog" / "meta.json"):
        assert inspect_scene(given).bytes == whole
    export(moving_scene(), tmp_path / "frames" / "f_##.ply")
    frames = sum(file.stat().st_size for file in (tmp_path / "frames").glob("*.ply"))
    assert inspect_scene(tmp_path / "frames").bytes == frames


@pytest.mark.parametrize(
    "names",
    [
        ["scene2023.ply", "garden2024.ply"],
        ["a1.ply", "a3.ply"],
        ["only_0000.ply"],
        ["v3.ply", "v4.ply", "x.ply", "y.ply"],
    ],
)
def test_scenes_whose_names_end_in_numbers_are_no_film(tmp_path: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        write_scene(odd_scene(10 + i), tmp_path / name)
    with pytest.raises(SceneFileError, match="give one of its files"):
        read_scene(tmp_path)


def test_frames_without_a_manifest_are_named(tmp_path: Path) -> None:
    for name in ("f_9.ply", "f_10.ply", "f_11.ply"):
        write_scene(odd_scene(10), tmp_path / name)
    found = read_scene(tmp_path)
    assert found.moving is not None
    assert any("f_9.ply to f_11.ply were taken for 3 frames" in note for note in found.notes)


def test_what_is_said_of_the_axes_is_not_doubted(tmp_path: Path) -> None:
    write_scene(odd_scene(10), tmp_path / "a.spz")
    assert any("which way its axes point" in note for note in read_scene(tmp_path / "a.spz").notes)
    assert not read_scene(tmp_path / "a.spz", axes=Axes.RDF).notes
    (tmp_path / "f").mkdir()
    export(moving_scene(), tmp_path / "f" / "f_#.spz")
    facts = inspect_scene(tmp_path / "f")
    assert facts.as_json()["format"] == "spz-sequence"
    assert not any("which way" in note for note in facts.found.notes)


def test_a_matrix_may_stand_alone(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[[0,-2,0,1],[2,0,0,0],[0,0,2,0],[0,0,0,1]]")
    assert float(read_similarity(tmp_path / "t.json").scale) == pytest.approx(2)
    with pytest.raises(SceneFileError, match="found no file"):
        read_similarity(tmp_path / "nope.json")


def test_cuts_that_no_count_tells_are_said(scene_file: Path, tmp_path: Path) -> None:
    options = ExportOptions(keep=Selection(sh_degree=1, sphere=(0, 0, 4, 50)))
    said = describe(export(scene_file, tmp_path / "a.ply", options))
    assert "colour was cut from degree 3 to 1" in said
    assert f"in the frame of {scene_file}" in said


def test_a_missing_run_is_missing_and_no_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match="found nothing"):
        export(tmp_path / "demmo", tmp_path / "a.ply")
