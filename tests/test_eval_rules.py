"""Every rule by hand-made recoveries whose verdict is known, boundaries included."""

import math
from collections.abc import Sequence
from dataclasses import replace

import clips_of_points
import pytest
import torch
from clips_of_points import judge_clip

from eval.judging.rules import (
    DEFAULT_RULES,
    PRIMARY,
    RULES,
    choose_rules,
    is_recovered,
    leave_unjudged,
)
from eval.results.measure import Verdict
from recon.cameras import Cameras
from recon.errors import BridgeError, RecoveryStatus
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.recipes import AFFINE


def recovery(
    requested: Cameras, registered: Sequence[bool] | None = None, *, num_models: int = 1
) -> Recovery:
    """The request itself, of the registered frames."""
    n = len(requested)
    found = torch.tensor([True] * n if registered is None else list(registered))
    whole, nothing = bool(found.all()), not bool(found.any())
    return Recovery(
        status=RecoveryStatus.NO_INITIAL_PAIR
        if nothing
        else RecoveryStatus.OK
        if whole
        else RecoveryStatus.PARTIAL,
        names=tuple(f"{i:05d}" for i in range(n)),
        registered=found,
        cameras=None if nothing else requested[found],
        points=PointCloud.empty(),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        num_models=0 if nothing else num_models,
    )


def first(held: int, n: int, *, num_models: int = 1) -> Recovery:
    return recovery(clips_of_points.path(n=n), [i < held for i in range(n)], num_models=num_models)


def share(name: str, found: Recovery, requested: Cameras | None = None) -> float:
    judged = judge_clip(RULES[name], [found], requested)
    assert judged.share is not None
    return judged.share


@pytest.mark.parametrize(
    ("held", "n", "met"),
    [(9, 10, True), (8, 10, False), (18, 20, True), (17, 20, False), (27, 30, True), (63, 70, True)]
    + [(14, 16, False), (15, 16, True), (10, 11, True), (9, 11, False), (16, 16, True), (0, 16, False)],
)
def test_ninety_percent_is_enough_and_less_is_not(held: int, n: int, met: bool) -> None:
    found = judge_clip(RULES["share@90"], [first(held, n)], None)
    assert found.success is met
    assert found.share == float(met)
    assert found.because == ("" if met else f"largest model holds {held} of {n} frames")
    assert is_recovered(first(held, n)) is met


def test_two_frames_are_no_path() -> None:
    assert is_recovered(first(3, 3))
    assert not is_recovered(first(2, 2))


@pytest.mark.parametrize(
    ("held", "num_models", "met"),
    [
        (16, 1, {"share@90", "camco", "cosmos", "cami2v"}),
        (16, 2, {"share@90", "camco", "cami2v"}),  # a small model beside one of all frames
        (15, 1, {"share@90"}),
        (14, 1, set()),
        (14, 2, set()),
        (0, 0, set()),
    ],
)
def test_what_each_rule_asks_of_the_models(held: int, num_models: int, met: set[str]) -> None:
    requested = clips_of_points.path(n=16)
    found = first(held, 16, num_models=num_models)
    for name in ("share@90", "camco", "cosmos", "cami2v"):
        for request in (None, requested):
            judged = judge_clip(RULES[name], [found], request)
            assert judged.success is (name in met)
            assert (judged.because == "") is (name in met)


def test_cosmos_says_how_many_models_there_were() -> None:
    for num_models, words in ((2, "2 models"), (0, "no models")):
        found = judge_clip(RULES["cosmos"], [first(16 if num_models else 0, 16, num_models=num_models)], None)
        assert found.because == words


def test_cosmos_needs_an_alignment_where_cameras_were_requested() -> None:
    moving, still = clips_of_points.path(), clips_of_points.path("static")
    assert share("cosmos", recovery(moving), moving) == 1
    found = judge_clip(RULES["cosmos"], [recovery(still)], moving)
    assert (found.success, found.because) == (False, "no Procrustes alignment to the request")
    assert share("cosmos", recovery(moving), still) == 1  # nothing to align by is not the clip's fault
    assert share("camco", recovery(moving), still) == 1  # which asks for no such thing


def test_a_clip_follows_its_request_where_nine_of_ten_pairs_are_as_requested() -> None:
    """Turned about its centre by 20°, one camera of 21 spoils 20 of 210 pairs, two spoil 39: 9.5% and 18.6%."""
    requested = clips_of_points.path(n=21)
    for spoilt, deg, met in (
        (0, 20.0, True),
        (1, 20.0, True),
        (2, 20.0, False),
        (21, 14.0, True),
        (2, 14.0, True),
    ):
        pose = requested.cam_from_world.clone()
        c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
        turn = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
        pose[:spoilt, :3] = turn @ pose[:spoilt, :3]
        if spoilt == 2:
            pose[1, :3] = turn @ pose[1, :3]  # not with the first, or the two would stand as requested
        found = replace(recovery(requested), cameras=replace(requested, cam_from_world=pose))
        judged = judge_clip(RULES["follows@15"], [found], requested)
        assert judged.success is met, (spoilt, deg)
        assert share("share@90", found) == 1
        if not met:
            assert judged.because == (
                "registered, but only 81% of the pairs of frames are as requested, to within 15°"
            )


def test_following_needs_what_share90_needs_and_forgives_the_frames_that_it_forgives() -> None:
    requested, away = clips_of_points.path(n=16), clips_of_points.path("rotation only", n=16)
    assert share("follows@15", recovery(requested, [i != 3 for i in range(16)]), requested) == 1
    lost = judge_clip(RULES["follows@15"], [first(14, 16)], requested)
    assert (lost.success, lost.because) == (False, "largest model holds 14 of 16 frames")
    assert share("follows@15", recovery(requested, [False] * 16), requested) == 0
    assert share("follows@15", recovery(away), requested) == 0
    backwards = replace(recovery(requested), cameras=requested[list(range(15, -1, -1))])
    assert share("follows@15", backwards, requested) == 0


def test_auc_of_a_turned_camera_is_that_of_a_hand_count() -> None:
    """The first of five cameras is turned by 3° about its centre: 4 of 10 pairs are off by 3°, in rotation alone."""
    requested = clips_of_points.path(n=5)
    pose = requested.cam_from_world.clone()
    c, s = math.cos(math.radians(3)), math.sin(math.radians(3))
    pose[0, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64) @ pose[0, :3]
    turned = replace(recovery(requested), cameras=replace(requested, cam_from_world=pose))
    for t in (5, 15, 30):
        found = judge_clip(RULES[f"auc@{t}"], [turned], requested)
        assert found.share == pytest.approx((4 * (1 - 3 / t) + 6) / 10)
        assert found.success is None  # a share is no yes or no


def test_auc_counts_missing_frames_as_wrong_and_nothing_as_zero() -> None:
    requested = clips_of_points.path(n=5)
    assert share("auc@5", recovery(requested), requested) == pytest.approx(1)
    partly = recovery(requested, [True, False, True, True, True])
    assert share("auc@30", partly, requested) == pytest.approx(6 / 10)
    assert share("auc@30", recovery(requested, [False] * 5), requested) == 0


def test_a_share_of_trials_succeeds_with_more_than_half() -> None:
    good, bad = first(16, 16), first(3, 16)
    rule = RULES["camco"]
    assert judge_clip(rule, [good] * 5, None) == Verdict(success=True, share=1.0)
    for successes, met in ((4, True), (3, True), (2, False), (0, False)):
        found = judge_clip(rule, [bad] * (5 - successes) + [good] * successes, None)
        assert found.share == pytest.approx(successes / 5)
        assert found.success is met
        assert found.because == f"{successes} of 5 trials; else largest model holds 3 of 16 frames"
    assert judge_clip(rule, [good, bad], None).success is False  # half is not more than half


def test_trials_are_seeds_that_count_up_from_the_primary_one() -> None:
    primary = replace(PRIMARY, seed=7, features="aliked")
    assert RULES["share@90"].recipes(primary, None) == [primary]
    assert RULES["share@90"].recipes(primary, 2) == [primary, replace(primary, seed=8)]
    camco = RULES["camco"].recipes(primary, None)
    assert [recipe.seed for recipe in camco] == [7, 8, 9, 10, 11]
    assert {replace(recipe, seed=0) for recipe in camco} == {AFFINE}
    assert len(RULES["camco"].recipes(primary, 2)) == 2
    for t in (5, 15, 30):  # an area under a curve of one recovery; trials of yes and no are another thing
        assert RULES[f"auc@{t}"].recipes(primary, 5) == [primary]


def test_rules_ask_for_the_recipe_of_their_source() -> None:
    cosmos, cami2v = RULES["cosmos"].recipe, RULES["cami2v"].recipe
    assert cosmos is not None
    assert cami2v is not None
    assert (cosmos.mapper, cosmos.intrinsics, cosmos.calibrate) == ("global", "shared", True)
    assert (cami2v.mapper, cami2v.intrinsics, cami2v.pairing) == ("global", "fixed", "sequential")
    assert (RULES["cami2v"].needs_request, RULES["cami2v"].needs_intrinsics) == (True, True)
    assert {name for name, rule in RULES.items() if rule.graded} == {"auc@5", "auc@15", "auc@30"}
    assert all(rule.needs_request for rule in RULES.values() if rule.graded)
    assert all(name == rule.name for name, rule in RULES.items())


def test_every_rule_states_its_source_and_what_was_chosen() -> None:
    for rule in RULES.values():
        info = rule.info
        assert info.title
        assert info.definition
        assert info.source
        assert info.choices


def test_a_rule_that_could_not_be_asked_is_neither_met_nor_missed() -> None:
    assert leave_unjudged("no requested cameras") == Verdict(because="no requested cameras")


def test_names_choose_rules_in_the_order_of_the_table() -> None:
    def names(*asked: str) -> list[str]:
        return [rule.name for rule in choose_rules(asked)]

    assert names("all") == list(RULES)
    assert names("cosmos", "share@90", "cosmos") == ["share@90", "cosmos"]
    assert names("auc", "camco") == ["camco", "auc@5", "auc@15", "auc@30"]
    assert names("auc@15") == ["auc@15"]
    assert names(*DEFAULT_RULES) == [
        "share@90",
        "follows@15",
        "cosmos",
        "cami2v",
        "auc@5",
        "auc@15",
        "auc@30",
    ]


@pytest.mark.parametrize("asked", [["cosmo"], ["share@90", "auc@10"], [""], ["AUC"], []])
def test_wrong_names_are_refused_with_those_there_are(asked: list[str]) -> None:
    with pytest.raises(BridgeError, match=r"share@90.*cami2v.*or all, got") as caught:
        choose_rules(asked)
    assert ("none" if not asked else repr(asked[-1])) in str(caught.value)
