"""The gate: what it lets in, what it says, and that evidence is measured rightly."""

import math
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path

import pytest
import torch

from benchmarks import gate_confusion, gate_offsets
from bridge4d.augmenting.options import AugmentOptions
from eval.judging.gate import (
    FRAME_POSES,
    Decision,
    Evidence,
    GateOptions,
    collect_evidence,
    count_confusion,
    decide,
)
from eval.poses import scene_extent
from recon.cameras import Cameras, intrinsics, look_at, project
from recon.errors import BridgeError, RecoveryStatus
from recon.points import PointCloud
from recon.recovery import Recovery

GOOD = Evidence("f", True, 0.3, 0.004, 210, 0.8, 1.1)


@dataclass(frozen=True)
class FrameMatch:
    photo_index: int
    xy_frame: torch.Tensor
    xy_photo: torch.Tensor


@dataclass(frozen=True)
class Registration:
    recovery: Recovery
    matches: tuple[tuple[FrameMatch, ...], ...]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"registered": False}, "could not be registered"),
        ({"rotation_deg": 3.24}, "rotation off by 3.2° (limit 2.0°)"),
        ({"position_share": 0.051}, "position off by 5.1% of the extent (limit 2.0%)"),
        ({"inliers": 12}, "only 12 inliers (at least 15)"),
        ({"reprojection_error_px": 2.6}, "reprojection error 2.6 px (limit 2.0 px)"),
        ({"epipolar_error_px": 9.0}, "epipolar error 9.0 px (limit 3.0 px)"),
        ({"contradicted": 0.124}, "photos contradict 12.4% of what they show of it (limit 5.0%)"),
    ],
)
def test_each_limit_rejects_in_words(change: dict, words: str) -> None:
    verdict = decide(replace(GOOD, **change), GateOptions())
    assert not verdict.accepted
    assert words in verdict.reason


def test_the_loop_uses_the_gate_that_was_measured() -> None:
    """The figures in the docstrings of `eval.judging.gate` and in benchmarks/README.md are of these values: whoever changes one
    measures again (`python -m benchmarks.gate_offsets`)."""
    options = AugmentOptions()
    assert options.gate == GateOptions() == GateOptions(2.0, 0.02, 15, 2.0, 3.0)
    assert options.frame_poses == FRAME_POSES == "recovered"
    assert signature(collect_evidence).parameters["at"].default == FRAME_POSES
    assert gate_offsets.Arguments().at == gate_confusion.Arguments().at == FRAME_POSES


LIMITS = GateOptions()


@pytest.mark.parametrize(
    ("quantity", "limit"),
    [
        ("rotation_deg", LIMITS.max_rotation_deg),
        ("position_share", LIMITS.max_position_share),
        ("reprojection_error_px", LIMITS.max_reprojection_error_px),
        ("epipolar_error_px", LIMITS.max_epipolar_error_px),
    ],
)
def test_a_frame_at_a_limit_passes_and_one_beyond_it_does_not(quantity: str, limit: float) -> None:
    for value, accepted in ((0.0, True), (limit, True), (math.nextafter(limit, math.inf), False)):
        assert decide(replace(GOOD, **{quantity: value}), LIMITS).accepted is accepted


def test_the_smallest_number_of_inliers_passes_and_one_less_does_not() -> None:
    assert decide(replace(GOOD, inliers=15), LIMITS).accepted
    assert not decide(replace(GOOD, inliers=14), LIMITS).accepted


def test_good_frames_pass_and_undefined_breaks_no_limit() -> None:
    assert decide(GOOD, GateOptions()).accepted
    assert decide(replace(GOOD, position_share=None, epipolar_error_px=None), GateOptions()).accepted


def test_every_broken_limit_is_named() -> None:
    reason = decide(replace(GOOD, rotation_deg=5.0, inliers=3), GateOptions()).reason
    assert "inliers" in reason
    assert "rotation" in reason


def test_pixels_scale_with_the_picture() -> None:
    options = GateOptions()
    assert options.at_size(width=2000, height=1500).max_reprojection_error_px == 4
    small = options.at_size(width=200, height=320)
    assert small.max_reprojection_error_px == 1
    assert small.max_rotation_deg == options.max_rotation_deg


@pytest.fixture
def photos() -> Cameras:
    angle = torch.linspace(0, 1.5, 5, dtype=torch.float64)
    eye = 4 * torch.stack([angle.cos(), torch.zeros(5), angle.sin()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(5, 3)
    K = intrinsics(focal_px=500, width=640, height=480, n=5)
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, 640, 480)


def registered(requested: Cameras, recovered: Cameras, photos: Cameras, points: torch.Tensor) -> Registration:
    """A perfect registration of frames that truly stand at `recovered`, the last one not registered."""
    n = len(requested)
    flags = torch.ones(n, dtype=torch.bool)
    flags[-1] = False
    seen, by_photo = project(points, recovered)[0], project(points, photos)[0]
    recovery = Recovery(
        status=RecoveryStatus.PARTIAL,
        names=tuple(f"frame-{i}" for i in range(n)),
        registered=flags,
        cameras=recovered[flags],
        points=PointCloud.empty(),
        reprojection_error_px=torch.where(flags, 0.5, torch.nan),
        inliers=torch.where(flags, 80, 0),
    )
    matches = tuple(
        tuple(FrameMatch(j, seen[i], by_photo[j]) for j in range(len(photos))) if flags[i] else ()
        for i in range(n)
    )
    return Registration(recovery, matches)


def test_evidence_measures_the_injected_error(photos: Cameras, generator: torch.Generator) -> None:
    requested = photos[[1, 2, 3]]
    angle = math.radians(3.0)
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[1, 1] = math.cos(angle)
    turn[0, 1], turn[1, 0] = -math.sin(angle), math.sin(angle)
    pose = requested.cam_from_world.clone()
    pose[1] = turn @ pose[1]
    recovered = replace(requested, cam_from_world=pose)
    points = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    extent = scene_extent(photos)
    found = registered(requested, recovered, photos, points)
    good, turned, lost = collect_evidence(requested, found, photos, extent, at="requested")
    assert good.rotation_deg == pytest.approx(0, abs=1e-9)
    assert good.epipolar_error_px == pytest.approx(0, abs=1e-6)
    assert turned.rotation_deg == pytest.approx(3)
    assert turned.position_share == pytest.approx(0, abs=1e-9)
    assert turned.epipolar_error_px is not None
    assert turned.epipolar_error_px > 1
    assert lost == Evidence("frame-2", False, None, None, 0, None, None)
    _, turned, _ = collect_evidence(requested, found, photos, extent, at="recovered")
    assert turned.rotation_deg == pytest.approx(3)
    assert turned.epipolar_error_px == pytest.approx(0, abs=1e-6)
    verdicts = [decide(e, GateOptions()).accepted for e in (good, turned, lost)]
    assert verdicts == [True, False, False]


def test_without_an_extent_position_is_undefined(photos: Cameras, generator: torch.Generator) -> None:
    points = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    frames = photos[[1, 2]]
    first, _ = collect_evidence(frames, registered(frames, frames, photos, points), photos, None)
    assert first.position_share is None
    assert first.rotation_deg == pytest.approx(0, abs=1e-9)


def test_numbers_must_agree(photos: Cameras) -> None:
    registration = registered(photos[[1, 2]], photos[[1, 2]], photos, torch.zeros(3, 3, dtype=torch.float64))
    with pytest.raises(BridgeError, match="3 cameras, 2 frames"):
        collect_evidence(photos[[1, 2, 3]], registration, photos, 1.0)


def test_confusion_counts_and_rates() -> None:
    yes, no = Decision(True, ""), Decision(False, "")
    table = count_confusion([yes, yes, yes, no, no, no], [True, True, False, True, False, False])
    assert (table.true_positive, table.false_positive, table.false_negative, table.true_negative) == (
        2,
        1,
        1,
        2,
    )
    assert table.precision == pytest.approx(2 / 3)
    assert table.false_positive_rate == pytest.approx(1 / 3)
    low, high = table.recall95  # type: ignore[misc]
    assert low < 2 / 3 < high
    assert count_confusion([], []).precision is None
    assert count_confusion([], []).precision95 is None


def test_real_photos_pass_and_wrong_requests_do_not(shared: Path, tmp_path: Path) -> None:
    """Photos play the generated frames: once asked for where they were taken, once 2° beside it."""
    from recon.capture.read import read_capture
    from recon.clip import Clip
    from recon.sfm.anchor import build_anchor
    from recon.sfm.register import register

    clip = read_capture(shared / "captures" / "lund_door", max_side=384).clip
    anchor = build_anchor(clip[[0, 3, 5, 8]], tmp_path / "anchor")
    frames = clip[[1, 4]]
    truth = frames.require_cameras().to(dtype=torch.float64)
    blind = Clip(images=frames.images, names=frames.names)
    registration = register(anchor, blind, K=truth.K, folder=tmp_path / "frames")
    turn = torch.eye(4, dtype=torch.float64)
    turn[:3, :3] = torch.matrix_exp(
        torch.tensor([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]).double() * math.radians(2.1)
    )
    wrong = replace(truth, cam_from_world=turn @ truth.cam_from_world)
    options = GateOptions().at_size(width=clip.width, height=clip.height)
    for requested, accepted in ((truth, True), (wrong, False)):
        evidence = collect_evidence(requested, registration, anchor.cameras, scene_extent(anchor.cameras))
        assert [decide(e, options).accepted for e in evidence] == [accepted] * 2, evidence
