"""The benchmarks of generated views: what is given, what judges, and that a model which knows the truth wins."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from benchmarks import (
    depth,
    source_hash,
    view_calibration,
    view_context,
    view_models,
    view_quality,
    view_rollout,
)
from benchmarks.view_context import nearest_angle_deg
from benchmarks.view_paths import chain, through
from benchmarks.view_tasks import Task, ViewArguments, choose_contexts, evenly, tasks
from bridge4d.runs.run import open_run
from bridge4d.runs.store import save_picture
from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.errors import BridgeError
from recon.points import PointCloud
from worldgen.model import ModelSpec, Request, Views
from worldgen.models.synthetic import SyntheticRoom

CONTEXTS = (3, 4)


def at(*x: float, width: int = 40, height: int = 30) -> Cameras:
    """Cameras side by side along x, looking along z."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(x), 1, 1)
    poses[:, 0, 3] = -torch.tensor(x, dtype=torch.float64)
    return Cameras(poses, intrinsics(focal_px=40.0, width=width, height=height, n=len(x)), width, height)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One capture with cameras, nine photos of the built-in room along 50 degrees; and one without."""
    folder = tmp_path_factory.mktemp("captures")
    room = SyntheticRoom()
    cameras = room.cameras(17, width=144, height=96)[4:13]
    images, _ = room.render(cameras)
    (folder / "room").mkdir()
    (folder / "bare").mkdir()
    flip = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))  # nerfstudio's axes are OpenGL's
    frames = []
    for i in range(len(cameras)):
        save_picture(images[i], folder / "room" / f"{i}.png")
        save_picture(images[i], folder / "bare" / f"{i}.png")
        frames.append(
            {"file_path": f"{i}.png", "transform_matrix": (cameras.world_from_cam[i] @ flip).tolist()}
        )
    K = cameras.K[0]
    lens = {"fl_x": K[0, 0].item(), "fl_y": K[1, 1].item(), "cx": K[0, 2].item(), "cy": K[1, 2].item()}
    content = lens | {"w": 144, "h": 96, "camera_model": "PINHOLE", "frames": frames}
    (folder / "room" / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all three benchmarks, as it is meant."""
    return tmp_path_factory.mktemp("views") / "run"


@pytest.fixture(scope="module")
def quality(captures: Path, out: Path) -> dict:
    """`synthetic` draws the very room that was photographed: it knows the truth."""
    view_quality.main(
        view_quality.Arguments(captures, models="synthetic", contexts=CONTEXTS, limit=3, side=144, out=out)
    )
    return json.loads((out / "view_quality.json").read_text())


def test_contexts_are_the_most_central_camera_and_then_the_farthest() -> None:
    cameras = at(0, 1, 2, 3, 4, 10)
    assert choose_contexts(cameras, 1) == [2]
    assert choose_contexts(cameras, 3) == [2, 5, 0]
    assert choose_contexts(cameras, 4)[:3] == choose_contexts(cameras, 3)
    assert sorted(choose_contexts(cameras, 6)) == [0, 1, 2, 3, 4, 5]
    twice = at(0, 0, 5)
    assert sorted(choose_contexts(twice, 3)) == [0, 1, 2]


def test_targets_are_evenly_spaced() -> None:
    assert evenly(5, None) == [0, 1, 2, 3, 4]
    assert evenly(9, 3) == [0, 4, 8]
    assert evenly(9, 1) == [4]
    assert evenly(2, 10) == [0, 1]


def test_the_angle_to_the_nearest_photo_that_sees_a_point() -> None:
    photos, target = at(-2.0, 1.0), at(0.0)
    maps = DepthMaps(torch.full((2, 30, 40), 2.0), torch.ones(2, 30, 40))
    depth = torch.full((30, 40), 2.0)
    found = nearest_angle_deg(depth, target, photos, maps, same=0.05)
    # the middle of the picture, at (0.025, 0.025, 2): photo 1 stands at 1, photo 0 does not have it in its frame
    a = torch.tensor([0.025, 0.025, 2.0])
    b = a - torch.tensor([1.0, 0, 0])
    expected = torch.rad2deg(torch.arccos(a @ b / a.norm() / b.norm())).item()
    assert found[15, 20].item() == pytest.approx(expected, abs=1e-3)
    hidden = DepthMaps(torch.full((2, 30, 40), 1.0), torch.ones(2, 30, 40))
    assert (nearest_angle_deg(depth, target, photos, hidden, same=0.05) == 180).all()
    assert (nearest_angle_deg(0 * depth, target, photos, maps, same=0.05) == 180).all()


def test_a_path_goes_through_all_contexts_without_detours() -> None:
    keys = at(3, 0, 2, 1)
    assert chain(keys.centers) in ([1, 3, 2, 0], [0, 2, 3, 1])
    path = through(keys, 7)
    x = path.centers[:, 0]
    assert len(path) == 7
    assert sorted((x[0].item(), x[-1].item())) == pytest.approx([0, 3])
    assert x[::2].sort().values.tolist() == pytest.approx([0, 1, 2, 3])
    assert (x.diff() > 0).all() or (x.diff() < 0).all()


def test_only_captures_with_cameras_take_part(captures: Path, quality: dict) -> None:
    assert {view["capture"] for view in quality["views"]} == {"room"}
    with pytest.raises(BridgeError, match="reference cameras"):
        list(tasks(ViewArguments(captures, only=("bare",))))


def test_a_model_that_knows_the_truth_wins_everywhere(quality: dict) -> None:
    found = {(s["contexts"], s["model"]): s for s in quality["summary"] if s["capture"] == "room"}
    for contexts in CONTEXTS:
        raw, warp, true = (found[contexts, model] for model in ("raw", "warp", "synthetic"))
        assert true["psnr"] > 45
        assert true["sharpness"] == pytest.approx(1, abs=0.02)
        assert raw["psnr"] <= warp["psnr"] < true["psnr"]
        assert true["gain"]["psnr"]["mean"] == pytest.approx(true["psnr"] - warp["psnr"])
        low, high = true["gain"]["psnr"]["interval95"]
        assert 0 < low <= true["gain"]["psnr"]["mean"] <= high
        assert true["cpu_s"] > 0
        assert warp["targets"] == 3


def test_the_same_command_again_only_reads(captures: Path, out: Path, quality: dict, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("generated again")

    monkeypatch.setattr(view_models, "ask_all", fail)
    monkeypatch.setattr(view_context, "see_from", fail)
    view_quality.main(
        view_quality.Arguments(captures, models="synthetic", contexts=CONTEXTS, limit=3, side=144, out=out)
    )
    assert json.loads((out / "view_quality.json").read_text())["views"] == quality["views"]
    assert (out / "sheets" / "room-3-warp+synthetic.png").is_file()
    assert {"threads", "load"} <= set(quality["views"][-1])


def test_gains_are_paired_and_name_the_worst() -> None:
    def row(capture: str, target: str, model: str, psnr: float) -> dict:
        scores = dict.fromkeys(view_quality.SCORES)
        return scores | {"capture": capture, "target": target, "model": model, "psnr": psnr}

    base = [row("a", "0", "warp", 10.0), row("a", "1", "warp", 20.0), row("b", "0", "warp", 30.0)]
    mine = [row("a", "0", "m", 14.0), row("a", "1", "m", 19.0), row("b", "0", "m", 30.5)]
    found = view_quality.gains(mine, base + mine, seed=0)
    assert found["psnr"]["mean"] == pytest.approx(3.5 / 3)
    assert found["psnr"]["mean_of_captures"] == pytest.approx((1.5 + 0.5) / 2)
    assert found["psnr"]["worst_capture"] == ["b", pytest.approx(0.5)]
    assert found["psnr"]["worst_view"] == ["a", "1", pytest.approx(-1)]
    assert found["ssim_holes"] is None


def test_sharpness_has_no_worst_end() -> None:
    scores = dict.fromkeys(view_quality.SCORES) | {"capture": "a", "target": "0"}
    base, mine = ([scores | {"model": m, "sharpness": s}] for m, s in (("warp", 0.8), ("m", 1.1)))
    found = view_quality.gains(mine, base + mine, seed=0)["sharpness"]
    assert found["mean"] == pytest.approx(0.3)
    assert (found["worst_capture"], found["worst_view"]) == (None, None)


def test_what_a_model_states_of_depth_and_scale_is_kept() -> None:
    class Model:
        spec = ModelSpec("stating", ("cameras",), gives_confidence=True)

        def generate(self, request: Request, *, generator: torch.Generator) -> Views:
            clip = Clip(torch.full((1, 30, 40, 3), 0.5), request.targets, confidence=torch.ones(1, 30, 40))
            return Views(clip, torch.full((1, 30, 40), 2.0), torch.full((1, 30, 40), 0.1 * 2**0.5))

    request = Request(Clip(torch.zeros(0, 30, 40, 3)), at(0.0))
    found = view_models._ask(Model(), request, torch.Generator())
    assert set(found) == {"images", "confidence", "depth", "scale"}
    assert found["scale"].max() == pytest.approx(0.1)
    assert found["images"].min() == 128


def test_depth_is_made_anew_where_its_points_are(tmp_path: Path, monkeypatch) -> None:
    clip = Clip(torch.rand(3, 30, 40, 3, generator=torch.Generator().manual_seed(0)), at(0, 1, 2))
    task = Task("room", clip[[0, 2]], clip[[1]], seed=0, with_points=True)
    code, made = "a", []

    def estimate(context: Clip, *, points: object) -> DepthMaps:
        made.append(code)
        return DepthMaps(torch.ones(2, 30, 40), torch.ones(2, 30, 40))

    monkeypatch.setattr(view_context, "context_points", lambda run, task: None)
    monkeypatch.setattr(view_context, "multiview_depth", estimate)
    monkeypatch.setattr(view_context, "point_code", lambda task: code)
    with open_run(tmp_path / "run") as run:
        view_context.context_depth(run, task)
        view_context.context_depth(run, task)
        code = "b"
        view_context.context_depth(run, task)
    assert made == ["a", "b"]


def test_time_is_taken_away_from_both_ends_of_the_path(tmp_path: Path, monkeypatch) -> None:
    path = at(*range(9))
    task = Task(
        "room", Clip(torch.zeros(2, 30, 40, 3), path[[0, 8]]), Clip(torch.zeros(1, 30, 40, 3), path[4]), 0
    )
    asked: list[float] = []
    monkeypatch.setattr(view_rollout, "SIZES", ((30, 40),))
    monkeypatch.setattr(
        view_rollout, "rollout", lambda _, request, **__: asked.append(request.targets.centers[0, 0].item())
    )
    with open_run(tmp_path / "run") as run:
        view_rollout.timing(run, task, "warp", path, 3)
    assert asked == [2, 2, 4, 6]


def test_what_decides_a_picture_is_hashed_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "worldgen" / "m"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model.py").write_text(
        "from bridge4d.runs.store import bits\ndef f():\n    from worldgen.m.net import Net\n    import torch\n"
    )
    (package / "net.py").write_text("Net = 1\n")
    (package / "train.py").write_text("from worldgen.m.net import Net\n")
    (package / "m.safetensors").write_bytes(b"1")
    (tmp_path / "bridge4d" / "runs").mkdir(parents=True)
    (tmp_path / "bridge4d" / "runs" / "store.py").write_text("bits = 8\n")
    monkeypatch.setattr(source_hash, "ROOT", tmp_path)

    def now() -> str:
        source_hash.sources.cache_clear()
        return source_hash.sources("worldgen.m", "worldgen.m.model")

    first = now()
    (package / "train.py").write_text("edited")
    assert now() == first
    (package / "net.py").write_text("Net = 2\n")
    second = now()
    (package / "m.safetensors").write_bytes(b"2")
    third = now()
    (tmp_path / "bridge4d" / "runs" / "store.py").write_text("bits = 16\n")
    assert len({first, second, third, now()}) == 4
    source_hash.sources.cache_clear()


def test_honest_confidence_is_told_from_an_inverted_one(captures: Path, out: Path, quality: dict) -> None:
    arguments = view_calibration.Arguments(captures, contexts=CONTEXTS, limit=3, side=144, out=out)
    view_calibration.main(arguments)
    record = json.loads((out / "view_calibration.json").read_text())
    whole = next(r for r in record["results"] if r["capture"] == "all" and r["contexts"] == 4)
    assert whole["ranking"]["confidence"]["spearman"] < -0.1
    assert 0 <= whole["ece"]["whole"] <= 1
    assert (out / "reliability.png").is_file()
    error = torch.rand(2, 500, generator=torch.Generator().manual_seed(0))
    honest, inverted = (view_calibration.ranking(error, sure) for sure in (1 - error, error))
    assert honest["spearman"] == pytest.approx(-1)
    assert honest["ause"] == pytest.approx(0, abs=1e-9)
    assert inverted["ause"] is not None
    assert inverted["ause"] > 0.4


def test_samples_of_pixels_wander_over_all_columns() -> None:
    step = view_calibration.stride(384, 384)
    assert 384 * 384 / step <= view_calibration.SAMPLE
    columns = torch.arange(0, 384 * 384, step) % 384
    assert len(columns.unique()) == 384


def test_a_rollout_is_judged_and_timed(captures: Path, out: Path, monkeypatch) -> None:
    monkeypatch.setattr(view_rollout, "SIZES", ((48, 72),))
    arguments = view_rollout.Arguments(
        captures, models="synthetic", contexts=(4,), frames=8, side=144, out=out, timing=True, timed_frames=1
    )
    view_rollout.main(arguments)
    record = json.loads((out / "view_rollout.json").read_text())
    warp, true = record["results"]
    assert (warp["model"], true["model"]) == ("warp", "synthetic")
    assert warp["compared"] == true["compared"] > 0.3
    assert 0 < true["flicker"] < 0.1
    assert true["sampson_consecutive_px"]["value"] < 0.5
    assert true["timing"]["48x72"]["wall_s"] > 0
    assert (out / "sheets" / "rollout-room-4-synthetic.png").is_file()


def test_structure_from_motion_is_kept_until_the_capture_changes(
    captures: Path, tmp_path: Path, monkeypatch
) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(captures / "bare", folder)
    draw = torch.Generator().manual_seed(0)
    clip = Clip(torch.rand(2, 30, 40, 3, generator=draw), at(0, 1), names=("a.png", "b.png"))
    points = PointCloud(
        torch.rand(5, 3, generator=draw), torch.rand(5, 3, generator=draw), torch.rand(5, generator=draw)
    )
    observed = torch.rand(2, 5, generator=draw) > 0.5
    calls: list[str] = []

    def recovered(folder: Path, out: Path) -> tuple:
        calls.append(folder.name)
        return clip, points, observed

    monkeypatch.setattr(depth, "recovered", recovered)
    with open_run(tmp_path / "run") as run:
        depth.read_scene(run, folder)
        scene = depth.read_scene(run, folder)
        assert calls == ["bare"]
        assert torch.equal(scene.clip.images, clip.images)
        assert torch.equal(scene.clip.require_cameras().cam_from_world, clip.require_cameras().cam_from_world)
        assert scene.clip.names == clip.names
        assert torch.equal(scene.points.xyz, points.xyz)
        assert torch.equal(scene.tracks, observed.sum(0))
        (folder / "more.txt").write_text("another file")
        depth.read_scene(run, folder)
    assert calls == ["bare", "bare"]
