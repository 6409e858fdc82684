"""The ladder of recipes: which result is kept, what the kept one is free of, and what is said of the others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_reconstruct import rotation_errors_deg
from test_recon_sfm_scene import box_scene, texture

from recon.clip import Clip
from recon.errors import MissingDependencyError, RecoveryStatus
from recon.sfm.ladder.climb import climb
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


def test_a_photo_that_matches_and_contradicts_is_left_out(photos: Clip, tmp_path: Path) -> None:
    """Half of one photo shows the scene from where another photo stands, so that it matches perfectly; the other half, and its
    place among the photos, say otherwise."""
    torn = photos.images[4].clone()
    torn[:, :200] = torch.from_numpy(texture(11)[:240, :200].copy())
    clip = Clip(torch.cat([photos.images[:4], torn[None].flip(2)]), names=photos.names)
    found = climb(clip, tmp_path, rungs=[Rung("plain", FAST)])
    assert found.reconstruction.recovery.registered[:4].all()
    assert not found.reconstruction.recovery.registered[4]


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


def test_rungs_follow_what_was_asked_for() -> None:
    assert choose_rungs(None, None) == RUNGS
    assert {rung.recipe.features for rung in choose_rungs("colmap", None)} == {"colmap"}
    assert {rung.recipe.mapper for rung in choose_rungs(None, "global")} == {"global"}
    strict, relaxed = choose_rungs("disk", "global")
    assert (strict.recipe.features, strict.recipe.mapper) == ("disk", "global")
    assert relaxed.recipe.mapping == RELAXED
