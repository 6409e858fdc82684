"""Cameras that are roughly right are adjusted to what the photos show."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_scene import box_scene

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import RecoveryStatus
from recon.sfm import PHOTOS, reconstruct
from recon.sfm.matching import MatchedPhotos, match_photos

FAST = replace(PHOTOS, max_features=600)


@pytest.fixture(scope="module")
def scene() -> Clip:
    return box_scene(5)


@pytest.fixture(scope="module")
def matched(scene: Clip) -> MatchedPhotos:
    return match_photos(scene, FAST)


def shake(cameras: Cameras, degrees: float, generator: torch.Generator) -> Cameras:
    """The cameras, each turned about its centre and a tenth off in focal length."""
    turn = torch.eye(4, dtype=torch.float64).repeat(len(cameras), 1, 1)
    axis = torch.nn.functional.normalize(
        torch.randn(len(cameras), 3, generator=generator, dtype=torch.float64)
    )
    x, y, z = (axis * torch.deg2rad(torch.tensor(degrees))).T
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    turn[:, :3, :3] = torch.matrix_exp(skew)
    K = cameras.K.clone()
    K[:, 0, 0], K[:, 1, 1] = K[:, 0, 0] * 1.1, K[:, 1, 1] * 1.1
    return replace(cameras, cam_from_world=turn @ cameras.cam_from_world, K=K)


def relative_errors_deg(found: Cameras, truth: Cameras) -> torch.Tensor:
    between = [c.cam_from_world[1:, :3, :3] @ c.cam_from_world[:1, :3, :3].mT for c in (found, truth)]
    trace = (between[0] @ between[1].mT).diagonal(dim1=1, dim2=2).sum(1)
    return torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).arccos())


def test_rough_cameras_become_exact(
    scene: Clip, matched: MatchedPhotos, tmp_path: Path, generator: torch.Generator
) -> None:
    truth = scene.require_cameras()
    rough = shake(truth, 2.0, generator)
    assert float(relative_errors_deg(rough, truth).max()) > 1.5
    found = reconstruct(scene, tmp_path, recipe=FAST, matched=matched, given=rough).recovery
    assert found.status is RecoveryStatus.OK
    assert found.cameras is not None
    assert float(relative_errors_deg(found.cameras, truth).max()) < 0.2
    assert abs(float(found.cameras.K[0, 0, 0] / truth.K[0, 0, 0]) - 1) < 0.03
    assert len(found.points) > 200


def test_photos_without_a_camera_or_without_matches(
    scene: Clip, matched: MatchedPhotos, tmp_path: Path, generator: torch.Generator
) -> None:
    """The first stays out; the second keeps the camera that it came with, in the world of the others."""
    truth = scene.require_cameras()
    pose = truth.cam_from_world.clone()
    pose[1] = torch.nan
    lonely = [len(rows) * (4 not in pair) for pair, rows in matched.matches.by_pair()]
    fewer = tuple(rows[:kept] for rows, kept in zip(matched.matches.indices, lonely, strict=True))
    alone = replace(matched, matches=replace(matched.matches, indices=fewer))
    found = reconstruct(
        scene, tmp_path, recipe=FAST, matched=alone, given=replace(truth, cam_from_world=pose)
    ).recovery
    assert found.status is RecoveryStatus.PARTIAL
    assert found.registered.tolist() == [True, False, True, True, True]
    assert found.inliers.tolist()[4] == 0
    assert found.cameras is not None
    assert float(relative_errors_deg(found.cameras, truth[[0, 2, 3, 4]]).max()) < 0.3


def test_one_camera_is_no_model(scene: Clip, matched: MatchedPhotos, tmp_path: Path) -> None:
    truth = scene.require_cameras()
    pose = torch.full_like(truth.cam_from_world, torch.nan)
    pose[0] = truth.cam_from_world[0]
    found = reconstruct(
        scene, tmp_path, recipe=FAST, matched=matched, given=replace(truth, cam_from_world=pose)
    ).recovery
    assert found.status is RecoveryStatus.NO_MODEL
