"""The benchmark of masks: every kind of clip takes part, and figures mean what they say."""

import pytest
import torch

from benchmarks.moving_masks import Arguments, Case, choose_cases, disturb, overlay, score, tabulate
from recon.cameras import Cameras, intrinsics


def test_each_kind_of_mover_takes_part_in_each_size_before_each_camera() -> None:
    cases = choose_cases(Arguments())
    assert len({(case.movers, case.size, case.spread_deg) for case in cases if case.movers}) == 12
    assert [case.seed for case in cases if not case.movers] == [0, 1, 2, 3]
    assert len({case.name for case in cases}) == 16


def test_scores_count_pixels() -> None:
    truth, found = torch.zeros(1, 10, 10, dtype=torch.bool), torch.zeros(1, 10, 10, dtype=torch.bool)
    truth[0, :4, :5] = True
    found[0, 2:6, :5] = True
    case = Case(0, ("thing",), 0.4, 0.0)
    one = score(case, "true", found, truth, 0.5)
    assert one.iou == pytest.approx(10 / 30)
    assert one.precision == one.recall == pytest.approx(0.5)
    assert (one.covered, one.false) == (pytest.approx(0.2), pytest.approx(0.1))
    nothing = score(Case(1, (), 0.4, 0.0), "true", found, truth & False, 0.5)
    assert (nothing.iou, nothing.false) == (None, pytest.approx(0.2))
    rows = tabulate([one, nothing]).rows
    assert rows[0][2:] == ["0.33", "0.33", "0.50", "0.50", "0 of 1", "10.00", "0.50"]
    assert rows[1][2:] == ["–", "–", "–", "–", "–", "20.00", "0.50"]


def test_cameras_are_turned_and_moved_by_little_and_borders_are_drawn_outside() -> None:
    count = 400
    still = Cameras(
        torch.eye(4, dtype=torch.float64).repeat(count, 1, 1),
        intrinsics(focal_px=100, width=32, height=24, n=count), 32, 24,
    )  # fmt: skip
    off = disturb(still, 10.0, torch.Generator().manual_seed(0)).validate()
    cosine = (off.cam_from_world[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2
    turned = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
    assert turned.square().mean().sqrt() == pytest.approx(0.05, rel=0.1)
    moved = torch.rad2deg(torch.arctan(off.centers.norm(dim=1) / 10))
    assert moved.square().mean().sqrt() == pytest.approx(0.05, rel=0.1)
    truth = torch.zeros(9, 9, dtype=torch.bool)
    truth[3:6, 3:6] = True
    drawn = overlay(torch.zeros(9, 9, 3), truth, truth)
    assert drawn[4, 4].tolist() == [0.5, 0.0, 0.0]
    assert drawn[2, 4].tolist() == [1.0, 1.0, 0.0]
