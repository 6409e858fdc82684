"""Each cause shows in a clip that was made to have it, and in no other."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import drifted, matched, path, scene

from eval.geometry.motion import Motion, MotionKind, classify_motion
from eval.geometry.pairwise import FOLLOWED_DEG
from eval.judging.causes import drifts_away, failure_causes, has_low_parallax
from eval.paths.check import check_path
from recon.cameras import Cameras
from recon.errors import RecoveryStatus
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.matches import Matches

GENERAL = Motion(MotionKind.GENERAL, "")


def cloud(xyz: torch.Tensor) -> PointCloud:
    return PointCloud(xyz, torch.zeros(len(xyz), 3), torch.zeros(len(xyz), dtype=torch.float64))


def recovery(
    cameras: Cameras,
    registered: torch.Tensor | None = None,
    *,
    status: RecoveryStatus | None = None,
    num_models: int = 1,
) -> Recovery:
    """These cameras, of the registered frames, and the points of the scene; nothing at all under a status of none."""
    n = len(cameras)
    if registered is None:
        registered = torch.ones(n, dtype=torch.bool)
    nothing = status is not None
    if nothing:
        registered = torch.zeros(n, dtype=torch.bool)
    whole = RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL
    return Recovery(
        status=status or whole,
        names=tuple(f"{i:05d}" for i in range(n)),
        registered=registered,
        cameras=None if nothing else cameras[registered],
        points=PointCloud.empty() if nothing else cloud(scene()),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        num_models=0 if nothing else num_models,
    )


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return path()


@pytest.fixture(scope="module")
def matches(cameras: Cameras) -> Matches:
    return matched(cameras, scene())


def few(matches: Matches, features: int) -> Matches:
    """The first so many features of each frame, and the matches among them."""
    return replace(
        matches,
        keypoints=tuple(xy[:features] for xy in matches.keypoints),
        indices=tuple(rows[(rows < features).all(1)] for rows in matches.indices),
    )


def first(held: int) -> torch.Tensor:
    return torch.arange(16) < held


def causes_of(
    matches: Matches, motion: Motion, found: Recovery, *, recovered: bool, requested: Cameras | None
) -> list[str]:
    check = check_path(found, motion, requested)
    return failure_causes(matches, motion, found, recovered=recovered, requested=requested, check=check)


def test_nothing_is_wrong_with_a_recovered_clip(cameras: Cameras, matches: Matches) -> None:
    for requested in (cameras, None):
        assert causes_of(matches, GENERAL, recovery(cameras), recovered=True, requested=requested) == []


def test_few_features_are_told_by_their_median(cameras: Cameras, matches: Matches) -> None:
    failed = recovery(cameras, status=RecoveryStatus.NO_INITIAL_PAIR)
    for features, expected in ((49, ["too few features", "no initial pair"]), (50, ["no initial pair"])):
        found = causes_of(few(matches, features), GENERAL, failed, recovered=False, requested=cameras)
        assert found == expected
    blank = replace(matches, keypoints=(matches.keypoints[0][:0],) * 7 + matches.keypoints[7:])
    assert causes_of(blank, GENERAL, failed, recovered=False, requested=None) == ["no initial pair"]
    stated = recovery(cameras, status=RecoveryStatus.TOO_FEW_FEATURES)
    assert causes_of(matches, GENERAL, stated, recovered=False, requested=None) == ["too few features"]
    assert causes_of(few(matches, 20), GENERAL, recovery(cameras), recovered=True, requested=None) == []


def test_frames_that_do_not_match(cameras: Cameras, matches: Matches) -> None:
    failed = recovery(cameras, status=RecoveryStatus.NO_MATCHES)
    motion = Motion(MotionKind.UNKNOWN, "")
    found = causes_of(matches, motion, failed, recovered=False, requested=cameras)
    assert found == ["frames do not match"]


@pytest.mark.parametrize(
    ("kind", "points", "cause"),
    [
        ("static", "general", "static"),
        ("rotation only", "general", "pure rotation"),
        ("general", "plane", "plane"),
        ("general", "general", None),
    ],
)
def test_a_motion_that_says_nothing_is_a_cause(
    kind: str, points: str, cause: str | None, generator: torch.Generator
) -> None:
    cameras = path(kind)
    matches = matched(cameras, scene(points))
    motion = classify_motion(matches, generator=generator)
    failed = recovery(cameras, status=RecoveryStatus.NO_INITIAL_PAIR)
    found = causes_of(matches, motion, failed, recovered=False, requested=cameras)
    assert found == ([cause] if cause else []) + ["no initial pair"]


@pytest.mark.parametrize(
    "status", [RecoveryStatus.NO_INITIAL_PAIR, RecoveryStatus.NO_MODEL, RecoveryStatus.FAILED]
)
def test_no_model_has_the_cause_that_the_mapper_gave(
    status: RecoveryStatus, cameras: Cameras, matches: Matches
) -> None:
    failed = recovery(cameras, status=status)
    found = causes_of(matches, GENERAL, failed, recovered=False, requested=cameras)
    assert found == [status.value]


def test_a_split_model_and_one_that_holds_too_little(cameras: Cameras, matches: Matches) -> None:
    for num_models, expected in (
        (1, ["too few registered"]),
        (3, ["split into 3 models", "too few registered"]),
    ):
        found = recovery(cameras, first(9), num_models=num_models)
        causes = causes_of(matches, GENERAL, found, recovered=False, requested=cameras)
        assert causes == expected
    # a small model beside one that holds enough is no failure
    enough = recovery(cameras, first(15), num_models=2)
    assert causes_of(matches, GENERAL, enough, recovered=True, requested=cameras) == []


@pytest.mark.parametrize(("distance", "low"), [(10.0, False), (32.0, False), (35.0, True), (1000.0, True)])
def test_parallax_is_low_where_points_are_33_paths_away(distance: float, low: bool) -> None:
    """By hand: centres from −½ to ½ on a line, half of the points nearer than `distance` and half farther."""
    n = 5
    pose = torch.eye(4, dtype=torch.float64).repeat(n, 1, 1)
    pose[:, 0, 3] = -torch.linspace(-0.5, 0.5, n, dtype=torch.float64)
    cameras = replace(path(n=n), cam_from_world=pose)
    z = distance * torch.tensor([0.1, 0.5, 1.0, 20.0, 30.0], dtype=torch.float64)
    points = torch.stack([torch.zeros(5), torch.zeros(5), z], dim=1).double()
    found = replace(recovery(cameras), points=cloud(points))
    assert has_low_parallax(found) is low
    turned = replace(GENERAL, kind=MotionKind.ROTATION_ONLY)
    matches = matched(cameras, scene())
    for motion, recovered, told in (
        (turned, True, low),
        (GENERAL, False, low),
        (GENERAL, True, False),  # such a path was recovered from parallax that was enough
    ):
        causes = causes_of(matches, motion, found, recovered=recovered, requested=None)
        assert ("low parallax" in causes) is told


def test_a_path_that_does_not_move_has_no_parallax(cameras: Cameras) -> None:
    assert has_low_parallax(recovery(path("static")))
    assert not has_low_parallax(recovery(cameras))
    assert not has_low_parallax(
        recovery(cameras, status=RecoveryStatus.NO_INITIAL_PAIR)
    )  # nothing to tell it by
    assert not has_low_parallax(replace(recovery(path("static")), points=PointCloud.empty()))


@pytest.mark.parametrize(("deg", "told"), [(0.0, False), (1.0, False), (4.0, True), (20.0, True)])
def test_drift_is_a_rotation_that_is_more_and_more_off(
    deg: float, told: bool, cameras: Cameras, matches: Matches
) -> None:
    found = recovery(drifted(cameras, deg))
    assert drifts_away(found, cameras) is told
    causes = causes_of(matches, GENERAL, found, recovered=True, requested=cameras)
    astray = ["does not follow the request"] if deg > FOLLOWED_DEG else []
    assert causes == [*astray, *(["drift"] if told else [])]
    assert causes_of(matches, GENERAL, found, recovered=True, requested=None) == []
    missing = torch.ones(16, dtype=torch.bool)
    missing[5] = False
    assert drifts_away(recovery(drifted(cameras, deg), missing), cameras) is told


def turned(cameras: Cameras, deg: torch.Tensor) -> Cameras:
    """Each camera about its own y axis."""
    angle = deg.double().deg2rad()
    turn = torch.eye(4, dtype=torch.float64).repeat(len(cameras), 1, 1)
    turn[:, 0, 0] = turn[:, 2, 2] = angle.cos()
    turn[:, 0, 2], turn[:, 2, 0] = angle.sin(), -angle.sin()
    return replace(cameras, cam_from_world=turn @ cameras.cam_from_world)


def test_errors_that_do_not_grow_are_no_drift(cameras: Cameras, generator: torch.Generator) -> None:
    jitter = 8 * torch.randn(16, generator=generator)
    first_off = torch.zeros(16).index_fill_(0, torch.tensor([0]), 6.0)
    there_and_back = 6 * torch.sin(torch.linspace(0, 3.14159, 16))
    for deg in (jitter, first_off, there_and_back):
        assert not drifts_away(recovery(turned(cameras, deg)), cameras)
    assert drifts_away(recovery(turned(cameras, torch.linspace(0, 6, 16))), cameras)
    # in another world, which is not an error
    elsewhere = torch.eye(4, dtype=torch.float64)
    elsewhere[:2, :2] = torch.tensor([[0.0, -1], [1, 0]])
    moved = replace(cameras, cam_from_world=cameras.cam_from_world @ elsewhere)
    assert not drifts_away(recovery(moved), cameras)


def test_drift_needs_four_frames(cameras: Cameras) -> None:
    bent = recovery(turned(cameras, torch.linspace(0, 30, 16)), first(3))
    assert not drifts_away(bent, cameras)
    assert drifts_away(recovery(turned(cameras, torch.linspace(0, 30, 16)), first(4)), cameras)
    assert not drifts_away(recovery(cameras, status=RecoveryStatus.FAILED), cameras)


def test_causes_come_in_the_order_in_which_they_bite(cameras: Cameras, matches: Matches) -> None:
    bad = recovery(path("static"), first(5), num_models=2)
    motion = Motion(MotionKind.STATIC, "")
    found = causes_of(few(matches, 30), motion, bad, recovered=False, requested=cameras)
    assert found == [
        "too few features",
        "static",
        "split into 2 models",
        "too few registered",
        "low parallax",
    ]
