"""Consistency of clips whose scene, cameras and faults are known."""

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import kornia
import pytest
import torch
from clips_of_points import HEIGHT, WIDTH, drifted, matched, path, scene, shuffled, warped

from eval.geometry.consistency import (
    consistency,
    pair_fundamentals,
    recovered_consistency,
    residual_structure,
    sed_between,
    tsed_share,
)
from eval.geometry.consistency_metrics import CONSISTENCY
from eval.geometry.measured import Measured
from eval.geometry.motion import Motion, MotionKind, classify_motion
from recon.cameras import Cameras
from recon.errors import CameraError
from recon.sfm.matches import Matches
from recon.two_views.epipolar import (
    fundamental,
    mean_epipolar_px,
    sampson_px,
    signed_sampson_px,
    symmetric_epipolar_px,
)

GENERAL = Motion(MotionKind.GENERAL, "known")
REQUESTED = ("sampson_requested_px", "sed_requested_px", "tsed@1", "tsed@2", "tsed@4")
FITTED = ("sampson_fitted_px", "morans_i")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Hundreds of points are too few to share: with two threads the waiting takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def measure(
    matches: Matches,
    cameras: Cameras | None,
    *,
    recovered: Cameras | None = None,
    motion: Motion | None = None,
    intrinsics_known: bool = True,
    seed: int = 0,
) -> dict[str, Measured]:
    g = torch.Generator().manual_seed(seed)
    return consistency(
        matches,
        motion or classify_motion(matches, generator=g),
        requested=cameras,
        intrinsics_known=intrinsics_known,
        recovered=recovered,
        registered=torch.full((len(matches),), recovered is not None),
        generator=g,
    )


def values(found: dict[str, Measured]) -> dict[str, float]:
    out = {key: measured.value for key, measured in found.items()}
    assert all(value is not None for value in out.values()), found
    return {key: value for key, value in out.items() if value is not None}


def badness(found: dict[str, Measured]) -> dict[str, float]:
    """Larger is worse, whichever way a metric points."""
    return {k: -v if CONSISTENCY[k].higher_is_better else v for k, v in values(found).items()}


def assert_rises(steps: list[dict[str, float]], keys: tuple[str, ...] | list[str]) -> None:
    for key in keys:
        seen = [step[key] for step in steps]
        assert seen == sorted(seen), f"{key}: {seen}"
        assert seen[-1] > seen[0], f"{key}: {seen}"


def test_exact_projections_are_consistent() -> None:
    cameras = path()
    found = measure(matched(cameras, scene(), noise_px=0.0, outliers=0.0), cameras, recovered=cameras)
    assert list(found) == list(CONSISTENCY)
    for key in ("sampson_fitted_px", "sampson_requested_px", "sed_requested_px", "sampson_recovered_px"):
        value = found[key].value
        assert value is not None
        assert value < 1e-3
    assert [found[f"tsed@{t}"].value for t in (1, 2, 4)] == [1.0, 1.0, 1.0]
    assert found["morans_i"].value is None  # rounding has no structure worth a figure
    assert found["morans_i"].undefined_because == "no residuals"
    assert found["sampson_fitted_px"].count == 14 + 12  # pairs 2 and 4 frames apart
    assert found["tsed@1"].count == 15


def test_noise_and_wrong_matches_of_a_true_clip_stay_small() -> None:
    cameras = path()
    found = values(measure(matched(cameras, scene(), noise_px=0.3, outliers=0.3), cameras, recovered=cameras))
    for key in ("sampson_fitted_px", "sampson_requested_px", "sed_requested_px", "sampson_recovered_px"):
        assert found[key] < 0.5
    assert abs(found["morans_i"]) < 0.06
    assert found["tsed@1"] == 1.0


def test_every_metric_worsens_with_a_growing_warp() -> None:
    cameras, steps = path(), []
    for strength_px in (0.0, 1.0, 2.0, 4.0):
        steps.append(measure(warped(matched(cameras, scene()), strength_px), cameras, recovered=cameras))
    assert_rises([badness(s) for s in steps], [k for k in CONSISTENCY if k not in ("tsed@2", "tsed@4")])
    coarse = [
        badness(measure(warped(matched(cameras, scene()), s), cameras, recovered=cameras, motion=GENERAL))
        for s in (0.0, 16.0, 48.0)
    ]
    assert_rises(coarse, ["tsed@2", "tsed@4"])


def test_real_before_warped_before_shuffled() -> None:
    cameras = path()
    real = matched(cameras, scene())
    clips = (real, warped(real, 8.0), shuffled(real))
    scores = [badness(measure(m, cameras, recovered=cameras, motion=GENERAL)) for m in clips]
    for key in (
        "sampson_fitted_px",
        "sampson_requested_px",
        "sed_requested_px",
        "tsed@1",
        "sampson_recovered_px",
    ):
        assert scores[0][key] < scores[1][key] < scores[2][key], key
    assert scores[2]["tsed@4"] == 0.0
    assert scores[0]["morans_i"] + 0.1 < min(scores[1]["morans_i"], scores[2]["morans_i"])


def test_cameras_that_drift_off_show_in_what_is_measured_against_them_only() -> None:
    cameras, matches, steps = path(), matched(path(), scene()), []
    for deg in (0.0, 1.0, 2.0, 4.0, 8.0, 30.0):
        steps.append(badness(measure(matches, drifted(cameras, deg), recovered=drifted(cameras, deg))))
    assert_rises(steps, [*REQUESTED, "sampson_recovered_px"])
    for key in FITTED:
        assert len({step[key] for step in steps}) == 1


def test_a_fit_to_the_inliers_would_hide_what_the_median_of_all_shows() -> None:
    """Three of five points swim off their lines, more and more; the other two fit as before."""
    cameras, xyz = path(), scene()
    right = matched(cameras, xyz, outliers=0.0)
    swims = torch.arange(len(xyz)) % 5 < 3
    medians = []
    for speed in (0.0, 0.5, 1.0, 2.0):
        shift = torch.tensor([0.0, speed], dtype=torch.float64)
        kp = tuple(
            p + swims[:, None] * shift * i * torch.sin(p[:, :1] / 15) for i, p in enumerate(right.keypoints)
        )
        medians.append(
            values(measure(replace(right, keypoints=kp), cameras, motion=GENERAL, recovered=cameras))
        )
    assert_rises(medians, ["sampson_fitted_px", "sampson_requested_px"])
    assert medians[-1]["sampson_fitted_px"] > 3 * medians[0]["sampson_fitted_px"]


@pytest.mark.parametrize(
    ("cameras", "points", "because"),
    [
        ("static", "general", "static"),
        ("rotation only", "general", "rotation only"),
        ("general", "plane", "plane"),
    ],
)
def test_degenerate_motion_is_undefined_even_where_lines_would_fit(
    cameras: str, points: str, because: str
) -> None:
    """A clip that stands still satisfies the lines of a sideways request: a perfect score for not obeying."""
    matches = matched(path(cameras), scene(points))
    shift = path()
    found = measure(matches, shift, recovered=path())
    assert {m.undefined_because for m in found.values()} == {because}
    assert {m.value for m in found.values()} == {None}


def test_without_cameras_intrinsics_or_matches_the_reason_is_given() -> None:
    cameras, matches = path(), matched(path(), scene())
    without = measure(matches, None)
    assert {without[k].undefined_because for k in REQUESTED} == {"no requested cameras"}
    assert without["sampson_recovered_px"].undefined_because == "not recovered"
    assert without["sampson_fitted_px"].value is not None
    lensless = measure(matches, cameras, intrinsics_known=False)
    assert {lensless[k].undefined_because for k in REQUESTED} == {"no requested intrinsics"}
    few = measure(matched(cameras, scene(points=16)), cameras, recovered=cameras)
    assert {m.undefined_because for m in few.values()} == {"too few matches"}
    few = measure(matched(cameras, scene(points=16)), cameras, recovered=cameras, motion=GENERAL)
    assert few["sampson_fitted_px"].undefined_because == "too few matches"
    assert few["sampson_requested_px"].undefined_because == "too few matches"
    tripod = measure(matches, path("static"))
    assert tripod["sampson_requested_px"].undefined_because == "camera centres coincide"
    assert tripod["sed_requested_px"].undefined_because == "camera centres coincide"
    assert tripod["tsed@2"].undefined_because == "requested centres coincide"


def test_recovered_cameras_count_for_registered_frames_only() -> None:
    cameras, matches = path(), matched(path(), scene())
    registered = torch.ones(16, dtype=torch.bool)
    registered[3:7] = False
    picks = torch.nonzero(registered)[:, 0]
    found = recovered_consistency(matches, GENERAL, recovered=cameras[picks], registered=registered)
    whole = recovered_consistency(
        matches, GENERAL, recovered=cameras, registered=torch.ones(16, dtype=torch.bool)
    )
    value, reference = found["sampson_recovered_px"], whole["sampson_recovered_px"]
    assert value.value is not None
    assert value.value == pytest.approx(reference.value, rel=0.1)  # rows mixed up would be off by many pixels
    both = [(a, b) for a, b in matches.pairs if b - a in (2, 4) and registered[a] and registered[b]]
    assert value.count == len(both) < reference.count
    lonely = torch.zeros(16, dtype=torch.bool)
    lonely[[0, 15]] = True
    found = recovered_consistency(matches, GENERAL, recovered=cameras[[0, 15]], registered=lonely)
    assert found["sampson_recovered_px"].undefined_because == "too few frames recovered"


def test_tsed_and_sed_by_hand() -> None:
    """A camera that moves along x: epipolar lines are rows, and the distance is the difference in y.

    Pair 0-1: 12 matches off by 1.5 px; 1-2: 12 matches off by 3 px; 2-3: 9 exact matches, too few.
    """
    pose = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    pose[:, 0, 3] = -torch.arange(4, dtype=torch.float64)
    K = torch.tensor([[300.0, 0, 192], [0, 300, 128], [0, 0, 1]], dtype=torch.float64).repeat(4, 1, 1)
    cameras = Cameras(pose, K, WIDTH, HEIGHT)
    x = torch.linspace(20, 360, 12, dtype=torch.float64)
    rows = (50.0, 51.5, 54.5, 54.5)
    kp = tuple(torch.stack([x - 10 * i, torch.full_like(x, y)], dim=1) for i, y in enumerate(rows))
    same = torch.arange(12)[:, None].repeat(1, 2)
    matches = Matches(WIDTH, HEIGHT, kp, ((0, 1), (1, 2), (2, 3)), (same, same, same[:9]))

    F = pair_fundamentals(cameras, matches.pairs)
    assert [tsed_share(matches, [0, 1, 2], F, threshold_px=t).value for t in (1, 2, 4)] == [0, 1 / 3, 2 / 3]
    assert tsed_share(matches, [0, 1, 2], F, threshold_px=2).count == 3
    sed = sed_between(matches, [0, 1, 2], F)
    assert sed.value == pytest.approx((1.5 + 3) / 2)
    assert sed.count == 2
    assert mean_epipolar_px(F[0, 1], kp[0], kp[1]).tolist() == pytest.approx([1.5] * 12)
    assert sampson_px(F[0, 1], kp[0], kp[1]).tolist() == pytest.approx([1.5 / math.sqrt(2)] * 12)


def test_a_pause_of_the_requested_path_is_left_out_of_tsed() -> None:
    cameras = path()
    pose = cameras.cam_from_world.clone()
    pose[8] = pose[7]
    paused = replace(cameras, cam_from_world=pose)
    found = measure(matched(paused, scene()), paused)
    assert found["tsed@1"].count == 14
    assert found["tsed@1"].value == 1.0


def test_distances_agree_with_opencv_and_kornia(generator: torch.Generator) -> None:
    """Theirs are squared: `cv2.sampsonDistance`, and kornia's with `squared=True`."""
    cameras = path()
    xy_a, xy_b = matched(cameras, scene(), noise_px=2.0, outliers=0.1).between(0, 8)
    F = fundamental(cameras[0], cameras[8])[0]
    one = torch.ones(len(xy_a), 1, dtype=torch.float64)
    a, b = torch.cat([xy_a, one], 1).numpy(), torch.cat([xy_b, one], 1).numpy()
    theirs = torch.tensor(
        [cv2.sampsonDistance(p, q, F.numpy()) for p, q in zip(a, b, strict=True)], dtype=torch.float64
    )
    ours = sampson_px(F, xy_a, xy_b)
    torch.testing.assert_close(ours.square(), theirs, rtol=1e-9, atol=1e-12)
    g = kornia.geometry.epipolar
    squared = g.sampson_epipolar_distance(xy_a[None], xy_b[None], F[None], squared=True, eps=0.0)[0]
    torch.testing.assert_close(ours.square(), squared, rtol=1e-9, atol=1e-12)
    both = g.symmetrical_epipolar_distance(xy_a[None], xy_b[None], F[None], squared=True, eps=0.0)[0]
    torch.testing.assert_close(symmetric_epipolar_px(F, xy_a, xy_b).square(), both, rtol=1e-9, atol=1e-12)
    one_way = g.left_to_right_epipolar_distance(xy_a[None], xy_b[None], F[None])[0]
    other_way = g.right_to_left_epipolar_distance(xy_a[None], xy_b[None], F[None])[0]
    torch.testing.assert_close(
        mean_epipolar_px(F, xy_a, xy_b), (one_way + other_way) / 2, rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(signed_sampson_px(F, xy_a, xy_b).abs(), ours)
    assert signed_sampson_px(F, xy_a, xy_b).sign().unique().tolist() == [-1, 1]


def test_structure_of_residuals_counts_a_place_once() -> None:
    """Features found twice in one place err alike, which is no structure of the picture."""
    cameras = path()
    xy_a, xy_b = matched(cameras, scene(), outliers=0.0).between(0, 4)
    F = fundamental(cameras[0], cameras[4])[0]
    once = residual_structure(F, xy_a, xy_b)
    twice = residual_structure(F, torch.cat([xy_a, xy_a]), torch.cat([xy_b, xy_b]))
    assert once is not None
    assert once == pytest.approx(twice, abs=1e-9)
    assert abs(once) < 0.1


def test_the_same_seed_gives_the_same_figures() -> None:
    cameras = path()
    matches = warped(matched(cameras, scene()), 3.0)
    assert measure(matches, cameras, seed=4) == measure(matches, cameras, seed=4)


def test_wrong_cameras_are_refused() -> None:
    cameras, matches = path(), matched(path(), scene(points=30))
    with pytest.raises(CameraError, match="expected 16 requested cameras"):
        measure(matches, cameras[:9])
    with pytest.raises(CameraError, match="resize"):
        measure(matches, cameras.resize(width=768, height=512))
    with pytest.raises(CameraError, match="expected 16 recovered"):
        measure(matches, cameras, recovered=cameras[:5])
    g = torch.Generator().manual_seed(0)
    with pytest.raises(CameraError, match="flags of registered"):
        consistency(
            matches,
            GENERAL,
            requested=None,
            intrinsics_known=False,
            recovered=None,
            registered=torch.ones(3, dtype=torch.bool),
            generator=g,
        )


def test_every_metric_says_what_it_is() -> None:
    assert set(CONSISTENCY) == {*FITTED, *REQUESTED, "sampson_recovered_px"}
    for key, info in CONSISTENCY.items():
        assert info.definition.endswith(".")
        assert info.source
        assert info.higher_is_better is key.startswith("tsed")
        assert (info.unit == "px") is key.endswith("_px")
