"""The parts of the report, out of what stages of a run left."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge4d.augmenting.heldout_report import describe_heldout
from bridge4d.runs.stored_json import DamagedFileError
from bridge4d.stages.frames import load_rows
from bridge4d.stages.scores import Score
from eval.results.augment import HeldOut, JudgedFrame, PerView
from eval.results.reading import to_json

NAMES = ("a.jpg", "b.jpg")
BEFORE = Score(NAMES, (20.0, 22.0), (0.5, 0.6), (0.4, 0.3), "LPIPS")
AFTER = Score(NAMES, (21.0, 22.5), (0.5, 0.7), (0.3, 0.3), "LPIPS")


def test_a_gain_is_positive_where_the_augmented_scene_is_better() -> None:
    found = describe_heldout(["a.jpg", "b.jpg", "c.jpg"], [BEFORE, AFTER], kept=1, shown=1, seed=0)
    assert (found.views, found.expected, found.names) == (2, 3, list(NAMES))
    assert found.psnr is not None
    assert (found.psnr.photos_only, found.psnr.augmented, found.psnr.gain) == (21.0, 21.75, 0.75)
    assert found.psnr.worst_view_gain == 0.5
    assert found.psnr.gain_interval95 is not None
    assert found.psnr.gain_interval95[0] <= 0.75 <= found.psnr.gain_interval95[1]
    assert found.psnr.per_view == PerView([20.0, 22.0], [21.0, 22.5])
    assert found.perceptual is not None
    assert (found.perceptual.gain, found.perceptual.network) == (0.05, "LPIPS"), (
        "a smaller distance is better"
    )


def test_a_gain_over_the_earlier_trainer_is_positive_where_the_photos_alone_are_better() -> None:
    earlier = replace(BEFORE, psnr=(19.0, 22.5))
    found = describe_heldout(list(NAMES), [BEFORE], kept=0, shown=None, seed=0, baseline=earlier).baseline
    assert found is not None
    assert (found.psnr, found.gain, found.worst_view_gain) == (20.75, 0.25, -0.5)
    assert found.psnr_per_view == [19.0, 22.5]
    assert describe_heldout(list(NAMES), [BEFORE], kept=0, shown=None, seed=0).baseline is None


def test_generated_frames_are_held_against_own_renderings_photo_by_photo() -> None:
    own = Score(NAMES, (20.5, 23.0), (0.5, 0.6), (0.35, 0.3), "LPIPS")
    found = describe_heldout(
        list(NAMES), [BEFORE, AFTER], kept=1, shown=1, seed=0, own_renderings=own
    ).own_renderings
    assert found is not None
    assert (found.psnr.mean, found.psnr.gain, found.psnr.worst_view_gain) == (21.75, 0.75, 0.5)
    assert (found.psnr.generated_gain, found.psnr.generated_worst_view_gain) == (0.0, -0.5)
    assert found.psnr.generated_gain_interval95 == (-0.5, 0.5), "of two photos the ends are reached"
    assert found.psnr.per_view == [20.5, 23.0]
    assert found.perceptual is not None
    assert (found.perceptual.gain, found.perceptual.generated_gain) == (0.025, 0.025), "less is better"
    blind = replace(own, perceptual=None)
    report = describe_heldout(list(NAMES), [BEFORE, AFTER], kept=1, shown=1, seed=0, own_renderings=blind)
    assert report.own_renderings is not None
    assert report.own_renderings.perceptual is None
    assert describe_heldout(list(NAMES), [BEFORE, AFTER], kept=1, shown=1, seed=0).own_renderings is None


@pytest.mark.parametrize(("kept", "regret"), [(0, 0.75), (1, 0.0), (2, 0.25)])
def test_what_the_decision_cost_is_measured_against_the_best_in_hindsight(kept: int, regret: float) -> None:
    scores = [BEFORE, AFTER, replace(AFTER, psnr=(21.0, 22.0))]
    found = describe_heldout(list(NAMES), scores, kept=kept, shown=1, seed=0)
    assert (found.best_round, found.regret) == (1, regret)


def test_without_a_second_scene_there_is_no_gain() -> None:
    psnr = describe_heldout(list(NAMES), [BEFORE, BEFORE], kept=0, shown=None, seed=0).psnr
    assert psnr is not None
    assert (psnr.photos_only, psnr.per_view.photos_only) == (21.0, [20.0, 22.0])
    assert (psnr.augmented, psnr.gain, psnr.gain_interval95, psnr.worst_view_gain) == (None,) * 4
    assert psnr.per_view.augmented == []
    assert describe_heldout(list(NAMES), [], kept=0, shown=None, seed=0) == HeldOut(views=0, expected=2)


def test_rows_of_frames_come_back_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    rows = [JudgedFrame(name="r1-000", registered=True, rotation_deg=0.5, inliers=20, round=1, accepted=True)]
    (tmp_path / "frames.json").write_text(json.dumps(to_json(rows)))
    assert load_rows(tmp_path) == rows
    for damage, why in (
        ({"accepted": 1}, "accepted is no bool"),
        ({"rotation_deg": "far"}, "rotation_deg is"),
    ):
        (tmp_path / "frames.json").write_text(json.dumps([to_json(rows[0]) | damage]))
        with pytest.raises(DamagedFileError, match=why):
            load_rows(tmp_path)
    (tmp_path / "frames.json").write_text(json.dumps([{"name": "r1-000"}]))
    with pytest.raises(DamagedFileError, match="registered is missing"):
        load_rows(tmp_path)
