"""The benchmarks of the loop's settings and of the model's parts: what is compared with what, and the sums."""

from pathlib import Path

import pytest

from benchmarks import augment_knobs, bridge_ablations
from benchmarks.view_tasks import tasks
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.runs.run import open_run
from recon.camera_files.formats.transforms_write import write_transforms
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.models.synthetic import SyntheticRoom


def result(setting: str, capture: str, gain: float | None) -> dict:
    return {"setting": setting, "capture": capture, "views": 3, "gain": gain}


def test_settings_are_options_of_the_loop_and_all_differ() -> None:
    options = [AugmentOptions(**changes) for changes in augment_knobs.SETTINGS.values()]
    assert options[0] == AugmentOptions()
    assert len({repr(o) for o in options}) == len(options)


def test_a_setting_is_held_against_the_loop_as_it_is_where_both_gained_something() -> None:
    base = augment_knobs.AS_IT_IS
    rows = [result(base, "a", 1.0), result(base, "b", 2.0), result(base, "c", None)]
    rows += [result("other", "a", 1.5), result("other", "b", 1.0), result("other", "c", 9.0)]
    first, second = augment_knobs.table(rows).rows
    assert first == [base, "+1.50", "+0.00", "0/2", "+1.00", "+2.00", "–"]
    assert second == ["other", "+3.83", "-0.25", "1/2", "+1.50", "+1.00", "+9.00"]


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "captures" / "a").mkdir(parents=True)
    arguments = augment_knobs.Arguments(tmp_path / "captures", settings=("more",), out=tmp_path / "out")
    with pytest.raises(BridgeError, match=r"expected settings of as it is, .* got 'more'"):
        augment_knobs.main(arguments)


def test_captures_of_another_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "captures" / "a").mkdir(parents=True)
    with pytest.raises(BridgeError, match="found none of that name"):
        augment_knobs.main(augment_knobs.Arguments(tmp_path / "captures", only=("b",), out=tmp_path / "out"))


def test_ablations_without_shots_say_what_to_do(tmp_path: Path) -> None:
    arguments = bridge_ablations.Arguments(samples=tmp_path / "none", out=tmp_path / "out")
    with open_run(arguments.out) as run, pytest.raises(BridgeError, match=r"found 0; make them with"):
        bridge_ablations.trained(run, arguments)


@pytest.mark.slow
def test_parts_switched_off_are_scored_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = SyntheticRoom()
    cameras = room.cameras(5, width=64, height=48)
    (tmp_path / "captures" / "room").mkdir(parents=True)
    write_transforms(
        tmp_path / "captures" / "room" / "transforms.json", Clip(room.render(cameras)[0], cameras)
    )
    arguments = bridge_ablations.Arguments(
        captures=tmp_path / "captures",
        contexts=(3,),
        limit=2,
        side=64,
        frames=3,
        steps=0,
        out=tmp_path / "out",
    )
    bridge_ablations.main(arguments)
    (task,) = tasks(arguments)
    with open_run(arguments.out) as run:
        names = []
        for name, model, code in bridge_ablations.contestants(run, task, {}):
            monkeypatch.setattr(model, "generate", None)  # what is kept is not made again
            kept = bridge_ablations.measure(run, task, name, model, code, 3)
            assert len(kept["psnr"]) == 2
            names.append(name)
    assert names == ["filled warp", *bridge_ablations.SWITCHED]


def test_gains_are_over_the_filled_warp_of_the_same_target() -> None:
    def scored(model: str, psnr: list[float]) -> dict:
        other = {
            "psnr_seen": [None, 20.0],
            "psnr_holes": [None, None],
            "sharpness_holes": [None],
            "ece": [0.1, 0.3],
        }
        return {"model": model, "capture": "a", "contexts": 3, "psnr": psnr, "flicker": 0.5} | other

    warp, model = bridge_ablations.summaries(
        [scored("filled warp", [10.0, 20.0]), scored("whole", [11.0, 19.5])], 0
    )
    assert "gain" not in warp
    assert model["gain"] == pytest.approx(0.25)
    assert model["wins"] == 1
    assert model["psnr_seen"] == 20
    assert model["psnr_holes"] is None
    assert model["ece"] == pytest.approx(0.2)
