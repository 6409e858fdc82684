"""The ladder of recipes: which result is kept, what the kept one is free of, and what is said of the others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_reconstruct import rotation_errors_deg
from test_recon_sfm_scene import box_scene, texture

from recon.clip import Clip
from recon.errors import CaptureError, MissingDependencyError, RecoveryStatus
from recon.points import PointCloud
from recon.sfm.judging.judge import Judgement
from recon.sfm.ladder.climb import _Photos, climb
from recon.sfm.ladder.left_out import Reason
from recon.sfm.ladder.rungs import RELAXED, RUNGS, Rung, choose_rungs
from recon.sfm.recipes import PHOTOS

FAST = replace(PHOTOS, features="opencv", max_features=600)
IMPOSSIBLE = Rung("impossible", replace(FAST, mapping=replace(FAST.mapping, min_points=10**6)))


@pytest.fixture(scope="module")
def photos() -> Clip:
    return box_scene(5)


def test_the_climb_ends_where_all_photos_are_confirmed(photos: Clip, tmp_path: Path) -> None:
    found = climb(photos, tmp_path, rungs=[IMPOSSIBLE, Rung("plain", FAST), Rung("never", FAST)])
    assert [one.rung for one in found.attempts] == ["impossible", "plain"]
    assert [one.trusted for one in found.attempts] == [0, 5]
    assert found.attempts[0].status is not RecoveryStatus.OK
    assert found.left_out == ()
    cameras = found.reconstruction.recovery.cameras
    assert max(rotation_errors_deg(cameras.cam_from_world, photos.require_cameras().cam_from_world)) < 0.5
    # features are found and matched once for both recipes, and their time is not lost
    assert (
        0.01 < found.reconstruction.recovery.seconds["matching"] < sum(one.seconds for one in found.attempts)
    )


def test_photos_that_show_something_else_stay_out_and_are_named_with_a_reason(
    photos: Clip, tmp_path: Path
) -> None:
    strange = torch.from_numpy(texture(11)[:240, :320].copy())
    blank = torch.full_like(strange, 0.4)
    images = torch.cat([photos.images, strange[None], blank[None]])
    mixed = Clip(images, names=(*photos.names, "strange.png", "blank.png"))
    found = climb(mixed, tmp_path, rungs=[Rung("plain", FAST)])
    recovery = found.reconstruction.recovery
    assert recovery.registered.tolist() == [True] * 5 + [False] * 2
    assert recovery.names == mixed.names
    assert {one.name: one.reason for one in found.left_out} == {
        "strange.png": Reason.NO_MATCH,
        "blank.png": Reason.TOO_FEW_FEATURES,
    }
    assert all(one.reason.advice.endswith(".") for one in found.left_out)


def distrust(monkeypatch: pytest.MonkeyPatch, *calls: set[str]) -> list[int]:
    """Have the judge doubt these photos, at its first call, its second …; the last stands for later ones.

    Returns:
        photos of each call so far.
    """
    waiting, judged = list(calls), []

    def judge(posed: Clip, points: PointCloud, **_) -> Judgement:
        doubted = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        judged.append(len(posed))
        trusted = torch.tensor([name not in doubted for name in posed.names])
        return Judgement(torch.full((len(posed), len(posed)), 0.7, dtype=torch.float64), trusted)

    monkeypatch.setattr("recon.sfm.ladder.climb.judge_cameras", judge)
    return judged


@pytest.mark.parametrize("then", [set(), {"view-0.png"}], ids=["mapped again", "kept as it was"])
def test_a_photo_that_the_pixels_doubt_has_no_camera(
    then: set[str], photos: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are mapped without it, or stay as they are where that would lose one of them."""
    distrust(monkeypatch, {"view-4.png"}, then)
    found = climb(photos, tmp_path, rungs=[Rung("plain", FAST)])
    assert (found.attempts[0].registered, found.attempts[0].trusted) == (5, 4)
    kept = found.reconstruction
    assert kept.recovery.registered.tolist() == [True] * 4 + [False]
    assert kept.recovery.names == photos.names
    assert kept.linked.tolist() == [True] * 5
    assert kept.clip.names == photos.names[:4]
    assert len(kept.recovery.cameras) == len(kept.recovery.lenses) == len(kept.matched.features) == 4
    truth = photos.require_cameras().cam_from_world[:4]
    assert max(rotation_errors_deg(kept.recovery.cameras.cam_from_world, truth)) < 0.5
    assert [(one.name, one.reason) for one in found.left_out] == [("view-4.png", Reason.INCONSISTENT)]


def test_photos_that_the_pixels_doubt_throughout_are_no_reconstruction(
    photos: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distrust(monkeypatch, set(photos.names))
    found = climb(photos, tmp_path, rungs=[Rung("plain", FAST)])
    assert found.reconstruction.recovery.status is RecoveryStatus.INCONSISTENT
    assert found.reconstruction.clip is None
    assert {one.reason for one in found.left_out} == {Reason.INCONSISTENT}


def test_nothing_that_agrees_is_a_status_and_no_error(tmp_path: Path) -> None:
    noise = torch.rand(3, 240, 320, 3, generator=torch.Generator().manual_seed(0))
    found = climb(Clip(noise, names=("a", "b", "c")), tmp_path, rungs=[Rung("plain", FAST)])
    assert found.reconstruction.clip is None
    assert found.reconstruction.recovery.status is not RecoveryStatus.OK
    assert [one.name for one in found.left_out] == ["a", "b", "c"]


def test_features_that_are_not_installed_are_passed_over(
    photos: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "recon.sfm.ladder.climb.why_unavailable", lambda kind: "pip install it" if kind == "xfeat" else None
    )
    learned = Rung("learned", replace(FAST, features="xfeat"))
    found = climb(photos, tmp_path, rungs=[learned, Rung("plain", FAST)])
    assert [one.rung for one in found.attempts] == ["plain"]
    with pytest.raises(MissingDependencyError, match="pip install it"):
        climb(photos, tmp_path, rungs=[learned])


def test_photos_too_small_for_a_network_end_no_climb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon.sfm.ladder.climb.why_unavailable", lambda kind: None)
    strips = torch.rand(3, 24, 320, 3, generator=torch.Generator().manual_seed(0))
    learned = Rung("learned", replace(FAST, features="xfeat"))
    found = climb(Clip(strips), tmp_path, rungs=[Rung("plain", FAST), learned])
    assert [one.rung for one in found.attempts] == ["plain"]
    with pytest.raises((CaptureError, MissingDependencyError)):
        climb(Clip(strips), tmp_path, rungs=[learned])


def test_rungs_follow_what_was_asked_for() -> None:
    assert choose_rungs(None, None) == RUNGS
    assert {rung.recipe.features for rung in choose_rungs("colmap", None)} == {"colmap"}
    assert {rung.recipe.mapper for rung in choose_rungs(None, "global")} == {"global"}
    strict, relaxed = choose_rungs("disk", "global")
    assert (strict.recipe.features, strict.recipe.mapper) == ("disk", "global")
    assert relaxed.recipe.mapping == RELAXED


def test_many_photos_begin_with_the_global_mapper(photos: Clip, tmp_path: Path) -> None:
    names = [rung.name for rung in RUNGS if rung.photos_from <= 500 <= (rung.photos_up_to or 500)]
    assert names == ["SIFT, global mapper", "SIFT", "SIFT, relaxed start"]
    found = climb(photos, tmp_path, rungs=[Rung("many", FAST, photos_from=6), Rung("few", FAST)])
    assert [one.rung for one in found.attempts] == ["few"]


def test_of_many_photos_most_are_enough_and_are_not_mapped_again(
    photos: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = distrust(monkeypatch, {"view-4.png"})
    monkeypatch.setattr(_Photos, "many", True)
    found = climb(photos, tmp_path, rungs=[Rung("first", FAST), Rung("second", FAST)])
    assert [(one.rung, one.trusted) for one in found.attempts] == [("first", 4)]
    assert judged == [5]
    assert found.reconstruction.recovery.registered.tolist() == [True] * 4 + [False]
    assert [one.name for one in found.left_out] == ["view-4.png"]


def test_of_results_with_as_many_photos_the_first_is_kept(
    photos: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distrust(monkeypatch, {"view-4.png"}, set(), {"view-3.png"}, set())
    second = replace(FAST, max_features=500)
    found = climb(photos, tmp_path, rungs=[Rung("first", FAST), Rung("second", second)])
    assert [one.trusted for one in found.attempts] == [4, 4]
    assert found.recipe.max_features == FAST.max_features
    assert found.reconstruction.recovery.registered.tolist() == [True, True, True, True, False]
