"""Poses that do not explain what frames far apart share are no one path."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import drifted, matched, path, scene

from eval.paths.match_check import check_matches
from recon.cameras import Cameras

EVERYONE = torch.ones(16, dtype=torch.bool)


def torn(cameras: Cameras) -> Cameras:
    """The second half a metre up, and turned."""
    pose = drifted(cameras, 6.0).cam_from_world.clone()
    pose[:8] = cameras.cam_from_world[:8]
    return replace(cameras, cam_from_world=pose)


@pytest.mark.parametrize("outliers", [0.0, 0.3])
def test_right_poses_explain_their_matches(outliers: float, generator: torch.Generator) -> None:
    check = check_matches(matched(path(), scene(), outliers=outliers), path(), EVERYONE, generator=generator)
    assert check.pairs == 30
    assert check.contradicted == ()
    assert not check.torn


def test_a_torn_path_is_told_with_its_worst_frames(generator: torch.Generator) -> None:
    check = check_matches(matched(path(), scene()), torn(path()), EVERYONE, generator=generator)
    assert check.torn
    a, b = check.contradicted[0]
    assert a < 8 <= b
    assert "contradict the recovered poses" in check.sentence()


def test_of_few_matches_nothing_is_said(generator: torch.Generator) -> None:
    check = check_matches(matched(path(), scene(points=25)), torn(path()), EVERYONE, generator=generator)
    assert not check.torn
    few = torch.zeros(16, dtype=torch.bool)
    few[:2] = True
    assert check_matches(matched(path(), scene()), path()[[0, 1]], few, generator=generator).pairs == 0
