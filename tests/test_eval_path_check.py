"""A path that runs against its request is told by name, and one that runs as requested is not."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import judge_clip, path, recovered

from eval.geometry.motion import Motion, MotionKind
from eval.judging.causes import failure_causes
from eval.judging.rules import RULES
from eval.paths.check import NO_PARALLAX, check_path, path_over_depth
from eval.paths.fault import AGAINST, PathFault
from eval.results.measure import ASTRAY
from eval.trajectories import trajectory_errors
from recon.cameras import Cameras, look_at
from recon.sfm.matches import Matches

GENERAL, STATIC, TURN, PLANE = (
    Motion(kind, "")
    for kind in (MotionKind.GENERAL, MotionKind.STATIC, MotionKind.ROTATION_ONLY, MotionKind.PLANE)
)


def placed(centers: torch.Tensor, cameras: Cameras) -> Cameras:
    return cameras.place_at(centers)


def truck(n: int = 16, *, sag: float = 0.12, turn: bool = False) -> Cameras:
    """Two metres to the right, constant gaze, with a sag; or looking at one point throughout."""
    t = torch.linspace(0, 1, n, dtype=torch.float64)
    eye = torch.stack([2 * t, sag * 4 * t * (1 - t), 0 * t], dim=1)
    aim = torch.tensor([[0.8, 0, 5]], dtype=torch.float64)
    target = aim.expand(n, 3) if turn else eye + torch.tensor([0.0, 0, 1], dtype=torch.float64)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(n, 3)
    return replace(path(n=n), cam_from_world=look_at(eye, target, up))


def mirrored(cameras: Cameras) -> Cameras:
    swap = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    return replace(cameras, cam_from_world=swap @ cameras.cam_from_world @ swap)


@pytest.mark.parametrize("request_path", [truck(), truck(sag=0), truck(turn=True), path()])
def test_what_runs_as_requested_has_no_fault(request_path: Cameras) -> None:
    found = recovered(request_path)
    assert check_path(found, GENERAL, request_path).faults == ()
    assert judge_clip(RULES["follows@15"], [found], request_path, GENERAL).success
    assert judge_clip(RULES["cosmos"], [found], request_path, GENERAL).success
    small = torch.ones(16, dtype=torch.bool)
    small[[3, 9]] = False
    assert check_path(recovered(request_path, small), GENERAL, request_path).faults == ()


@pytest.mark.parametrize("request_path", [truck(), truck(sag=0), truck(turn=True), path()])
def test_a_path_driven_backwards_is_named_and_has_the_worst_position(request_path: Cameras) -> None:
    backwards = request_path[list(range(15, -1, -1))]
    check = check_path(recovered(backwards), GENERAL, request_path)
    assert PathFault.OPPOSITE in check.faults
    assert AGAINST & set(check.faults)
    everyone = torch.ones(16, dtype=torch.bool)
    errors = trajectory_errors(backwards, everyone, request_path)
    assert errors["position_share"].value is not None
    assert errors["position_share"].worst is not None
    assert errors["position_share"].value >= 0.9 * errors["position_share"].worst
    for rule in ("follows@15", "cosmos"):
        assert judge_clip(RULES[rule], [recovered(backwards)], request_path, GENERAL).success is False


def test_mirrored_pictures_and_inverse_poses_are_named() -> None:
    asked = path()  # turns while it moves, so that neither is the path backwards
    assert check_path(recovered(mirrored(asked)), GENERAL, asked).faults == (PathFault.MIRRORED,)
    inverse = replace(asked, cam_from_world=asked.world_from_cam)
    assert check_path(recovered(inverse), GENERAL, asked).faults == (PathFault.INVERSE,)
    straight = truck(sag=0)  # of which a mirror shows what driving backwards shows
    assert check_path(recovered(mirrored(straight)), GENERAL, straight).faults == (PathFault.OPPOSITE,)


def test_a_path_at_right_angles_to_its_request_is_not_called_its_opposite() -> None:
    asked = truck(sag=0)
    for seed in range(8):
        noise = 0.004 * torch.randn(16, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        down = asked.centers[:, [1, 0, 2]] + noise
        assert check_path(recovered(placed(down, asked)), GENERAL, asked).faults == ()


def test_a_camera_that_was_asked_to_stand_and_moves_is_wrong() -> None:
    still, moving = path("static"), path()
    check = check_path(recovered(moving), GENERAL, still)
    assert check.faults == (PathFault.UNASKED_MOVE,)
    follows = judge_clip(RULES["follows@15"], [recovered(moving)], still, GENERAL)
    assert (follows.success, follows.because) == (False, "registered, but: moves where none was asked")
    only_turned = truck(sag=0)  # no rotation error at all
    auc = judge_clip(RULES["auc@5"], [recovered(only_turned)], still, GENERAL).share
    assert auc is not None
    assert auc < 0.2
    centers = 0.004 * torch.randn(16, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jitter = recovered(placed(centers, still))
    share = path_over_depth(jitter)
    assert share is not None
    assert share < 0.03
    assert check_path(jitter, GENERAL, still).faults == ()


def test_a_camera_that_was_asked_to_move_and_does_not_is_wrong() -> None:
    asked, noise = truck(), torch.Generator().manual_seed(0)
    stood = placed(0.002 * torch.randn(16, 3, generator=noise, dtype=torch.float64), path("rotation only"))
    for motion in (STATIC, TURN):
        check = check_path(recovered(stood), motion, asked)
        assert check.faults == (PathFault.NO_MOVE,)
        assert judge_clip(RULES["auc@30"], [recovered(stood)], asked, motion).share == 0
        assert judge_clip(RULES["follows@15"], [recovered(stood)], asked, motion).success is False
        assert judge_clip(RULES["cosmos"], [recovered(stood)], asked, motion).success is False


def test_where_the_pictures_do_not_tell_there_is_no_success_but_failure_stays_one() -> None:
    asked = truck()
    for motion in (PLANE, TURN):
        for rule in ("share@90", "cosmos", "follows@15", "auc@5"):
            verdict = judge_clip(RULES[rule], [recovered(asked, kind="wall")], asked, motion)
            assert (verdict.success, verdict.share) == (None, None)
            assert verdict.because == NO_PARALLAX
    assert judge_clip(RULES["share@90"], [recovered(asked)], None, PLANE).success, "nothing was asked"
    few = torch.zeros(16, dtype=torch.bool)
    few[:5] = True
    lost = replace(recovered(asked, few), model_sizes=(5,))
    assert judge_clip(RULES["share@90"], [lost], asked, PLANE).success is False


def test_a_pan_that_was_asked_for_is_judged_by_its_rotation() -> None:
    pan = path("rotation only")
    assert check_path(recovered(pan), TURN, pan).faults == ()
    assert judge_clip(RULES["follows@15"], [recovered(pan)], pan, TURN).success
    assert judge_clip(RULES["auc@5"], [recovered(pan)], pan, TURN).share == pytest.approx(1)


def test_jumps_and_drifting_scale_are_found() -> None:
    asked = truck(24)
    centers = asked.centers.clone()
    torn = centers.clone()
    torn[12:] += torch.tensor([1.0, 0, 0], dtype=torch.float64)  # a step of 1.09 among steps of 0.09
    assert check_path(recovered(placed(torn, asked)), GENERAL, asked).faults == (PathFault.JUMP,)
    growth = torch.linspace(1, 5, 23, dtype=torch.float64)[:, None]
    spiral = torch.cat([centers[:1], centers[:1] + (growth * centers.diff(dim=0)).cumsum(0)])
    assert check_path(recovered(placed(spiral, asked)), GENERAL, asked).faults == (PathFault.SCALE_DRIFT,)
    noise = 0.01 * torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert check_path(recovered(placed(centers + noise, asked)), GENERAL, asked).faults == ()


def test_of_a_single_step_missing_nothing_is_said() -> None:
    """A gap in the registered frames is no jump."""
    asked, registered = truck(24), torch.ones(24, dtype=torch.bool)
    registered[10:13] = False
    assert check_path(recovered(asked, registered), GENERAL, asked).faults == ()


def test_a_short_path_that_follows_its_request_is_not_said_to_stand() -> None:
    """Over small angles a shift looks like a turn to the pictures, and the recovery may know better."""
    t = torch.linspace(0, 0.1, 16, dtype=torch.float64)[:, None]
    asked = placed(t * torch.tensor([1.0, 0.1, 0], dtype=torch.float64), path("static"))
    found = recovered(asked)
    share = path_over_depth(found)
    assert share is not None
    assert share < 0.03
    check = check_path(found, TURN, asked)
    assert check.faults == ()
    assert check.untold


@pytest.mark.parametrize("case", ["pan first", "growing noise", "slow ends", "one frame off", "even noise"])
def test_right_paths_with_pauses_and_noise_neither_jump_nor_drift(case: str) -> None:
    for seed in range(10):
        n = 81 if case in ("growing noise", "one frame off") else 49
        g = torch.Generator().manual_seed(seed)
        t = torch.linspace(0, 1, n, dtype=torch.float64)
        noise = torch.full((n, 1), 0.01, dtype=torch.float64)
        if case == "pan first":
            t, noise = ((t - 0.6) / 0.4).clamp_min(0) + 1e-16 * t, 0.0025 * torch.ones(n, 1)
        if case == "growing noise":
            noise = (0.003 + 0.017 * t)[:, None]
        if case == "slow ends":
            t = (1 - torch.cos(torch.pi * t)) / 2
        if case == "one frame off":
            noise = torch.where(torch.arange(n)[:, None] == 40, 0.08, 0.001)
        asked = truck(n)
        asked = placed(t[:, None] * torch.tensor([2.0, 0.3, 0.5], dtype=torch.float64), asked)
        found = asked.centers + 2 * noise / 3**0.5 * torch.randn(n, 3, generator=g, dtype=torch.float64)
        assert check_path(recovered(placed(found, asked)), GENERAL, asked).faults == (), seed


def test_single_precision_is_no_motion() -> None:
    """A pan far from the origin, stored in 32 bits."""
    pan = placed(torch.tensor([[15.0, 3, -20]], dtype=torch.float64).expand(16, 3), path("rotation only"))
    rounded = replace(pan, cam_from_world=pan.cam_from_world.float().double())
    found = recovered(path("rotation only"))
    assert check_path(found, TURN, rounded).faults == ()
    assert judge_clip(RULES["auc@5"], [found], rounded, TURN).share == pytest.approx(1, abs=1e-3)
    assert judge_clip(RULES["follows@15"], [found], rounded, TURN).success


def test_points_at_several_depths_tell_a_dolly_from_a_zoom() -> None:
    asked, flat = truck(), replace(PLANE, homography_share=0.98)
    deep = recovered(asked)
    on_a_plane = recovered(asked, kind="wall")
    assert judge_clip(RULES["follows@15"], [deep], asked, flat).success
    assert judge_clip(RULES["follows@15"], [on_a_plane], asked, flat).success is None


def test_some_parallax_and_a_path_that_follows_are_enough() -> None:
    asked = truck()
    for share, told in ((0.88, True), (0.98, False)):
        flat = replace(PLANE, homography_share=share)
        verdict = judge_clip(RULES["follows@15"], [recovered(asked, kind="wall")], asked, flat)
        assert verdict.success is (True if told else None)
    backwards = recovered(asked[list(range(15, -1, -1))])
    verdict = judge_clip(RULES["follows@15"], [backwards], asked, replace(PLANE, homography_share=0.88))
    assert verdict.success is False


def test_a_dolly_or_zoom_where_a_camera_should_stand_or_turn_is_wrong_without_parallax_too() -> None:
    zooming = replace(PLANE, homography_share=0.99)
    short = recovered(placed(0.01 * torch.rand(16, 3, dtype=torch.float64), path("static")))
    for asked in (path("static"), path("rotation only")):
        check = check_path(short, zooming, asked)
        assert check.faults == (PathFault.UNASKED_CHANGE,)
        assert judge_clip(RULES["follows@15"], [short], asked, zooming).success is False
        assert judge_clip(RULES["cosmos"], [short], asked, zooming).success is False


def test_a_zoom_that_was_asked_for_cannot_be_told_from_a_dolly_without_parallax() -> None:
    K = path("static").K.clone()
    K[:, [0, 1], [0, 1]] *= torch.linspace(1, 1.5, 16, dtype=torch.float64)[:, None]
    asked = replace(path("static"), K=K)
    found = recovered(placed(0.001 * torch.rand(16, 3, dtype=torch.float64), asked))
    assert check_path(found, replace(PLANE, homography_share=0.99), asked).untold
    dollied = check_path(found, replace(GENERAL, homography_share=0.79), asked)
    assert dollied.faults == (PathFault.UNASKED_MOVE,)
    assert dollied.evidence


def test_a_turn_is_no_move_whatever_path_the_mapper_makes_of_it() -> None:
    asked = truck()
    g = torch.Generator().manual_seed(2)
    noise = recovered(placed(torch.randn(16, 3, generator=g, dtype=torch.float64), path("rotation only")))
    assert check_path(noise, TURN, asked).faults == (PathFault.NO_MOVE,)


def test_a_clip_whose_path_cannot_be_told_neither_meets_a_rule_nor_fails_it() -> None:
    astray = recovered(truck(sag=0.8), kind="wall")
    for rule in ("follows@15", "auc@5", "share@90", "cosmos"):
        assert judge_clip(RULES[rule], [astray], path(), PLANE).success is None
        assert judge_clip(RULES[rule], [astray], path(), PLANE).because == NO_PARALLAX


def test_a_scale_that_doubles_on_the_way_drifts() -> None:
    asked = truck(24)
    growth = torch.linspace(1, 2, 23, dtype=torch.float64)[:, None]
    drifting = torch.cat(
        [asked.centers[:1], asked.centers[:1] + (growth * asked.centers.diff(dim=0)).cumsum(0)]
    )
    check = check_path(recovered(placed(drifting, asked)), GENERAL, asked)
    assert check.faults == (PathFault.SCALE_DRIFT,)
    assert "by quarters of the path: 1.00, 1." in check.evidence[0]


def test_exchanged_frames_are_out_of_place_and_a_frozen_end_is_no_drift() -> None:
    asked = truck(24)
    order = list(range(24))
    order[3], order[15] = order[15], order[3]
    check = check_path(recovered(asked[order]), GENERAL, asked)
    assert PathFault.MISPLACED in check.faults
    assert set(check.marked) >= {3, 15}
    frozen = asked.centers.clone()
    frozen[20:] = frozen[19]
    assert check_path(recovered(placed(frozen, asked)), GENERAL, asked).faults == ()


@pytest.mark.parametrize("away", [0.5, 2.0, 5.0, 50.0])
def test_two_of_many_frames_are_out_of_place_however_far_away_they_are(away: float) -> None:
    """Nine pairs of frames in ten are as requested nevertheless."""
    asked = truck(57)
    centers = asked.centers.clone()
    centers[20, 1] += 2 * away
    centers[40, 2] -= 2 * away
    found = recovered(placed(centers, asked))
    check = check_path(found, GENERAL, asked)
    assert PathFault.MISPLACED in check.faults
    assert set(check.marked) >= {20, 40}
    assert judge_clip(RULES["follows@15"], [found], asked, GENERAL).success is False
    nothing = Matches(64, 48, (torch.zeros(99, 2),) * 57, (), ())
    causes = failure_causes(nothing, GENERAL, found, recovered=True, requested=asked, check=check)
    assert ASTRAY in causes, "the remark goes with the rule"


def test_steps_are_held_against_a_path_that_was_driven_and_no_other() -> None:
    asked = truck(24)
    there_and_back = asked[[*range(0, 24, 2), *range(23, 0, -2)]]
    backwards = asked[list(range(23, -1, -1))]
    assert check_path(recovered(there_and_back), GENERAL, asked).faults == ()
    assert check_path(recovered(backwards), GENERAL, asked).faults == (PathFault.OPPOSITE,)


def test_inverse_poses_are_told_in_opengl_axes_too() -> None:
    asked, turn = path(), torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))
    as_read = replace(asked, cam_from_world=turn @ asked.world_from_cam @ turn)
    assert check_path(recovered(asked), GENERAL, as_read).faults == (PathFault.INVERSE,)


def test_a_frozen_end_of_a_short_clip_is_no_drift() -> None:
    asked = truck(16)
    for frozen in range(2, 6):
        centers = asked.centers.clone()
        centers[-frozen:] = centers[-frozen - 1]
        assert (
            PathFault.SCALE_DRIFT not in check_path(recovered(placed(centers, asked)), GENERAL, asked).faults
        )


def test_a_single_frame_far_away_is_said_and_fails_nothing() -> None:
    asked = truck(24)
    centers = asked.centers.clone()
    centers[7] += 3
    check = check_path(recovered(placed(centers, asked)), GENERAL, asked)
    assert check.faults == ()
    assert check.marked == (7,)
    assert "one frame is" in check.evidence[0]
