"""The benchmarks of measuring: what they sum up, what they call monotone, and that the plain recipe works."""

import dataclasses

import pytest
import torch

from benchmarks import measure, metric_curves
from benchmarks.measure import PLAIN, Outcome, Total, Turn, memory_table, stages, table, take_turn
from benchmarks.metric_curves import Curve
from benchmarks.peers.plain_colmap import Plain, recover
from benchmarks.textured import draw_clip
from bridge4d.measuring.measure_options import MeasureOptions
from eval.trajectories import trajectory_errors
from recon.cameras import Cameras
from recon.clip import Clip
from recon.sfm.features.describe import describe, match_pairs
from recon.sfm.features.opencv_sift import find_features
from worldgen.models.synthetic import SyntheticRoom


def curve(*values: float | None, higher: bool = False) -> Curve:
    n = len(values)
    return Curve(
        "auc@30" if higher else "rotation_deg", "noise", higher, tuple(range(n)), values, 1, (1,) * n
    )


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ((0.0, 1.0, 2.0), "monotone"),
        ((0.0, 1.0, 0.97, 2.0), "monotone"),
        ((0.0, 1.0, 0.8, 2.0), "not monotone"),
        ((2.0, 1.0, 0.0), "not monotone"),
        ((0.0, 0.05, 0.1), "monotone, flat"),
        ((0.1, 0.0, 0.1), "not monotone, flat"),
        ((0.0, 1.0, None), "monotone"),
        ((0.0, None, 2.0), "monotone"),
        ((None, 1.0, 2.0), "undefined"),
    ],
)
def test_a_curve_is_called_what_it_is(values, shape):
    assert curve(*values).shape(span=2.0) == shape


def test_higher_is_better_turns_a_curve_round():
    assert curve(1.0, 0.5, 0.1, higher=True).shape(span=1.0) == "monotone"
    assert curve(0.1, 0.5, 1.0, higher=True).shape(span=1.0) == "not monotone"


def test_means_are_over_the_clips_that_are_defined_at_every_strength_shown():
    rows = [{"a": 1.0, "b": 5.0}, {"a": 2.0, "b": None}]
    found = metric_curves._curve("rotation_deg", "noise", (0.0, 1.0), rows)
    assert found.values == (1.0, 2.0)
    assert found.clips == 1
    assert found.defined == (2, 1)
    rows = [{"a": 1.0, "b": 5.0}, {"a": None, "b": None}]
    assert metric_curves._curve("rotation_deg", "noise", (0.0, 1.0), rows).values == (3.0, None)


def test_a_metric_that_does_not_respond_is_found():
    asked = dataclasses.replace(curve(1.0, 1.0, 1.0), metric="sampson_fitted_px")
    elsewhere = dataclasses.replace(curve(1.0, 2.0, 3.0), metric="sampson_fitted_px", fault="thin-plate bend")
    assert metric_curves.broken([asked, elsewhere]) == [
        "sampson_fitted_px must respond to noise, and is not monotone, flat"
    ]


def test_a_metric_that_responds_where_it_must_not_is_found():
    found = metric_curves.broken([curve(1.0, 2.0, 3.0)])
    assert found == ["rotation_deg must not respond to noise, and is monotone"]


def test_standing_out_is_asked_of_every_strength():
    assert curve(0.0, 0.9, 1.0, 0.8).stands_out
    assert not curve(0.0, 0.3, 1.0).stands_out


def test_every_fault_is_in_the_table_and_every_metric_in_it_exists():
    assert set(metric_curves.RESPONDS) == set(metric_curves.FAULTS)
    assert set(metric_curves.STAYS) <= set(metric_curves.FAULTS)
    for table_ in (metric_curves.RESPONDS, metric_curves.STAYS):
        for metrics in table_.values():
            for metric in metrics:
                metric_curves.better_high(metric)


def test_degenerate_clips_ask_for_what_they_do_and_for_what_they_do_not():
    room = metric_curves.Remembered(SyntheticRoom())
    targets = metric_curves.path("arc", room.room, 4, width=48, height=32)
    clips = dict(metric_curves.degenerate(room, targets, 0))
    for kind in ("static", "rotation only"):
        assert clips[f"{kind}, as asked"].require_cameras().centers.std(0).max() < 1e-9
        assert clips[f"{kind}, not as asked"].require_cameras().centers.std(0).max() > 0.1
    turning = clips["rotation only, as asked"]
    assert (turning.images[0] - turning.images[-1]).abs().mean() > 0.05


def turn(contestant: str, wall_s: float, *recovered: bool) -> Turn:
    outcomes = {
        f"{i}": Outcome(r, 1.0 + i if r else None, 0.1 if r else None, {"matching": 2.0})
        for i, r in enumerate(recovered)
    }
    return Turn(contestant, wall_s, 2 * wall_s, 1.0, outcomes)


def test_totals_over_turns():
    total = Total.of([turn("bare", 10.0, True, False), turn("bare", 20.0, True)])
    assert total.clips == 3
    assert total.recovered == 2
    assert total.clips_per_minute == pytest.approx(6.0)
    assert total.cpu_s == pytest.approx(20.0)
    assert total.rotation_deg == 1.0
    assert total.seconds == {"matching": 2.0}


def test_tables_say_how_many_times_faster():
    totals = {
        "set": {PLAIN: Total.of([turn(PLAIN, 30.0, True)]), "bare": Total.of([turn("bare", 10.0, True)])}
    }
    assert "| set | bare | 6.0 | 3.00 | 20.00 | 3.00 | 1/1 |" in table(totals)
    assert "| set | bare | 2.00 |" in stages(totals)


def test_memory_is_said_along_the_way():
    seen = [(done, 100.0 + done) for done in range(101)]
    text = memory_table(seen, 100)
    assert "| 50% of 100 | 153 |" in text
    assert "| ever | 200 |" in text


def test_textured_clips_are_rich_and_their_cameras_right():
    """The same clip for the same seed; more features than are kept; pictures that lie as the cameras say."""
    clip = draw_clip(0, 3, width=176, height=120)
    assert torch.equal(clip.images, draw_clip(0, 3, width=176, height=120).images)
    assert not torch.equal(clip.images, draw_clip(2, 3, width=176, height=120).images)
    large = draw_clip(1, 1, width=640, height=436)
    assert len(find_features(large.images[0], max_features=2048)) == 2048
    matches = match_pairs(describe(clip, "opencv", max_features=2048), "opencv", [(0, 1)])
    x, y = matches.points(0)
    E = relative_essential(clip.require_cameras())
    K = torch.linalg.inv(clip.require_cameras().K[0].double())
    x, y = (torch.nn.functional.pad(p, (0, 1), value=1.0) @ K.T for p in (x, y))
    lines = x @ E.T
    off_px = (y * lines).sum(1).abs() / lines[:, :2].norm(dim=1) / K[0, 0]
    assert len(x) > 50
    assert off_px.median() < 0.5


def test_contestants_do_what_the_options_of_the_command_say():
    assert measure.SETTINGS["default"] == MeasureOptions()
    assert set(measure.SETTINGS) == {"bare", "default", "all"}


def relative_essential(cameras: Cameras) -> torch.Tensor:
    """Essential matrix from camera 0 to camera 1."""
    turn = cameras.cam_from_world[1].double() @ cameras.world_from_cam[0].double()
    a, b, c = turn[:3, 3].tolist()
    return torch.tensor([[0, -c, b], [c, 0, -a], [-b, a, 0]], dtype=torch.float64) @ turn[:3, :3]


def error(found: Plain, truth: Cameras, name: str) -> float:
    value = trajectory_errors(found.cameras, found.registered, truth)[name].value
    assert value is not None
    return value


@pytest.fixture(scope="module")
def clip() -> Clip:
    room = SyntheticRoom()
    cameras = metric_curves.path("arc", room, 10, width=192, height=128)
    return Clip(room.render(cameras)[0], cameras)


def test_the_plain_recipe_recovers_a_clean_clip(clip, tmp_path):
    found = recover(clip, tmp_path)
    assert found.registered.all()
    assert found.cameras is not None
    assert error(found, clip.require_cameras(), "rotation_deg") < 0.5
    assert error(found, clip.require_cameras(), "position_share") < 0.01


def test_the_plain_recipe_counts_frames_in_their_own_order(clip, tmp_path):
    order = torch.tensor([3, 0, 7, 1, 9, 2, 8, 4, 6, 5])
    found = recover(clip[order], tmp_path)
    assert error(found, clip[order].require_cameras(), "rotation_deg") < 0.5


def test_the_plain_recipe_finds_nothing_in_noise(clip, tmp_path):
    noise = torch.rand(clip.images.shape, generator=torch.Generator().manual_seed(0))
    found = recover(dataclasses.replace(clip, images=noise), tmp_path)
    assert not found.registered.any()
    assert found.cameras is None


def test_both_contestants_answer_for_the_same_clips(clip, tmp_path):
    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.clips.clipset import find_clips

    write_transforms(tmp_path / "clips" / "one" / "transforms.json", clip)
    sources = list(find_clips(tmp_path / "clips").sources)
    plain, bare = (take_turn(name, sources, 1) for name in (PLAIN, "bare"))
    assert plain.outcomes.keys() == bare.outcomes.keys() == {"one"}
    assert plain.outcomes["one"].recovered
    assert bare.outcomes["one"].recovered
    assert plain.cpu_s > 0
    assert bare.cpu_s > 0
    assert "mapping" in bare.outcomes["one"].seconds
