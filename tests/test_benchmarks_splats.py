"""The benchmarks of splatting at a tiny size: that what they time is the same work, and that they say what they found."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from splat_scenes import leaves, orbit, relative, scene

from benchmarks import splat_cpu, splat_quality
from benchmarks.curves import Curve, Look, plot, table
from benchmarks.garden import REACH, Training, garden, noisy_training
from benchmarks.peers import prototype, torch_tiles
from benchmarks.turns import Contestant, Step, Summary, Turn, take_turns
from recon.camera_files.formats.transforms_write import write_transforms
from recon.clip import Clip
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.splats.engines.screen import Style
from recon.splats.native.loading import unavailable
from recon.splats.render import render
from worldgen.models.synthetic import SyntheticRoom

ROOT = Path(__file__).resolve().parents[1]
needs_engine = pytest.mark.skipif(unavailable() is not None, reason=f"{unavailable()}")


@pytest.fixture
def one_thread():
    """Threads that wait for each other between small operations cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def command(module: str, *arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("size", [0.02, 0.12, 0.6])
@pytest.mark.parametrize("sh_degree", [0, 3])
def test_torch_tiles_draw_and_derive_what_the_reference_does(generator, size, sh_degree):
    gaussians, camera = scene(120, generator, size=size), orbit(width=53, height=37)
    style = Style(torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64), sh_degree)
    weights = torch.randn(37, 53, 3, generator=generator, dtype=torch.float64)
    one, other = leaves(gaussians), leaves(gaussians)
    drawn = torch_tiles.render(one, camera, style)
    truth = render(
        other, camera, engine="reference", background=style.background, sh_degree=sh_degree
    ).images[0]
    assert (drawn - truth).abs().max() < 1e-12
    (drawn * weights).sum().backward()
    (truth * weights).sum().backward()
    for name, value in one.tensors().items():
        assert relative(value.grad, other.tensors()[name].grad) < 1e-10, name


def test_torch_tiles_draw_the_background_where_nothing_is(generator):
    behind = dataclasses.replace(orbit(), cam_from_world=-orbit().cam_from_world.abs())
    style = Style(torch.tensor([0.2, 0.5, 0.9]), 0)
    nothing = scene(5, generator).to(dtype=torch.float32)[:0]
    assert torch.equal(torch_tiles.render(nothing, behind, style), style.background.expand(37, 53, 3))


def test_the_torch_peer_learns(generator, one_thread):
    gaussians, camera = scene(60, generator).to(dtype=torch.float32), orbit()
    style = Style(torch.zeros(3), 3)
    target = torch_tiles.render(gaussians, camera, style)
    trainer = torch_tiles.Trainer(dataclasses.replace(gaussians, means=gaussians.means + 0.05), rate=5e-3)
    losses = [trainer.step(camera, style, target, lambda_dssim=0.2) for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("real", [True, False])
def test_the_garden_is_the_same_for_a_seed_and_seen_by_its_cameras(request, real):
    points = request.getfixturevalue("shared") / "splats" / "test_garden.npz" if real else Path("nowhere")
    scenes = [
        garden(3000, width=96, height=64, generator=torch.Generator().manual_seed(seed), points=points)
        for seed in (0, 0, 1)
    ]
    (first, cameras, source), (again, *_), (other, *_) = scenes
    assert source == ("test_garden.npz" if real else "made-up garden")
    assert torch.equal(first.means, again.means)
    assert not torch.equal(first.means, other.means)
    assert first.means.abs().max() <= REACH
    assert 1e-4 <= float(first.log_scales.exp().min()) < float(first.log_scales.exp().max()) <= 0.02
    alpha = render(first, cameras).alpha
    assert (alpha.mean((1, 2)) > 0.3).all()


def test_a_garden_of_more_gaussians_than_points_repeats_points(generator):
    gaussians, *_ = garden(150_000, width=96, height=64, generator=generator, points=Path("nowhere"))
    assert len(gaussians) == 150_000
    assert len(gaussians.means.unique(dim=0)) < 150_000


def counting(first: float) -> Step:
    return lambda number: first + number


def sleeping(seconds: float) -> Step:
    def step(number: int) -> float:
        time.sleep(seconds * number)
        return 0.0

    return step


def failing() -> Step:
    def step(number: int) -> float:
        raise ValueError("no loss today")

    return step


def test_contestants_take_turns_and_a_slow_one_is_given_up():
    with Contestant("count", counting, 10.0) as count, Contestant("sleep", sleeping, 2.0) as slow:
        turns = take_turns([count, slow], warm_up=1, iterations=3, limit_s=0.5)
    assert [(t.number, t.loss) for t in turns["count"]] == [(1, 11.0), (2, 12.0), (3, 13.0)]
    assert turns["sleep"] == []


def test_a_contestant_that_fails_says_so():
    with Contestant("broken", failing) as broken, pytest.raises(BridgeError, match=r"broken failed.*no loss"):
        take_turns([broken], warm_up=0, iterations=1, limit_s=5)


def test_wall_time_counts_sleep_and_cpu_time_does_not():
    with Contestant("sleep", sleeping, 0.05) as slow:
        (turn,) = take_turns([slow], warm_up=1, iterations=1, limit_s=5)["sleep"]
    assert 50 <= turn.wall_ms < 500
    assert turn.cpu_ms < 25


def test_a_summary_is_the_median_and_the_fastest_quarter():
    turns = [Turn(i, cpu_ms=c, wall_ms=2 * c, loss=0) for i, c in enumerate([9, 1, 3, 5, 100, 3, 4, 8])]
    assert Summary.of(turns) == Summary(cpu=4.5, wall=9.0, best_cpu=2.0, best_wall=4.0)


def test_ratios_are_of_iterations_side_by_side():
    ours = [Turn(i, c, c, 0.1) for i, c in enumerate([1.0, 10.0, 2.0])]
    theirs = [Turn(i, c, c, 0.1) for i, c in enumerate([2.0, 20.0, 1.0])]
    assert splat_cpu.paired_ratio(ours, theirs) == 0.5
    assert splat_cpu.paired_ratio(ours, []) is None


def test_contestants_that_draw_something_else_are_found_out():
    same = {name: [Turn(3, 1, 1, 0.1)] for name in (splat_cpu.ENGINE, splat_cpu.TORCH)}
    splat_cpu.check_same_picture(same, 3)
    with pytest.raises(BridgeError, match=r"0\.2.*from torch"):
        splat_cpu.check_same_picture(same | {splat_cpu.TORCH: [Turn(0, 1, 1, 0.2)]}, 3)


@pytest.mark.parametrize("text", ["", "100", "100@64", "0@64x64", "100@64x0", "1e3@64x64"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(BridgeError, match="expected a size as 50000@512x512"):
        splat_cpu.Size.parse(text)


@pytest.mark.slow
@needs_engine
def test_splat_cpu_prints_json_with_every_contestant():
    found = command(
        "splat_cpu", "--sizes", "500@64x48", "--iterations", "4", "--torch-iterations", "1", "--threads", "1"
    )
    (row,) = found["iterations"]
    assert (row["gaussians"], row["width"], row["height"]) == (500, 64, 48)
    assert 0 < row["cpu_ms"] < row["torch_cpu_ms"]
    assert row["cpu_ms_best"] <= row["cpu_ms"]
    assert row["floor_wall_ms"] is None
    assert found["machine"]["threads"] == 1
    if prototype.FOLDER.exists():
        assert row["prototype_cpu_ms"] > 0
        assert row["cpu_over_prototype"] > 0


@needs_engine
def test_the_prototype_does_the_work_of_the_reference(shared, generator, tmp_path):
    """Its loss is that of the peer in torch, so its picture is too; it runs elsewhere: it flushes denormals."""
    gaussians, cameras, _ = garden(400, width=64, height=48, generator=generator)
    training = noisy_training(gaussians, cameras, generator)
    training.save(tmp_path / "training.pt")
    folder = prototype.prepare(tmp_path / "prototype")
    with Contestant("prototype", prototype.build_step, folder, tmp_path / "training.pt", 2) as peer:
        turns = take_turns([peer], warm_up=0, iterations=3, limit_s=10)["prototype"]
    trainer = torch_tiles.Trainer(gaussians, rate=1e-8)
    for turn in turns:
        loss = trainer.step(
            cameras[turn.number], splat_cpu.STYLE, training.targets[turn.number], lambda_dssim=0.2
        )
        assert abs(turn.loss / loss - 1) < 1e-4


def test_a_training_survives_the_disk_and_lies_in_rows(generator, tmp_path):
    gaussians = scene(7, generator).to(dtype=torch.float32)
    Training(gaussians, orbit(), torch.zeros(1, 37, 53, 3)).save(tmp_path / "t.pt")
    planes = Training.load(tmp_path / "t.pt").planes()
    assert planes.shape == (11 + 48, 7)
    assert torch.equal(planes[10], gaussians.opacity_logits)
    assert torch.equal(planes[11 + 3 * 2 + 1], gaussians.sh[:, 2, 1])


def test_what_the_prototype_prints_is_read():
    lines = [
        "t 5 it 300 n 7000 psnr 24.31  ms/it 16.70 wall 12",
        "FINAL budget 10.0 it 700 n 9000 psnr 25.125 ms/it 14.29 wall 30 stages ms/it [0.25 0.11]",
    ]
    assert prototype.read_looks(lines, threads=2) == [
        Look(cpu_seconds=pytest.approx(10.02), psnr=24.31, iterations=300, gaussians=7000),
        Look(cpu_seconds=pytest.approx(20.006), psnr=25.125, iterations=700, gaussians=9000),
    ]


def test_photos_of_many_lenses_are_too_many_for_the_prototype(tmp_path):
    cameras = SyntheticRoom().cameras(3, width=32, height=24)
    zoomed = dataclasses.replace(cameras, K=cameras.K * torch.tensor([1.0, 1.1, 1.2])[:, None, None])
    with pytest.raises(BridgeError, match="one lens"):
        prototype.write_data(Clip(torch.zeros(3, 24, 32, 3), zoomed), PointCloud.empty(), tmp_path)


def test_curves_as_table_and_picture(tmp_path):
    looks = tuple(Look(t, 20 + t / 10, int(t), 100) for t in (10.02, 20.04, 60.0))
    curves = [Curve("door", "ours", "one run", looks), Curve("door", "peer", "separate", looks[:2])]
    assert "| door | ours | one run | 21.00 | 22.00 | 26.00 | 60 | 100 |" in table(curves, (10, 20, 60))
    plot(curves, tmp_path / "plot.png", budgets=(10, 20, 60), title="seed 0")
    assert (tmp_path / "plot.png").stat().st_size > 5000


@pytest.fixture(scope="session")
def posed_room(tmp_path_factory) -> Path:
    """Six small photos of the synthetic room with their cameras."""
    room = SyntheticRoom()
    cameras = room.cameras(6, width=120, height=80)
    images, _ = room.render(cameras)
    folder = tmp_path_factory.mktemp("posed") / "room"
    write_transforms(folder / "transforms.json", Clip(images, cameras))
    return folder


@needs_engine
def test_our_trainer_is_looked_at_on_its_way(posed_room, tmp_path):
    arguments = splat_quality.Arguments((posed_room,), holdout=4, cap=2000, sh_degree=1, work=tmp_path)
    task = splat_quality.prepare(posed_room, arguments)
    looks = splat_quality.train_ours(task, 0.6, 0.2, arguments)
    assert [round(look.cpu_seconds, 1) for look in looks[:2]] == [0.2, 0.4]
    assert looks[0].iterations < looks[1].iterations < looks[2].iterations
    assert 0.6 <= looks[2].cpu_seconds < 1.0
    assert 10 < looks[2].psnr < 40


def test_points_are_triangulated_once(posed_room, tmp_path, monkeypatch):
    arguments = splat_quality.Arguments((posed_room,), holdout=4, work=tmp_path)
    first = splat_quality.prepare(posed_room, arguments)
    monkeypatch.delattr(splat_quality, "build_anchor")
    again = splat_quality.prepare(posed_room, arguments)
    assert len(first.points) > 0
    assert torch.equal(first.points.xyz, again.points.xyz)
    assert first.points_cpu_seconds == again.points_cpu_seconds > 0
    assert not set(first.training.names) & set(first.heldout.names)


@pytest.mark.slow
@needs_engine
def test_splat_quality_over_cpu_time(posed_room, tmp_path):
    """Both trainers where there is a prototype, in one run and in separate ones."""
    found = command(
        *("splat_quality", str(posed_room), "--budgets", "0.5", "1", "--separate", "--holdout", "4"),
        *("--cap", "3000", "--sh-degree", "1", "--seed", "3", "--work", str(tmp_path / "work")),
    )
    (about,) = found["captures"]
    assert (about["capture"], about["training"], about["heldout"]) == ("room", 4, 2)
    assert about["points"] > 0
    assert about["points_cpu_seconds"] > 0
    assert found["seed"] == 3
    assert Path(found["plot"]).is_file()
    trainers = {"bridge4d", "prototype"} if prototype.FOLDER.exists() else {"bridge4d"}
    assert {(c["trainer"], c["kind"]) for c in found["curves"]} == {
        (trainer, kind) for trainer in trainers for kind in ("one run", "separate")
    }
    for curve in found["curves"]:
        first, last = curve["looks"]
        assert 0.45 < first["cpu_seconds"] < 0.85 < last["cpu_seconds"] < 1.6
        assert first["iterations"] < last["iterations"]
        assert 10 < last["psnr"] < 40


def test_a_capture_without_cameras_is_refused(room_photos, tmp_path):
    arguments = splat_quality.Arguments((room_photos,), work=tmp_path)
    with pytest.raises(BridgeError, match="expected reference cameras"):
        splat_quality.prepare(room_photos, arguments)


def test_looks_are_taken_at_what_all_budgets_are_multiples_of():
    assert splat_quality.common_step((10, 20, 30, 60, 240)) == 10
    assert splat_quality.common_step((1.5, 6)) == 1.5
