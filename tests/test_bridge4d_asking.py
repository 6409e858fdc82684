"""World models on the test bench: paths are found and laid, clips asked for and measured, models compared."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bridge4d.asking.ask_clips import ask_clips
from bridge4d.asking.find_paths import AskedPath, find_paths, lay_path, read_asked
from bridge4d.asking.measure_model import measure_model
from bridge4d.asking.options import AskOptions
from bridge4d.cli import main
from bridge4d.command_line.exit_status import BAD_INPUT
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.run import open_run
from bridge4d.runs.run_folder import MEASURE
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras, intrinsics, project
from recon.clip import Clip
from recon.errors import BridgeError
from recon.sim3 import Sim3
from worldgen.model import ModelSpec, Request, Views
from worldgen.models.synthetic import SyntheticRoom

WIDTH, HEIGHT = 192, 128
QUICK = MeasureOptions(rules=("share@90", "follows@15"), metrics="none", workers=1)


def write_posed(folder: Path, cameras: Cameras) -> None:
    images, _ = SyntheticRoom().render(cameras)
    names = tuple(f"{i:02d}.png" for i in range(len(images)))
    write_transforms(folder / "transforms.json", Clip(images, cameras, names=names))


def write_re10k(file: Path, cameras: Cameras) -> None:
    """As RealEstate10K states cameras: normalised intrinsics, camera from world."""
    lines = ["https://example.org/video"]
    for i, (K, pose) in enumerate(zip(cameras.K, cameras.cam_from_world, strict=True)):
        lens = [K[0, 0] / WIDTH, K[1, 1] / HEIGHT, K[0, 2] / WIDTH, K[1, 2] / HEIGHT]
        numbers = [*map(float, lens), 0.0, 0.0, *pose[:3].flatten().tolist()]
        lines.append(" ".join([str(i), *(f"{x:.9f}" for x in numbers)]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def walk() -> Cameras:
    return SyntheticRoom().cameras(40, width=WIDTH, height=HEIGHT)


@pytest.fixture(scope="module")
def capture(walk: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    write_posed(folder, walk[::5])
    return folder


def relative(cameras: Cameras) -> torch.Tensor:
    return cameras.cam_from_world.double() @ cameras.cam_from_world[:1].double().inverse()


def test_a_laid_path_keeps_its_shape_and_begins_at_the_photo(walk: Cameras) -> None:
    path, start = walk[:10], walk[[30]]
    elsewhere = Sim3(
        torch.tensor(7.0, dtype=torch.float64),
        torch.linalg.matrix_exp(torch.tensor([[0.0, 1, 0], [-1, 0, 2], [0, -2, 0]], dtype=torch.float64)),
        torch.tensor([3.0, -5.0, 2.0], dtype=torch.float64),
    ).cameras(path)
    laid = lay_path(elsewhere, start, extent=0.5)
    assert torch.allclose(laid.cam_from_world[0], start.cam_from_world[0].double())
    centers = laid.centers
    assert float(torch.cdist(centers, centers).max()) == pytest.approx(0.5)
    expected = relative(path)
    assert torch.allclose(relative(laid)[:, :3, :3], expected[:, :3, :3], atol=1e-9)
    steps, asked = relative(laid)[1:, :3, 3], expected[1:, :3, 3]
    assert torch.allclose(steps / steps.norm(), asked / asked.norm(), atol=1e-9)


def test_a_laid_path_has_the_lens_of_the_photo_and_zooms_as_it_did(walk: Cameras) -> None:
    K = intrinsics(focal_px=100.0, width=WIDTH, height=HEIGHT, n=3)
    K[:, :2, :2] *= torch.tensor([1.0, 1.5, 2.0])[:, None, None]
    laid = lay_path(replace(walk[:3], K=K), walk[[7]], extent=None)
    assert torch.allclose(
        laid.K[:, 0, 0], walk.K[7, 0, 0] * torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    )
    assert torch.equal(laid.K[0], walk.K[7].double())


def test_a_path_that_only_turns_is_laid_as_it_is(walk: Cameras) -> None:
    turning = walk[:5].place_at(walk.centers[:1].expand(5, 3))
    laid = lay_path(turning, walk[[20]], extent=0.5)
    assert float((laid.centers - laid.centers[:1]).norm(dim=1).max()) < 1e-9


def test_paths_are_found_in_files_folders_and_clips(walk: Cameras, tmp_path: Path) -> None:
    write_re10k(tmp_path / "paths" / "b10.txt", walk[:4])
    write_re10k(tmp_path / "paths" / "b9.txt", walk[:4])
    write_posed(tmp_path / "paths" / "a", walk[:2])
    (tmp_path / "paths" / "README.md").write_text("about them")
    found = find_paths(("orbit", str(tmp_path / "paths")))
    assert [path.name for path in found] == ["orbit", "a", "b9", "b10"]
    read = read_asked(found[2], width=WIDTH, height=HEIGHT).cameras
    assert torch.allclose(read.K, walk.K[:4].to(read.K), atol=1e-4)
    assert len(read_asked(found[2], width=WIDTH, height=HEIGHT, frames=9).cameras) == 9
    with pytest.raises(BridgeError, match="several called a"):
        find_paths((str(tmp_path / "paths"), str(tmp_path / "paths" / "a")))
    with pytest.raises(BridgeError, match="there is no nowhere"):
        find_paths(("nowhere",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BridgeError, match="found neither"):
        find_paths((str(tmp_path / "empty"),))


def test_the_truth_follows_the_paths_it_is_asked_for_and_a_second_model_joins_the_report(
    capture: Path, walk: Cameras, tmp_path: Path
) -> None:
    write_re10k(tmp_path / "paths" / "one.txt", walk[4:10])
    out = tmp_path / "run"
    asking = AskOptions(
        model="synthetic", paths=(str(tmp_path / "paths" / "one.txt"),), photos=capture, picture_side=WIDTH
    )
    report = measure_model(out, asking, QUICK).report
    (clip,) = report.clips
    assert (clip.model, clip.group, clip.frames, clip.has_request) == ("synthetic", "one", 6, True)
    assert report.asked["synthetic"].scale_from.startswith("assumed")
    stored = json.loads((out / "generated" / "synthetic" / "one" / "transforms.json").read_text())
    assert len(stored["frames"]) == 6
    # the capture's frame is not the room's: its truth is drawn from elsewhere, and is a path all the same
    report = measure_model(out, replace(asking, model="warp"), QUICK).report
    assert sorted(report.models) == ["synthetic", "warp"]
    with (out / "generated.csv").open() as table:
        assert [row["model"] for row in csv.DictReader(table)] == ["synthetic", "warp"]
    page = (out / "report.html").read_text()
    assert "warp was asked for 1 clip along 1 path" in page
    # other cameras are another question, which the other model was not asked
    with pytest.raises(BridgeError, match="holds clips of synthetic that were asked otherwise"):
        measure_model(out, replace(asking, model="warp", extent=0.2), QUICK)


def test_more_starts_than_photos_and_another_model_of_one_name(
    capture: Path, walk: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_re10k(tmp_path / "one.txt", walk[4:7])
    asking = AskOptions(
        model="synthetic",
        paths=(str(tmp_path / "one.txt"),),
        photos=capture,
        picture_side=64,
        starts=99,
        prompt="a room",
    )
    with open_run(tmp_path / "run", kind=MEASURE) as run:
        ask_clips(run, asking, seed=0, convention=None, allow_outside=False)
        asked = ask_clips(run, asking, seed=0, convention=None, allow_outside=False)[1]
        assert not any(name.startswith("generated/") for name in run.redone), (
            "the second time nothing is asked"
        )
        assert asked["synthetic"].clips == 7, "as many as there are training photos"
        other = replace(asking, model="warp", label="synthetic")
        with pytest.raises(BridgeError, match="holds clips of synthetic, and warp would replace them"):
            ask_clips(run, other, seed=0, convention=None, allow_outside=False)
        second = replace(asking, label="again", prompt=None)
        manifest, asked = ask_clips(run, second, seed=0, convention=None, allow_outside=False)
        assert {name: one.clips for name, one in asked.items()} == {"synthetic": 7, "again": 7}
        with manifest.open() as table:
            prompts = {(row["model"], row["prompt"]) for row in csv.DictReader(table)}
        assert prompts == {("synthetic", "a room"), ("again", "")}


def test_each_path_may_bring_its_own_photos(
    walk: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge4d.augmenting.prepare.check_metric_depth", lambda name: None)
    real = tmp_path / "real"
    write_posed(real / "one", walk[4:14])
    asking = AskOptions(model="synthetic", paths=(str(real),), photos=real, picture_side=WIDTH)
    report = measure_model(tmp_path / "run", asking, replace(QUICK, metrics="fast")).report
    (clip,) = report.clips
    # in the room's own frame the synthetic model is the truth
    assert clip.recovered
    assert clip.verdicts["follows@15"].success
    assert clip.pose_choice.poses == "either"
    assert report.models["synthetic"].pose_choices == {"either": 1}
    with monkeypatch.context() as patched:
        patched.setattr("bridge4d.asking.plan_clips.read_own_photos", None)  # nothing is decoded again
        again = measure_model(tmp_path / "run", asking, replace(QUICK, metrics="fast")).report
    assert again.clips == report.clips
    with pytest.raises(BridgeError, match="--path-frames takes other cameras"):
        measure_model(tmp_path / "run", replace(asking, path_frames=4), QUICK)
    with pytest.raises(BridgeError, match="give --metres-per-unit"):
        measure_model(tmp_path / "run", replace(asking, metric_depth="x"), QUICK)
    write_re10k(tmp_path / "paths" / "two.txt", walk[:5])
    write_re10k(tmp_path / "paths" / "one.txt", walk[:5])
    with pytest.raises(BridgeError, match="none for two"):
        measure_model(tmp_path / "other", replace(asking, paths=(str(tmp_path / "paths"),)), QUICK)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--model", "warp", "--out", "x"], "needs --photos too"),
        (["--model", "warp", "--photos", ".", "--out", "x"], "needs --paths too"),
        (["--paths", "orbit", "--out", "x"], "--paths needs --model"),
        (["clips", "--model", "warp", "--paths", "orbit", "--photos", ".", "--out", "x"], "got both"),
        (["--model", "wrap", "--paths", "orbit", "--photos", ".", "--out", "x"], "did you mean warp"),
    ],
)
def test_what_is_missing_is_said(
    given: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["bridge4d", "measure", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == BAD_INPUT
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_path_is_named_after_its_file_or_the_folder_of_its_transforms(
    walk: Cameras, tmp_path: Path
) -> None:
    write_posed(tmp_path / "kitchen walk", walk[:2])
    (found,) = find_paths((str(tmp_path / "kitchen walk" / "transforms.json"),))
    assert found == AskedPath("kitchen_walk", tmp_path / "kitchen walk" / "transforms.json")


class Looks:
    """Keeps what it is told, and shows grey."""

    key = "1"
    spec = ModelSpec(name="looks", conditions_on=("cameras",))

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.asked.append(request)
        targets = request.targets
        return Views(Clip(torch.full((len(targets), targets.height, targets.width, 3), 0.5), targets))


def test_several_photos_of_a_path_come_with_the_points_that_they_share(walk: Cameras, tmp_path: Path) -> None:
    """Of four frames of real clips depth without them is searched for in the wrong range, and shows next to nothing."""
    write_posed(tmp_path / "real" / "one", walk[4:14])
    model = Looks()
    asking = AskOptions(
        model=model, paths=(str(tmp_path / "real"),), photos=tmp_path / "real", picture_side=WIDTH, context=3
    )
    with open_run(tmp_path / "run", kind=MEASURE) as run:
        ask_clips(run, asking, seed=0, convention=None, allow_outside=False)
    (request,) = model.asked
    cameras = request.context.require_cameras()
    assert len(cameras) == 3
    points = request.scene.points
    assert points is not None
    truth = SyntheticRoom().render(cameras)[1]
    pixels, z = project(points.xyz.double(), cameras.to("cpu", torch.float64))
    inside = (z > 0) & (pixels >= 0).all(-1) & (pixels < torch.tensor([WIDTH, HEIGHT])).all(-1)
    picture, point = inside.nonzero().unbind(-1)
    column, row = pixels[picture, point].floor().long().unbind(-1)
    off = (z[picture, point] / truth[picture, row, column] - 1).abs()
    assert float(off.median()) < 0.02, "they lie on what the photos show"
