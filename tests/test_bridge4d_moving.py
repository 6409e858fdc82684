"""A moving scene from the command line: sample, reconstruct, go on, export, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_bridge4d_cli import call
from test_recon_capture_moving import write_split
from test_recon_moving_offsets import FPS, FRAMES, OFFSETS, film

from bridge4d.moving import stages, views
from bridge4d.moving.options import AugmentMovingOptions, MovingOptions
from bridge4d.moving.report import explain_offsets
from bridge4d.moving.stages import split_rows
from bridge4d.runs import store
from bridge4d.scenes import load_scene
from recon.clip import Clip
from recon.errors import CaptureError
from recon.pictures.eight_bit import to_eight_bit
from recon.scenefiles import read_scene
from worldgen.model import ModelSpec, Request, Views


class Seen:
    """Shows the mean of all that it was given."""

    spec = ModelSpec(name="seen", conditions_on=("cameras", "images"), min_context=1)

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        shown = request.context.images.mean(0, keepdim=True).expand(len(request.targets), -1, -1, -1)
        return Views(Clip(shown, request.targets))


SHORT = ["--moving", "--iterations", "40", "--max-side", "160", "--max-gaussians", "6000"]


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moving") / "takes"
    assert call("sample", folder, "--moving", "--photos", "4", "--cameras", "6").returncode == 0
    return folder


@pytest.fixture(scope="module")
def run(takes: Path) -> Path:
    out = takes.parent / "run"
    assert call("reconstruct", takes, "--out", out, *SHORT).returncode == 0
    return out


def test_the_report_has_what_the_held_out_camera_says(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["schema"] == "bridge4d/moving/1"
    assert report["capture"]["heldout_camera"] == "camera 3"
    assert report["capture"]["frames_trained"] == 20
    assert 0.05 < report["moving_share"] < 0.5
    assert len(report["frames"]) == 4
    assert report["psnr"]["moving"]["moving"] > report["psnr"]["static"]["moving"]
    page = (run / "report.html").read_text()
    assert "What moves is shown at" in page
    assert page.count("<img") == 20
    assert "data:video/mp4" in page


def test_a_run_goes_on_and_is_a_scene(run: Path, takes: Path) -> None:
    before = (run / "exports" / "scene.safetensors").stat().st_mtime_ns
    done = call("reconstruct", takes, "--out", run, *SHORT)
    assert done.returncode == 0
    assert (run / "exports" / "scene.safetensors").stat().st_mtime_ns == before
    assert "splats: done before, kept" in done.stderr
    exact, played = (
        read_scene(run / "exports" / f"scene.{kind}").moving for kind in ("safetensors", "spacetime.ply")
    )
    assert exact is not None
    assert played is not None
    assert torch.allclose(played.times_s, exact.times_s, atol=1e-5)
    assert torch.allclose(played.frames[2].means, exact.frames[2].means, atol=1e-3)
    loaded = load_scene(run)
    assert loaded.moving is not None
    assert len(loaded.moving) == 4


def test_bad_input_ends_in_one_sentence(takes: Path, tmp_path: Path) -> None:
    for words, said in (
        ([tmp_path / "no"], "there is nothing"),
        ([takes, "--features", "opencv"], "--moving does not know --features"),
        ([takes, "--fps", "0"], "expected --fps above 0"),
        ([takes / "cam00"], "one moving camera cannot be reconstructed yet"),
    ):
        done = call("reconstruct", *words, "--moving", "--out", tmp_path / "run")
        assert done.returncode != 0
        assert said in done.stderr
    inside = call("reconstruct", takes, "--moving", "--out", takes / "run")
    assert "expected --out outside of the frames" in inside.stderr
    assert (
        "give --moving as well" in call("reconstruct", takes, "--fps", "9", "--out", tmp_path / "run").stderr
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").write_text("mine")
    assert "holds other files" in call("sample", tmp_path / "taken", "--moving").stderr
    before = (takes / "cam00" / "frame_0000.jpg").read_bytes()
    assert "holds other files" in call("sample", takes, "--moving", "--photos", "5").stderr
    assert (takes / "cam00" / "frame_0000.jpg").read_bytes() == before


@pytest.fixture(scope="module")
def augmented(run: Path, takes: Path) -> Path:
    """The same run, gone on with; the place itself is asked."""
    model = ["--model", "synthetic-moving", "--novel-cameras", "2", "--min-inliers", "10"]
    done = call("augment", takes, "--out", run, *SHORT, *model)
    assert done.returncode == 0, done.stderr
    assert "splats: done before, kept" in done.stderr
    assert "views of synthetic-moving were accepted" in done.stdout
    return run


def test_views_of_a_model_are_checked_and_judged_beside_own_renderings(augmented: Path) -> None:
    report = json.loads((augmented / "report.json").read_text())
    said = report["augmented"]
    assert report["task"] == "augment --moving"
    assert said["asked"] == 8
    assert 0 < said["accepted"] <= said["registered"]
    assert set(said["psnr"]) == {"augmented", "own_renderings"}
    for part in ("whole", "moving", "still"):
        gain = said["psnr"]["augmented"][part] - report["psnr"]["moving"][part]
        assert said["gain"][part] == pytest.approx(gain)
        over = said["psnr"]["augmented"][part] - said["psnr"]["own_renderings"][part]
        assert said["over_own_renderings"][part] == pytest.approx(over)
    rows = json.loads((augmented / "recovery" / "round-1" / "frames.json").read_text())
    off = [row["rotation_deg"] for row in rows if row["accepted"]]
    assert max(off) < 2, "the place is filmed from where it was asked"
    assert "with own renderings in their place" in (augmented / "report.html").read_text()
    for name in ("scene", "augmented"):
        assert (augmented / "exports" / f"{name}.safetensors").is_file()


def test_the_camera_that_judges_changes_no_generated_view(augmented: Path, tmp_path: Path) -> None:
    """Its frames are replaced by black ones: what is planned, asked and checked stays the same."""
    options = AugmentMovingOptions(novel_cameras=2)
    rows = split_rows(augmented / "capture")[1]
    shutil.copytree(augmented / "cameras", tmp_path / "cameras")
    clip = store.load_clip(tmp_path / "cameras" / "frames")
    clip.images[rows] = 0
    shutil.rmtree(tmp_path / "cameras" / "frames")
    store.save_clip(clip, tmp_path / "cameras" / "frames")
    made = []
    for cameras in (augmented / "cameras", tmp_path / "cameras"):
        out = tmp_path / f"made-{len(made)}"
        parts = (augmented / "capture", cameras, augmented / "surfaces", augmented / "splats")
        views.generate_views(*parts, out, model=Seen(), options=options)
        made.append(store.load_clip(out))
        assert torch.equal(made[0].images, made[-1].images)
        assert torch.equal(
            made[0].require_cameras().cam_from_world, made[-1].require_cameras().cam_from_world
        )
    both = [
        views.find_backgrounds(augmented / "capture", c).images
        for c in (augmented / "cameras", tmp_path / "cameras")
    ]
    assert torch.equal(*both)


def test_views_along_a_path_run_through_time_or_stand_still_in_it(augmented: Path, tmp_path: Path) -> None:
    asked = ["--moving", "--path", "orbit", "--frames", "3", "--json"]
    for out, words, times in (
        ("through", [], [0, 0.125, 0.25]),
        ("frozen", ["--at", "0.1"], [0.1] * 3),
    ):
        model = ["--model", f"splat:{augmented}"]
        done = call("generate", augmented, "--out", tmp_path / out, *asked, *model, *words)
        assert done.returncode == 0, done.stderr
        said = json.loads((tmp_path / out / "generate.json").read_text())
        assert said["times_s"] == pytest.approx(times)
        frames = json.loads((tmp_path / out / "frames" / "transforms.json").read_text())["frames"]
        assert [frame["time"] for frame in frames] == pytest.approx(times)
    late = call("generate", augmented, "--out", tmp_path / "late", *asked, *model, "--at", "9")
    assert "expected --at from 0 to 0.25 seconds, got 9" in late.stderr
    still = call("generate", augmented, "--out", tmp_path / "still", "--at", "0.1")
    assert "give --moving as well" in still.stderr


def test_a_capture_is_asked_for_as_a_run_is(takes: Path, tmp_path: Path) -> None:
    model = ["--model", "synthetic-moving", "--max-side", "96", "--frames", "2", "--path", "interpolate"]
    done = call("generate", takes, "--moving", "--out", tmp_path / "run", *model)
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "run" / "generate.json").read_text())
    assert said["times_s"] == pytest.approx([0, 0.25])
    assert len(said["photos"]) == 20, "the camera that judges is kept from the model"


def test_options_of_a_scene_at_rest_are_refused(takes: Path, tmp_path: Path) -> None:
    for words, said in (
        (["--moving", "--rounds", "1"], "--moving does not know --rounds"),
        (["--novel-cameras", "2"], "--novel-cameras is for scenes that move"),
        (["--moving", "--model", "finished:clip"], "cannot be asked at the times of a moving scene"),
        (["--moving", "--novel-cameras", "0"], "--novel-cameras of at least 1"),
        (["--moving", "--generated-share", "0.95"], "--generated-share above 0 and up to 0.9"),
    ):
        done = call("augment", takes, "--out", tmp_path / "run", *words)
        assert done.returncode != 0
        assert said in done.stderr, done.stderr


def test_another_picture_is_another_capture(run: Path, takes: Path) -> None:
    picture = takes / "cam00" / "frame_0000.jpg"
    right = picture.read_bytes()
    picture.write_bytes((takes / "cam00" / "frame_0001.jpg").read_bytes())
    try:
        done = call("reconstruct", takes / "transforms.json", "--out", run, *SHORT)
    finally:
        picture.write_bytes(right)
    assert done.returncode == 0
    assert "capture: " in done.stderr
    assert "capture: done before, kept" not in done.stderr


def test_generated_frames_take_their_share_of_the_steps() -> None:
    often = views.choose_frequency(10, 30, 0.2)
    assert float(often[10:].sum()) == pytest.approx(0.2)
    assert float(often.sum()) == pytest.approx(1)
    assert len(often[:10].unique()) == len(often[10:].unique()) == 1


def write_takes(root: Path) -> None:
    """A folder for each of three cameras whose clocks are apart, with a transforms.json that says that they are synchronous."""
    clip, camera_of = film(0.2, 0.25)
    cameras, frames = clip.require_cameras(), []
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0])).double()
    for row, k in enumerate(camera_of):
        name = f"cam{k}/{row % FRAMES:02d}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_eight_bit(clip.images[row]).numpy()).save(root / name)
        pose = (cameras.world_from_cam[row] @ flip).tolist()
        frames.append({"file_path": name, "transform_matrix": pose, "time": row % FRAMES / FPS})
    K = cameras.K[0]
    lens = {"w": clip.width, "h": clip.height, "fl_x": float(K[0, 0]), "fl_y": float(K[1, 1])}
    about = lens | {"cx": float(K[0, 2]), "cy": float(K[1, 2]), "frames": frames}
    (root / "transforms.json").write_text(json.dumps(about))


def test_cameras_that_are_not_synchronous_get_times_of_their_own(tmp_path: Path) -> None:
    write_takes(tmp_path / "takes")
    stages.read_cameras(tmp_path / "takes", tmp_path / "capture", MovingOptions())
    stages.find_rig(tmp_path / "capture", tmp_path / "given", MovingOptions(sync="given"))
    stages.find_rig(tmp_path / "capture", tmp_path / "auto", MovingOptions())
    capture, about = stages.load_capture(tmp_path / "capture")
    given, auto = (stages.load_frames(tmp_path / name).times_s for name in ("given", "auto"))
    assert capture.clip.times_s is not None
    assert given is not None
    assert auto is not None
    assert torch.equal(given, capture.clip.times_s)
    assert stages.load_offsets(tmp_path / "given") is None
    true = torch.tensor(OFFSETS)[torch.tensor(capture.camera_of)] / FPS
    assert (auto - given - true).abs().max() < 0.1 / FPS
    said = stages.load_offsets(tmp_path / "auto")
    assert said is not None
    sentence = explain_offsets(said, about["cameras"])[0]
    assert "not synchronous with camera 0" in sentence
    assert "camera 2 -1.3" in sentence or "camera 2 -1.2" in sentence


def test_what_is_said_of_clocks() -> None:
    said: stages.OffsetsSaid = {
        "offset_s": [0.0, 0.001, None],
        "deviation_s": [0.0, 0.002, None],
        "applied_s": [0.0, 0.0, 0.0],
        "frame_s": 0.1,
        "because": ["", "", "nothing moves that both see"],
    }
    names = ["a", "b", "c"]
    assert explain_offsets(said, names) == [
        "whether these are synchronous with a could not be told: c (nothing moves that both see)"
    ]
    known: stages.OffsetsSaid = {**said, "because": ["", "", ""]}
    assert explain_offsets(known, names) == [
        "no camera is off by more than half a frame, as far as what moves tells; times are as they came"
    ]
    assert "--sync given" in explain_offsets(None, names)[0]


def test_one_moving_camera_in_splits_is_refused_once_read(tmp_path: Path) -> None:
    for split, count, shade in (("train", 4, 10), ("test", 2, 150)):
        write_split(tmp_path / "dnerf", split, count, shade)
    with pytest.raises(CaptureError, match="6 frames of one camera that moves, of which 2 judge"):
        stages.read_cameras(tmp_path / "dnerf", tmp_path / "capture", MovingOptions())
