"""Relative poses of pairs: known errors, what is missing, and the area under the curve by other means."""

import math

import pytest
import torch

from eval.geometry.pairwise import pair_errors, pose_auc, relative_accuracy, share_within
from recon.cameras import Cameras, intrinsics
from recon.errors import CameraError
from recon.sim3 import Sim3


def turns(axis_angle: torch.Tensor) -> torch.Tensor:
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3))


def cameras(R: torch.Tensor, centers: torch.Tensor) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64).repeat(len(R), 1, 1)
    pose[:, :3, :3], pose[:, :3, 3] = R, -(R @ centers[..., None])[..., 0]
    return Cameras(pose, intrinsics(focal_px=500, width=640, height=480, n=len(R)), 640, 480)


def path(n: int, generator: torch.Generator) -> Cameras:
    R = turns(0.4 * torch.randn(n, 3, generator=generator, dtype=torch.float64))
    return cameras(R, torch.randn(n, 3, generator=generator, dtype=torch.float64).cumsum(0))


def noisy(a: Cameras, generator: torch.Generator, size: float) -> Cameras:
    noise = size * torch.randn(2, len(a), 3, generator=generator, dtype=torch.float64)
    return cameras(turns(noise[0]) @ a.cam_from_world[:, :3, :3], a.centers + noise[1])


def everything(n: int) -> torch.Tensor:
    return torch.ones(n, dtype=torch.bool)


def test_the_truth_in_another_world_is_perfect(generator: torch.Generator) -> None:
    requested = path(7, generator)
    moved = Sim3(
        torch.tensor(0.2, dtype=torch.float64),
        turns(torch.randn(1, 3, generator=generator, dtype=torch.float64))[0],
        torch.ones(3, dtype=torch.float64),
    ).cameras(requested)
    assert len(pair_errors(moved, everything(7), requested).larger_deg) == 21
    assert pose_auc(moved, everything(7), requested) == pytest.approx((1, 1, 1), abs=1e-6)
    assert share_within(moved, everything(7), requested, threshold_deg=0.001) == 1
    assert relative_accuracy(moved, everything(7), requested, threshold_deg=0.001) == (1, 1)


def test_pairs_are_those_of_a_loop_over_them(generator: torch.Generator) -> None:
    requested = path(6, generator)
    registered = torch.tensor([True, True, False, True, True, True])
    recovered = noisy(requested, generator, 0.2)
    errors = pair_errors(recovered[registered], registered, requested)
    pairs = [(a, b) for a in range(6) for b in range(a + 1, 6)]
    for k, (a, b) in enumerate(pairs):
        if 2 in (a, b):
            assert errors.rotation_deg[k] == errors.direction_deg[k] == torch.inf
            continue
        P, Q = (c.cam_from_world[b] @ torch.linalg.inv(c.cam_from_world[a]) for c in (recovered, requested))
        cosine = (torch.trace(P[:3, :3] @ Q[:3, :3].T) - 1) / 2
        assert errors.rotation_deg[k].item() == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-6)
        along = torch.nn.functional.cosine_similarity(P[:3, 3], Q[:3, 3], dim=0)
        assert errors.direction_deg[k].item() == pytest.approx(math.degrees(math.acos(along)), rel=1e-6)
        assert errors.larger_deg[k] == max(errors.rotation_deg[k], errors.direction_deg[k])


def test_auc_is_the_area_under_the_recall_curve(generator: torch.Generator) -> None:
    requested = path(20, generator)
    recovered = noisy(requested, generator, 0.1)
    error = pair_errors(recovered, everything(20), requested).larger_deg
    for t, auc in zip((5.0, 15.0, 30.0), pose_auc(recovered, everything(20), requested), strict=True):
        steps = (torch.arange(100_000) + 0.5) * t / 100_000
        recall = torch.searchsorted(error.sort().values, steps.double(), right=True) / len(error)
        assert auc == pytest.approx(recall.mean().item(), abs=1e-4)
        # the histogram of 1° bins of VGGT, summed at their right ends, is higher by half a bin
        binned = torch.histc(error[error < t], bins=int(t), min=0, max=t).cumsum(0).mean() / len(error)
        assert 0 < binned - auc < 1 / t
        assert share_within(recovered, everything(20), requested, threshold_deg=t) == pytest.approx(
            (error < t).double().mean().item()
        )


def test_auc_of_known_errors() -> None:
    """Three cameras on a line, the last one turned by 9° about its own centre: one pair right, two off by 9°."""
    R = torch.eye(3, dtype=torch.float64).repeat(3, 1, 1)
    line = torch.arange(3, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    bent = R.clone()
    bent[2] = turns(torch.tensor([[0, math.radians(9), 0]], dtype=torch.float64))[0]
    recovered, requested = cameras(bent, line), cameras(R, line)
    assert pose_auc(recovered, everything(3), requested) == pytest.approx(
        (1 / 3, (1 + 0.8) / 3, (1 + 1.4) / 3)
    )
    assert share_within(recovered, everything(3), requested, threshold_deg=5) == pytest.approx(1 / 3)
    assert share_within(recovered, everything(3), requested, threshold_deg=10) == 1
    assert relative_accuracy(recovered, everything(3), requested, threshold_deg=5) == pytest.approx(
        (1 / 3, 1 / 3)
    )


def test_auc_falls_with_noise(generator: torch.Generator) -> None:
    requested = path(12, generator)
    series = [
        pose_auc(noisy(requested, torch.Generator().manual_seed(1), size), everything(12), requested)
        for size in (0.001, 0.01, 0.1, 1.0)
    ]
    for curve in zip(*series, strict=True):
        assert list(curve) == sorted(curve, reverse=True)
        assert curve[0] > curve[-1] + 0.5


def test_missing_frames_are_wrong_pairs(generator: torch.Generator) -> None:
    requested = path(5, generator)
    registered = torch.tensor([True, True, True, True, False])
    assert pose_auc(requested[registered], registered, requested, [5.0]) == pytest.approx((6 / 10,), abs=1e-6)
    nobody = torch.zeros(5, dtype=torch.bool)
    assert pose_auc(None, nobody, requested) == (0, 0, 0)
    assert relative_accuracy(None, nobody, requested, threshold_deg=15) == (0, 0)


def test_a_path_driven_backwards_is_wrong() -> None:
    R = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    line = torch.arange(4, dtype=torch.float64)[:, None] * torch.tensor([[0.0, 0, 1]], dtype=torch.float64)
    assert pose_auc(cameras(R, -line), everything(4), cameras(R, line)) == (0, 0, 0)
    assert pose_auc(cameras(R, 0 * line), everything(4), cameras(R, line)) == (0, 0, 0)


def test_pairs_without_a_requested_baseline_are_judged_by_rotation(generator: torch.Generator) -> None:
    requested = path(4, generator)
    still = cameras(requested.cam_from_world[:, :3, :3], torch.ones(4, 3, dtype=torch.float64))
    jittered = cameras(still.cam_from_world[:, :3, :3], requested.centers)
    assert pose_auc(jittered, everything(4), still) == pytest.approx((1, 1, 1), abs=1e-6)
    assert relative_accuracy(jittered, everything(4), still, threshold_deg=5) == (1, None)
    line = torch.tensor([[0.0, 0, 0], [1e-5, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=torch.float64)
    R = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    errors = pair_errors(
        cameras(R, line + torch.tensor([[0.0, 1e-4, 0]]) * line.sign()), everything(4), cameras(R, line)
    )
    assert errors.direction_deg.isnan().tolist() == [True] + 5 * [False]
    assert errors.larger_deg[0] == 0
    nobody = torch.zeros(4, dtype=torch.bool)
    assert pose_auc(None, nobody, still) == (0, 0, 0)


def test_degenerate_input(generator: torch.Generator) -> None:
    one = path(1, generator)
    assert pose_auc(one, everything(1), one) == (None, None, None)
    assert share_within(one, everything(1), one, threshold_deg=5) is None
    assert relative_accuracy(one, everything(1), one, threshold_deg=5) == (None, None)
    with pytest.raises(CameraError, match="1 flags"):
        pose_auc(None, everything(1), path(2, generator))
