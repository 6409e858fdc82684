"""Clips whose faults are known, from rendered rooms: none is praised though wrong, none blamed though right."""

from pathlib import Path

import pytest

from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.results.measure import ClipResult

pytestmark = pytest.mark.slow


def measured(shared: Path, case: str, out: Path) -> dict[str, ClipResult]:
    options = MeasureOptions(metrics="none", workers=1)
    report = measure_clips(shared / "cases" / "measure" / case, out, options).report
    return {clip.name: clip for clip in report.clips}


def test_a_curved_path_played_backwards(shared: Path, tmp_path: Path) -> None:
    clips = measured(shared, "curved_truck_backwards", tmp_path)
    right, wrong = clips["curved_truck_ok"], clips["curved_truck_backwards"]
    assert right.causes == []
    assert right.verdicts["follows@15"].success
    assert (right.errors["position_share"].value or 1) < 0.01
    assert "opposite direction" in wrong.causes
    assert wrong.verdicts["follows@15"].success is False
    assert wrong.verdicts["cosmos"].success is False
    assert (wrong.errors["position_share"].value or 0) > 0.3


def test_a_pan_that_was_asked_for(shared: Path, tmp_path: Path) -> None:
    for clip in measured(shared, "pan_request_pan", tmp_path).values():
        assert clip.causes == []
        assert clip.verdicts["follows@15"].success
        assert (clip.verdicts["auc@5"].share or 0) > 0.97
        assert clip.errors["position_share"].value is None
        assert (clip.errors["rotation_deg"].value or 9) < 0.1


def test_a_dolly_where_the_camera_should_stand(shared: Path, tmp_path: Path) -> None:
    (clip,) = measured(shared, "still_request_moving_clip", tmp_path).values()
    assert clip.causes == ["does not follow the request", "moves where none was asked"]
    assert clip.verdicts["follows@15"].success is False
    assert (clip.verdicts["auc@5"].share or 1) < 0.5


def test_a_zoom_where_a_dolly_was_asked(shared: Path, tmp_path: Path) -> None:
    (clip,) = measured(shared, "zoom_clip_dolly_request", tmp_path).values()
    assert not any(verdict.success for verdict in clip.verdicts.values())
    assert all(error.value is None for error in clip.errors.values())
