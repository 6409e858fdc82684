"""Rotations of a turning camera are found from its matches."""

import pytest
import torch
from clips_of_points import matched, path, scene

from eval.geometry.pairwise import pose_auc
from eval.geometry.turns import recover_turns, turns_as_recovery
from eval.poses import rotation_angle_deg


@pytest.mark.parametrize("kind", ["rotation only", "static"])
def test_turns_are_recovered(kind: str, generator: torch.Generator) -> None:
    cameras = path(kind)
    found = recover_turns(matched(cameras, scene(), outliers=0.3), cameras.K, generator=generator)
    assert found is not None
    true = cameras.cam_from_world[:, :3, :3]
    error = rotation_angle_deg(found, true @ true[0].mT)
    assert float(error.max()) < 0.2
    assert torch.allclose(torch.linalg.det(found), torch.ones(16, dtype=torch.float64))


def test_turns_are_a_recovery_with_the_requested_lenses(generator: torch.Generator) -> None:
    cameras = path("rotation only")
    names = [f"{i}" for i in range(16)]
    found = turns_as_recovery(matched(cameras, scene()), cameras, names, generator=generator)
    assert found is not None
    assert found.cameras is not None
    assert found.registered.all()
    assert len(found.points) == 0
    assert torch.equal(found.cameras.K, cameras.K)
    assert float(found.cameras.centers.abs().max()) == 0
    everyone = torch.ones(16, dtype=torch.bool)
    assert (pose_auc(found.cameras, everyone, cameras)[0] or 0) > 0.98


def test_frames_without_matches_leave_it_undefined(generator: torch.Generator) -> None:
    cameras = path("rotation only")
    matches = matched(cameras, scene())
    alone = matches.keep_features([torch.full((300,), i != 7) for i in range(16)])
    assert recover_turns(alone, cameras.K, generator=generator) is None
