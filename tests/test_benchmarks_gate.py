"""The benchmark of the gate: displacements are what they are called, and shares are counted over frames."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import gate_offsets
from benchmarks.gate_figures import (
    NONE,
    Frame,
    Judged,
    Offset,
    by_capture,
    falls_through,
    half_passes,
    null_row,
    row,
)
from benchmarks.gate_offsets import (
    POSITIONS,
    ROTATIONS,
    Arguments,
    Setting,
    displaced,
    judge_capture,
    main,
)
from bridge4d.augmenting.options import AugmentOptions
from eval.judging.gate import Evidence
from eval.poses import pose_errors
from eval.stats.intervals import wilson95
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.models.synthetic import SyntheticRoom


@pytest.mark.parametrize("offset", [NONE, Offset(rotation_deg=1.25), Offset(position_share=0.03)], ids=str)
def test_cameras_are_displaced_by_what_was_asked_for(offset: Offset, generator: torch.Generator) -> None:
    cameras = SyntheticRoom().cameras(5, width=30, height=20)
    moved = displaced(cameras, offset, 3.5, generator)
    errors = pose_errors(moved, cameras, extent=3.5)
    torch.testing.assert_close(errors.rotation_deg, torch.full((5,), offset.rotation_deg).double())
    torch.testing.assert_close(errors.position_share, torch.full((5,), offset.position_share).double())
    again = displaced(cameras, offset, 3.5, torch.Generator().manual_seed(0))
    assert torch.equal(again.cam_from_world, moved.cam_from_world)


def test_directions_differ_from_frame_to_frame(generator: torch.Generator) -> None:
    cameras = SyntheticRoom().cameras(1, width=30, height=20)[[0, 0]]
    first, second = displaced(cameras, Offset(2.0, 0.02), 3.5, generator).cam_from_world
    assert not torch.allclose(first[:3, :3], second[:3, :3], atol=1e-3)
    assert not torch.allclose(first[:3, 3], second[:3, 3], atol=1e-3)


def test_photos_from_one_place_are_refused(tmp_path: Path, generator: torch.Generator) -> None:
    setting = Setting(Arguments(), AugmentOptions(), tmp_path, generator)
    one = SyntheticRoom().cameras(1, width=30, height=20)[[0, 0]]
    with pytest.raises(BridgeError, match="different places"):
        setting.anchor(Clip(torch.zeros(2, 20, 30, 3), one))


def test_a_capture_without_cameras_is_refused(
    room_photos: Path, tmp_path: Path, generator: torch.Generator
) -> None:
    setting = Setting(Arguments(folder=room_photos.parent), AugmentOptions(), tmp_path, generator)
    with pytest.raises(BridgeError, match="reference cameras"):
        judge_capture(room_photos.name, setting)


def frame(accepted: float, *, rotation_deg: float | None = 0.1) -> Frame:
    known = rotation_deg is not None
    evidence = Evidence("f", known, rotation_deg, 0.001 if known else None, 50 * known, None, None)
    return Frame("room", evidence, "because", accepted)


def test_shares_and_intervals_are_over_frames_not_over_directions() -> None:
    found = row(Offset(rotation_deg=2.0), [frame(1.0), frame(0.25), frame(0.0, rotation_deg=None)])
    assert (found["frames"], found["registered"], found["accepted"]) == (3, 2, 1.25)
    assert found["accepted95"] == wilson95(1.25, 3)
    assert found["registered95"] == wilson95(2, 3)


def test_what_recovery_itself_errs_by_is_over_registered_frames() -> None:
    frames = [frame(1.0, rotation_deg=d) for d in (0.1, 0.3)]
    frames += [frame(0.0, rotation_deg=0.8), frame(0.0, rotation_deg=None)]
    found = null_row("room", frames)
    assert found["recovery"]["rotation_deg"] == {"median": 0.3, "max": 0.8, "max_accepted": 0.3}
    assert null_row("other", [])["recovery"]["position_share"]["median"] is None


def test_captures_are_counted_alone_and_together() -> None:
    a, b, c = (replace(frame(1.0), source=name) for name in ("one", "two", "one"))
    assert list(by_capture("photos", [a, b, c])) == [
        ("one", [a, c]),
        ("two", [b]),
        ("photos", [a, b, c]),
    ]
    assert list(by_capture("room", [frame(1.0)])) == [("room", [frame(1.0)])]


@pytest.mark.parametrize(
    ("values", "where"),
    [([4, 4, 0], 1.5), ([4, 2, 1], 1.0), ([4, 3, 0], 1 + 1 / 3), ([4, 3, 2], None), ([1, 1, 0], None)],
)
def test_where_acceptance_falls_through_half(values: list[float], where: float | None) -> None:
    assert falls_through([0.0, 1.0, 2.0], values, 2.0) == (None if where is None else pytest.approx(where))


def test_half_is_of_all_frames_and_of_those_that_pass_undisplaced() -> None:
    judged: Judged = {NONE: [frame(1.0), frame(0.0), frame(0.0)]}
    judged |= {step: [frame(float(step.rotation_deg < 2)), frame(0.0), frame(0.0)] for step in ROTATIONS}
    judged |= {step: [frame(1.0)] * 3 for step in POSITIONS}
    assert half_passes(judged, ROTATIONS) == {"of_all": None, "of_those_that_pass": pytest.approx(1.875)}
    assert half_passes(judged, POSITIONS)["of_those_that_pass"] is None


def test_the_room_at_toy_size(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No capture needed; two offsets, as JSON."""
    monkeypatch.setattr(gate_offsets, "ROTATIONS", (Offset(rotation_deg=4.0),))
    monkeypatch.setattr(gate_offsets, "POSITIONS", (Offset(position_share=0.08),))
    main(Arguments(captures=(), frames=2, width=240, height=160, json=True))
    record = json.loads(capsys.readouterr().out)
    assert [r["source"] for r in record["not_displaced"]] == ["room"]
    assert [(r["offset"], r["accepted"]) for r in record["room"]["rows"]] == [
        ("none", 2),
        ("4°", 0),
        ("8%", 0),
    ]
    assert [f["accepted"] for f in record["frames"]] == [True, True]
    assert record["gate"]["max_rotation_deg"] == 2.0
    assert record["arguments"]["at"] == "recovered"
