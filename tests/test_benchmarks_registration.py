"""The benchmark of registration: errors by known truth, and what its table counts as wrong."""

import pytest
import torch

from benchmarks.judged_cameras import exchange
from benchmarks.registration import count_wrong, rotation_errors, table
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip


def make_cameras(n: int = 4) -> Cameras:
    eyes = torch.stack([torch.tensor([float(i), 0.2 * i, 0.0], dtype=torch.float64) for i in range(n)])
    target = torch.tensor([1.0, 0.0, 5.0], dtype=torch.float64).expand(n, 3)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(n, 3)
    return Cameras(look_at(eyes, target, up), intrinsics(focal_px=100.0, width=80, height=60, n=n), 80, 60)


def test_one_turned_camera_is_wrong_by_its_turn_and_the_others_are_right() -> None:
    truth = make_cameras()
    angle = torch.deg2rad(torch.tensor(30.0, dtype=torch.float64))
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = angle.cos(), angle.sin(), -angle.sin(), angle.cos()
    poses = truth.cam_from_world.clone()
    poses[2] = turn @ poses[2]
    found = Cameras(poses, truth.K, truth.width, truth.height)
    errors = rotation_errors(found, truth)
    assert errors[2] == pytest.approx(30.0, abs=1e-3)
    assert max(errors[:2] + errors[3:]) < 1e-3
    assert rotation_errors(found[[0]], truth[[0]]) == []


def test_the_table_counts_registered_and_wrong_photos() -> None:
    said = {"seconds": 1.0, "attempts": [{}, {}]}
    row = {
        "capture": "x",
        "photos": 3,
        "seed": 0,
        "given": 3,
        "before": {"registered": 3, "errors_deg": {"a": 0.1, "b": 90.0, "c": 2.5}, "seconds": 1.0},
        "after": {"registered": 1, "errors_deg": {"a": 0.1}, "seconds": 2.0},
    } | said
    assert count_wrong(row["before"]) == 2
    text = str(table([row]))
    assert "| x | 3 | 3/3 | 2 | 1/3 | 0 | 0.10° | 2 | 1 | 2 |" in text
    assert "| **all** | 3 | 100% | 2 | 33% | 0 |" in text


def test_exchanged_no_photo_keeps_its_camera_and_no_camera_is_lost() -> None:
    posed = Clip(torch.zeros(4, 60, 80, 3), make_cameras(), names=("a", "b", "c", "d"))
    centers = exchange(posed, torch.Generator().manual_seed(0)).require_cameras().centers
    own = posed.require_cameras().centers
    assert bool((centers != own).any(1).all())
    torch.testing.assert_close(centers[centers[:, 0].argsort()], own)
