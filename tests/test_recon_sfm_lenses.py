"""Structure from motion on photos of two cameras of other sizes and focal lengths, placed on one canvas."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_reconstruct import distances, rotation_errors_deg
from test_recon_sfm_scene import FOCALS_PX, GROUPS, SIDE_PX, SIZES, two_cameras_scene

from recon.clip import Clip
from recon.errors import ReconstructionError, RecoveryStatus
from recon.pictures.canvas import find_boxes
from recon.sfm import PHOTOS, reconstruct
from recon.sfm.features.describe import describe

FAST = replace(PHOTOS, max_features=600)


@pytest.fixture(scope="module")
def mixed() -> Clip:
    return two_cameras_scene()


def test_two_unknown_lenses_and_all_poses_are_recovered(mixed: Clip, tmp_path: Path) -> None:
    found = reconstruct(mixed, tmp_path, recipe=FAST, lens_groups=GROUPS)
    truth = mixed.require_cameras()
    assert found.recovery.status is RecoveryStatus.OK
    assert found.lens is None
    for group, size in enumerate(SIZES):
        lens = found.lenses[group]
        assert (lens.width, lens.height) == size
        assert lens.params[0] == pytest.approx(FOCALS_PX[group], rel=0.02)
    cameras = found.clip.require_cameras()
    assert max(rotation_errors_deg(cameras.cam_from_world, truth.cam_from_world)) < 0.5
    torch.testing.assert_close(distances(cameras.centers), distances(truth.centers), atol=2e-2, rtol=0)
    torch.testing.assert_close(cameras.K, truth.K, rtol=0.02, atol=1.0)
    assert torch.equal(found.clip.confidence, mixed.confidence)
    first = found.keep(torch.tensor(GROUPS) == 0)
    assert first.lenses == {0: found.lenses[0]}, "no photo is left through the other"


def test_one_lens_for_two_cameras_turns_the_poses(mixed: Clip, tmp_path: Path) -> None:
    """What lens groups are for: one focal length between both turns poses by 2.1 degrees, where two turn them by 0.2."""
    found = reconstruct(replace(mixed, confidence=None), tmp_path, recipe=FAST)
    truth = mixed.require_cameras()
    assert max(rotation_errors_deg(found.clip.require_cameras().cam_from_world, truth.cam_from_world)) > 1


def test_a_focal_length_by_exif_of_one_camera_leaves_the_other_free(mixed: Clip, tmp_path: Path) -> None:
    found = reconstruct(
        mixed, tmp_path, recipe=FAST, lens_groups=GROUPS, focal_prior_px={1: 0.97 * FOCALS_PX[1]}
    )
    assert found.recovery.status is RecoveryStatus.OK
    for group, focal_px in enumerate(FOCALS_PX):
        assert found.lenses[group].params[0] == pytest.approx(focal_px, rel=0.02)


def test_features_lie_in_pictures_and_not_in_the_padding(mixed: Clip) -> None:
    for kind in ("opencv", "colmap"):
        for one, box in zip(describe(mixed, kind, max_features=600), find_boxes(mixed), strict=True):
            inside = one.xy - box.corner
            assert len(one) > 100
            assert bool((inside >= 0).all())
            assert bool((inside <= torch.tensor([box.width, box.height])).all())
            assert (one.width, one.height) == (SIDE_PX, SIDE_PX)


def test_a_photo_without_a_group_is_refused(mixed: Clip, tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="a lens group for each of 8 photos, got 2"):
        reconstruct(mixed, tmp_path, recipe=FAST, lens_groups=[0, 1])
